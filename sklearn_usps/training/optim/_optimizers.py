"""torch's optimizers for many networks at once, each with its own rates.

A row of the matrix holds all parameters of a network. torch's own optimizers take numbers, not
tensors, for what differs between rows here, and a group for each network costs them half as much
time as all the rest of a step.
"""

from __future__ import annotations

import torch


class AdamW:
    """`torch.optim.AdamW` with its default `betas` and `eps`.

    Parameters
    ----------
    matrix : Tensor of shape (n_networks, n_parameters)
        What is optimized.

    weight_decay : Tensor of shape (n_networks, 1)
        As of torch.

    momentum : Tensor of shape (n_networks, 1)
        Ignored.

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019,
       algorithm 2.
    """

    beta1, beta2, eps = 0.9, 0.999, 1e-8

    def __init__(self, matrix, weight_decay, momentum):
        self.matrix, self.weight_decay = matrix, weight_decay
        self.mean, self.square = torch.zeros_like(matrix), torch.zeros_like(matrix)
        self.n_steps = 0

    @torch.no_grad()
    def step(self, lr):
        """Take a step at rates of shape (n_networks, n_parameters)."""
        self.n_steps += 1
        gradient = self.matrix.grad
        self.matrix.mul_(1 - lr * self.weight_decay)
        self.mean.lerp_(gradient, 1 - self.beta1)
        self.square.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        root = self.square.sqrt().div_((1 - self.beta2**self.n_steps) ** 0.5).add_(self.eps)
        self.matrix.sub_(self.mean.div(root).mul_(lr / (1 - self.beta1**self.n_steps)))


class SGD:
    """`torch.optim.SGD`.

    Parameters
    ----------
    matrix : Tensor of shape (n_networks, n_parameters)
        What is optimized.

    weight_decay, momentum : Tensor of shape (n_networks, 1)
        As of torch.
    """

    def __init__(self, matrix, weight_decay, momentum):
        self.matrix, self.weight_decay, self.momentum = matrix, weight_decay, momentum
        self.velocity = torch.zeros_like(matrix)

    @torch.no_grad()
    def step(self, lr):
        """Take a step at rates of shape (n_networks, n_parameters)."""
        gradient = torch.addcmul(self.matrix.grad, self.weight_decay, self.matrix)
        self.velocity.mul_(self.momentum).add_(gradient)
        self.matrix.sub_(self.velocity * lr)
