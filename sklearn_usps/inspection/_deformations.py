"""What a augmentation does to images."""

from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_array, check_random_state

from .._utils._images import flatten_images, resolve_image_shape
from .._utils._models import input_image_shape, split_model
from .._utils._sklearn import (
    Interval,
    check_matplotlib_support,
    check_pandas_support,
    validate_params,
)
from ..preprocessing import RandomDeformation
from ._captions import set_title, shrink_labels


class DeformationDisplay:
    """TileGrid of images, each with what a augmentation makes of it: one row an image.

    It is recommended to use :meth:`from_estimator` to create a display. All parameters are stored
    as attributes.

    Parameters
    ----------
    images : ndarray of shape (n_images, height, width)
        The images as they are.

    deformed : ndarray of shape (n_images, n_deformations, height, width)
        What the augmentation made of each of them.

    random_state : int, default=None
        The seed of the deformations, for the title.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        The sheet: in its first column the images as they are.

    ax_ : matplotlib Axes
        Axes with the sheet.

    figure_ : matplotlib Figure
        Figure containing the sheet.

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
            The display, with the attributes of what was drawn.
        """
        check_matplotlib_support(f"{self.__class__.__name__}.plot")
        import matplotlib.pyplot as plt

        n_images, n_deformations, height, width = self.deformed.shape
        if ax is None:
            size = (0.9 * (n_deformations + 1.3), 0.9 * n_images * height / width + 0.7)
            _, ax = plt.subplots(figsize=(max(size[0], 5), size[1]), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        gap = np.full((n_images, height, max(2, width // 4)), np.nan)
        rows = np.concatenate([self.images, gap, *self._columns()], axis=2)
        sheet = np.concatenate(np.pad(rows, ((0, 0), (0, 1), (0, 0)), constant_values=np.nan))
        self.image_ = ax.imshow(
            sheet[:-1], cmap=cmap, vmin=self.images.min(), vmax=self.images.max()
        )
        ticks = [(width - 1) / 2, width + gap.shape[2] + (n_deformations * (width + 1) - 2) / 2]
        words = "deformed" if n_deformations == 1 else f"{n_deformations} times deformed"
        ax.set_xticks(ticks, ["as it is", words])
        pixel = min(ax.bbox.width / sheet.shape[1], ax.bbox.height / sheet.shape[0])
        shrink_labels(ax, 0.9 * pixel * (ticks[1] - ticks[0]))
        ax.tick_params(length=0)
        ax.set_yticks([])
        for spine in ax.spines.values():
            spine.set_visible(False)
        title = ["Random deformations", f"of {n_images} image{'s' * (n_images != 1)}"]
        if self.random_state is not None:
            title = [title[0], f"{title[1]},", f"seed {self.random_state}"]
        set_title(ax, title)
        return self

    def _columns(self):
        """The deformed images column by column, with a line between them."""
        padded = np.pad(
            self.deformed.astype(float), ((0, 0), (0, 0), (0, 0), (0, 1)), constant_values=np.nan
        )
        return np.moveaxis(padded, 1, 0)

    def frame(self):
        """Return the images as a table.

        Returns
        -------
        frame : pandas.DataFrame
            One row an image, with the columns "image", "deformation" (0 for the image as it is) and
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
        """Plot what a augmentation does to some images.

        Parameters
        ----------
        estimator : RandomDeformation, callable or classifier
            An augmentation, as the parameter `augmentation` of
            :class:`~sklearn_usps.ConvNetClassifier`; or
            such a classifier, or a pipeline that ends with one, whose augmentation is taken.

        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The images, pixels alone.

        n_deformations : int, default=8
            How often to deform each image.

        max_images : int, default=5
            How many images to show at most, from the first one.

        image_shape : tuple of int (height, width), default=None
            Shape of one image. By default that of X where it is three-dimensional, else the
            `image_shape_` of a fitted classifier, else a square.

        random_state : int, RandomState instance or None, default=None
            Determines the deformations. Pass an int for the same ones across multiple calls.

        cmap : str or matplotlib Colormap, default="gray"
            Colormap recognized by matplotlib; it spans the values of the images.

        ax : matplotlib axes, default=None
            Axes object to plot on. If `None`, a new figure and axes is created.

        Returns
        -------
        display : :class:`DeformationDisplay`
            The display, drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        augmentation = _augmentation(estimator)
        X, given_shape = flatten_images(X)
        X = check_array(X)[:max_images]
        if image_shape is None and given_shape is None:
            image_shape = input_image_shape(estimator, X.shape[1])
        shape = resolve_image_shape(image_shape, given_shape, X.shape[1])
        images = torch.tensor(X.reshape(-1, 1, *shape), dtype=torch.float32)
        seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        generator = torch.Generator().manual_seed(int(seed))
        deformed = augmentation(images.repeat_interleave(n_deformations, dim=0), generator)
        deformed = deformed.numpy(force=True).reshape(len(X), n_deformations, *shape)
        random_state = random_state if isinstance(random_state, Integral) else None
        display = cls(images.numpy()[:, 0], deformed, random_state=random_state)
        return display.plot(cmap=cmap, ax=ax)


def _augmentation(estimator):
    if callable(estimator):
        return estimator
    _, classifier = split_model(estimator)
    if not hasattr(classifier, "augmentation"):
        raise ValueError(
            "estimator must be a augmentation or a classifier with a parameter `augmentation`. Got "
            f"{estimator!r} instead."
        )
    if classifier.augmentation is None:
        raise ValueError(
            f"{type(classifier).__name__} has augmentation=None: there is nothing to show."
        )
    return (
        RandomDeformation() if isinstance(classifier.augmentation, str) else classifier.augmentation
    )
