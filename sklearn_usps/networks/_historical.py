"""Convolutional networks as they were published."""

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

# What each of the 12 planes H2 of 1989 sees of the 12 planes H1: eight, four of them shared by two
# groups of planes. The paper gives the numbers, not the table.
_LECUN1989_TABLE = [[*range(8)]] * 4 + [[*range(4, 12)]] * 4 + [[*range(4), *range(8, 12)]] * 4

# What each of the 16 planes C3 of LeNet-5 sees of the 6 planes S2: table I of the paper.
_LENET5_TABLE = [
    *([i, (i + 1) % 6, (i + 2) % 6] for i in range(6)),
    *([i, (i + 1) % 6, (i + 2) % 6, (i + 3) % 6] for i in range(6)),
    *([i, i + 1, (i + 3) % 6, (i + 4) % 6] for i in range(3)),
    [*range(6)],
]


class LuaCNN(nn.Module):
    """The network of the luacnn demo [1]_, written for Torch7 [2]_.

    Six planes of 5 × 5 filters; subsampling 2 × 2, which in Torch7 sums the four values, multiplies
    the sum by a trainable coefficient of the plane and adds a trainable bias of the plane;
    hyperbolic tangent; a linear layer. Weights are uniform in ±1/√fan-in as in Torch7.

    Convolution and subsampling are both linear with nothing in between, so they are computed as
    one 6 × 6 convolution of stride 2, whose kernel is the sum of the 5 × 5 kernel shifted by zero
    and one pixel along each axis: the same parameters and the same output in less time.

    Parameters
    ----------
    image_shape : tuple of int (height, width)
        Shape of the images. Where a side is shorter than 6, the border is replicated.

    n_classes : int
        Number of classes.

    n_channels : int, default=6
        Number of filters.

    generator : torch.Generator, default=None
        Where initial weights are drawn from.

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
        self.output = linear(n_features, n_classes)
        # Never called alone, they can't be watched at work.
        self.convolution.n_sharing = height * width
        self.subsampling.n_sharing = (height // 2) * (width // 2)
        for layer, fan_in in [
            (self.convolution, 25),
            (self.subsampling, 4),
            (self.output, n_features),
        ]:
            draw_uniform(1 / math.sqrt(fan_in), generator, layer.weight, layer.bias)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """The subsampled planes after the hyperbolic tangent: (n, n_features), in (-1, 1)."""
        filters, sums = self.convolution, self.subsampling
        # Means over 2 × 2 of the kernel, zero around it: a quarter of the four shifted kernels.
        kernel = functional.avg_pool2d(filters.weight, 2, 1, padding=1)
        kernel = kernel * (4 * sums.weight[:, None, None, None])
        bias = torch.addcmul(sums.bias, sums.weight, filters.bias, value=4)
        return functional.conv2d(self.pad(images), kernel, bias, stride=2).tanh().flatten(1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.output(self.features(images))


class LeCun1989(nn.Module):
    """The first convolutional network trained by backpropagation [1]_.

    H1 has 12 planes of 5 × 5 filters of stride 2, H2 as many, each of which sees 8 of the 12
    planes before it; H3 has 30 units. The units of H1 and H2 share their weights, but each has a
    bias of its own, and see a constant beyond the border. On images 16 × 16 of ten classes these
    are 1,256 units with the input's, 64,660 connections and 9,760 parameters. All units squash
    their input; the outputs are trained by the squared error to 1 for the class and -1 for all
    others. Weights are uniform in ±2.4/√fan-in, biases zero.

    Which planes H2 sees is not in [1]_: here they are in three groups of four, each of which shares
    four planes with each of the others.

    Parameters
    ----------
    image_shape : tuple of int (height, width)
        Shape of the images, any.

    n_classes : int
        Number of classes.

    background : float, default=-1.0
        The value of pixels beyond the border; that of the paper's background by default.

    generator : torch.Generator, default=None
        Where initial weights are drawn from.

    References
    ----------
    .. [1] Y. LeCun, B. Boser, J. S. Denker, D. Henderson, R. E. Howard, W. Hubbard and L. D.
       Jackel, "Backpropagation Applied to Handwritten Zip Code Recognition", Neural Computation
       1(4):541-551, 1989. :doi:`10.1162/neco.1989.1.4.541`
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
        self.h1 = nn.Sequential(
            nn.ConstantPad2d(2, background), filters1, UnitBias(12, shape1, 25), ScaledTanh()
        )
        self.h2 = nn.Sequential(
            nn.ConstantPad2d(2, -1.0), filters2, UnitBias(12, shape2, 200), ScaledTanh()
        )
        self.h3 = nn.Sequential(linear(12 * math.prod(shape2), 30), ScaledTanh())
        self.output = nn.Sequential(linear(30, n_classes), ScaledTanh())
        draw_uniform(2.4 / math.sqrt(25), generator, filters1.weight)
        draw_uniform(2.4 / math.sqrt(200), generator, filters2.weight)
        for layer in (self.h3[0], self.output[0]):
            draw_uniform(2.4 / math.sqrt(layer.in_features), generator, layer.weight)
            nn.init.zeros_(layer.bias)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """The units of H3: (n, 30), in (-1.7159, 1.7159)."""
        return self.h3(self.h2(self.h1(images)).flatten(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.output(self.features(images))

    def loss(self, scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Squared error per sample, as the mean over the outputs."""
        wanted = 2 * functional.one_hot(targets, scores.shape[1]).to(scores) - 1
        return (scores - wanted).square().mean(1)

    def log_proba(self, scores: torch.Tensor) -> torch.Tensor:
        """Logarithms of probabilities, in the order of the scores.

        The mean of a target that is 1 with probability p, else -1, is 2 p - 1, and it is what the
        squared error trains the outputs to be.
        """
        p = (1 + scores) / 2
        # Where an output is below -1, still above zero, and in order.
        p = torch.maximum(p, (scores + 1.72) / 1000)
        return (p / p.sum(1, keepdim=True)).log()


class LeNet5(nn.Module):
    """LeNet-5 [1]_ with a linear output layer.

    C1 has 6 planes of 5 × 5 filters; S2 sums 2 × 2 values, with a coefficient and a bias a plane;
    C3 has 16 planes of 5 × 5 filters, each of which sees some of the 6 planes before it; S4 is as
    S2; C5 has 120 planes of 5 × 5 filters, F6 84 units. All of them squash their input. For images
    32 × 32 these are the 60,000 parameters of [1]_. Its output layer, whose fixed weights are
    pictures of characters, is a trained linear layer here, so that classes may be anything.
    Weights are uniform with the variance 1/fan-in of [2]_, section 4.6, biases zero.

    Parameters
    ----------
    image_shape : tuple of int (height, width)
        Shape of the images. Where a side is shorter than 32, the border is replicated.

    n_classes : int
        Number of classes.

    generator : torch.Generator, default=None
        Where initial weights are drawn from.

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
        """The units of F6: (n, 84), in (-1.7159, 1.7159)."""
        return self.layers(images)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.output(self.features(images))
