"""Random deformation of images, for data augmentation."""

from __future__ import annotations

import contextlib
import math
from numbers import Real
from typing import TYPE_CHECKING, ClassVar

from sklearn.base import BaseEstimator

from .._utils._sklearn import Interval

if TYPE_CHECKING:
    import torch

#: Upper limit of all parameters: larger than any image, and float32 computes with it.
_LARGEST = 1e9


class RandomDeformation(BaseEstimator):
    """Deform each image at random: rotate, stretch, slant, shift and bend it a little.

    A network that sees each digit slightly deformed in every epoch learns that such deformations
    do not change its label. The parameters can be searched, as those of any estimator. It has
    neither `fit` nor `transform`: as a step of a :class:`~sklearn.pipeline.Pipeline` it would also
    deform the images to predict. The training loop calls it on the images of each epoch.

    Parameters
    ----------
    rotation : float, default=10.0
        Largest angle in degrees, in [0, 1e9]. Each image is rotated by an angle drawn uniformly
        from [-rotation, rotation].

    scale : float, default=0.15
        Largest relative change in size, in [0, 1). Width and height of each image are
        multiplied by two independent factors drawn uniformly from [1 - scale, 1 + scale].

    shear : float, default=0.3
        Largest slant, in [0, 1e9]. Each row moves to the right by its height above the center of
        the image times a factor drawn uniformly from [-shear, shear].

    shift : float, default=0.075
        Largest distance, as a fraction of the shorter side, in [0, 1e9]: 1.2 pixels for 16 × 16.
        Each image moves to the right and down by two independent distances drawn uniformly from
        [-shift, shift].

    elastic_displacement : float, default=0.034
        Strength of the elastic deformation [1]_, in [0, 1e9]: the standard deviation of the
        distance by which pixels move along each axis, as a fraction of the shorter side.

    elastic_sigma : float, default=0.1875
        Standard deviation of the Gaussian that smooths the elastic deformation, as a fraction of
        the shorter side, in (0, 1e9]. Small values make strokes tremble, large values bend the
        image as a whole.

    Notes
    -----
    All draws are independent for each image and each call. The image is slanted, stretched and
    rotated around its center, in this order, and then shifted. Values between pixels are
    interpolated bilinearly; outside of the image, the nearest pixel of its border is repeated. With
    `rotation`, `scale`, `shear`, `shift` and `elastic_displacement` all zero, images are unchanged.
    All parameters are relative, so that the same values suit images of other sizes.

    The elastic deformation is that of [1]_, section 2: each pixel takes the value found a
    displacement away. The two components of the displacements are independent fields of independent
    numbers, uniform in [-1, 1], smoothed by a Gaussian and multiplied by a factor. Three details
    differ from [1]_ or are left open there. The parameter is the standard deviation of the
    displacements instead of the factor: `elastic_displacement` is ``alpha / (sigma * sqrt(12 *
    pi))`` for the α and σ of [1]_ if σ is a pixel or more, both in pixels. The field extends three
    standard deviations beyond the border, so that pixels at the border move as much as those in the
    middle. And the numbers lie σ apart where this is more than a pixel: after the smoothing, the
    correlations are the same as with one number per pixel, at a fraction of the cost.

    References
    ----------
    .. [1] P. Y. Simard, D. Steinkraus and J. C. Platt, "Best practices for convolutional neural
       networks applied to visual document analysis", Proceedings of the Seventh International
       Conference on Document Analysis and Recognition (ICDAR), 2003, pp. 958-963.
       :doi:`10.1109/ICDAR.2003.1227801`

    Examples
    --------
    >>> import torch
    >>> from sklearn_usps import RandomDeformation
    >>> images = torch.zeros(100, 1, 16, 16)
    >>> images[:, :, 2:14, 7:9] = 1.0  # a hundred upright strokes
    >>> augmentation = RandomDeformation(rotation=15)
    >>> deformed = augmentation(images, torch.Generator().manual_seed(0))
    >>> deformed.shape
    torch.Size([100, 1, 16, 16])
    """

    __module__ = "sklearn_usps"  # model files name public modules

    _parameter_constraints: ClassVar[dict] = {
        "rotation": [Interval(Real, 0, _LARGEST, closed="both")],
        "scale": [Interval(Real, 0, 1, closed="left")],
        "shear": [Interval(Real, 0, _LARGEST, closed="both")],
        "shift": [Interval(Real, 0, _LARGEST, closed="both")],
        "elastic_displacement": [Interval(Real, 0, _LARGEST, closed="both")],
        "elastic_sigma": [Interval(Real, 0, _LARGEST, closed="right")],
    }

    def __init__(
        self,
        *,
        rotation: float = 10.0,
        scale: float = 0.15,
        shear: float = 0.3,
        shift: float = 0.075,
        elastic_displacement: float = 0.034,
        elastic_sigma: float = 0.1875,
    ):
        self.rotation = rotation
        self.scale = scale
        self.shear = shear
        self.shift = shift
        self.elastic_displacement = elastic_displacement
        self.elastic_sigma = elastic_sigma

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Deform a batch of images.

        Parameters
        ----------
        images : torch.Tensor of shape (n_images, 1, height, width)
            The images, of a floating dtype. They are not modified.

        generator : torch.Generator
            The source of all random numbers, on any device.

        Returns
        -------
        deformed : torch.Tensor of shape (n_images, 1, height, width)
            The deformed images, of the same dtype and on the same device.

        Raises
        ------
        ValueError
            If a parameter is out of range, or `images` has another shape or another kind of dtype.
        """
        import torch

        self._validate_params()
        if images.ndim != 4 or images.shape[1] != 1:
            raise ValueError(
                "images must have the shape (n_images, 1, height, width). "
                f"Got {tuple(images.shape)} instead."
            )
        if not images.is_floating_point():
            raise ValueError(
                f"images must have a floating dtype. Got {images.dtype} instead: convert them by "
                "`images.float()`."
            )
        kind = images.device.type
        without_autocast = (
            torch.autocast(kind, enabled=False)
            if torch.amp.is_autocast_available(kind)
            else contextlib.nullcontext()
        )
        with without_autocast:  # which would place pixels in bfloat16, to a hundredth
            origins = self._affine_origins(images, generator)
            if self.elastic_displacement > 0:
                origins += self._elastic_displacements(images, generator)
        # grid_sample counts from -1 at one border of the image to 1 at the other.
        height, width = images.shape[2:]
        origins *= images.new_tensor([2 / width, 2 / height]).view(2, 1, 1)
        return torch.nn.functional.grid_sample(
            images, origins.permute(0, 2, 3, 1), padding_mode="border", align_corners=False
        )

    def _affine_origins(self, images, generator):
        """Return the origin of each pixel before elastic deformation, (n_images, 2, height, width).

        Both coordinates, x to the right and y down, are pixels from the center of the image.
        """
        import torch

        n_images, _, height, width = images.shape
        shift = self.shift * min(height, width)
        limits = [math.radians(self.rotation), self.shear] + 2 * [self.scale] + 2 * [shift]
        draws = _uniform((n_images, 6), images, generator) * images.new_tensor(limits)
        angle, slant, stretch_x, stretch_y, shift_x, shift_y = draws.unbind(1)
        stretch_x, stretch_y = 1 + stretch_x, 1 + stretch_y

        # The inverse of slant, stretch, rotation and shift, in this order. A slant moves the upper
        # rows to the right; there, y is negative.
        cos, sin = angle.cos(), angle.sin()
        y_by_x, y_by_y = -sin / stretch_y, cos / stretch_y
        x_by_x, x_by_y = cos / stretch_x + slant * y_by_x, sin / stretch_x + slant * y_by_y
        x_by_1 = -x_by_x * shift_x - x_by_y * shift_y
        y_by_1 = -y_by_x * shift_x - y_by_y * shift_y
        maps = torch.stack([x_by_x, x_by_y, x_by_1, y_by_x, y_by_y, y_by_1], dim=1)

        kind = {"dtype": images.dtype, "device": images.device}
        centers = [torch.arange(size, **kind) - (size - 1) / 2 for size in (height, width)]
        y, x = torch.meshgrid(*centers, indexing="ij")
        pixels = torch.stack([x.flatten(), y.flatten(), torch.ones_like(x).flatten()])
        return (maps.view(2 * n_images, 3) @ pixels).view(n_images, 2, height, width)

    def _elastic_displacements(self, images, generator):
        """Return the shift of each pixel's origin by the elastic deformation, in the same shape."""
        n_images, _, height, width = images.shape
        side = min(height, width)
        smooth_rows = _gaussian_weights(height, side * self.elastic_sigma, images)
        smooth_columns = _gaussian_weights(width, side * self.elastic_sigma, images)
        noise = _uniform((n_images, 2, len(smooth_columns), len(smooth_rows)), images, generator)
        # The variance of the numbers is a third.
        factor = math.sqrt(3) * side * self.elastic_displacement
        # Weights on the right of a batch are one large product, on its left many small ones.
        return (noise @ smooth_rows).transpose(2, 3) @ (factor * smooth_columns)


def _uniform(shape, images, generator):
    """Draw numbers uniform in [-1, 1], of the dtype and on the device of the images."""
    numbers = images.new_empty(shape, device=generator.device)
    return numbers.uniform_(-1, 1, generator=generator).to(images.device)


def _gaussian_weights(size, sigma, images):
    """Return the weight of each random number (rows) in each of `size` pixels (columns).

    The weighted sums have the variance of the numbers.
    """
    import torch

    sigma = max(sigma, 1e-3)  # already all weight is on one number, and divisions don't overflow
    distance = max(1.0, sigma)  # between two numbers, the first of which lies beyond the border
    beyond = math.ceil(3 * sigma / distance)
    n_numbers = math.ceil((size - 1) / distance) + 1 + 2 * beyond
    kind = {"dtype": images.dtype, "device": images.device}
    numbers = distance * (torch.arange(n_numbers, **kind) - beyond)
    offsets = torch.arange(size, **kind) - numbers[:, None]
    weights = (-0.5 * (offsets / sigma) ** 2).softmax(dim=0)
    # Variances of independent numbers add up by the squares of their weights.
    return weights / weights.norm(dim=0)
