"""Optimizers, by name and for many networks at once.

To add an optimizer by name, add it to `OPTIMIZERS`, to `BATCHED_OPTIMIZERS` a version for many
networks at once and to `fused_state` the names of its state.
"""

from __future__ import annotations

import inspect

import numpy as np
import torch

from ._muon import Muon, has_filters, orthogonal_step, update_momentum

#: The optimizers that have a name.
OPTIMIZERS = {"adamw": torch.optim.AdamW, "muon": Muon, "sgd": torch.optim.SGD}


def find_optimizer(
    optimizer: str | type, *, fused: bool, **options: float
) -> tuple[type[torch.optim.Optimizer], dict]:
    """Return the class of an optimizer, and those of the options that its signature has.

    A `fused` optimizer, which must be one by name, updates all parameters in one kernel: a tenth
    less time for a batch of the smallest network.
    """
    found = OPTIMIZERS.get(optimizer, optimizer) if isinstance(optimizer, str) else optimizer
    if not (isinstance(found, type) and issubclass(found, torch.optim.Optimizer)):
        raise ValueError(
            f"optimizer must be one of {sorted(OPTIMIZERS)} or a torch.optim.Optimizer class. Got "
            f"{optimizer!r} instead."
        )
    accepted = inspect.signature(found).parameters
    options = {name: value for name, value in options.items() if name in accepted}
    fused = fused and isinstance(optimizer, str)
    return found, {**options, "fused": True} if fused else options


def fused_state(optimizer: str, parameter: torch.Tensor) -> set[str]:
    """Return the names of the state that an optimizer by name, fused, keeps of a parameter."""
    if optimizer == "SGD" or (optimizer == "Muon" and has_filters(parameter)):
        return {"momentum_buffer"}
    return {"step", "exp_avg", "exp_avg_sq"}


class BatchedAdamW:
    """`torch.optim.AdamW` [1]_ with its default `betas` and `eps`, for many networks at once.

    torch's optimizers take numbers, not tensors, for what differs between networks here, and a
    parameter group for each network costs them half as much time as all the rest of a step.
    `matrix` has the parameters of a network in each row, of the `shapes` in their order;
    `weight_decay` and `momentum`, which is ignored, are of shape (n_networks, 1).

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019,
       algorithm 2.
    """

    beta1, beta2, eps = 0.9, 0.999, 1e-8

    def __init__(self, matrix, shapes, *, weight_decay, momentum):
        self.matrix, self.weight_decay = matrix, weight_decay
        self.mean, self.square = torch.zeros_like(matrix), torch.zeros_like(matrix)
        self.n_steps = 0

    @torch.no_grad()
    def step(self, lr):
        """Take a step with learning rates of shape (n_networks, n_parameters)."""
        self.n_steps += 1
        gradient = self.matrix.grad
        self.matrix.mul_(1 - lr * self.weight_decay)
        self.mean.lerp_(gradient, 1 - self.beta1)
        self.square.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        root = self.square.sqrt().div_((1 - self.beta2**self.n_steps) ** 0.5).add_(self.eps)
        self.matrix.sub_(self.mean.div(root).mul_(lr / (1 - self.beta1**self.n_steps)))


class BatchedMuon(BatchedAdamW):
    """`Muon` for many networks at once, with parameters as of `BatchedAdamW`."""

    def __init__(self, matrix, shapes, *, weight_decay, momentum):
        super().__init__(matrix, shapes, weight_decay=weight_decay, momentum=momentum)
        self.momentum, self.velocity = momentum, torch.zeros_like(matrix)
        ends = np.cumsum([shape.numel() for shape in shapes]).tolist()
        #: The columns and the shape of the filters of each convolution.
        self.filters = [
            (slice(end - shape.numel(), end), shape)
            for shape, end in zip(shapes, ends, strict=True)
            if len(shape) == 4
        ]

    @torch.no_grad()
    def step(self, lr):
        """Take a step with learning rates of shape (n_networks, n_parameters)."""
        direction = update_momentum(self.velocity, self.matrix.grad, self.momentum)
        before = [self.matrix[:, columns].clone() for columns, _ in self.filters]
        super().step(lr)
        for (columns, shape), filters in zip(self.filters, before, strict=True):
            n_networks, n_filters = len(direction), shape[0]
            change = orthogonal_step(direction[:, columns].view(n_networks, n_filters, -1))
            rates = lr[:, columns]
            change = change.reshape(n_networks, -1) * rates
            self.matrix[:, columns] = filters * (1 - rates * self.weight_decay) - change


class BatchedSGD:
    """`torch.optim.SGD` for many networks at once, with parameters as of `BatchedAdamW`."""

    def __init__(self, matrix, shapes, *, weight_decay, momentum):
        self.matrix, self.weight_decay, self.momentum = matrix, weight_decay, momentum
        self.velocity = torch.zeros_like(matrix)

    @torch.no_grad()
    def step(self, lr):
        """Take a step with learning rates of shape (n_networks, n_parameters)."""
        gradient = torch.addcmul(self.matrix.grad, self.weight_decay, self.matrix)
        self.velocity.mul_(self.momentum).add_(gradient)
        self.matrix.sub_(self.velocity * lr)


#: The versions for many networks at once.
BATCHED_OPTIMIZERS = {
    torch.optim.AdamW: BatchedAdamW,
    Muon: BatchedMuon,
    torch.optim.SGD: BatchedSGD,
}
