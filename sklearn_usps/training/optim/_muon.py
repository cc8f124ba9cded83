"""Muon, an optimizer for the filters of convolutions."""

from __future__ import annotations

import math

import torch
from torch.nn.functional import hardshrink
from torch.optim.adamw import adamw

#: Coefficients of the polynomial a x + b x³ + c x⁵, and how often it is applied ([1]_ of `Muon`).
_COEFFICIENTS, _N_ITERATIONS = (3.4445, -4.7750, 2.0315), 5
#: Root mean square of the elements of a step of AdamW ([2]_ of `Muon`).
_ROOT_MEAN_SQUARE = 0.2
#: Smaller elements of a mean of gradients are set to zero.
_SMALLEST_MEAN = 1e-30
#: `betas` and `eps` of AdamW, as by default in torch.
_BETAS, _EPS = (0.9, 0.999), 1e-8


class Muon(torch.optim.Optimizer):
    """Muon [1]_ for parameters of four dimensions, and AdamW for all others.

    Those of four dimensions are the filters of convolutions of images. The step of a convolution is
    the Nesterov momentum of its gradient, as a matrix with a row for each output channel, of which
    all singular values are made about one. Multiplied as in [2]_, it is as large as a step of
    AdamW, so that both have the same learning rate and weight decay.

    `torch.optim.Muon` takes matrices only, and torch has it from 2.9 on.

    References
    ----------
    .. [1] K. Jordan, Y. Jin, V. Boza, J. You, F. Cesista, L. Newhouse and J. Bernstein, "Muon: An
       optimizer for hidden layers in neural networks", 2024,
       https://kellerjordan.github.io/posts/muon/
    .. [2] J. Liu et al., "Muon is Scalable for LLM Training", arXiv:2502.16982, 2025, section 2.2.
    """

    def __init__(self, params, lr=0.025, *, momentum=0.9, weight_decay=0.01, fused=False):
        options = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "fused": fused}
        super().__init__(params, options)

    @torch.no_grad()
    def step(self, closure=None):
        """Take a step; ``closure()``, if there is one, computes the gradients and the loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            with_gradient = [p for p in group["params"] if p.grad is not None]
            self._step_adamw([p for p in with_gradient if not has_filters(p)], group)
            for filters in filter(has_filters, with_gradient):
                self._step_filters(filters, group)
        return loss

    def _step_filters(self, filters, group):
        state = self.state[filters]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(filters)
        direction = update_momentum(state["momentum_buffer"], filters.grad, group["momentum"])
        filters.mul_(1 - group["lr"] * group["weight_decay"])
        change = orthogonal_step(direction.flatten(1)[None]).view_as(filters)
        lr = torch.as_tensor(group["lr"], dtype=filters.dtype, device=filters.device)
        filters.addcmul_(change, lr, value=-1)

    def _step_adamw(self, parameters, group):
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                device = parameter.device if group["fused"] else "cpu"  # as torch.optim.AdamW
                state["step"] = torch.zeros((), dtype=torch.float32, device=device)
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)
        states = [self.state[parameter] for parameter in parameters]
        adamw(
            parameters,
            [parameter.grad for parameter in parameters],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=group["fused"] or None,  # None: torch chooses
            has_complex=any(map(torch.is_complex, parameters)),
            amsgrad=False,
            beta1=_BETAS[0],
            beta2=_BETAS[1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=_EPS,
            maximize=False,
        )


def has_filters(parameter: torch.Tensor) -> bool:
    """Return True if a parameter is trained by Muon, False if by AdamW."""
    return parameter.ndim == 4 and parameter.is_floating_point()


def update_momentum(mean, gradient, momentum):
    """Update the mean of the gradients in place, and return its Nesterov momentum.

    Of filters without a gradient, such as those before a dead ReLU, the mean decays to denormal
    numbers, with which a step took ten times as long.
    """
    mean.copy_(hardshrink(mean.lerp_(gradient, 1 - momentum), _SMALLEST_MEAN))
    return gradient.lerp(mean, momentum)


def orthogonal_step(directions: torch.Tensor) -> torch.Tensor:
    """Return a step of AdamW's size from each direction, (n, rows, columns)."""
    size = _ROOT_MEAN_SQUARE * math.sqrt(max(directions.shape[1:]))
    return orthogonalize(directions).mul_(size)


def orthogonalize(matrices: torch.Tensor) -> torch.Tensor:
    """Return matrices with the same singular vectors, and singular values of 0.7 to 1.2.

    The shape is (n, rows, columns). Singular values of less than about a thousandth of the norm
    stay smaller. This is the Newton-Schulz iteration of [1]_ of `Muon`, ``x = (a + b s + c s²) x``
    with ``s = x xᵀ``. Since s and its polynomial commute, the loop updates s and the product of its
    polynomials, and multiplies x once: half the time for 128 rows of 1,152, as long for 16 of 144.
    Rounding errors of s grow with each iteration: float32 is needed.
    """
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if is_tall else matrices
    # So that products of a few elements are zero or normal numbers.
    x = hardshrink(x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7), 1e-9)
    square = torch.bmm(x, x.mT)
    product = factor = _newton_schulz_polynomial(square)
    for _ in range(_N_ITERATIONS - 1):
        square = torch.bmm(factor, torch.bmm(factor, square))
        factor = _newton_schulz_polynomial(square)
        product = torch.bmm(factor, product)
    x = torch.bmm(product, x)
    return x.mT if is_tall else x


def _newton_schulz_polynomial(squares: torch.Tensor) -> torch.Tensor:
    """Return a + b s + c s² of square matrices s, with the coefficients of Newton-Schulz."""
    a, b, c = _COEFFICIENTS
    values = torch.baddbmm(squares, squares, squares, beta=b, alpha=c)
    values.diagonal(dim1=1, dim2=2).add_(a)
    return values
