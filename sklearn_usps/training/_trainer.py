"""The skorch net that trains: a batch is a slice, and there is little work around it.

skorch gives the loop over epochs, the history and the callbacks. What it adds to a batch beyond a
bare PyTorch loop is taken away here: the data loader, which collates single samples; the walk over
all modules that sets their mode; the history of each batch and calls of callbacks, where none
listens to batches; and torch's schedulers.
"""

from __future__ import annotations

import dis
import math
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EpochTimer, PassthroughScoring
from torch import nn
from torch.nn import functional

from . import _fork  # noqa: F401 (registers itself)
from ._batches import Batches, Block, batch_slices, split_block

#: How many images to look at at once where no gradient is needed.
INFERENCE_BATCH_SIZE = 512

_BATCH_EVENTS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class StopTraining(Exception):  # noqa: N818 (no error, as StopIteration)
    """A callback asks to end the training.

    skorch's callbacks do so by a statement that raises a KeyboardInterrupt, between two epochs. Any
    other is the user's Ctrl-C.
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

    augmentation : callable or None
        ``augmentation(images, generator)`` deforms the images of a block of batches in training.

    label_smoothing : float
        Of the cross-entropy, where the network has no loss of its own.

    lr_factors : dict of str to float
        What to multiply the learning rate by, for parameters by name; one for all others.

    schedule : ndarray of shape (n_batches,) or None
        What to multiply the learning rate by, for each batch of the training; None: one.

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
        augmentation,
        label_smoothing,
        lr_factors,
        schedule,
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
        self.augmentation = augmentation
        self.label_smoothing = label_smoothing
        self.lr_factors = lr_factors
        self.schedule = schedule

    @property
    def _default_callbacks(self):
        return [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring("train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring("valid_loss")),
        ]

    def initialize_callbacks(self):
        super().initialize_callbacks()
        callbacks = [callback for _, callback in self.callbacks_]
        self.listeners_ = {
            event: [
                getattr(callback, event) for callback in callbacks if _overrides(callback, event)
            ]
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
        except KeyboardInterrupt as error:
            if method_name.startswith("on_epoch") and _is_from_statement(error):
                raise StopTraining from error
            raise

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        self.interrupted_ = False
        self.n_steps_ = 0
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
            self._follow_schedule()
            group = self.optimizer_.param_groups[0]
            epoch["lr"] = group["lr"] / group["lr_factor"]
        self._set_training(training)
        run_block = self._run_and_tell if any(self.listeners_.values()) else self._run_block
        wrong, weight = 0.0, 0.0
        for block in iterator:
            block = block._replace(images=block.images.to(self.device))
            if training and self.augmentation is not None:
                block = block._replace(images=self.augmentation(block.images, self.generator))
            scores = run_block(block, training, prefix, step_fn)
            block_wrong, block_weight = _count_wrong(scores, block.targets, block.weights)
            wrong, weight = wrong + block_wrong, weight + block_weight
        epoch[prefix + "_batch_count"] = len(iterator)
        epoch[prefix + "_error"] = wrong / weight

    def _run_block(self, block: Block, training: bool, prefix: str, step_fn) -> list[torch.Tensor]:
        """Run the batches of a block, which in the history is one batch; return their scores."""
        steps = [step_fn(batch, weights=weights) for batch, weights in split_block(block)]
        losses = [step["loss"].item() for step in steps]
        self._check_losses(losses)
        sizes = [len(step["y_pred"]) for step in steps]
        mean = sum(loss * size for loss, size in zip(losses, sizes, strict=True)) / sum(sizes)
        self.history[-1]["batches"].append(
            {prefix + "_loss": mean, prefix + "_batch_size": sum(sizes)}
        )
        return [step["y_pred"] for step in steps]

    def _run_and_tell(self, block, training, prefix, step_fn) -> list[torch.Tensor]:
        """The same where callbacks listen to batches, each of which is in the history."""
        scores = []
        for batch, weights in split_block(block):
            record: dict = {}
            self.history[-1]["batches"].append(record)
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, weights=weights)
            record[prefix + "_loss"] = loss = step["loss"].item()
            self._check_losses([loss])
            record[prefix + "_batch_size"] = len(batch[0])
            scores.append(step["y_pred"])
            self.notify("on_batch_end", batch=batch, training=training, **step)
        return scores

    def _check_losses(self, losses: list[float]) -> None:
        for loss in losses:
            if not math.isfinite(loss):
                raise self._diverged(f"The loss became {loss}")

    def check_scores(self, X) -> None:
        """Raise a ValueError if the network, after the last step, finds no finite scores for X."""
        if not self.has_finite_scores(X):
            raise self._diverged("The scores became infinite or NaN")

    def has_finite_scores(self, X) -> bool:
        """Whether no score for X is infinite or NaN."""
        return bool(self.forward(X).isfinite().all())

    def _diverged(self, what: str) -> ValueError:
        epoch = self.history[-1]["epoch"]
        return ValueError(
            f"{what} in epoch {epoch}. Make lr smaller (lr={self.lr}), or scale X to about [0, 1] "
            "if its values are large."
        )

    def _follow_schedule(self) -> None:
        """Set the learning rates of the next batch."""
        if self.schedule is None or self.n_steps_ == len(self.schedule):
            return
        lr = self.lr * float(self.schedule[self.n_steps_])
        for group in self.optimizer_.param_groups:
            group["lr"] = lr * group["lr_factor"]

    def get_iterator(self, dataset, training=False):
        if training:
            slices = batch_slices(len(dataset), self.batch_size)
            return Batches(dataset, self.image_shape, slices, sample=self._sample)
        slices = batch_slices(len(dataset), INFERENCE_BATCH_SIZE)
        return Batches(dataset, self.image_shape, slices)

    def _sample(self, n_samples):
        return draw_samples(self.sampling, n_samples, n_samples, self.generator)

    # One batch

    def train_step(self, batch, weights=None, **fit_params):
        steps = []

        def closure():
            self.optimizer_.zero_grad()
            step = self.train_step_single(batch, weights=weights)
            steps.append(step)
            if self.listeners_["on_grad_computed"]:
                parameters = list(self.module_.named_parameters())
                self.notify(
                    "on_grad_computed", named_parameters=parameters, batch=batch, training=True
                )
            return step["loss"]

        self.optimizer_.step(closure)
        self.n_steps_ += 1
        self._follow_schedule()
        return steps[0]

    def train_step_single(self, batch, weights=None, **fit_params):
        loss, scores = self.loss_and_scores(batch, weights)
        loss.backward()
        return {"loss": loss.detach(), "y_pred": scores.detach()}

    def validation_step(self, batch, weights=None, **fit_params):
        with torch.no_grad():
            loss, scores = self.loss_and_scores(batch, weights)
        return {"loss": loss, "y_pred": scores}

    def loss_and_scores(self, batch, weights):
        """The mean loss of a batch, and the scores of its images."""
        images, targets = batch
        scores = self.infer(images)
        return self.get_loss(scores, targets, weights=weights), scores

    def infer(self, x, **fit_params):
        return self.module_(x.to(self.device), **fit_params)

    def get_loss(self, y_pred, y_true, X=None, training=False, weights=None):
        return self.mean_loss(self.module_, y_pred, y_true, weights)

    def mean_loss(self, network, scores, targets, weights) -> torch.Tensor:
        """The mean loss of a network's scores for some samples."""
        targets = targets.to(self.device)
        own_loss = getattr(network, "loss", None)
        if weights is None and own_loss is None:
            return self.criterion_(scores, targets)
        if own_loss is None:
            losses = functional.cross_entropy(
                scores, targets, label_smoothing=self.label_smoothing, reduction="none"
            )
        else:
            losses = own_loss(scores, targets)
        return (losses if weights is None else losses * weights.to(self.device)).mean()

    # Inference

    def forward_iter(self, X, training=False, device="cpu"):
        return self._map(self.infer, X, training, device)

    def log_proba(self, X, test_time_augmentation: bool = False) -> torch.Tensor:
        """Logarithms of probabilities of images X: (n_samples, n_classes)."""

        def log_proba(images):
            return log_probabilities(self.module_, self.infer(images))

        def log_mean_proba(images):
            parts = [log_proba(shifted) for shifted in _shifts(images)]
            return torch.stack(parts).logsumexp(0) - math.log(len(parts))

        return torch.cat(
            list(self._map(log_mean_proba if test_time_augmentation else log_proba, X))
        )

    def features(self, X) -> torch.Tensor:
        """The last hidden layer on images X: (n_samples, n_features)."""

        def features(images):
            return self.module_.features(images.to(self.device)).flatten(1)

        return torch.cat(list(self._map(features, X)))

    def _map(self, function, X, training=False, device="cpu"):
        """Yield what a function makes of each batch of images."""
        self._set_training(training)
        blocks = self.get_iterator(self.get_dataset(X))
        for (images, _), _ in chain.from_iterable(map(split_block, blocks)):
            with torch.inference_mode(not training):
                values = function(images).to(device)
            yield values


def draw_samples(sampling: str, n_samples: int, n_drawn: int, generator) -> np.ndarray:
    """Draw samples by index: all in random order, over and over, or independently."""
    if sampling == "replacement":
        return torch.randint(n_samples, (n_drawn,), generator=generator).numpy()
    orders = [torch.randperm(n_samples, generator=generator) for _ in range(0, n_drawn, n_samples)]
    return torch.cat(orders)[:n_drawn].numpy()


def _shifts(images: torch.Tensor) -> list[torch.Tensor]:
    """The images, and all of them moved by one pixel to each of the four sides."""
    height, width = images.shape[2:]
    padded = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    corners = [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
    return [padded[:, :, top : top + height, left : left + width] for top, left in corners]


def log_probabilities(module: nn.Module, scores: torch.Tensor) -> torch.Tensor:
    """What the scores of a network mean: logarithms of probabilities."""
    return module.log_proba(scores) if hasattr(module, "log_proba") else scores.log_softmax(1)


def _probabilities(module, scores):
    return log_probabilities(module, scores).exp()


def _count_wrong(scores: list, targets, weights) -> tuple[float, float]:
    """The weights of the samples whose highest score is not that of the target, and of all."""
    wrong = torch.cat(scores).argmax(1).cpu() != targets
    if weights is None:
        return float(wrong.sum()), float(len(wrong))
    return float(weights[wrong].sum(dtype=torch.float64)), float(weights.sum(dtype=torch.float64))


def _is_from_statement(error: BaseException) -> bool:
    """Whether an exception comes from a `raise`, and not from a signal, which comes anywhere."""
    last: Any = error.__traceback__
    while last.tb_next is not None:
        last = last.tb_next
    return dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]] == "RAISE_VARARGS"


def _overrides(callback, event: str) -> bool:
    """Whether a callback does anything at an event."""
    method = getattr(callback, event)
    return getattr(method, "__func__", method) is not getattr(Callback, event)
