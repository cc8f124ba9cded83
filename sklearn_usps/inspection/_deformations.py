"""A grid of images and their random deformations."""

from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_array, check_random_state

from .._utils._images import flatten_images, resolve_image_shape
from .._utils._models import describe, input_image_shape, open_model, which_part
from .._utils._sklearn import Interval, check_pandas_support, validate_params
from .._utils._tiles import get_axes, set_title
from ..networks._torch_state import default_state, float32_by_default
from ..preprocessing import RandomDeformation


class DeformationDisplay:
    """Grid of images and their deformations, one row for each image.

    It is recommended to use :meth:`from_estimator` to create a display. All parameters are stored
    as attributes.

    Parameters
    ----------
    images : ndarray of shape (n_images, height, width)
        The original images.

    deformed : ndarray of shape (n_images, n_deformations, height, width)
        The deformations of each image.

    random_state : int, default=None
        The seed of the deformations, for the title.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        The grid, with the original images in its first column.

    ax_, figure_ : matplotlib Axes and Figure
        Axes and figure with the images.

    See Also
    --------
    RandomDeformation : The deformation of the training images.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_usps import DeformationDisplay, RandomDeformation
    >>> X, _ = load_digits(return_X_y=True)
    >>> display = DeformationDisplay.from_estimator(RandomDeformation(), X[:3], random_state=0)
    >>> display.deformed.shape
    (3, 8, 8, 8)
    >>> plt.show()
    """

    def __init__(self, images, deformed, *, random_state=None):
        self.images = images
        self.deformed = deformed
        self.random_state = random_state

    def plot(self, *, cmap="gray", ax=None):
        """Plot visualization.

        Parameters
        ----------
        cmap : str or matplotlib Colormap, default="gray"
            Colormap recognized by matplotlib; it spans the values of the images.

        ax : matplotlib axes, default=None
            Axes object to plot on. If `None`, a new figure and axes is created.

        Returns
        -------
        display : :class:`DeformationDisplay`
            The display, with the attributes of the drawing.
        """
        n_images, n_deformations, height, width = self.deformed.shape
        size = (max(0.9 * (n_deformations + 1.3), 5), 0.9 * n_images * height / width + 0.7)
        self.ax_ = ax = get_axes(self, ax, figsize=size, layout="constrained")
        self.figure_ = ax.figure
        tiles = np.concatenate([self.images[:, np.newaxis], self.deformed], axis=1, dtype=float)
        tiles = np.pad(tiles, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
        grid = tiles.swapaxes(1, 2).reshape(n_images * (height + 1), -1)[:-1, :-1]
        gap = max(2, width // 4)  # between the originals and the deformations
        grid = np.insert(grid, [width] * (gap - 1), np.nan, axis=1)
        self.image_ = ax.imshow(grid, cmap=cmap, vmin=self.images.min(), vmax=self.images.max())
        ticks = (width - 1) / 2, (width + gap + grid.shape[1] - 1) / 2
        words = "deformed" if n_deformations == 1 else f"{n_deformations} times deformed"
        labels = ax.set_xticks(ticks, ["original", words])
        # matplotlib does not shrink labels that are too long for the distance of their ticks.
        pixel = min(ax.bbox.width / grid.shape[1], ax.bbox.height / grid.shape[0])
        texts = [tick.label1 for tick in labels]
        length = sum(text.get_window_extent().width for text in texts) / 2
        scale = min(1, 0.9 * pixel * (ticks[1] - ticks[0]) / length)
        ax.tick_params(axis="x", labelsize=scale * texts[0].get_fontsize())
        ax.tick_params(length=0)
        ax.set_yticks([])
        ax.spines[:].set_visible(False)
        seed = "" if self.random_state is None else f", seed {self.random_state}"
        what = f"of {n_images} image{'s' * (n_images != 1)}{seed}"
        set_title(ax, ["Random deformations", what])
        return self

    def frame(self):
        """Return the images as a table.

        Returns
        -------
        frame : pandas.DataFrame
            One row for each image, with the columns "image", "deformation" (0 for the original) and
            one for each pixel, such as "pixel_0_0" (row, column).
        """
        pandas = check_pandas_support(f"{self.__class__.__name__}.frame")
        n_images, n_deformations, height, width = self.deformed.shape
        everything = np.concatenate([self.images[:, np.newaxis], self.deformed], axis=1)
        image, deformation = np.indices((n_images, n_deformations + 1)).reshape(2, -1)
        names = [f"pixel_{row}_{column}" for row in range(height) for column in range(width)]
        frame = pandas.DataFrame(everything.reshape(len(image), -1), columns=names)
        frame.insert(0, "image", image)
        frame.insert(1, "deformation", deformation)
        return frame

    @classmethod
    @validate_params(
        {
            "estimator": "no_validation",
            "X": ["array-like"],
            "n_deformations": [Interval(Integral, 1, None, closed="left")],
            "max_images": [Interval(Integral, 1, None, closed="left")],
            "image_shape": [tuple, list, None],
            "random_state": ["random_state"],
        },
        prefer_skip_nested_validation=True,
    )
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        n_deformations=8,
        max_images=5,
        image_shape=None,
        random_state=None,
        cmap="gray",
        ax=None,
    ):
        """Plot random deformations of some images.

        Parameters
        ----------
        estimator : RandomDeformation, callable or classifier
            An augmentation, as the parameter `augmentation` of
            :class:`~sklearn_usps.ConvNetClassifier`; or a classifier with this parameter, or a
            pipeline or search with one.

        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The images, without other columns.

        n_deformations : int, default=8
            Number of deformations of each image.

        max_images : int, default=5
            Largest number of images to show, from the first one.

        image_shape : tuple of int (height, width), default=None
            Shape of one image. By default that of a three-dimensional X, else the `image_shape_`
            of a fitted classifier, else a square.

        random_state : int, RandomState instance or None, default=None
            Determines the deformations. Pass an int for reproducible output across calls.

        cmap, ax
            As for :meth:`plot`.

        Returns
        -------
        display : :class:`DeformationDisplay`
            The display, drawn.
        """
        augmentation = _augmentation(estimator)
        X, given_shape = flatten_images(X)
        X = check_array(X)[:max_images]
        if image_shape is None and given_shape is None:
            image_shape = input_image_shape(estimator, X.shape[1])
        shape = resolve_image_shape(image_shape, given_shape, X.shape[1])
        images = torch.from_numpy(X.reshape(-1, 1, *shape).astype(np.float32))
        seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        generator = torch.Generator("cpu").manual_seed(int(seed))
        with default_state("cpu"), float32_by_default:
            deformed = augmentation(images.repeat_interleave(n_deformations, dim=0), generator)
        deformed = deformed.numpy(force=True).reshape(len(X), n_deformations, *shape)
        random_state = random_state if isinstance(random_state, Integral) else None
        display = cls(images.numpy()[:, 0], deformed, random_state=random_state)
        return display.plot(cmap=cmap, ax=ax)


def _augmentation(estimator):
    """Return the augmentation that an estimator is or has."""
    if callable(estimator) and not isinstance(estimator, (type, torch.nn.Module)):
        return estimator
    _, classifier = open_model(estimator, calibrated="first")
    classifier = getattr(classifier, "estimator", classifier)  # of a multi-task classifier
    if not hasattr(classifier, "augmentation"):
        raise ValueError(
            "estimator must be an augmentation or a classifier with a parameter `augmentation`. "
            f"Got {describe(estimator)} instead."
            + which_part(estimator, "augmentation", "estimator")
        )
    augmentation = classifier.augmentation
    if augmentation is None:
        raise ValueError(
            f"{type(classifier).__name__} has augmentation=None, so no image is deformed. Pass an "
            "augmentation such as RandomDeformation()."
        )
    return RandomDeformation() if isinstance(augmentation, str) else augmentation
