"""Layers that torch doesn't have, and initial weights from a generator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import skip_init


class Dropout(nn.Module):
    """Dropout that draws from a generator of its own instead of torch's global one.

    Parameters
    ----------
    p : float
        Probability of a value to be zeroed in training, in [0, 1).

    generator : torch.Generator or None
        Where the random numbers are drawn from; None: torch's global generator.

    References
    ----------
    .. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: A
       Simple Way to Prevent Neural Networks from Overfitting", Journal of Machine Learning
       Research 15(56):1929-1958, 2014.
    """

    def __init__(self, p: float, generator: torch.Generator | None = None):
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"The dropout must be in [0, 1). Got {p!r} instead.")
        self.p = p
        self.generator = generator

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0:
            return x
        # Drawn where the generator is: the same numbers on every device.
        device = x.device if self.generator is None else self.generator.device
        kept = torch.empty(x.shape, dtype=x.dtype, device=device)
        # A third of the time of `bernoulli_`, which is a twelfth of that of the default network.
        kept.uniform_(generator=self.generator).ge_(self.p)
        return x * kept.to(x.device).div_(1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Subsampling(nn.Module):
    """Sum of each 2 × 2, times a trainable coefficient of the plane, plus a trainable bias.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning Applied to
       Document Recognition", Proceedings of the IEEE 86(11):2278-2324, 1998, section II.B.
    """

    fan_in = 4

    def __init__(self, n_channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_channels))
        self.bias = nn.Parameter(torch.zeros(n_channels))

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        means = functional.avg_pool2d(planes, 2)
        return means * (4 * self.weight[:, None, None]) + self.bias[:, None, None]


class PartialConvolution(nn.Module):
    """A convolution whose planes each see only some of the planes before them.

    Parameters
    ----------
    table : sequence of sequences of int
        For each plane, the planes that it sees.

    size : int
        Height and width of the filters.

    stride : int, default=1
        Pixels from one output to the next.

    bias : bool, default=True
        Whether each plane has a bias.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning Applied to
       Document Recognition", Proceedings of the IEEE 86(11):2278-2324, 1998, table I.
    """

    def __init__(
        self, table: Sequence[Sequence[int]], size: int, *, stride: int = 1, bias: bool = True
    ):
        super().__init__()
        n_out, n_in = len(table), 1 + max(map(max, table))
        links = [plane * n_in + seen for plane, row in enumerate(table) for seen in row]
        self.shape = (n_out, n_in, size, size)
        self.stride = stride
        self.fan_in = len(links) * size**2 / n_out  # on average over the planes
        self.weight = nn.Parameter(torch.zeros(len(links), size, size))
        self.bias = nn.Parameter(torch.zeros(n_out)) if bias else None
        self.register_buffer("links", torch.tensor(links), persistent=False)

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        n_out, n_in, *size = self.shape
        kernels = self.weight.new_zeros(n_out * n_in, *size).index_copy(0, self.links, self.weight)
        return functional.conv2d(planes, kernels.view(self.shape), self.bias, self.stride)


class UnitBias(nn.Module):
    """A trainable bias for each unit of each plane, whose units have `fan_in` other inputs."""

    def __init__(self, n_channels: int, shape: tuple[int, int], fan_in: int):
        super().__init__()
        self.fan_in, self.n_sharing = fan_in, 1
        self.bias = nn.Parameter(torch.zeros(n_channels, *shape))

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        return planes + self.bias


class ScaledTanh(nn.Module):
    """The squashing function 1.7159 tanh(2 a / 3), through ±1 at ±1.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, G. B. Orr and K.-R. Müller, "Efficient BackProp", in Neural
       Networks: Tricks of the Trade, Springer, 1998, section 4.4.
    """

    def forward(self, a: torch.Tensor) -> torch.Tensor:
        return 1.7159 * torch.tanh(a * (2 / 3))


def convolution(n_in: int, n_out: int, size: int, **options) -> nn.Conv2d:
    """A convolution whose weights are left to be drawn."""
    return _skip_init(nn.Conv2d, n_in, n_out, size, **options)


def linear(n_in: int, n_out: int) -> nn.Linear:
    """A linear layer whose weights are left to be drawn."""
    return _skip_init(nn.Linear, n_in, n_out)


def _skip_init(layer: type[nn.Module], *sizes: int, **options) -> nn.Module:
    """`skip_init`, which takes the CPU where no device is named, on the default device."""
    return skip_init(layer, *sizes, device=str(torch.get_default_device()), **options)


def draw_uniform(limit: float, generator: torch.Generator | None, *tensors: torch.Tensor) -> None:
    """Draw weights uniformly from [-limit, limit]."""
    for tensor in tensors:
        nn.init.uniform_(tensor, -limit, limit, generator=generator)


def pad_to(image_shape: tuple[int, int], size: int) -> nn.Module:
    """What replicates the border of images until both sides are at least `size` long."""
    missing = [max(size - side, 0) for side in image_shape]
    if not any(missing):
        return nn.Identity()
    top, left = (side // 2 for side in missing)
    return nn.ReplicationPad2d((left, missing[1] - left, top, missing[0] - top))
