"""The feature maps of each convolution for an image."""

import math
from typing import NamedTuple

import numpy as np

from .._utils._sklearn import check_pandas_support
from .._utils._tiles import get_axes, set_title
from ._map_recorder import feature_maps

#: Most tiles in a row of the grid, unless it becomes higher than this, relative to its width: then
#: it has rows of two, four or more times as many tiles, which 32, 64 or 128 maps fill.
_MAX_COLUMNS, _MAX_HEIGHT = 16, 1.4
#: Space between tiles in widths of a tile, and the width of the input in widths of the grid.
_GAP, _INPUT_WIDTH = 0.07, 0.2
#: Width of a new figure in inches; in widths of the grid, the font size, the height of a label and
#: of the space around it, of the title, and the margins.
_WIDTH, _FONT_SIZE, _LABEL, _SPACE, _TITLE, _MARGIN = 6.5, 0.023, 0.032, 0.012, 0.06, 0.01


class Band(NamedTuple):
    """Position of the maps of a convolution: the tiles begin at `top`, below the label."""

    top: float
    n_columns: int
    tile_width: float
    tile_height: float

    def extent(self, index: int) -> tuple[float, float, float, float]:
        """Return left, right, bottom and top of a map."""
        row, column = divmod(index, self.n_columns)
        left, top = column * self.tile_width, self.top + row * self.tile_height
        return left, left + self.tile_width - _GAP, top + self.tile_height - _GAP, top


class FeatureMapDisplay:
    """Grid of the feature maps of each convolution for an image, the input first.

    A map is shown after the operations that follow the convolution and keep number and size of the
    maps: bias, batch normalization, activation, the addition of a skip connection. It is shown
    before the operations that change them, such as pooling. "luacnn" computes convolution and
    subsampling as one convolution, so its maps are those after both and the hyperbolic tangent.

    The maps of a convolution have one scale, which its label gives. Black is zero and white the
    largest value, or where values are negative, zero is the middle gray.

    It is recommended to use :meth:`from_estimator` to create a display. All parameters are stored
    as attributes.

    Parameters
    ----------
    maps : dict of str to ndarray of shape (n_maps, height, width)
        The maps by name: "Input", the image as the network gets it, of one map; then
        "Convolution 1", "Convolution 2" and so on, in the order in which the network calls them.

    Attributes
    ----------
    images_ : dict of str to ndarray of shape (n_maps,), dtype=matplotlib AxesImage
        The maps that are drawn, by name.

    text_ : dict of str to matplotlib Text
        The labels, by name.

    ax_, figure_ : matplotlib Axes and Figure
        Axes and figure with the maps.

    See Also
    --------
    FilterDisplay : The filters of the first convolution.
    AttributionDisplay : The pixels on which a prediction depends.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_usps import ConvNetClassifier, FeatureMapDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = ConvNetClassifier(network="luacnn", max_epochs=1, random_state=0).fit(X / 16, y)
    >>> display = FeatureMapDisplay.from_estimator(clf, X[0] / 16)
    >>> {name: maps.shape for name, maps in display.maps.items()}
    {'Input': (1, 8, 8), 'Convolution 1': (6, 2, 2)}
    >>> plt.show()
    """

    def __init__(self, maps):
        self.maps = maps

    def plot(self, *, cmap="gray", ax=None):
        """Plot visualization.

        Parameters
        ----------
        cmap : str or matplotlib Colormap, default="gray"
            Colormap recognized by matplotlib.

        ax : matplotlib axes, default=None
            Axes object to plot on. If `None`, a new figure and axes is created, as high as the maps
            require.

        Returns
        -------
        display : :class:`FeatureMapDisplay`
            The display, with the attributes of the drawing.
        """
        width, height, bands = self._layout()
        size = _WIDTH, _WIDTH * (height / width + _TITLE)
        margins = {"left": 0, "right": 1, "bottom": 0, "top": 1 - _WIDTH * _TITLE / size[1]}
        self.ax_ = ax = get_axes(self, ax, figsize=size, gridspec_kw=margins)
        self.figure_ = ax.figure
        margin = _MARGIN * width
        ax.set(xlim=(-margin, width - _GAP + margin), ylim=(height, 0), aspect="equal")
        ax.set_axis_off()
        points = 72 / ax.figure.dpi * min(ax.bbox.width, ax.bbox.height * width / height)
        style = {"va": "bottom", "fontsize": _FONT_SIZE * points, "parse_math": False}
        self.images_, self.text_ = {}, {}
        for (name, maps), band in zip(self.maps.items(), bands, strict=True):
            low, high = _limits(maps)
            self.images_[name] = drawn = np.empty(len(maps), dtype=object)
            for index, one in enumerate(maps):
                extent = band.extent(index)
                drawn[index] = ax.imshow(one, cmap=cmap, extent=extent, vmin=low, vmax=high)
            left, label = band.extent(0)[0], _label(name, maps, low, high)
            self.text_[name] = ax.text(left, band.top - _SPACE / 2 * width, label, **style)
        n_maps = sum(map(len, self.maps.values())) - 1
        n_layers = len(self.maps) - 1
        title = [f"{n_maps} feature maps", f"of {n_layers} convolution{'s' * (n_layers != 1)}"]
        set_title(ax, title)
        return self

    def _layout(self):
        """Return width and height of the grid, in tiles, and the band of each layer."""
        n_columns = min(_MAX_COLUMNS, max(map(len, self.maps.values())))
        while (layout := self._bands(n_columns))[1] > _MAX_HEIGHT * n_columns:
            n_columns *= 2
        return layout

    def _bands(self, n_columns):
        """Return the layout of a grid with a number of tiles in a row."""
        height, bands = 0, []
        for index, maps in enumerate(self.maps.values()):
            tile_width = 1 if index else max(1, _INPUT_WIDTH * n_columns)
            tile_height = (tile_width - _GAP) * maps.shape[1] / maps.shape[2] + _GAP
            height += (_LABEL + _SPACE) * n_columns
            bands.append(Band(height, n_columns if index else 1, tile_width, tile_height))
            height += math.ceil(len(maps) / n_columns) * tile_height
        return n_columns, height + _MARGIN * n_columns, bands

    def frame(self):
        """Return the maps as a table.

        Returns
        -------
        frame : pandas.DataFrame
            One row for each value, with the columns "layer", "map", "row", "column" and "value".
        """
        pandas = check_pandas_support(f"{self.__class__.__name__}.frame")
        parts = []
        for name, maps in self.maps.items():
            where = np.indices(maps.shape).reshape(3, -1)
            columns = dict(zip(("map", "row", "column"), where, strict=True))
            parts.append(pandas.DataFrame({"layer": name, **columns, "value": maps.ravel()}))
        return pandas.concat(parts, ignore_index=True)

    @classmethod
    def from_estimator(cls, estimator, image, *, task=None, cmap="gray", ax=None):
        """Plot the feature maps of a fitted classifier for an image.

        Parameters
        ----------
        estimator : ConvNetClassifier or MultiTaskConvNetClassifier
            Fitted classifier, a fitted :class:`~sklearn.pipeline.Pipeline` that ends with one, or a
            search whose best estimator does. The network may be your own if it calls
            two-dimensional convolutions of torch.

        image : array-like of shape (n_features,), (1, n_features), (height, width) or \
                (1, height, width)
            One image as the estimator takes it, without other columns. The steps of a pipeline
            before the classifier transform it.

        task : str, default=None
            The task whose network is shown, for a multi-task classifier of several tasks.

        cmap, ax
            As for :meth:`plot`.

        Returns
        -------
        display : :class:`FeatureMapDisplay`
            The display, drawn.

        Raises
        ------
        ValueError
            If the network calls no convolution, `image` is not one image of the right size, or
            there is no such task.
        """
        return cls(dict(feature_maps(estimator, image, task=task))).plot(cmap=cmap, ax=ax)


def _limits(maps):
    """Return the values that are drawn in black and in white."""
    largest = float(np.abs(maps).max()) or 1.0
    return (0.0 if maps.min() >= 0 else -largest), largest


def _label(name, maps, low, high):
    """Return the text above the maps of a layer."""
    n_maps, height, width = maps.shape
    number = f"{n_maps} maps " if n_maps > 1 else ""
    return f"{name}: {number}{height} × {width}, from {low:.3g} to {high:.3g}".replace("-", "−")
