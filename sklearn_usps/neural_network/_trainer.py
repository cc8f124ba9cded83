"""The skorch net that trains: a batch is one index, and there is little work around it.

skorch gives the loop, the history and the callbacks. What it adds to a batch beyond a bare PyTorch
loop is taken away here: the data loader, which collates single samples; the walk over all modules
that sets their mode; the slices of the history; and calls of callbacks that don't listen to
batches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from sklearn.utils import gen_batches
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EpochTimer, PassthroughScoring
from torch import nn
from torch.utils.data import Subset

#: How many images to look at at once where no gradient is needed.
INFERENCE_BATCH_SIZE = 1024

_BATCH_EVENTS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class StopTraining(Exception):  # noqa: N818 (no error, as StopIteration)
    """A callback asks to end the training.

    skorch's callbacks do so by a KeyboardInterrupt, which here is left to the user's Ctrl-C.
    """


def batch_slices(n_samples: int, batch_size: int) -> list[slice]:
    """Cut samples into batches.

    A single sample that is left over joins the batch before it, since batch normalization can
    learn nothing from one value.
    """
    return list(gen_batches(n_samples, batch_size, min_batch_size=min(2, batch_size)))


class Batches:
    """The images of a data set in batches, each one index into the array that holds them all.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset or torch.utils.data.Subset of one
        Its `X` is of shape (n_samples, height * width), its `y` may be None.

    image_shape : tuple of int (height, width)
        Shape of the images.

    batch_size : int
        Number of images in a batch.

    shuffle : torch.Generator, default=None
        Where a new order is drawn from in each pass; None: the order of the data set.
    """

    def __init__(self, dataset, image_shape, batch_size, *, shuffle=None):
        self.data, self.rows = dataset, np.arange(len(dataset))
        if isinstance(dataset, Subset):
            self.data, self.rows = dataset.dataset, np.asarray(dataset.indices)
        self.image_shape = image_shape
        self.shuffle = shuffle
        self.slices = batch_slices(len(self.rows), batch_size)

    def __len__(self) -> int:
        return len(self.slices)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
        rows, X, y = self.rows, self.data.X, self.data.y
        if self.shuffle is not None:
            rows = rows[torch.randperm(len(rows), generator=self.shuffle).numpy()]
        for batch in self.slices:
            # The copy of a few rows may be written to, even where X is read-only or on disk.
            images = torch.from_numpy(np.asarray(X[rows[batch]], dtype=np.float32))
            images = images.view(-1, 1, *self.image_shape)
            yield images, None if y is None else torch.as_tensor(y[rows[batch]])


class Trainer(NeuralNetClassifier):
    """A skorch net whose data are images, each a row of pixels in one array.

    Parameters
    ----------
    module : torch.nn.Module
        The network; see `_networks` for what it has to offer.

    image_shape : tuple of int (height, width)
        Shape of the images.

    generator : torch.Generator
        Where order and deformation are drawn from.

    deformer : callable or None
        ``deformer(images, generator)`` deforms the images of a batch in training.

    label_smoothing : float
        Of the cross-entropy, where the network has no loss of its own.

    **options
        As of `skorch.NeuralNetClassifier`.
    """

    def __init__(self, module, *, image_shape, generator, deformer, label_smoothing, **options):
        super().__init__(
            module,
            criterion=nn.CrossEntropyLoss,
            criterion__label_smoothing=label_smoothing,
            predict_nonlinearity=partial(_probabilities, module),
            **options,
        )
        self.image_shape = image_shape
        self.generator = generator
        self.deformer = deformer
        self.label_smoothing = label_smoothing

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

    def notify(self, method_name, **cb_kwargs):
        try:
            if method_name not in _BATCH_EVENTS:
                super().notify(method_name, **cb_kwargs)
            else:
                for listener in self.listeners_[method_name]:
                    listener(self, **cb_kwargs)
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
            epoch["lr"] = self.optimizer_.param_groups[0]["lr"]
        scores, targets = [], []
        for batch in iterator:
            record: dict = {}
            epoch["batches"].append(record)
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            record[prefix + "_loss"] = loss = step["loss"].item()
            if training and not math.isfinite(loss):
                raise ValueError(
                    f"The loss became {loss} in epoch {epoch['epoch']}. Make lr smaller "
                    f"(lr={self.lr}), or scale X to about [0, 1] if its values are large."
                )
            record[prefix + "_batch_size"] = len(batch[0])
            scores.append(step["y_pred"].detach())
            targets.append(batch[1])
            self.notify("on_batch_end", batch=batch, training=training, **step)
        epoch[prefix + "_batch_count"] = len(scores)
        wrong = torch.cat(scores).argmax(1).cpu() != torch.cat(targets)
        epoch[prefix + "_error"] = wrong.float().mean().item()

    def get_iterator(self, dataset, training=False):
        if training:
            return Batches(dataset, self.image_shape, self.batch_size, shuffle=self.generator)
        return Batches(dataset, self.image_shape, INFERENCE_BATCH_SIZE)

    def forward_iter(self, X, training=False, device="cpu"):
        for images, _ in self.get_iterator(self.get_dataset(X)):
            self._set_training(training)
            with torch.inference_mode(not training):
                scores = self.infer(images).to(device)
            yield scores

    def train_step_single(self, batch, **fit_params):
        images, targets = batch
        if self.deformer is not None:
            images = self.deformer(images, self.generator)
        return super().train_step_single((images, targets), **fit_params)

    def infer(self, x, **fit_params):
        return self.module_(x.to(self.device), **fit_params)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        y_true = y_true.to(self.device)
        if self.own_loss_ is None:
            return self.criterion_(y_pred, y_true)
        return self.own_loss_(y_pred, y_true).mean()

    def _set_training(self, training=True):
        if self.module_.training != training:
            super()._set_training(training)


def log_probabilities(module: nn.Module, scores: torch.Tensor) -> torch.Tensor:
    """What the scores of a network mean: logarithms of probabilities."""
    return module.log_proba(scores) if hasattr(module, "log_proba") else scores.log_softmax(1)


def _probabilities(module, scores):
    return log_probabilities(module, scores).exp()


def _hears(callback, event: str) -> bool:
    """Whether a callback does anything at an event."""
    method = getattr(callback, event)
    return getattr(method, "__func__", method) is not getattr(Callback, event)
