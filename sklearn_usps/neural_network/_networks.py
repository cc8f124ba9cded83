"""Convolutional networks for small grey images, by name.

A network is any `torch.nn.Module` class that is built as ``Network(image_shape, n_classes)`` and
whose `forward` takes images (n, 1, height, width) and returns scores (n, n_classes). Three methods
are optional: ``loss(scores, targets)`` returns a loss per sample, by default the cross-entropy;
``log_proba(scores)`` returns logarithms of probabilities, by default the log-softmax; and
``features(images)`` returns the last hidden layer. Where the constructor takes a keyword
`generator`, it gets the `torch.Generator` that all random numbers of a fit come from.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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
        kept.bernoulli_(1 - self.p, generator=self.generator)
        return x * kept.to(x.device).div_(1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class ConvNet(nn.Module):
    """The default: three batch-normalized convolutions and a linear layer.

    The first convolution is 5 × 5, of stride 2, on an image whose border is replicated; the second
    3 × 3; the third 3 × 3, of stride 2. Each is followed by batch normalization [1]_ and a
    rectifier. Weights are drawn as in [2]_.

    Parameters
    ----------
    image_shape : tuple of int (height, width)
        Shape of the images, any.

    n_classes : int
        Number of classes.

    n_planes : sequence of three int, default=(32, 64, 64)
        Number of planes of each convolution.

    dropout : float, default=0.3
        Dropout between the last convolution and the linear layer, in [0, 1).

    generator : torch.Generator, default=None
        Where initial weights and dropout are drawn from.

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
        n_planes: Sequence[int] = (32, 64, 64),
        dropout: float = 0.3,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if len(n_planes) != 3:
            raise ValueError(f"n_planes must be three numbers of planes. Got {n_planes!r} instead.")
        first, second, third = n_planes
        self.convolutions = nn.Sequential(
            nn.ReplicationPad2d(2),
            *_normalized_convolution(1, first, 5, generator, stride=2),
            *_normalized_convolution(first, second, 3, generator, padding=1),
            *_normalized_convolution(second, third, 3, generator, padding=1, stride=2),
            nn.Flatten(),
        )
        height, width = (math.ceil(size / 4) for size in image_shape)
        self.dropout = Dropout(dropout, generator)
        self.output = skip_init(nn.Linear, third * height * width, n_classes)
        nn.init.kaiming_uniform_(self.output.weight, a=math.sqrt(5), generator=generator)
        nn.init.zeros_(self.output.bias)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """The values that the linear layer gets: (n, n_features), not negative."""
        return self.convolutions(images)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.output(self.dropout(self.features(images)))


def _normalized_convolution(n_in, n_out, size, generator, **options) -> list[nn.Module]:
    convolution = skip_init(nn.Conv2d, n_in, n_out, size, bias=False, **options)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu", generator=generator)
    return [convolution, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]


class Torch7(nn.Module):
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

    n_planes : int, default=6
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
        n_planes: int = 6,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.pad = _pad_to(image_shape, 6)
        height, width = (max(size, 6) // 2 - 2 for size in image_shape)
        self.kernel = _uniform((n_planes, 1, 5, 5), 25, generator)
        self.kernel_bias = _uniform((n_planes,), 25, generator)
        self.coefficient = _uniform((n_planes,), 4, generator)
        self.bias = _uniform((n_planes,), 4, generator)
        n_features = n_planes * height * width
        self.output = skip_init(nn.Linear, n_features, n_classes)
        self.output.weight = _uniform((n_classes, n_features), n_features, generator)
        self.output.bias = _uniform((n_classes,), n_features, generator)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """The subsampled planes after the hyperbolic tangent: (n, n_features), in (-1, 1)."""
        # Sums over 2 × 2 of the kernel, zero around it: the sum of the four shifted kernels.
        kernel = functional.avg_pool2d(self.kernel, 2, stride=1, padding=1, divisor_override=1)
        kernel = kernel * self.coefficient[:, None, None, None]
        bias = torch.addcmul(self.bias, self.coefficient, self.kernel_bias, value=4)
        return functional.conv2d(self.pad(images), kernel, bias, stride=2).tanh().flatten(1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.output(self.features(images))


def _uniform(shape, fan_in, generator) -> nn.Parameter:
    limit = 1 / math.sqrt(fan_in)
    return nn.Parameter(torch.empty(shape).uniform_(-limit, limit, generator=generator))


def _pad_to(image_shape, size) -> nn.Module:
    """What replicates the border of images until both sides are at least `size` long."""
    missing = [max(size - side, 0) for side in image_shape]
    if not any(missing):
        return nn.Identity()
    top, left = (side // 2 for side in missing)
    return nn.ReplicationPad2d((left, missing[1] - left, top, missing[0] - top))


#: The networks that `ConvNetClassifier` knows by name.
NETWORKS: dict[str, type[nn.Module]] = {"convnet": ConvNet, "torch7": Torch7}


def build_network(
    network: str | type[nn.Module],
    params: dict | None,
    image_shape: tuple[int, int],
    n_classes: int,
    generator: torch.Generator,
) -> nn.Module:
    """Build a network by name or class, its initial weights drawn from the generator."""
    network = NETWORKS[network] if isinstance(network, str) else network
    params = dict(params or {})
    if takes_generator(network):
        params["generator"] = generator
    with own_randomness(network, generator):
        return network(image_shape, n_classes, **params)


def takes_generator(network: type[nn.Module]) -> bool:
    """Whether a network draws random numbers from a generator that it is given."""
    return "generator" in inspect.signature(network).parameters


@contextmanager
def own_randomness(network: str | type[nn.Module], generator: torch.Generator) -> Iterator[None]:
    """Seed torch's global generator from ours for networks that draw from it, and put it back."""
    if isinstance(network, str) or takes_generator(network):
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        yield
