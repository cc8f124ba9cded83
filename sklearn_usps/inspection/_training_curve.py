"""The error or loss of networks, epoch by epoch."""

import math
from itertools import product
from numbers import Integral

from .._utils._models import open_convnet
from .._utils._sklearn import StrOptions, check_pandas_support, validate_params
from .._utils._tiles import get_axes, set_title

#: Colors for color-blind readers (M. Okabe and K. Ito, 2008); None is the color of texts, black
#: unless the style is a dark one.
COLORS = (None, "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
#: More than colors, so that a repeated color has another marker.
MARKERS = "osD^vPX<>*"
#: Words for the parts of a history, and the styles of their lines.
PARTS = {"train": ("training", "--"), "valid": ("validation", "-")}
#: Approximate number of markers on a line.
_N_MARKERS = 8
#: Font sizes of the legend; the next one is used if it takes more than this share of the height.
_LEGEND_SIZES, _LARGEST_SHARE = ("small", "x-small", "xx-small"), 0.45


class TrainingCurveDisplay:
    """Training and validation error, or loss, of each epoch.

    The training curve is dashed, the validation curve solid; several models differ by colors and
    markers. With early stopping, a large open marker shows the epoch of the final weights, that of
    the smallest validation loss. The training error is measured during training, on deformed images
    and with dropout: it may well be above the validation error.

    It is recommended to use :meth:`from_estimator` or :meth:`from_estimators` to create a display.
    All parameters are stored as attributes.

    Parameters
    ----------
    histories : dict of str to list of dict
        The name and the epochs of each curve, the latter as in the attribute `history_` of
        :class:`~sklearn_usps.ConvNetClassifier`.

    best_epochs : dict of str to int, default=None
        The epoch to mark on each curve, by name.

    random_state : int, default=None
        The seed of all models, for the title.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        The curves: for each name that of training, then that of validation if it has one.

    best_ : list of matplotlib Line2D
        The marks of the best epochs.

    ax_, figure_ : matplotlib Axes and Figure
        Axes and figure with the curves.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : Scores against the number of training samples.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_usps import ConvNetClassifier, TrainingCurveDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = ConvNetClassifier(max_epochs=5, early_stopping=True, random_state=0).fit(X / 16, y)
    >>> display = TrainingCurveDisplay.from_estimator(clf)
    >>> [line.get_label() for line in display.lines_]
    ['training', 'validation']
    >>> plt.show()
    """

    def __init__(self, histories, *, best_epochs=None, random_state=None):
        self.histories = histories
        self.best_epochs = best_epochs
        self.random_state = random_state

    @validate_params(
        {"metric": [StrOptions({"error", "loss"})]}, prefer_skip_nested_validation=True
    )
    def plot(self, *, metric="error", ax=None):
        """Plot visualization.

        Parameters
        ----------
        metric : {"error", "loss"}, default="error"
            Show the share of wrong predictions in %, or the loss.

        ax : matplotlib axes, default=None
            Axes object to plot on. If `None`, a new figure and axes is created.

        Returns
        -------
        display : :class:`TrainingCurveDisplay`
            The display, with the attributes of the drawing.
        """
        self.ax_ = ax = get_axes(self, ax, layout="constrained")
        self.figure_ = ax.figure
        from matplotlib.ticker import MaxNLocator  # after the check that it is installed

        self.lines_, self.best_ = [], []
        for at, name in enumerate(self.histories):
            self._draw(at, name, metric)
        ax.set(xlabel="Epoch", ylabel="Error (%)" if metric == "error" else "Loss")
        ax.set_ylim(bottom=0 if metric == "error" else None)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if metric == "error":  # the axis extends above 100 % to make room for the legend
            ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}" if value <= 100 else "")
        ax.grid(alpha=0.3)
        set_title(ax, self._title(metric))
        _add_legend(ax, *self._legend())
        return self

    def _draw(self, index, name, metric):
        """Draw the curves of a model and mark its best epoch."""
        history, several = self.histories[name], len(self.histories) > 1
        color, marker = _style(index).values()
        epochs = [epoch["epoch"] for epoch in history]
        every = max(1, len(epochs) // _N_MARKERS)
        dots = {"marker": marker, "ms": 5, "markevery": (index % every, every)} if several else {}
        if len(epochs) == 1:  # a line of one point is invisible
            dots = {"marker": marker}
        prefix = f"{name}, " if several else ""
        for part, (word, style) in PARTS.items():
            values = _values(history, part, metric)
            if not all(map(math.isnan, values)):
                is_open = len(epochs) == 1 and part == "train"  # instead of a dashed line
                line = {"color": color, "mfc": "none" if is_open else color, **dots}
                self.lines_ += self.ax_.plot(epochs, values, style, label=prefix + word, **line)
        if best := (self.best_epochs or {}).get(name):
            value = _values(history, "valid", metric)[best - 1]
            ground = self.ax_.get_facecolor()
            mark = {"color": color, "ms": 10, "mfc": ground, "mew": 2, "zorder": 3}
            label = f"{prefix}best: epoch {best}"
            self.best_ += self.ax_.plot(best, value, marker, label=label, **mark)

    def _legend(self):
        """Return lines, labels and title of the legend."""
        from matplotlib.lines import Line2D

        if len(self.histories) == 1:
            lines = [*self.lines_, *self.best_]
            return lines, [line.get_label() for line in lines], next(iter(self.histories))
        lines, labels = [], []
        for index, name in enumerate(self.histories):
            best = (self.best_epochs or {}).get(name)
            lines.append(Line2D([], [], ms=5, **_style(index)))
            labels.append(f"{name} (best: epoch {best})" if best else name)
        for word, style in PARTS.values():
            if any(line.get_linestyle() == style for line in self.lines_):
                lines.append(Line2D([], [], color="0.4", linestyle=style))
                labels.append(word)
        return lines, labels, None

    def _title(self, metric):
        """Return the parts of the title: the number of epochs and the final value."""
        n_epochs = max(map(len, self.histories.values()))
        epochs = f"{n_epochs} epoch{'s' * (n_epochs != 1)}"
        seed = "" if self.random_state is None else f", seed {self.random_state}"
        if len(self.histories) > 1:
            return [f"{len(self.histories)} networks,", f"up to {epochs}{seed}"]
        ((name, history),) = self.histories.items()
        best = (self.best_epochs or {}).get(name)
        part = "valid" if f"valid_{metric}" in history[-1] else "train"
        value = _values(history, part, metric)[(best or n_epochs) - 1]
        number = f"{value:.2f} %" if metric == "error" else f"{value:.3g}"
        where = f"Best epoch {best} of {n_epochs}:" if best else f"After {epochs}:"
        return [where, f"{PARTS[part][0]} {metric} {number}{seed}"]

    def frame(self):
        """Return the curves as a table.

        Returns
        -------
        frame : pandas.DataFrame
            One row for each epoch of each curve, with the columns "name", "epoch", "train_loss",
            "train_error" and, with a validation set, "valid_loss" and "valid_error"; errors are
            shares in [0, 1].
        """
        pandas = check_pandas_support(f"{self.__class__.__name__}.frame")
        columns = ["epoch", "train_loss", "train_error", "valid_loss", "valid_error"]
        rows = [
            {"name": name, **{key: epoch[key] for key in columns if key in epoch}}
            for name, history in self.histories.items()
            for epoch in history
        ]
        return pandas.DataFrame(rows)

    @classmethod
    def from_estimator(cls, estimator, *, metric="error", name=None, ax=None):
        """Plot the curves of a fitted classifier.

        Parameters
        ----------
        estimator : ConvNetClassifier or MultiTaskConvNetClassifier
            Fitted classifier, a fitted :class:`~sklearn.pipeline.Pipeline` that ends with one, or a
            search whose best estimator does. A multi-task classifier has curves for each task.

        name : str, default=None
            Name of the classifier, for the legend. By default that of its class, or the names of
            the tasks of a multi-task classifier.

        metric, ax
            As for :meth:`plot`.

        Returns
        -------
        display : :class:`TrainingCurveDisplay`
            The display, drawn.
        """
        return cls.from_estimators({name: estimator}, metric=metric, ax=ax)

    @classmethod
    @validate_params(
        {"metric": [StrOptions({"error", "loss"})], "estimators": [dict]},
        prefer_skip_nested_validation=True,
    )
    def from_estimators(cls, estimators, *, metric="error", ax=None):
        """Plot the curves of several fitted classifiers in one axes.

        Parameters
        ----------
        estimators : dict of str to estimator
            Names and fitted classifiers, as for :meth:`from_estimator`. The curves of a multi-task
            classifier have its name and that of a task, as "shared, letters".

        metric, ax
            As for :meth:`plot`.

        Returns
        -------
        display : :class:`TrainingCurveDisplay`
            The display, drawn.
        """
        if not estimators:
            raise ValueError("estimators must have one or more fitted classifiers. Got {} instead.")
        histories, best_epochs, seeds = {}, {}, set()
        for name, estimator in estimators.items():
            _, classifier = open_convnet(estimator, cls.__name__)
            params = classifier.get_params()
            seed = params.get("random_state", params.get("estimator__random_state"))
            seeds.add(seed if isinstance(seed, Integral) else None)
            for curve, part in _parts(name, classifier).items():
                if curve in histories:
                    raise ValueError(f"Two curves have the name {curve!r}: change the names.")
                if not part.history_:
                    raise ValueError(
                        f"{curve} has completed no epoch, since its training was interrupted in "
                        "the first, so it has no curve. Fit it again."
                    )
                histories[curve] = part.history_
                # 0 after an interruption in the first epoch of a continued training.
                if best := getattr(part, "best_epoch_", 0):
                    best_epochs[curve] = best
        seed = seeds.pop() if len(seeds) == 1 else None
        return cls(histories, best_epochs=best_epochs, random_state=seed).plot(metric=metric, ax=ax)


def _add_legend(ax, lines, labels, title):
    """Add a legend above the curves, with as many columns as fit, and make room for it.

    The location "best" of matplotlib hides curves where none is free.
    """
    ax.figure.draw_without_rendering()  # a layout engine sets the size of the axes
    for size, n_columns in product(_LEGEND_SIZES, range(len(lines), 0, -1)):
        style = {"loc": "upper center", "fontsize": size, "title_fontsize": size}
        legend = ax.legend(lines, labels, title=title, ncols=n_columns, **style)
        for text in (*legend.get_texts(), legend.get_title()):
            text.set_parse_math(False)  # a name may have a dollar sign
        box = legend.get_window_extent()
        share = 1.1 * box.height / ax.bbox.height + 0.03
        if box.width <= 0.95 * ax.bbox.width and share <= _LARGEST_SHARE:
            break
    low, high = ax.get_ylim()
    ax.set_ylim(low, low + (high - low) / (1 - min(share, 0.8)))


def _parts(name, classifier):
    """Return the classifier of each curve, by the name of the curve."""
    tasks = getattr(classifier, "estimators_", {})
    if len(tasks) < 2:
        return {type(classifier).__name__ if name is None else name: classifier}
    prefix = "" if name is None else f"{name}, "
    return {f"{prefix}{task}": part for task, part in tasks.items()}


def _style(index):
    """Return the color and the marker of a model, by its index."""
    from matplotlib import rcParams

    color = COLORS[index % len(COLORS)] or rcParams["text.color"]
    return {"color": color, "marker": MARKERS[index % len(MARKERS)]}


def _values(history, part, metric):
    """Return errors in percent, or losses, of each epoch."""
    factor = 100 if metric == "error" else 1
    return [factor * epoch.get(f"{part}_{metric}", math.nan) for epoch in history]
