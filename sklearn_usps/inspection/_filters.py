"""The filters of the first layer of a network."""

import math

import numpy as np
from torch import nn

from .._utils._models import open_convnet
from .._utils._sklearn import check_pandas_support
from .._utils._tiles import get_axes, set_title

#: Most tasks that a title names; more are counted.
_MAX_NAMES = 3


class FilterDisplay:
    """Grid of the filters of the first convolution.

    Zero is the middle of the gray scale.

    It is recommended to use :meth:`from_estimator` to create a display. All parameters are stored
    as attributes.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, height, width)
        The weights.

    tasks : list of str, default=None
        The tasks that share the filters, for the title.

    Attributes
    ----------
    images_ : ndarray of shape (n_filters,), dtype=matplotlib AxesImage
        The filters that are drawn.

    ax_, figure_ : matplotlib Axes and Figure
        Axes and figure with the filters.

    See Also
    --------
    FeatureMapDisplay : The feature maps of an image.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_usps import ConvNetClassifier, FilterDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = ConvNetClassifier(network="luacnn", max_epochs=1, random_state=0).fit(X / 16, y)
    >>> display = FilterDisplay.from_estimator(clf)
    >>> display.filters.shape
    (6, 5, 5)
    >>> plt.show()
    """

    def __init__(self, filters, *, tasks=None):
        self.filters = filters
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
        n_rows = math.ceil(n_filters / round(math.sqrt(1.15 * n_filters)))  # not higher than wide
        n_columns = math.ceil(n_filters / n_rows)  # fills the last row
        size = (max(1.1 * n_columns + 1.2, 5), 1.1 * n_rows + 0.5)
        self.ax_ = ax = get_axes(self, ax, figsize=size, layout="constrained")
        self.figure_ = ax.figure
        limit = np.abs(self.filters).max() or 1.0
        self.images_ = np.empty(n_filters, dtype=object)
        for at, weights in enumerate(self.filters):
            row, left = divmod(at, n_columns)
            extent = (left, left + 0.95, row + 0.95, row)
            drawn = ax.imshow(weights, cmap=cmap, extent=extent, vmin=-limit, vmax=limit)
            self.images_[at] = drawn
        ax.set(xlim=(-0.05, n_columns), ylim=(n_rows, -0.05), aspect="equal")
        ax.set_axis_off()
        self.figure_.colorbar(self.images_[0], ax=ax, label="Weight", shrink=0.8)
        set_title(ax, self._title())
        return self

    def _title(self):
        """Return the parts of the title."""
        n_filters, height, width = self.filters.shape
        title = f"{n_filters} filter{'s' * (n_filters != 1)} {height} × {width}"
        if self.tasks is None:
            return [title]
        few = len(self.tasks) <= _MAX_NAMES
        names = " and ".join(map(str, self.tasks)) if few else f"{len(self.tasks)} tasks"
        return [f"{title},", f"shared by {names}"]

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
    def from_estimator(cls, estimator, *, cmap="gray", ax=None):
        """Plot the filters of a fitted classifier.

        Parameters
        ----------
        estimator : ConvNetClassifier or MultiTaskConvNetClassifier
            Fitted classifier, a fitted :class:`~sklearn.pipeline.Pipeline` that ends with one, or a
            search whose best estimator does. The first convolution of the network must have one
            input channel.

        cmap, ax
            As for :meth:`plot`.

        Returns
        -------
        display : :class:`FilterDisplay`
            The display, drawn.

        Raises
        ------
        ValueError
            If the network has no such convolution.
        """
        _, classifier = open_convnet(estimator, cls.__name__)
        estimators = getattr(classifier, "estimators_", {})
        tasks = list(estimators) if len(estimators) > 1 else None
        classifier = next(iter(estimators.values()), classifier)  # tasks share the filters
        convolution = _first_convolution(classifier.net_.module_)
        filters = convolution.weight.numpy(force=True)[:, 0].copy()
        return cls(filters, tasks=tasks).plot(cmap=cmap, ax=ax)


def _first_convolution(network):
    """Return the first convolution, which must have one input channel."""
    first = next((layer for layer in network.modules() if isinstance(layer, nn.Conv2d)), None)
    if first is not None and first.weight.shape[1] == 1:
        return first
    raise ValueError(
        f"The network {type(network).__name__} does not begin with a torch.nn.Conv2d of one input "
        "channel, so it has no filters to show."
    )
