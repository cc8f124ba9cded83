"""The pixels of an image on which the prediction of its class depends."""

import numpy as np

from .._utils._sklearn import check_pandas_support
from .._utils._tiles import get_axes, set_title
from ._occlusion import occlude

#: Distance of both pictures, in widths of one.
_GAP = 0.06


class AttributionDisplay:
    """Image, and beside it the pixels on which the score of a class depends.

    The attribution of a pixel is the fall of the class's probability when a small square around the
    pixel is covered with gray, known as occlusion [1]_. Each attribution can be verified: cover
    the square and predict.

    - Red, positive: the class loses probability when the pixel is covered. A red stroke, or a red
      gap between strokes, supports the class.
    - Blue, negative: the class gains probability. The pixel speaks against the class.
    - White: covering the pixel changes nothing.

    Zero is white in every display. The color bar gives the scale, which may be small: where strokes
    support each other, no single square matters. The thin line is the outline of the digit.

    It is recommended to use :meth:`from_estimator` to create a display. All parameters are stored
    as attributes.

    Parameters
    ----------
    image : ndarray of shape (height, width)
        The image.

    attributions : ndarray of shape (height, width)
        The fall of the score of the class for each pixel.

    target : object
        The label of the class.

    score : float
        The score of the class for the image.

    score_name : {"probability", "decision function"}, default="probability"
        The kind of the score.

    Attributes
    ----------
    image_, attributions_ : matplotlib AxesImage
        The image and the attributions that are drawn.

    ax_, figure_ : matplotlib Axes and Figure
        Axes and figure with both.

    See Also
    --------
    FeatureMapDisplay : The feature maps of each convolution.
    MisclassifiedDisplay : The images that a classifier gets wrong.

    Notes
    -----
    Gradients, such as integrated gradients, need a differentiable model and a reference image. With
    a black one, the background has no attribution, although a gap tells a 3 from an 8. Occlusion
    needs only predictions, but squares of gray are no strokes, and two squares that matter only
    together remain white.

    References
    ----------
    .. [1] M. D. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV
       2014, section 4.2. :arxiv:`1311.2901`

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn_usps import AttributionDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> classifier = GaussianNB(var_smoothing=0.1).fit(X[1:], y[1:])
    >>> display = AttributionDisplay.from_estimator(classifier, X[0])
    >>> display.target, display.attributions.shape
    (np.int64(0), (8, 8))
    >>> plt.show()
    """

    def __init__(self, image, attributions, *, target, score, score_name="probability"):
        self.image = image
        self.attributions = attributions
        self.target = target
        self.score = score
        self.score_name = score_name

    def plot(self, *, cmap="RdBu_r", ax=None):
        """Plot visualization.

        Parameters
        ----------
        cmap : str or matplotlib Colormap, default="RdBu_r"
            Diverging colormap of the attributions, recognized by matplotlib. The default can be
            read by color-blind readers.

        ax : matplotlib axes, default=None
            Axes object to plot on. If `None`, a new figure and axes is created.

        Returns
        -------
        display : :class:`AttributionDisplay`
            The display, with the attributes of the drawing.
        """
        height, width = self.image.shape
        high = height / width
        size = (6.5, 1.2 + 3.1 * high)
        self.ax_ = ax = get_axes(self, ax, figsize=size, layout="constrained")
        self.figure_ = ax.figure
        left = 1 + _GAP
        limit = np.abs(self.attributions).max() or 1.0
        scale = {"cmap": cmap, "vmin": -limit, "vmax": limit}
        extents = (0, 1, high, 0), (left, left + 1, high, 0)
        self.image_ = ax.imshow(self.image, cmap="gray", extent=extents[0])
        self.attributions_ = ax.imshow(self.attributions, extent=extents[1], **scale)
        low, largest = self.image.min(), self.image.max()
        if low < largest and min(height, width) > 1:
            x = left + (np.arange(width) + 0.5) / width
            y = (np.arange(height) + 0.5) / width
            ax.contour(x, y, self.image, [(low + largest) / 2], colors="k", linewidths=0.8)
        ax.set(xlim=(0, left + 1), ylim=(high, 0), aspect="equal")
        ax.set_axis_off()
        # Below, so that its length does not depend on the height of the axes.
        below = {"location": "bottom", "shrink": 0.7, "pad": 0.04, "aspect": 30}
        label = f"Fall of the {self.score_name} when covered"
        self.figure_.colorbar(self.attributions_, ax=ax, label=label, **below)
        is_probability = self.score_name == "probability"
        score = f"{100 * self.score:.1f} %" if is_probability else f"{self.score:.3g}"
        set_title(ax, [f"Class {self.target},", f"{self.score_name} {score}"])
        return self

    def frame(self):
        """Return the attributions as a table.

        Returns
        -------
        frame : pandas.DataFrame
            One row for each pixel, with the columns "row", "column", "pixel" and "attribution".
        """
        pandas = check_pandas_support(f"{self.__class__.__name__}.frame")
        row, column = np.indices(self.image.shape).reshape(2, -1)
        values = {"pixel": self.image.ravel(), "attribution": self.attributions.ravel()}
        return pandas.DataFrame({"row": row, "column": column, **values})

    @classmethod
    def from_estimator(
        cls,
        estimator,
        image,
        *,
        target=None,
        patch_size=3,
        fill=None,
        task=None,
        cmap="RdBu_r",
        ax=None,
    ):
        """Plot the attributions of the pixels of an image.

        Parameters
        ----------
        estimator : estimator instance
            Fitted classifier with `predict_proba`, or else `decision_function`, such as a
            :class:`~sklearn_usps.ConvNetClassifier`, a classifier of scikit-learn or a
            :class:`~sklearn.pipeline.Pipeline` that ends with one.

        image : array-like of shape (n_features,), (1, n_features), (height, width) or \
                (1, height, width)
            One image as the estimator takes it, without other columns. A row of pixels is a square
            unless the estimator has an `image_shape_`.

        target : object, default=None
            The label of the class to explain. None: the predicted class.

        patch_size : int, default=3
            Side of the covered squares in pixels, odd. Small squares show details, large ones find
            parts that matter only as a whole. At the border of the image squares are cut off.

        fill : float, default=None
            Value of covered pixels. None: the gray in the middle between the smallest and the
            largest value of the image, which both weakens strokes and fills gaps. The value of
            the background erases strokes, and leaves gaps without attribution.

        task : str, default=None
            The task of the image, for a multi-task classifier of several tasks.

        cmap, ax
            As for :meth:`plot`.

        Returns
        -------
        display : :class:`AttributionDisplay`
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator is no classifier with scores, `image` is not one image of the right
            size, or there is no such class or task.

        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        """
        options = {"target": target, "patch_size": patch_size, "fill": fill, "task": task}
        found = occlude(estimator, image, **options)
        labels = {"target": found.target, "score": found.score, "score_name": found.score_name}
        display = cls(found.image, found.attributions, **labels)
        return display.plot(cmap=cmap, ax=ax)
