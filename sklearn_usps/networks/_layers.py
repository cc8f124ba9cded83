"""Layers that torch lacks, and initial weights from a generator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import skip_init

# MKL sets up its tanh at the first call. When two threads make that call at once, one of them may
# get an error of 5e-5 in place of 6e-8 (3 of 68 processes on two cores): it is made here, by one.
torch.zeros(1, device="cpu").tanh()


class Dropout(nn.Module):
    """Dropout with probability `p` in [0, 1), drawn from a generator; None: torch's global one.

    N. Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR
    15(56):1929-1958, 2014.
    """

    def __init__(self, p: float, generator: torch.Generator | None = None):
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout must be in [0, 1). Got {p!r} instead.")
        self.p = p
        self.generator = generator

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0:
            return x
        # Drawn on the generator's device, for the same numbers whatever the device of x.
        device = x.device if self.generator is None else self.generator.device
        kept = torch.empty(x.shape, dtype=x.dtype, device=device)
        # A third of the time of `bernoulli_`, which takes a twelfth of the default network's time.
        kept.uniform_(generator=self.generator).ge_(self.p)
        return x * kept.to(x.device).div_(1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Subsampling(nn.Module):
    """Sum of 2 × 2 values times a weight plus a bias: reference [1] of `LeNet5`, section II.B."""

    fan_in = 4

    def __init__(self, n_channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_channels))
        self.bias = nn.Parameter(torch.zeros(n_channels))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        means = functional.avg_pool2d(maps, 2)
        return means * (4 * self.weight[:, None, None]) + self.bias[:, None, None]


class PartialConvolution(nn.Module):
    """Convolution whose output channels are each connected to some of the input channels.

    `table` lists the input channels of each output channel; `size` is the side of the filters.
    """

    def __init__(
        self, table: Sequence[Sequence[int]], size: int, *, stride: int = 1, bias: bool = True
    ):
        super().__init__()
        n_out, n_in = len(table), 1 + max(map(max, table))
        links = [after * n_in + before for after, row in enumerate(table) for before in row]
        self.shape = (n_out, n_in, size, size)
        self.stride = stride
        self.fan_in = len(links) * size**2 / n_out  # mean over the output channels
        self.weight = nn.Parameter(torch.zeros(len(links), size, size))
        self.bias = nn.Parameter(torch.zeros(n_out)) if bias else None
        self.register_buffer("links", torch.tensor(links), persistent=False)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        n_out, n_in, *size = self.shape
        kernels = self.weight.new_zeros(n_out * n_in, *size).index_copy(0, self.links, self.weight)
        return functional.conv2d(maps, kernels.view(self.shape), self.bias, self.stride)


class UnitBias(nn.Module):
    """A trainable bias for each unit; `fan_in` is the number of the unit's other inputs."""

    def __init__(self, n_channels: int, shape: tuple[int, int], fan_in: int):
        super().__init__()
        self.fan_in, self.n_sharing = fan_in, 1
        self.bias = nn.Parameter(torch.zeros(n_channels, *shape))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps + self.bias


class ScaledTanh(nn.Module):
    """The activation 1.7159 tanh(2 a / 3), ±1 at ±1: reference [2] of `LeNet5`, section 4.4."""

    def __init__(self):
        super().__init__()
        self.tanh = nn.Tanh()

    def forward(self, a: torch.Tensor) -> torch.Tensor:
        return 1.7159 * self.tanh(a * (2 / 3))


def convolution(n_in: int, n_out: int, size: int, **options) -> nn.Conv2d:
    """Make a convolution with uninitialized weights."""
    return _skip_init(nn.Conv2d, n_in, n_out, size, **options)


def linear(n_in: int, n_out: int) -> nn.Linear:
    """Make a linear layer with uninitialized weights."""
    return _skip_init(nn.Linear, n_in, n_out)


def _skip_init(layer: type[nn.Module], *sizes: int, **options) -> nn.Module:
    """Call `skip_init` with the default device, which it ignores unless it is named."""
    return skip_init(layer, *sizes, device=torch.empty(0).device, **options)


def draw_uniform(limit: float, generator: torch.Generator | None, *tensors: torch.Tensor) -> None:
    """Initialize weights uniformly in [-limit, limit]."""
    for tensor in tensors:
        nn.init.uniform_(tensor, -limit, limit, generator=generator)


def pad_to(image_shape: tuple[int, int], size: int) -> nn.Module:
    """Make a layer that replicates the border so that height and width are at least `size`."""
    missing = [max(size - side, 0) for side in image_shape]
    if not any(missing):
        return nn.Identity()
    top, left = (side // 2 for side in missing)
    return nn.ReplicationPad2d((left, missing[1] - left, top, missing[0] - top))
