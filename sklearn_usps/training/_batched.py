"""Several classifiers trained at once: the same images in the same order, each in its own way.

Small networks leave a processor waiting: most of a step goes into calling its operations. Here each
operation is called once for all networks, which `torch.func.vmap` makes of the module of one.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from ._batches import split_block
from .optim._optimizers import SGD, AdamW


def _check_network(module) -> None:
    """Raise a ValueError where a user's network would be another in a stack."""
    if not all(parameter.requires_grad for parameter in module.parameters()):
        raise ValueError("the network has parameters that are not trained.")
    for part in module.modules():
        if any(True for _ in part.buffers(recurse=False)) and not _is_of_torch(part):
            raise ValueError(f"{type(part).__name__} has buffers, which may be replaced.")


def _is_of_torch(module) -> bool:
    return type(module).__module__.startswith("torch.nn.")


class _Stack:
    """The networks of several trainers, their parameters the rows of one matrix.

    Parameters
    ----------
    nets : list of Trainer
        Initialized, with modules of the same kind.
    """

    def __init__(self, nets):
        self.nets, self.lead = nets, nets[0]
        self.device = torch.device(self.lead.device)
        rows = [parameters_to_vector(net.module_.parameters()) for net in nets]
        self.matrix = torch.stack(rows).detach().requires_grad_()
        self.buffers = stack_module_state([net.module_ for net in nets])[1]
        self.shapes = {name: p.shape for name, p in self.lead.module_.named_parameters()}
        self.lr_factors = torch.stack([self._lr_factors(net) for net in nets]).to(self.device)
        self.smoothing = self._column("label_smoothing")
        optimizer = AdamW if isinstance(self.lead.optimizer_, torch.optim.AdamW) else SGD
        self.optimizer = optimizer(
            self.matrix,
            weight_decay=self._column("optimizer__weight_decay"),
            momentum=self._column("optimizer__momentum"),
        )
        # Random numbers within a network, as of dropout, are the same for all of them.
        self.forward = vmap(self._forward_one, in_dims=(0, 0, None), randomness="same")

    def _column(self, name):
        values = [getattr(net, name, 0.0) for net in self.nets]
        return torch.tensor(values, dtype=torch.float32, device=self.device)[:, None]

    def _lr_factors(self, net):
        """What to multiply the rate by, for each parameter."""
        factors = [
            torch.full((shape.numel(),), net.lr_factors.get(name, 1.0))
            for name, shape in self.shapes.items()
        ]
        return torch.cat(factors)

    def _forward_one(self, row, buffers, images):
        parts = row.split([shape.numel() for shape in self.shapes.values()])
        parameters = {
            name: part.view(shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }
        return functional_call(self.lead.module_, (parameters, buffers), (images,))

    def train(self, X, y) -> np.ndarray:
        """Train all networks as their trainers say; tell which of them stayed finite."""
        train, valid = self._data(X, y)
        n_epochs, n_batches = self.lead.max_epochs, len(train)
        rates = self._rates(n_epochs * n_batches)
        self.steps = iter(rates)
        best = _Best(self) if _early_stopping(self.lead) is not None else None
        finite = np.ones(len(self.nets), dtype=bool)
        for epoch in range(n_epochs):
            start = time.perf_counter()
            figures = {"lr": rates[epoch * n_batches, :, 0].numpy(force=True)}
            figures |= self._run(train, "train")
            if valid is not None:
                figures |= self._run(valid, "valid")
            finite &= np.isfinite(figures["train_loss"]) & np.isfinite(figures.get("valid_loss", 0))
            seconds = (time.perf_counter() - start) / len(self.nets)
            self._record({**figures, "dur": np.full(len(self.nets), seconds)}, best)
            if best is not None and not best.look(figures["valid_loss"], epoch + 1):
                break
        if best is not None:
            best.restore()
        self._unstack()
        return finite & [net.has_finite_scores(X[:1]) for net in self.nets]

    def _data(self, X, y):
        """The samples to train and to validate on, with a weight for each network."""
        parts = [net.get_split_datasets(X, y) for net in self.nets]
        train, valid = parts[0]
        if not all(np.array_equal(part.indices, train.indices) for part, _ in parts):
            raise ValueError("class_weight leaves other samples to some of the classifiers.")
        if any(part.weights is not None for part, _ in parts):
            ones = np.ones(len(train), dtype=np.float32)
            weights = [ones if part.weights is None else part.weights for part, _ in parts]
            train.weights = np.stack(weights, axis=1)
        return (
            self.lead.get_iterator(train, training=True),
            None if valid is None else self.lead.get_iterator(valid),
        )

    def _rates(self, n_steps):
        """Learning rates, (n_steps, n_networks, 1)."""
        schedules = [
            net.lr * (np.ones(n_steps) if net.schedule is None else net.schedule)
            for net in self.nets
        ]
        rates = torch.tensor(np.stack(schedules, axis=1), dtype=torch.float32)
        return rates[:, :, None].to(self.device)

    def _run(self, iterator, prefix: str) -> dict[str, np.ndarray]:
        """Run over all samples once; return the mean loss and the error of each network."""
        training = prefix == "train"
        self.lead._set_training(training)
        sums = torch.zeros(4, len(self.nets), dtype=torch.float64)
        for block in iterator:
            images = block.images.to(self.device)
            if training and self.lead.augmentation is not None:
                images = self.lead.augmentation(images, self.lead.generator)
            block = block._replace(images=images, targets=block.targets.to(self.device))
            with torch.set_grad_enabled(training):
                figures = [
                    self._run_batch(images, targets, weights, training)
                    for (images, targets), weights in split_block(block)
                ]
            sums += torch.stack(figures).sum(0).cpu().double()
        loss, n_samples, wrong, weight = sums.numpy()
        return {f"{prefix}_loss": loss / n_samples, f"{prefix}_error": wrong / weight}

    def _run_batch(self, images, targets, weights, training):
        """Train on a batch or look at it; return the four sums that make loss and error."""
        weights = torch.ones(len(targets)) if weights is None else weights
        weights = weights.view(len(targets), -1).T.expand(len(self.nets), -1).to(self.device)
        scores = self.forward(self.matrix, self.buffers, images)
        losses = (self._losses(scores, targets) * weights).mean(1)
        if training:
            self.matrix.grad = None
            losses.sum().backward()
            self.optimizer.step(next(self.steps) * self.lr_factors)
        wrong = (scores.detach().argmax(2) != targets) * weights
        n_samples = torch.full_like(losses, len(targets))
        return torch.stack([losses.detach() * n_samples, n_samples, wrong.sum(1), weights.sum(1)])

    def _losses(self, scores, targets):
        """The loss of each network for each sample."""
        if hasattr(self.lead.module_, "loss"):
            return vmap(self.lead.module_.loss, in_dims=(0, None))(scores, targets)
        log_proba = scores.log_softmax(2)
        of_target = log_proba.gather(2, targets[None, :, None].expand(len(scores), -1, 1))[:, :, 0]
        return -of_target.lerp(log_proba.mean(2), self.smoothing)

    def _record(self, figures, best):
        for i, net in enumerate(self.nets):
            if best is None or best.running[i]:
                net.history.new_epoch()
                net.history.record("epoch", len(net.history))
                for name, values in figures.items():
                    net.history.record(name, float(values[i]))

    def _unstack(self):
        """Give each trainer's module its parameters and buffers."""
        for i, net in enumerate(self.nets):
            vector_to_parameters(self.matrix[i].detach().clone(), net.module_.parameters())
            for name, buffer in net.module_.named_buffers():
                buffer.copy_(self.buffers[name][i])
            net.generator.set_state(self.lead.generator.get_state())
            net.interrupted_ = False


class _Best:
    """The weights of each network after the epoch with its smallest validation loss.

    As `skorch.callbacks.EarlyStopping`, for all networks of a stack; one that has stopped is
    trained on with the others, but its weights are kept.
    """

    def __init__(self, stack):
        self.stack, n = stack, len(stack.nets)
        self.patience = _early_stopping(stack.lead).patience
        self.running, self.misses = np.ones(n, dtype=bool), np.zeros(n, dtype=int)
        self.loss, self.epoch = np.full(n, np.inf), np.zeros(n, dtype=int)
        self.state = [tensor.detach().clone() for tensor in self._tensors()]

    def _tensors(self):
        return [self.stack.matrix.detach(), *self.stack.buffers.values()]

    def look(self, losses, epoch) -> bool:
        """Keep what is best so far; return whether any network shall train on."""
        better = self.running & (losses < self.loss)
        self.loss[better], self.epoch[better] = losses[better], epoch
        self.misses = np.where(better, 0, self.misses + 1)
        for kept, tensor in zip(self.state, self._tensors(), strict=True):
            kept[better] = tensor[better]
        self.running &= self.misses < self.patience
        return bool(self.running.any())

    def restore(self):
        """Go back to the best weights, and tell the trainers' callbacks of their epochs."""
        for kept, tensor in zip(self.state, self._tensors(), strict=True):
            tensor.copy_(kept)
        for net, epoch in zip(self.stack.nets, self.epoch, strict=True):
            _early_stopping(net).best_epoch_ = int(epoch)


def _early_stopping(net):
    return dict(net.callbacks_).get("early_stopping")
