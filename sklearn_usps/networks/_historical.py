"""The published networks "luacnn", "lecun1989" and "lenet5"."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from ._layers import (
    PartialConvolution,
    ScaledTanh,
    Subsampling,
    UnitBias,
    convolution,
    draw_uniform,
    linear,
    pad_to,
)

# The channels of H1 that each channel of H2 is connected to: eight of twelve, such that any two of
# three groups have four in common. The paper gives these numbers, but no table.
_LECUN1989_TABLE = [[*range(8)]] * 4 + [[*range(4, 12)]] * 4 + [[*range(4), *range(8, 12)]] * 4

# The channels of S2 that each channel of C3 of LeNet-5 is connected to: table I of the paper.
_LENET5_TABLE = [
    *([i, (i + 1) % 6, (i + 2) % 6] for i in range(6)),
    *([i, (i + 1) % 6, (i + 2) % 6, (i + 3) % 6] for i in range(6)),
    *([i, i + 1, (i + 3) % 6, (i + 4) % 6] for i in range(3)),
    [*range(6)],
]


class LuaCNN(nn.Module):
    """The network of the luacnn demo for Torch7.

    The demo [1]_ has a convolution of six 5 × 5 filters, 2 × 2 subsampling, hyperbolic tangent and
    a linear layer. As in Torch7 [2]_, subsampling is the sum of four values times a trainable
    coefficient plus a trainable bias of the channel, and weights are initialized uniformly in
    ±1/√fan-in.

    The convolution and the subsampling are computed at once: hooks on these modules are not called.

    Parameters
    ----------
    image_shape : tuple of int (height, width)
        Shape of the images. Sides shorter than 6 are padded with the border.

    n_channels : int, default=6
        Number of filters.

    n_classes, generator
        As for :class:`ConvNet`.

    References
    ----------
    .. [1] H. Penedones, luacnn, https://github.com/hpenedones/luacnn
    .. [2] R. Collobert, K. Kavukcuoglu and C. Farabet, "Torch7: A Matlab-like Environment for
       Machine Learning", BigLearn, NIPS Workshop, 2011.
    """

    def __init__(
        self,
        image_shape: tuple[int, int],
        n_classes: int,
        *,
        n_channels: int = 6,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        height, width = (max(side, 6) - 4 for side in image_shape)
        n_features = n_channels * (height // 2) * (width // 2)
        self.pad = pad_to(image_shape, 6)
        self.convolution = convolution(1, n_channels, 5)
        self.subsampling = Subsampling(n_channels)
        self.tanh = nn.Tanh()
        self.output = linear(n_features, n_classes)
        # Hooks can't observe the sizes of these two layers.
        self.convolution.n_sharing = height * width
        self.subsampling.n_sharing = (height // 2) * (width // 2)
        fan_ins = {self.convolution: 25, self.subsampling: 4, self.output: n_features}
        for layer, fan_in in fan_ins.items():
            draw_uniform(1 / math.sqrt(fan_in), generator, layer.weight, layer.bias)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the feature maps after the hyperbolic tangent, (n, n_features) in (-1, 1)."""
        filters, sums = self.convolution, self.subsampling
        # Both are linear: one 6 × 6 convolution of stride 2 has the same output in less time. Its
        # kernel is the sum of the 5 × 5 kernel shifted by zero and one pixel along each axis, or
        # four times the average pooling of the zero-padded kernel.
        kernel = functional.avg_pool2d(filters.weight, 2, 1, padding=1)
        kernel = kernel * (4 * sums.weight[:, None, None, None])
        bias = torch.addcmul(sums.bias, sums.weight, filters.bias, value=4)
        return self.tanh(functional.conv2d(self.pad(images), kernel, bias, stride=2)).flatten(1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.output(self.features(images))


class LeCun1989(nn.Module):
    """The first convolutional network trained by backpropagation.

    In [1]_, H1 and H2 are convolutions with 12 channels of 5 × 5 filters and stride 2, padded with
    a constant. The units of a channel share their weights, but each has its own bias. A channel of
    H2 is connected to 8 channels of H1: [1]_ does not say which; here any two of three groups have
    four in common. H3 has 30 units. With the input, a network for images 16 × 16 of ten classes has
    1,256 units, 64,660 connections and 9,760 parameters. All layers, the output included, end with
    the scaled hyperbolic tangent. The loss is the squared error to targets of 1 for the class and
    -1 for the others. Weights are initialized uniformly in ±2.4/fan-in, biases as zero.

    Parameters
    ----------
    image_shape : tuple of int (height, width)
        Shape of the images, without restrictions.

    background : float, default=-1.0
        Value of the padding around images; the default is the paper's background.

    n_classes, generator
        As for :class:`ConvNet`.

    References
    ----------
    .. [1] Y. LeCun et al., "Backpropagation Applied to Handwritten Zip Code Recognition", Neural
       Computation 1(4):541-551, 1989. :doi:`10.1162/neco.1989.1.4.541`
    """

    def __init__(
        self,
        image_shape: tuple[int, int],
        n_classes: int,
        *,
        background: float = -1.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        shape1 = ((image_shape[0] + 1) // 2, (image_shape[1] + 1) // 2)
        shape2 = ((shape1[0] + 1) // 2, (shape1[1] + 1) // 2)
        filters1 = convolution(1, 12, 5, stride=2, bias=False)
        filters2 = PartialConvolution(_LECUN1989_TABLE, 5, stride=2, bias=False)
        pad1, pad2 = nn.ConstantPad2d(2, background), nn.ConstantPad2d(2, -1.0)
        self.h1 = nn.Sequential(pad1, filters1, UnitBias(12, shape1, 25), ScaledTanh())
        self.h2 = nn.Sequential(pad2, filters2, UnitBias(12, shape2, 200), ScaledTanh())
        self.h3 = nn.Sequential(linear(12 * math.prod(shape2), 30), ScaledTanh())
        self.output = nn.Sequential(linear(30, n_classes), ScaledTanh())
        draw_uniform(2.4 / 25, generator, filters1.weight)
        draw_uniform(2.4 / 200, generator, filters2.weight)
        for layer in (self.h3[0], self.output[0]):
            draw_uniform(2.4 / layer.in_features, generator, layer.weight)
            nn.init.zeros_(layer.bias)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the units of H3, (n, 30) in (-1.7159, 1.7159)."""
        return self.h3(self.h2(self.h1(images)).flatten(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.output(self.features(images))

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the squared error of each sample, averaged over the outputs."""
        expected = 2 * functional.one_hot(targets, outputs.shape[1]).to(outputs) - 1
        return (outputs - expected).square().mean(1)

    def log_proba(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return logarithms of probabilities, in the order of the outputs."""
        # The squared error is smallest for the mean 2 p - 1 of a target, 1 with probability p.
        p = (1 + outputs) / 2
        # Positive and in the same order where an output is below -1.
        p = torch.maximum(p, (outputs + 1.72) / 1000)
        return (p / p.sum(1, keepdim=True)).log()


class LeNet5(nn.Module):
    """LeNet-5 with a linear output layer.

    In [1]_, C1, C3 and C5 are convolutions of 5 × 5 filters with 6, 16 and 120 channels; each
    channel of C3 is connected to some channels of S2. S2 and S4 sum 2 × 2 values, with a
    coefficient and a bias a channel. F6 has 84 units. All these layers end with the scaled
    hyperbolic tangent; for images 32 × 32 they have 60,000 parameters. A trained linear layer,
    which suits any classes, replaces the output layer, whose fixed weights are pictures of
    characters. Weights are initialized uniformly with the variance 1/fan-in of [2]_, section 4.6,
    biases as zero.

    Parameters
    ----------
    image_shape : tuple of int (height, width)
        Shape of the images. Sides shorter than 32 are padded with the border.

    n_classes, generator
        As for :class:`ConvNet`.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning Applied to
       Document Recognition", Proceedings of the IEEE 86(11):2278-2324, 1998.
       :doi:`10.1109/5.726791`
    .. [2] Y. LeCun, L. Bottou, G. B. Orr and K.-R. Müller, "Efficient BackProp", in Neural
       Networks: Tricks of the Trade, Springer, 1998.
    """

    def __init__(
        self,
        image_shape: tuple[int, int],
        n_classes: int,
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        n_c5 = 120 * math.prod(((max(side, 32) - 4) // 2 - 4) // 2 - 4 for side in image_shape)
        self.layers = nn.Sequential(
            pad_to(image_shape, 32),
            *(convolution(1, 6, 5), ScaledTanh(), Subsampling(6), ScaledTanh()),
            *(PartialConvolution(_LENET5_TABLE, 5), ScaledTanh(), Subsampling(16), ScaledTanh()),
            *(convolution(16, 120, 5), ScaledTanh(), nn.Flatten()),
            *(linear(n_c5, 84), ScaledTanh()),
        )
        self.output = linear(84, n_classes)
        for layer in [*self.layers, self.output]:
            if hasattr(layer, "weight"):
                fan_in = getattr(layer, "fan_in", layer.weight[0].numel())
                draw_uniform(math.sqrt(3 / fan_in), generator, layer.weight)
                nn.init.zeros_(layer.bias)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the units of F6, (n, 84) in (-1.7159, 1.7159)."""
        return self.layers(images)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.output(self.features(images))
