"""A grid of the images that a classifier gets wrong."""

from numbers import Integral

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import check_array, check_consistent_length, check_scalar, column_or_1d
from sklearn.utils.multiclass import unique_labels

from .._utils._arrays import as_array
from .._utils._images import flatten_images, resolve_image_shape
from .._utils._models import describe, input_image_shape, open_model, which_part
from .._utils._sklearn import _safe_indexing, check_pandas_support
from .._utils._tiles import LINE, TileGrid, get_axes, set_title

#: Width of a new figure relative to its height, and the height of its title in inches.
_ASPECT, _TITLE_HEIGHT = 1.6, 0.4
#: Most characters of a label that are shown.
_MAX_LENGTH = 12


class MisclassifiedDisplay:
    """Grid of the images that a classifier gets wrong.

    The text under each image has its true and its predicted label, as in "4 → 9", shortened if
    long; then the probability of the prediction, if known, and the row of the image in the data, as
    in "98.3 %  #71". The most confident mistakes come first.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions` to create a
    display. All parameters are stored as attributes.

    Parameters
    ----------
    images : ndarray of shape (n_wrong, height, width)
        The misclassified images.

    indices, y_true, y_pred : ndarray of shape (n_wrong,)
        Their rows in the data, their true labels and the labels predicted for them.

    y_proba : ndarray of shape (n_wrong,), default=None
        The probabilities of these predictions.

    n_samples : int
        Number of images that were classified, correctly or not.

    Attributes
    ----------
    images_ : ndarray of shape (n_shown,), dtype=matplotlib AxesImage
        The images that are drawn.

    text_ : ndarray of shape (n_shown, 2), dtype=matplotlib Text
        The texts under the images: labels, then probability and row.

    ax_, figure_ : matplotlib Axes and Figure
        Axes and figure with the images.

    See Also
    --------
    sklearn.metrics.ConfusionMatrixDisplay : Number of mistakes for each pair of labels.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn_usps import MisclassifiedDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> classifier = GaussianNB().fit(X_train, y_train)
    >>> display = MisclassifiedDisplay.from_estimator(classifier, X_test, y_test)
    >>> display.ax_.get_title()
    'Misclassified 75 of 450 (16.67 %)'
    >>> plt.show()
    """

    def __init__(self, images, *, indices, y_true, y_pred, y_proba=None, n_samples):
        self.images = images
        self.indices = indices
        self.y_true = y_true
        self.y_pred = y_pred
        self.y_proba = y_proba
        self.n_samples = n_samples

    def plot(self, *, max_images=100, cmap="gray", ax=None):
        """Plot visualization.

        Parameters
        ----------
        max_images : int, default=100
            Largest number of images to show, from the first one.

        cmap : str or matplotlib Colormap, default="gray"
            Colormap recognized by matplotlib; it spans the values of the images shown.

        ax : matplotlib axes, default=None
            Axes object to plot on. If `None`, a new figure and axes is created, as large as the
            images require.

        Returns
        -------
        display : :class:`MisclassifiedDisplay`
            The display, with the attributes of the drawing.
        """
        check_scalar(max_images, "max_images", Integral, min_val=1)
        images = self.images[:max_images]
        texts = [self._texts(index) for index in range(len(images))]
        aspect = _ASPECT if ax is None else ax.bbox.width / ax.bbox.height
        grid = TileGrid(images.shape[1:], texts, aspect)
        width, height = grid.size_in_inches()
        full_height = height + _TITLE_HEIGHT
        margins = {"left": 0, "right": 1, "bottom": 0, "top": height / full_height}
        self.ax_ = ax = get_axes(self, ax, figsize=(width, full_height), gridspec_kw=margins)
        self.figure_ = ax.figure
        ax.set(xlim=(0, grid.n_columns), ylim=(grid.height, 0), aspect="equal")
        ax.set_axis_off()
        set_title(ax, self._title(len(images)))

        scale = {"vmin": images.min(), "vmax": images.max()} if len(images) else {}
        self.images_ = np.empty(len(images), dtype=object)
        self.text_ = np.empty((len(images), 2), dtype=object)
        sizes = grid.font_sizes(ax)
        offsets = -0.3 * sizes[0], -(0.3 + LINE) * sizes[0]
        # A label may have a dollar sign.
        style = {"textcoords": "offset points", "ha": "center", "va": "top", "parse_math": False}
        for index, image in enumerate(images):
            extent = left, right, bottom, _ = grid.place(index)
            self.images_[index] = ax.imshow(image, cmap=cmap, extent=extent, **scale)
            below = (left + right) / 2, bottom
            for line, (text, size, y) in enumerate(zip(texts[index], sizes, offsets, strict=True)):
                text = ax.annotate(text, below, (0, y), fontsize=size, **style)
                self.text_[index, line] = text
        if not len(images):
            ax.text(0.5, 0.5, "No image is misclassified.", ha="center", transform=ax.transAxes)
        return self

    def _texts(self, index):
        """Return the two lines of text of an image."""
        labels = f"{_shorten(self.y_true[index])} → {_shorten(self.y_pred[index])}"
        probability = "" if self.y_proba is None else f"{100 * self.y_proba[index]:.1f} %  "
        return labels, f"{probability}#{self.indices[index]}"

    def _title(self, n_shown):
        """Return the parts of the title."""
        n_wrong = len(self.images)
        shown = "" if n_shown == n_wrong else f", {n_shown} shown"
        percentage = f"({100 * n_wrong / self.n_samples:.2f} %)"
        return [f"Misclassified {n_wrong} of {self.n_samples}", percentage + shown]

    def frame(self):
        """Return the mistakes as a table.

        Returns
        -------
        frame : pandas.DataFrame
            One row for each misclassified image, shown or not, with the columns "index", "true",
            "predicted" and, with probabilities, "probability".
        """
        pandas = check_pandas_support(f"{self.__class__.__name__}.frame")
        columns = {"index": self.indices, "true": self.y_true, "predicted": self.y_pred}
        if self.y_proba is not None:
            columns["probability"] = self.y_proba
        return pandas.DataFrame(columns)

    @classmethod
    def from_estimator(
        cls, estimator, X, y, *, image_shape=None, max_images=100, cmap="gray", ax=None
    ):
        """Plot the images that a fitted classifier gets wrong.

        Parameters
        ----------
        estimator : estimator instance
            Fitted classifier, or a fitted :class:`~sklearn.pipeline.Pipeline` in which the last
            estimator is a classifier. Probabilities are shown if it has `predict_proba`. For a
            :class:`~sklearn_usps.MultiTaskConvNetClassifier` of several tasks without a
            `task_column`, pass one of its `estimators_`.

        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The images, as the estimator takes them. The `task_column` of a multi-task classifier
            is not drawn.

        y : array-like of shape (n_samples,)
            The true labels.

        image_shape : tuple of int (height, width), default=None
            Shape of one image of X. By default that of a three-dimensional X, else the
            `image_shape_` of the estimator, or of the first step of a pipeline with as many
            pixels, else a square.

        max_images, cmap, ax
            As for :meth:`plot`.

        Returns
        -------
        display : :class:`MisclassifiedDisplay`
            The display, drawn.
        """
        method_name = f"{cls.__name__}.from_estimator"
        is_instance = hasattr(estimator, "__sklearn_tags__") and not isinstance(estimator, type)
        if not is_instance or not is_classifier(estimator) or not hasattr(estimator, "predict"):
            raise ValueError(
                f"{method_name} only supports classifiers. Got {describe(estimator)} instead."
                + which_part(estimator, "classes_", "estimator")
            )
        images = _without_task(estimator, X, method_name)
        y_pred = np.asarray(estimator.predict(X))
        y_proba = None
        if hasattr(estimator, "predict_proba"):
            y_proba = estimator.predict_proba(X)[y_pred[:, np.newaxis] == estimator.classes_]
        if image_shape is None and len(images.shape) == 2:
            image_shape = input_image_shape(estimator, images.shape[1])
        options = {"image_shape": image_shape, "max_images": max_images, "cmap": cmap, "ax": ax}
        return cls.from_predictions(images, y, y_pred, y_proba=y_proba, **options)

    @classmethod
    def from_predictions(
        cls,
        X,
        y_true,
        y_pred,
        *,
        y_proba=None,
        image_shape=None,
        max_images=100,
        cmap="gray",
        ax=None,
    ):
        """Plot the images whose predicted label is wrong.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The images.

        y_true, y_pred : array-like of shape (n_samples,)
            The true and the predicted labels.

        y_proba : array-like of shape (n_samples,), default=None
            The probability of each predicted label. If given, the most confident mistakes come
            first; otherwise the images keep their order.

        image_shape : tuple of int (height, width), default=None
            Shape of one image. By default a square.

        max_images, cmap, ax
            As for :meth:`plot`.

        Returns
        -------
        display : :class:`MisclassifiedDisplay`
            The display, drawn.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_usps import MisclassifiedDisplay
        >>> X = np.random.default_rng(0).random((3, 256))
        >>> display = MisclassifiedDisplay.from_predictions(X, [4, 7, 1], [9, 7, 2])
        >>> display.indices
        array([0, 2])
        """
        check_consistent_length(X, y_true, y_pred, y_proba)
        y_true = column_or_1d(as_array(y_true, "y_true"))
        y_pred = column_or_1d(as_array(y_pred, "y_pred"))
        if not len(y_true):
            raise ValueError("X, y_true and y_pred have 0 samples, but at least one is required.")
        unique_labels(y_true, y_pred)  # raises where numbers are compared with strings
        indices = np.flatnonzero(y_true != y_pred)
        if y_proba is not None:
            y_proba = _check_probabilities(y_proba)
            indices = indices[np.argsort(-y_proba[indices], kind="stable")]
            y_proba = y_proba[indices]
        labels = {"y_true": y_true[indices], "y_pred": y_pred[indices], "y_proba": y_proba}
        images = _images(X, indices, image_shape)
        display = cls(images, indices=indices, n_samples=len(y_true), **labels)
        return display.plot(max_images=max_images, cmap=cmap, ax=ax)


def _check_probabilities(y_proba):
    y_proba = np.asarray(y_proba)
    if y_proba.ndim != 1 or not ((y_proba >= 0) & (y_proba <= 1)).all():
        raise ValueError(
            "y_proba must have one number in [0, 1] for each sample, the probability of its "
            f"predicted label. Got the shape {y_proba.shape} and values from {y_proba.min()} to "
            f"{y_proba.max()} instead."
        )
    return y_proba


def _without_task(estimator, X, method_name):
    """Return the images in X, without the column with their tasks for a multi-task classifier."""
    transformers, classifier = open_model(estimator, calibrated="first")
    column = getattr(classifier, "task_column", None)
    if column is None:
        if len(getattr(classifier, "tasks_", [])) < 2:
            return as_array(X, "X")
        raise ValueError(
            f"{method_name} does not know the tasks of the samples. Pass one of `estimators_` and "
            "samples of its task, or call from_predictions with `predict(X, task=task)`."
        )
    if transformers and not isinstance(column, str):
        raise ValueError(
            f"{method_name} does not know which column of X becomes task_column={column!r} in the "
            "pipeline. Call from_predictions with the images without it and `predict(X)`."
        )
    # Imports torch, which other classifiers do not need.
    from ..neural_network._task_labels import take_task_column

    return take_task_column(X, column)[0]


def _images(X, indices, image_shape):
    """Return the rows `indices` of X as images, without a check of the others."""
    X, given_shape = flatten_images(_safe_indexing(as_array(X, "X"), indices))
    rows = check_array(X, ensure_min_samples=0)
    return rows.reshape(-1, *resolve_image_shape(image_shape, given_shape, rows.shape[1]))


def _shorten(label):
    """Return a label, or the beginning and the end of a long one."""
    text = str(label)
    return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 4]}…{text[-3:]}"
