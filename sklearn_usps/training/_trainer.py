"""The skorch net that trains one network: a batch is a slice, with little work around it.

skorch provides the loop over epochs, the history and the callbacks. This module replaces what makes
a batch slower than in a bare PyTorch loop: the data loader, which collates single samples; the
history of each batch and calls of callbacks, if none listens to batches; and torch's schedulers.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochTimer, PassthroughScoring
from torch import nn

from ..networks._torch_state import default_state
from ._callbacks import BATCH_EVENTS, StopTraining, call_listeners, overrides, training_callbacks
from ._config import TrainingConfig
from ._contexts import TrainingContexts
from ._data import BatchIterator, Block, WeightedSubset, batch_slices, draw_samples, read_images
from ._inference import INFERENCE_BATCH_SIZE, iter_outputs, log_probabilities
from .gpu._captured_steps import CapturedSteps
from .gpu._cuda import ImageReader, is_cuda
from .optim import _second_derivatives
from .optim._learning_rates import SCHEDULES, parameter_groups, rate_factors
from .optim._loss import check_outputs, mean_loss
from .optim._time_limit import PacedSchedule

#: Attributes that a trainer has during a training only: they hold the images.
_OF_TRAINING = ("data_", "read_", "step_")


class Trainer(NeuralNetClassifier):
    """A skorch net that trains a network on images, each a row of pixels in one array.

    The network has the interface in `networks/__init__.py`. The generator is the source of the
    random numbers of sampling and augmentation. Targets are 0 to ``n_classes - 1``.
    """

    def __init__(self, module: nn.Module, *, config: TrainingConfig, generator, n_classes: int):
        super().__init__(
            module,
            criterion=nn.CrossEntropyLoss,
            criterion__label_smoothing=config.label_smoothing,
            optimizer=config.optimizer,
            **{f"optimizer__{name}": value for name, value in config.optimizer_options.items()},
            lr=config.lr,
            max_epochs=config.max_epochs,
            batch_size=config.batch_size,
            classes=np.arange(n_classes),
            train_split=None,
            predict_nonlinearity=partial(_probabilities, module),
            callbacks=training_callbacks(config),
            verbose=config.verbose,
            device=config.device,
        )
        self.config = config
        self.generator = generator
        self.n_classes = n_classes

    #: Reads images for a training; on an Nvidia GPU another function.
    read_ = staticmethod(read_images)
    #: Learning rate factors of all batches of a training; None: constant.
    schedule_: np.ndarray | PacedSchedule | None = None
    #: Parameters and the factors of their learning rates in this epoch.
    parameter_factors_: Sequence[tuple[nn.Parameter, torch.Tensor]] = ()

    @property
    def _default_callbacks(self):
        return [
            ("epoch_timer", EpochTimer()),
            ("train_loss", PassthroughScoring("train_loss", on_train=True)),
            ("valid_loss", PassthroughScoring("valid_loss")),
        ]

    def initialize(self):
        self.contexts_ = TrainingContexts(self.module, self.config)
        with default_state(self.config.device), self.contexts_.evaluation:
            super().initialize()
        # Libraries that explain predictions need the network as it predicts, without dropout.
        self._set_training(False)
        return self

    def initialize_callbacks(self):
        super().initialize_callbacks()
        callbacks = [callback for _, callback in self.callbacks_]
        self.listeners_ = {
            event: [getattr(each, event) for each in callbacks if overrides(each, event)]
            for event in BATCH_EVENTS
        }
        return self

    def initialize_optimizer(self, *args, **kwargs):
        self.lr_factors_ = rate_factors(
            self.config.lr_scaling,
            self.module_,
            self.config.image_shape,
            on_meta_device=self.config.sizes_by_module,
        )
        return super().initialize_optimizer(*args, **kwargs)

    def get_params_for_optimizer(self, prefix, named_parameters):
        _, options = super().get_params_for_optimizer(prefix, [])
        return (parameter_groups(named_parameters, self.lr_factors_, options["lr"]),), options

    # The training

    def train(self, data: WeightedSubset, valid_data: WeightedSubset | None = None) -> None:
        """Train for `max_epochs`; afterwards the history has the epochs that were completed.

        The attribute `interrupted_` says whether Ctrl-C ended the training.

        Raises
        ------
        ValueError
            If a loss or, after the last step, a logit is infinite or NaN.
        """
        n_images = self.count_images(data)
        self.max_epochs = self.config.choose_max_epochs(n_images)
        self.batch_size = self.config.choose_batch_size(n_images)
        with (
            default_state(self.config.device),
            self.contexts_.training(self.module_, self.generator),
        ):
            self.data_ = data, valid_data
            if is_cuda(self.config.device):
                self.read_ = ImageReader(self.device)
            try:
                # Before skorch, which swallows Ctrl-C from here on.
                self.make_lr_schedule(self.max_epochs, len(self.get_iterator(data, training=True)))
                self.partial_fit(data.dataset.X, data.dataset.y)
            finally:
                for name in _OF_TRAINING:
                    self.__dict__.pop(name, None)
        self._set_training(False)
        if self.history and not self.interrupted_:
            self.check_logits(data.dataset.X[:1])
        if self.history and "dur" not in self.history[-1]:  # interrupted
            del self.history[-1]

    def count_images(self, data: WeightedSubset) -> int:
        """Return the number of images of an epoch before any are repeated."""
        return len(data)

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        self.interrupted_, self.n_steps_, self.n_epochs_before_ = False, 0, len(self.history)
        try:
            return super().fit_loop(X, y, epochs, **fit_params)
        except StopTraining:
            return self
        except KeyboardInterrupt:  # skorch stops cleanly, but swallows the exception
            self.interrupted_ = True
            raise

    def notify(self, method_name, **cb_kwargs):
        """Call the callbacks at an event, those of a batch only if they do anything there."""
        listeners = self.listeners_.get(method_name)
        if listeners is None:
            getattr(self, method_name)(self, **cb_kwargs)
            listeners = [getattr(callback, method_name) for _, callback in self.callbacks_]
        call_listeners(self, method_name, listeners, cb_kwargs)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        if iterator is None:
            return
        if training:
            self._set_lr()
            self.history[-1]["lr"] = self.current_lr()
            # A callback may change anything between two epochs.
            if self.config.callbacks or not hasattr(self, "step_"):
                self.step_ = self.choose_step()
            if self.config.lr_scaling == _second_derivatives.SECOND_DERIVATIVES:
                self._estimate_parameter_factors()
        self._set_training(training)
        run_block = self._run_and_notify if any(self.listeners_.values()) else self._run_block
        sums: Any = 0.0
        for block in iterator:
            block = block.to(self.device)
            if training and self.config.augmentation is not None:
                block = block._replace(images=self.contexts_.augment(block.images))
            sums = sums + self.sum_metrics(block, run_block(block, training, prefix, step_fn))
        self.history[-1][prefix + "_batch_count"] = len(iterator)
        self.record_epoch(prefix, sums)

    def _estimate_parameter_factors(self) -> None:
        """Estimate the factors of an epoch from some images, without augmentation and dropout."""
        data, n_most = self.data_[0], _second_derivatives.N_IMAGES
        rows = draw_samples("shuffle", len(data), min(n_most, len(data)), self.generator)
        shape, slices = self.config.image_shape, [slice(0, len(rows))]
        (block,) = BatchIterator(data, shape, slices, sample=lambda _: rows)
        self._set_training(False)
        with self.contexts_.step:
            mean_loss = partial(self.get_loss, weights=block.weights)
            self.parameter_factors_ = _second_derivatives.parameter_factors(
                self.module_, self.infer, mean_loss, block.images, block.targets
            )

    def _run_block(self, block: Block, training: bool, prefix: str, step_fn) -> list[dict]:
        """Run the batches of a block, which the history records as one batch."""
        with self.contexts_.step:
            steps = [step_fn(batch, weights=weights) for batch, weights in block.batches()]
        losses = torch.stack([step["loss"] for step in steps]).tolist()
        self.check_losses(losses)
        sizes = [rows.stop - rows.start for rows in block.slices]
        mean = sum(loss * size for loss, size in zip(losses, sizes, strict=True)) / sum(sizes)
        self.history[-1]["batches"].append(
            {prefix + "_loss": mean, prefix + "_batch_size": sum(sizes)}
        )
        return steps

    def _run_and_notify(self, block: Block, training: bool, prefix: str, step_fn) -> list[dict]:
        """Run the batches of a block and let callbacks listen to each of them."""
        steps = []
        for batch, weights in block.batches():
            record: dict = {}
            self.history[-1]["batches"].append(record)
            self.notify("on_batch_begin", batch=batch, training=training)
            self._set_training(training)  # a callback may have predicted
            with self.contexts_.step:
                step = step_fn(batch, weights=weights)
            record[prefix + "_loss"] = loss = step["loss"].item()
            self.check_losses([loss])
            record[prefix + "_batch_size"] = len(batch[0])
            steps.append(step)
            self.notify("on_batch_end", batch=batch, training=training, **step)
        return steps

    def sum_metrics(self, block: Block, steps: list[dict]) -> np.ndarray:
        """Return the total weights of misclassified and of all samples of a block."""
        logits = torch.cat([step["y_pred"] for step in steps])
        wrong = logits.argmax(1).cpu() != block.targets
        if block.weights is None:
            return np.array([float(wrong.sum()), len(wrong)])
        sums = [block.weights[wrong], block.weights]
        return np.array([float(weights.sum(dtype=torch.float64)) for weights in sums])

    def record_epoch(self, prefix: str, sums: np.ndarray) -> None:
        """Record the figures of an epoch from the sums over its blocks."""
        wrong, weight = sums
        self.history.record(prefix + "_error", wrong / weight)
        if prefix == "valid":
            self.record_with_best("valid_acc", 1 - wrong / weight, is_better=operator.gt)

    def record_with_best(self, key: str, value: float, is_better: Callable) -> None:
        """Record a figure and, as skorch does, whether it is the best of this training."""
        before = [epoch[key] for epoch in self.history[self.n_epochs_before_ : -1] if key in epoch]
        self.history.record(key, value)
        self.history.record(key + "_best", all(is_better(value, other) for other in before))

    def check_losses(self, losses: list[float]) -> None:
        """Raise a ValueError if a loss is infinite or NaN."""
        for loss in losses:
            if not math.isfinite(loss):
                raise self._diverged(f"The loss became {loss}")

    def check_logits(self, X) -> None:
        """Raise a ValueError if a logit for images X is infinite or NaN."""
        if not self.has_finite_logits(X):
            raise self._diverged("The logits became infinite or NaN")

    def has_finite_logits(self, X) -> bool:
        """Return True if no logit for images X is infinite or NaN."""
        return bool(self.forward(X).isfinite().all())

    def _diverged(self, what: str) -> ValueError:
        epoch = self.history[-1]["epoch"]
        return ValueError(
            f"{what} in epoch {epoch}. Make lr smaller (lr={self.lr}), or scale X to about [0, 1] "
            "if its values are large."
        )

    def make_lr_schedule(self, n_epochs: int, n_batches: int) -> None:
        """Compute the learning rate factors of all batches."""
        schedule = SCHEDULES.get(self.config.lr_schedule)
        if schedule is None:
            self.schedule_ = None
        elif self.config.deadline is not None:
            limit = dict(self.callbacks_)["time_limit"]
            self.schedule_ = PacedSchedule(schedule, n_epochs, n_batches, limit)
        else:
            self.schedule_ = schedule(n_epochs * n_batches)

    def current_lr(self) -> float:
        """Return the learning rate of the next batch, without the factors of layers."""
        group = self.optimizer_.param_groups[0]
        return group["lr"] / group["lr_factor"]

    def _set_lr(self) -> None:
        """Set the learning rates of the next batch."""
        if self.schedule_ is None or self.n_steps_ == len(self.schedule_):
            return
        lr = self.lr * float(self.schedule_[self.n_steps_])
        for group in self.optimizer_.param_groups:
            group["lr"] = lr * group["lr_factor"]

    # The data

    def get_split_datasets(self, X, y=None, **fit_params):
        return self.data_

    def __getstate__(self):  # for callbacks that pickle the net, without the images
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in _OF_TRAINING}

    def check_data(self, X, y=None):
        """Skip skorch's search for the classes, which are known: it copies all images."""

    def get_iterator(self, dataset, training=False):
        batch_size = self.batch_size if training else INFERENCE_BATCH_SIZE
        slices = batch_slices(len(dataset), batch_size)
        sample = self._sample if training else None
        return BatchIterator(
            dataset, self.config.image_shape, slices, sample=sample, read=self.read_
        )

    def _sample(self, n_samples):
        return draw_samples(self.config.sampling, n_samples, n_samples, self.generator)

    # One batch

    def train_step(self, batch, weights=None, **fit_params):
        step = self.step_(batch, weights)
        self.n_steps_ += 1
        self._set_lr()
        return step

    def choose_step(self) -> Callable:
        """Return the function that trains on a batch."""
        by_name = self.config.optimizer_options.get("fused", False)  # network and optimizer
        has_listeners = any(self.listeners_.values())
        is_fixed = self.config.lr_scaling != _second_derivatives.SECOND_DERIVATIVES
        if self.config.captures_steps and by_name and is_fixed and not has_listeners:
            return CapturedSteps(self.take_step, self.optimizer_, self.contexts_.device_generator)
        return self.take_step

    def take_step(self, batch, weights) -> dict[str, torch.Tensor]:
        """Train on a batch; return its loss and its logits."""
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
            _second_derivatives.scale_gradients(self.parameter_factors_)
            return step["loss"]

        self.optimizer_.step(closure)
        return steps[0]

    def train_step_single(self, batch, weights=None, **fit_params):
        step = self.evaluate(batch, weights)
        step["loss"].backward()
        return {name: value.detach() for name, value in step.items()}

    def validation_step(self, batch, weights=None, **fit_params):
        with torch.no_grad():
            return self.evaluate(batch, weights)

    def evaluate(self, batch, weights) -> dict[str, torch.Tensor]:
        """Return the "loss" of a batch, which training minimizes, and its logits, "y_pred"."""
        images, targets = batch
        logits = self.infer(images)
        return {"loss": self.get_loss(logits, targets, weights=weights), "y_pred": logits}

    def infer(self, x, **fit_params):
        return self.compute_logits(self.module_, x)

    def compute_logits(self, network: nn.Module, images: torch.Tensor) -> torch.Tensor:
        """Return the outputs of a network, in training computed in the precision configured."""
        with self.contexts_.forward if network.training else nullcontext():
            logits = network(images.to(self.device))
        return logits.float() if getattr(logits, "dtype", None) == torch.bfloat16 else logits

    def get_loss(self, y_pred, y_true, X=None, training=False, weights=None):
        check_outputs(self.module_, y_pred, len(y_true), self.n_classes)
        smoothing = self.criterion_.label_smoothing
        return mean_loss(self.module_, y_pred, y_true, weights, smoothing)

    # Inference

    def forward_iter(self, X, training=False, device="cpu"):
        return iter_outputs(self, X, self.infer, training=training, device=device)


def _probabilities(network, logits):
    return log_probabilities(network, logits).exp()
