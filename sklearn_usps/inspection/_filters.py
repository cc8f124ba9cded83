"""The filters of the first layer of a network, and their feature maps of an image."""

import math

import numpy as np
import torch
from torch import nn

from .._utils._images import resolve_image_shape
from .._utils._models import input_image_shape, open_convnet
from .._utils._sklearn import check_pandas_support
from .._utils._tiles import get_axes, set_title
from ..networks._torch_state import default_state, float32_by_default

#: Most tasks that a title names; more are counted.
_MAX_NAMES = 3


class FilterDisplay:
    """Grid of the filters of the first convolution, and of their feature maps of an image.

    Zero is the middle of the gray scale, for filters and for feature maps. The color bar of the
    weights is beside the grid, that of the feature maps below it.

    It is recommended to use :meth:`from_estimator` to create a display. All parameters are stored
    as attributes.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, height, width)
        The weights.

    maps : ndarray of shape (n_filters, map_height, map_width), default=None
        The feature maps of an image: the output of the convolution, before any other operation.

    tasks : list of str, default=None
        The tasks that share the filters, for the title.

    Attributes
    ----------
    images_ : ndarray of shape (n_filters,), dtype=matplotlib AxesImage
        The filters that are drawn.

    maps_ : ndarray of shape (n_filters,), dtype=matplotlib AxesImage
        The feature maps that are drawn, each under its filter. None without `maps`.

    ax_, figure_ : matplotlib Axes and Figure
        Axes and figure with the filters.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_usps import ConvNetClassifier, FilterDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = ConvNetClassifier(network="luacnn", max_epochs=1, random_state=0).fit(X / 16, y)
    >>> display = FilterDisplay.from_estimator(clf, X[0] / 16)
    >>> display.filters.shape, display.maps.shape
    ((6, 5, 5), (6, 4, 4))
    >>> plt.show()
    """

    def __init__(self, filters, *, maps=None, tasks=None):
        self.filters = filters
        self.maps = maps
        self.tasks = tasks

    def plot(self, *, cmap="gray", ax=None):
        """Plot visualization.

        Parameters
        ----------
        cmap : str or matplotlib Colormap, default="gray"
            Colormap recognized by matplotlib.

        ax : matplotlib axes, default=None
            Axes object to plot on. If `None`, a new figure and axes is created.

        Returns
        -------
        display : :class:`FilterDisplay`
            The display, with the attributes of the drawing.
        """
        n_filters = len(self.filters)
        tile_height = 1.15 if self.maps is None else 2.3
        n_rows = math.ceil(n_filters / round(math.sqrt(n_filters * tile_height)))
        n_columns = math.ceil(n_filters / n_rows)  # fills the last row
        height = 1.1 * n_rows * tile_height + (0.5 if self.maps is None else 1.2)
        size = (max(1.1 * n_columns + 1.2, 5), height)
        self.ax_ = ax = get_axes(self, ax, figsize=size, layout="constrained")
        self.figure_ = ax.figure
        places = [(at % n_columns, tile_height * (at // n_columns)) for at in range(n_filters)]
        self.images_ = _draw(ax, self.filters, places, cmap)
        self.maps_ = None
        if self.maps is not None:
            self.maps_ = maps = _draw(ax, self.maps, [(x, y + 1.05) for x, y in places], cmap)
            # Below, so that the axes keep their width.
            below = {"location": "bottom", "shrink": 0.8, "pad": 0.03}
            self.figure_.colorbar(maps[0], ax=ax, label="Feature map", **below)
        ax.set(xlim=(-0.05, n_columns), ylim=(n_rows * tile_height - 0.1, -0.05), aspect="equal")
        ax.set_axis_off()
        self.figure_.colorbar(self.images_[0], ax=ax, label="Weight", shrink=0.8)
        set_title(ax, self._title())
        return self

    def _title(self):
        """Return the parts of the title."""
        n_filters, height, width = self.filters.shape
        parts = [f"{n_filters} filter{'s' * (n_filters != 1)} {height} × {width}"]
        if self.tasks is not None:
            few = len(self.tasks) <= _MAX_NAMES
            names = " and ".join(map(str, self.tasks)) if few else f"{len(self.tasks)} tasks"
            parts.append(f"shared by {names}")
        if self.maps is not None:
            parts.append("with their feature maps")
        return [f"{part}," for part in parts[:-1]] + parts[-1:]

    def frame(self):
        """Return the weights as a table.

        Returns
        -------
        frame : pandas.DataFrame
            One row for each weight, with the columns "filter", "row", "column" and "weight".
        """
        pandas = check_pandas_support(f"{self.__class__.__name__}.frame")
        where = np.indices(self.filters.shape).reshape(3, -1)
        columns = dict(zip(("filter", "row", "column"), where, strict=True))
        return pandas.DataFrame({**columns, "weight": self.filters.ravel()})

    @classmethod
    def from_estimator(cls, estimator, X=None, *, cmap="gray", ax=None):
        """Plot the filters of a fitted classifier.

        Parameters
        ----------
        estimator : ConvNetClassifier or MultiTaskConvNetClassifier
            Fitted classifier, a fitted :class:`~sklearn.pipeline.Pipeline` that ends with one, or a
            search whose best estimator does. The first convolution of the network must have one
            input channel.

        X : array-like of shape (n_features,), (1, n_features), (height, width) or \
                (1, height, width), default=None
            One image as the estimator takes it, without other columns, to show its feature maps.

        cmap, ax
            As for :meth:`plot`.

        Returns
        -------
        display : :class:`FilterDisplay`
            The display, drawn.

        Raises
        ------
        ValueError
            If the network has no such convolution, or X is not one image of the right size.
        """
        transformers, classifier = open_convnet(estimator, cls.__name__)
        estimators = getattr(classifier, "estimators_", {})
        tasks = list(estimators) if len(estimators) > 1 else None
        classifier = next(iter(estimators.values()), classifier)  # tasks share the filters
        network = classifier.net_.module_
        convolution = _first_convolution(network)
        maps = None
        if X is not None:
            device = classifier.net_.device
            with default_state(device), float32_by_default:
                image = _one_image(X, estimator, transformers, classifier.image_shape_)
                maps = _feature_maps(network, convolution, image.to(device))
        filters = convolution.weight.numpy(force=True)[:, 0].copy()
        return cls(filters, maps=maps, tasks=tasks).plot(cmap=cmap, ax=ax)


def _draw(ax, pictures, places, cmap):
    """Draw pictures on one scale, one unit wide, with left and upper corners at `places`."""
    limit = np.abs(pictures).max() or 1.0
    drawn = np.empty(len(pictures), dtype=object)
    for at, (picture, (left, top)) in enumerate(zip(pictures, places, strict=True)):
        extent = (left, left + 0.95, top + 0.95, top)
        drawn[at] = ax.imshow(picture, cmap=cmap, extent=extent, vmin=-limit, vmax=limit)
    return drawn


def _first_convolution(network):
    """Return the first convolution, which must have one input channel."""
    first = next((layer for layer in network.modules() if isinstance(layer, nn.Conv2d)), None)
    if first is not None and first.weight.shape[1] == 1:
        return first
    raise ValueError(
        f"The network {type(network).__name__} does not begin with a torch.nn.Conv2d of one input "
        "channel, so it has no filters to show."
    )


def _one_image(X, estimator, transformers, image_shape):
    """Return the image as the input of the network."""
    X = np.asarray(X)
    n_pixels = math.prod(image_shape)
    if transformers:
        n_pixels = getattr(transformers[0][1], "n_features_in_", n_pixels)
    shape = resolve_image_shape(input_image_shape(estimator, n_pixels), None, n_pixels)
    if X.shape not in [(n_pixels,), (1, n_pixels), shape, (1, *shape)]:
        raise ValueError(
            f"X must be one image of shape {shape}, or a row of its {n_pixels} pixels. Got an "
            f"array of shape {X.shape} instead."
        )
    image = X if X.ndim == 3 else X.reshape(1, n_pixels)
    for _, step in transformers:
        image = step.transform(image)
    return torch.from_numpy(np.array(image, dtype=np.float32)).view(1, 1, *image_shape)


def _feature_maps(network, convolution, image):
    """Return the output of the convolution for an image."""
    outputs = []

    def store(module, inputs, output):
        outputs.append(output.clone())  # the next layer, such as a ReLU, may change it in place

    hook = convolution.register_forward_hook(store)
    network.eval()
    try:
        with torch.no_grad():
            network(image)
            if not outputs:  # "luacnn" fuses it with the next layer
                convolution(getattr(network, "pad", nn.Identity())(image))
    finally:
        hook.remove()
    return outputs[0][0].numpy(force=True)
