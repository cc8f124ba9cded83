"""The network "convnet", the default."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral

import torch
from torch import nn

from ._layers import Dropout, convolution, draw_uniform, linear


class ConvNet(nn.Module):
    """Batch-normalized convolutions and a linear layer, the default network.

    Each convolution is followed by batch normalization [1]_ and a ReLU. Images are padded with
    their border and feature maps with zeros, so that a convolution of stride 1 keeps height and
    width. The filters are initialized as in [2]_.

    Parameters
    ----------
    image_shape : tuple of int (height, width)
        Shape of the images, without restrictions.

    n_classes : int
        Number of classes.

    n_channels : sequence of int, default=(16, 32, 32, 64, 64)
        Number of output channels of each convolution; its length is the number of convolutions,
        at least 1.

    kernel_sizes : sequence of int, default=None
        Height and width, in pixels, of the filters of each convolution; odd. None: 3 for all.

    strides : sequence of int, default=None
        Stride of each convolution. None: 1 and 2 in turn.

    dropout : float, default=0.3
        Dropout probability between the last convolution and the linear layer, in [0, 1).

    generator : torch.Generator, default=None
        Generator of initial weights and dropout masks. None: torch's global generator.

    References
    ----------
    .. [1] S. Ioffe and C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by
       Reducing Internal Covariate Shift", ICML 2015.
    .. [2] K. He, X. Zhang, S. Ren and J. Sun, "Delving Deep into Rectifiers: Surpassing
       Human-Level Performance on ImageNet Classification", ICCV 2015, section 2.2.
    """

    def __init__(
        self,
        image_shape: tuple[int, int],
        n_classes: int,
        *,
        n_channels: Sequence[int] = (16, 32, 32, 64, 64),
        kernel_sizes: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
        dropout: float = 0.3,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        _check_numbers("n_channels", n_channels)
        if kernel_sizes is None:
            kernel_sizes = [3] * len(n_channels)
        if strides is None:
            strides = [1 + i % 2 for i in range(len(n_channels))]
        _check_convolutions(n_channels, kernel_sizes, strides)
        layers: list[nn.Module] = [nn.ReplicationPad2d(kernel_sizes[0] // 2)]
        n_before, height, width = 1, *image_shape
        settings = zip(n_channels, kernel_sizes, strides, strict=True)
        for i, (n_after, size, stride) in enumerate(settings):
            padding = 0 if i == 0 else size // 2
            layer = convolution(n_before, n_after, size, bias=False, stride=stride, padding=padding)
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            layers += [layer, nn.BatchNorm2d(n_after), nn.ReLU()]
            n_before, height, width = n_after, -(-height // stride), -(-width // stride)
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        self.dropout = Dropout(dropout, generator)
        n_features = n_before * height * width
        self.output = linear(n_features, n_classes)
        draw_uniform(1 / math.sqrt(n_features), generator, self.output.weight)
        nn.init.zeros_(self.output.bias)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the inputs of the linear layer, (n, n_features) in [0, inf)."""
        # With strides of torch's memory format channels_last, which the later feature maps then
        # keep: about a tenth off the time of a fit.
        images = images[:, 0, :, :, None].permute(0, 3, 1, 2)
        return self.convolutions(images)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.output(self.dropout(self.features(images)))


def _check_numbers(name, values) -> None:
    """Raise a ValueError if a parameter is not a sequence of positive integers."""
    is_sequence = isinstance(values, Sequence) and len(values) > 0
    if not is_sequence or any(not isinstance(v, Integral) or int(v) < 1 for v in values):
        raise ValueError(
            f"{name} must be a sequence of positive integers, one for each convolution. Got "
            f"{values!r} instead."
        )


def _check_convolutions(n_channels, kernel_sizes, strides) -> None:
    for name, values in [("kernel_sizes", kernel_sizes), ("strides", strides)]:
        _check_numbers(name, values)
        if len(values) != len(n_channels):
            raise ValueError(
                f"{name} must have as many numbers as n_channels, {len(n_channels)}. Got "
                f"{values!r} instead."
            )
    if any(size % 2 == 0 for size in kernel_sizes):
        raise ValueError(f"kernel_sizes must be odd. Got {kernel_sizes!r} instead.")
