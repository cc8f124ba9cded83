"""The skorch net that trains: a batch is one index, and there is little work around it.

skorch gives the loop, the history and the callbacks. What it adds to a batch beyond a bare PyTorch
loop is taken away here: the data loader, which collates single samples; the walk over all modules
that sets their mode; the slices of the history; and calls of callbacks that don't listen to
batches.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EpochTimer, PassthroughScoring
from torch import nn
from torch.nn import functional

from ._batches import Batches

#: How many images to look at at once where no gradient is needed.
INFERENCE_BATCH_SIZE = 1024

_BATCH_EVENTS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class StopTraining(Exception):  # noqa: N818 (no error, as StopIteration)
    """A callback asks to end the training.

    skorch's callbacks do so by a KeyboardInterrupt at the end of an epoch. At all other times it is
    the user's Ctrl-C.
    """


class Trainer(NeuralNetClassifier):
    """A skorch net whose data are images, each a row of pixels in one array.

    Parameters
    ----------
    module : torch.nn.Module
        The network; see `_networks` for what it has to offer.

    image_shape : tuple of int (height, width)
        Shape of the images.

    generator : torch.Generator
        Where samples and deformation are drawn from.

    sampling : {"shuffle", "replacement"}
        Whether each epoch has all samples in a random order, or as many drawn independently.

    deformer : callable or None
        ``deformer(images, generator)`` deforms the images of a batch in training.

    label_smoothing : float
        Of the cross-entropy, where the network has no loss of its own.

    lr_factors : dict of str to float
        What to multiply the learning rate by, for parameters by name; one for all others.

    **options
        As of `skorch.NeuralNetClassifier`.
    """

    def __init__(
        self,
        module,
        *,
        image_shape,
        generator,
        sampling,
        deformer,
        label_smoothing,
        lr_factors,
        **options,
    ):
        super().__init__(
            module,
            criterion=nn.CrossEntropyLoss,
            criterion__label_smoothing=label_smoothing,
            predict_nonlinearity=partial(_probabilities, module),
            **options,
        )
        self.image_shape = image_shape
        self.generator = generator
        self.sampling = sampling
        self.deformer = deformer
        self.label_smoothing = label_smoothing
        self.lr_factors = lr_factors

    @property
    def _default_callbacks(self):
        return [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring("train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring("valid_loss")),
        ]

    def initialize_criterion(self):
        super().initialize_criterion()
        self.own_loss_ = getattr(self.module_, "loss", None)
        return self

    def initialize_callbacks(self):
        super().initialize_callbacks()
        callbacks = [callback for _, callback in self.callbacks_]
        self.listeners_ = {
            event: [getattr(callback, event) for callback in callbacks if _hears(callback, event)]
            for event in _BATCH_EVENTS
        }
        return self

    def get_params_for_optimizer(self, prefix, named_parameters):
        _, options = super().get_params_for_optimizer(prefix, [])
        groups: dict[float, list] = {}
        for name, parameter in named_parameters:
            groups.setdefault(self.lr_factors.get(name, 1.0), []).append(parameter)
        lr = options["lr"]
        return (
            [
                {"params": parameters, "lr": lr * factor, "lr_factor": factor}
                for factor, parameters in groups.items()
            ],
        ), options

    # The loop over the batches of an epoch

    def notify(self, method_name, **cb_kwargs):
        if method_name in _BATCH_EVENTS:
            for listener in self.listeners_[method_name]:
                listener(self, **cb_kwargs)
            return
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt as request:
            raise StopTraining from request

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        self.interrupted_ = False
        try:
            return super().fit_loop(X, y, epochs, **fit_params)
        except StopTraining:
            return self
        except KeyboardInterrupt:  # skorch ends the training in good order and forgets it
            self.interrupted_ = True
            raise

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        if iterator is None:
            return
        epoch = self.history[-1]
        if training:
            group = self.optimizer_.param_groups[0]
            epoch["lr"] = group["lr"] / group["lr_factor"]
        scores, targets = [], []
        for batch, weights in iterator:
            record: dict = {}
            epoch["batches"].append(record)
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, weights=weights)
            record[prefix + "_loss"] = loss = step["loss"].item()
            if training and not math.isfinite(loss):
                raise ValueError(
                    f"The loss became {loss} in epoch {epoch['epoch']}. Make lr smaller "
                    f"(lr={self.lr}), or scale X to about [0, 1] if its values are large."
                )
            record[prefix + "_batch_size"] = len(batch[0])
            scores.append(step["y_pred"].detach())
            targets.append((batch[1], weights))
            self.notify("on_batch_end", batch=batch, training=training, **step)
        epoch[prefix + "_batch_count"] = len(scores)
        epoch[prefix + "_error"] = _error(scores, targets)

    def get_iterator(self, dataset, training=False):
        if training:
            return Batches(dataset, self.image_shape, self.batch_size, sample=self._sample)
        return Batches(dataset, self.image_shape, INFERENCE_BATCH_SIZE)

    def _sample(self, n_samples):
        if self.sampling == "shuffle":
            return torch.randperm(n_samples, generator=self.generator).numpy()
        return torch.randint(n_samples, (n_samples,), generator=self.generator).numpy()

    # One batch

    def train_step_single(self, batch, weights=None, **fit_params):
        images, targets = batch
        self._set_training(True)
        if self.deformer is not None:
            images = self.deformer(images, self.generator)
        scores = self.infer(images)
        loss = self.get_loss(scores, targets, weights=weights)
        loss.backward()
        return {"loss": loss, "y_pred": scores}

    def validation_step(self, batch, weights=None, **fit_params):
        self._set_training(False)
        with torch.no_grad():
            scores = self.infer(batch[0])
            loss = self.get_loss(scores, batch[1], weights=weights)
        return {"loss": loss, "y_pred": scores}

    def infer(self, x, **fit_params):
        return self.module_(x.to(self.device), **fit_params)

    def get_loss(self, y_pred, y_true, X=None, training=False, weights=None):
        y_true = y_true.to(self.device)
        if weights is None and self.own_loss_ is None:
            return self.criterion_(y_pred, y_true)
        if self.own_loss_ is None:
            losses = functional.cross_entropy(
                y_pred, y_true, label_smoothing=self.label_smoothing, reduction="none"
            )
        else:
            losses = self.own_loss_(y_pred, y_true)
        return (losses if weights is None else losses * weights.to(self.device)).mean()

    def _set_training(self, training=True):
        if self.module_.training != training:
            super()._set_training(training)

    # Inference

    def forward_iter(self, X, training=False, device="cpu"):
        return self._map(self.infer, X, training, device)

    def features(self, X) -> torch.Tensor:
        """The last hidden layer on images X: (n_samples, n_features)."""

        def features(images):
            return self.module_.features(images.to(self.device)).flatten(1)

        return torch.cat(list(self._map(features, X)))

    def _map(self, function, X, training=False, device="cpu"):
        """Yield what a function makes of each batch of images."""
        for (images, _), _ in self.get_iterator(self.get_dataset(X)):
            self._set_training(training)
            with torch.inference_mode(not training):
                values = function(images).to(device)
            yield values


def log_probabilities(module: nn.Module, scores: torch.Tensor) -> torch.Tensor:
    """What the scores of a network mean: logarithms of probabilities."""
    return module.log_proba(scores) if hasattr(module, "log_proba") else scores.log_softmax(1)


def _probabilities(module, scores):
    return log_probabilities(module, scores).exp()


def _error(scores: list, targets: list) -> float:
    """The weighted share of samples whose highest score is not that of the target."""
    wrong = torch.cat(scores).argmax(1).cpu() != torch.cat([target for target, _ in targets])
    weights = [weight for _, weight in targets if weight is not None]
    return float(np.average(wrong.numpy(), weights=torch.cat(weights) if weights else None))


def _hears(callback, event: str) -> bool:
    """Whether a callback does anything at an event."""
    method = getattr(callback, event)
    return getattr(method, "__func__", method) is not getattr(Callback, event)
