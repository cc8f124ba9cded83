"""Many networks trained at once: the same images in the same order, each with its own parameters.

Small networks leave a processor idle: most of a step goes into calling its operations. Here each
operation is called once for all networks: `torch.func.vmap` vectorizes the forward pass of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback, EpochTimer
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from ._data import WeightedSubset
from ._trainer import Trainer
from .optim._learning_rates import SCHEDULES
from .optim._optimizers import BATCHED_OPTIMIZERS


def check_batchable(network: nn.Module) -> None:
    """Raise a ValueError if a user's network would give other results when it is batched."""
    if not all(parameter.requires_grad for parameter in network.parameters()):
        raise ValueError("the network has parameters that are not trained.")
    for part in network.modules():
        has_buffers = any(True for _ in part.buffers(recurse=False))
        if has_buffers and not type(part).__module__.startswith("torch.nn."):
            raise ValueError(f"{type(part).__name__} has buffers, which may be replaced.")


class BatchedNetwork(nn.Module):
    """Networks of one kind whose parameters are the rows of one matrix."""

    def __init__(self, networks):
        super().__init__()
        rows = [parameters_to_vector(network.parameters()) for network in networks]
        self.matrix = nn.Parameter(torch.stack(rows).detach())
        self.buffers_by_name = stack_module_state(networks)[1]
        self.network = networks[0]
        self.shapes = {name: p.shape for name, p in self.network.named_parameters()}
        # Random numbers within a network, such as those of dropout, are the same for all networks.
        self._forward_all = vmap(self._forward_one, in_dims=(0, 0, None), randomness="same")

    def _forward_one(self, row, buffers, images):
        parts = row.split([shape.numel() for shape in self.shapes.values()])
        parameters = {
            name: part.view(shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }
        return functional_call(self.network, (parameters, buffers), (images,))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits of all networks: (n_networks, n, n_classes)."""
        return self._forward_all(self.matrix, self.buffers_by_name, images)

    def tensors(self) -> list[torch.Tensor]:
        """Return the tensors that make up the networks, with a row for each network."""
        return [self.matrix.detach(), *self.buffers_by_name.values()]

    @torch.no_grad()
    def copy_to(self, networks) -> None:
        """Give each network its row of the parameters and buffers."""
        for i, network in enumerate(networks):
            vector_to_parameters(self.matrix[i].detach().clone(), network.parameters())
            for name, buffer in network.named_buffers():
                buffer.copy_(self.buffers_by_name[name][i])


class BatchedTrainer(Trainer):
    """A trainer of many networks at once, each as its own trainer would train it alone.

    The trainers are initialized, of networks of one kind. Their configurations may differ in the
    loss, the learning rates, the momentum and the weight decay.
    """

    def __init__(self, trainers: Sequence[Trainer]):
        lead = trainers[0]
        super().__init__(
            BatchedNetwork([trainer.module_ for trainer in trainers]),
            config=replace(
                lead.config.without_callbacks(), lr_schedule="constant", optimizer_options={}
            ),
            generator=lead.generator,
            n_classes=lead.n_classes,
        )
        self.trainers = trainers

    @property
    def _default_callbacks(self):
        return [("epoch_timer", EpochTimer()), ("histories", _Histories())]

    def initialize_optimizer(self, *args, **kwargs):
        self.smoothing_ = self._column([t.config.label_smoothing for t in self.trainers])
        self.lr_factors_ = torch.stack(list(map(_flat_lr_factors, self.trainers))).to(self.device)
        options = [trainer.config.optimizer_options for trainer in self.trainers]
        self.optimizer_: Any = BATCHED_OPTIMIZERS[self.config.optimizer](
            self.module_.matrix,
            list(self.module_.shapes.values()),
            weight_decay=self._column([each.get("weight_decay", 0.0) for each in options]),
            momentum=self._column([each.get("momentum", 0.0) for each in options]),
        )
        return self

    def _column(self, values):
        return torch.tensor(values, dtype=torch.float32, device=self.device)[:, None]

    def train_all(self, data: Sequence[WeightedSubset], valid_data: WeightedSubset | None):
        """Train all networks on the same samples, with weights of its own for each.

        Return an array of bool: False for a network whose loss or logits became infinite or NaN.
        """
        self.finite_ = np.ones(len(self.trainers), dtype=bool)
        self.train(_combine(data), valid_data)
        if self.interrupted_:
            raise KeyboardInterrupt
        self.module_.copy_to([trainer.module_ for trainer in self.trainers])
        for trainer in self.trainers:
            trainer.generator.set_state(self.generator.get_state())
        first = data[0].dataset.X[:1]
        return self.finite_ & [trainer.has_finite_logits(first) for trainer in self.trainers]

    def make_lr_schedule(self, n_epochs, n_batches):
        super().make_lr_schedule(n_epochs, n_batches)
        n_steps = n_epochs * n_batches
        rates = [
            t.lr * SCHEDULES.get(t.config.lr_schedule, np.ones)(n_steps) for t in self.trainers
        ]
        rates = torch.tensor(np.stack(rates, axis=1), dtype=torch.float32)
        #: Learning rates, (n_steps, n_networks, 1).
        self.rates_ = rates[:, :, None].to(self.device)

    def current_lr(self):
        return self.rates_[self.n_steps_, :, 0].numpy(force=True)

    def train_step(self, batch, weights=None, **fit_params):
        self.module_.matrix.grad = None
        step = self.train_step_single(batch, weights=weights)
        self.optimizer_.step(self.rates_[self.n_steps_] * self.lr_factors_)
        self.n_steps_ += 1
        return step

    def evaluate(self, batch, weights):
        """Return the sum of the mean losses of all networks, their logits and sums of metrics.

        The sums have the shape (4, n_networks): losses, samples, weights of errors, weights.
        """
        images, targets = batch
        targets = targets.to(self.device)
        n_networks = len(self.trainers)
        weights = images.new_ones(len(targets)) if weights is None else weights
        weights = weights.view(len(targets), -1).T.expand(n_networks, -1).to(self.device)
        logits = self.infer(images)
        losses = (self._losses(logits, targets) * weights).mean(1)
        wrong = (logits.detach().argmax(2) != targets) * weights
        n_samples = torch.full_like(losses, len(targets)).detach()
        sums = [losses.detach() * n_samples, n_samples, wrong.sum(1), weights.sum(1)]
        return {"loss": losses.sum(), "y_pred": logits, "metric_sums": torch.stack(sums)}

    def _losses(self, logits, targets):
        """Return the loss of each network for each sample."""
        network = self.module_.network
        if hasattr(network, "loss"):
            return vmap(network.loss, in_dims=(0, None))(logits, targets)
        log_proba = logits.log_softmax(2)
        of_target = log_proba.gather(2, targets[None, :, None].expand(len(logits), -1, 1))[:, :, 0]
        return -of_target.lerp(log_proba.mean(2), self.smoothing_)

    def check_losses(self, losses):
        """Do not raise: other networks continue, and `train_all` reports those that diverged."""

    def check_logits(self, X):
        """Leave the check to `train_all`, as that of the losses."""

    def sum_metrics(self, block, steps):
        return torch.stack([step["metric_sums"] for step in steps]).sum(0).cpu().double().numpy()

    def record_epoch(self, prefix, sums):
        """Record arrays with the loss and the error of each network."""
        loss, n_samples, wrong, weight = sums
        self.history.record(prefix + "_loss", loss / n_samples)
        self.history.record(prefix + "_error", wrong / weight)
        if prefix == "valid":
            self.history.record("valid_acc", 1 - wrong / weight)
        self.finite_ &= np.isfinite(loss)


class _Histories(Callback):
    """Write the history of each network's trainer, and stop early what its trainer would stop.

    A network that has stopped is trained on with the others, but its best weights are kept.
    """

    def on_train_begin(self, net, **kwargs):
        n = len(net.trainers)
        self.patience_ = net.trainers[0].config.patience
        self.running_, self.misses_ = np.ones(n, dtype=bool), np.zeros(n, dtype=int)
        self.loss_, self.epoch_ = np.full(n, np.inf), np.zeros(n, dtype=int)
        if self.patience_ is not None:
            self.best_ = [tensor.clone() for tensor in net.module_.tensors()]

    def on_epoch_end(self, net, **kwargs):
        figures = {name: net.history[-1][name] for name in _FIGURES if name in net.history[-1]}
        seconds = net.history[-1]["dur"] / len(net.trainers)
        for i in np.flatnonzero(self.running_):
            history = net.trainers[i].history
            history.new_epoch()
            history.record("epoch", len(history))
            for name, values in figures.items():
                history.record(name, float(values[i]))
            history.record("dur", seconds)
        if self.patience_ is not None:
            self._update_best(net, figures["valid_loss"])

    def _update_best(self, net, losses):
        better = self.running_ & (losses < self.loss_)
        self.loss_[better], self.epoch_[better] = losses[better], net.history[-1]["epoch"]
        self.misses_ = np.where(better, 0, self.misses_ + 1)
        for kept, tensor in zip(self.best_, net.module_.tensors(), strict=True):
            kept[better] = tensor[better]
        self.running_ &= self.misses_ < self.patience_
        if not self.running_.any():
            raise KeyboardInterrupt  # which ends a training in skorch

    def on_train_end(self, net, **kwargs):
        if self.patience_ is None:
            return
        for kept, tensor in zip(self.best_, net.module_.tensors(), strict=True):
            tensor.copy_(kept)
        for trainer, epoch in zip(net.trainers, self.epoch_, strict=True):
            dict(trainer.callbacks_)["early_stopping"].best_epoch_ = int(epoch)


#: The figures of an epoch that histories have of each network.
_FIGURES = ("lr", "train_loss", "train_error", "valid_loss", "valid_error", "valid_acc")


def _combine(data: Sequence[WeightedSubset]) -> WeightedSubset:
    """Return the samples of all networks, with a column of weights for each."""
    first = data[0]
    if not all(np.array_equal(each.indices, first.indices) for each in data):
        raise ValueError("class_weight must exclude the same samples for all classifiers.")
    combined = WeightedSubset(first.dataset, first.indices)
    if any(each.weights is not None for each in data):
        ones = np.ones(len(first), dtype=np.float32)
        weights = [ones if each.weights is None else each.weights for each in data]
        combined.weights = np.stack(weights, axis=1)
    return combined


def _flat_lr_factors(trainer: Trainer) -> torch.Tensor:
    """Return the factor of the learning rate for each parameter of a network."""
    factors = [
        torch.full((parameter.numel(),), trainer.lr_factors_.get(name, 1.0), dtype=torch.float32)
        for name, parameter in trainer.module_.named_parameters()
    ]
    return torch.cat(factors)
