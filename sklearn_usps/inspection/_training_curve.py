"""The error or loss of networks, epoch by epoch."""

import math
from numbers import Integral

from sklearn.utils.validation import check_is_fitted

from .._utils._models import split_model
from .._utils._sklearn import (
    StrOptions,
    check_matplotlib_support,
    check_pandas_support,
    validate_params,
)
from ._captions import add_legend, set_title

#: Colours that the colour-blind tell apart (M. Okabe and K. Ito, 2008), after that of texts, which
#: is black unless the style is a dark one.
COLORS = (None, "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
#: More than colours, so that a colour comes with another marker each time.
MARKERS = "osD^vPX<>*"
#: Words for the parts of a history, and the styles of their lines.
PARTS = {"train": ("training", "--"), "valid": ("validation", "-")}
#: About how many markers stand on a line, where they tell models apart.
_N_MARKERS = 8


class TrainingCurveDisplay:
    """Training and validation error, or loss, of each epoch.

    The training curve is dashed, the validation curve solid; several models have colours and
    markers of their own. A large open marker stands at the epoch that the weights are from, where
    there was early stopping: that of the smallest validation loss. The training error is that of
    the images as they were trained on, deformed and with dropout: it may well be above the
    validation error.

    It is recommended to use :meth:`from_estimator` or :meth:`from_estimators` to create a display.
    All parameters are stored as attributes.

    Parameters
    ----------
    histories : dict of str to list of dict
        For each curve its name and epochs, as in the attribute `history_` of a
        :class:`~sklearn_usps.ConvNetClassifier`.

    best_epochs : dict of str to int, default=None
        The epochs to mark, by name.

    random_state : int, default=None
        The seed of all models, for the title.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        The curves: for each name that of training, then that of validation where there is one.

    best_ : list of matplotlib Line2D
        The marks of the best epochs.

    ax_ : matplotlib Axes
        Axes with the curves.

    figure_ : matplotlib Figure
        Figure containing the curves.

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
            What to show: the share of wrong predictions in %, or the loss.

        ax : matplotlib axes, default=None
            Axes object to plot on. If `None`, a new figure and axes is created.

        Returns
        -------
        display : :class:`TrainingCurveDisplay`
            The display, with the attributes of what was drawn.
        """
        check_matplotlib_support(f"{self.__class__.__name__}.plot")
        import matplotlib.pyplot as plt
        from matplotlib.ticker import MaxNLocator

        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_, self.best_ = [], []
        for at, name in enumerate(self.histories):
            self._draw(at, name, metric)
        ax.set(xlabel="Epoch", ylabel="Error (%)" if metric == "error" else "Loss")
        ax.set_ylim(bottom=0 if metric == "error" else None)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if metric == "error":  # the room for the legend may end above 100 %
            ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}" if value <= 100 else "")
        ax.grid(alpha=0.3)
        set_title(ax, self._title(metric))
        add_legend(ax, *self._legend())
        return self

    def _draw(self, at, name, metric):
        """Draw the curves of a model and mark its best epoch."""
        history, several = self.histories[name], len(self.histories) > 1
        look = _look(at)
        color, marker = look["color"], look["marker"]
        epochs = [epoch["epoch"] for epoch in history]
        every = max(1, len(epochs) // _N_MARKERS)
        dots = {"marker": marker, "ms": 5, "markevery": (at % every, every)} if several else {}
        if len(epochs) == 1:  # a line through one point is none
            dots = {"marker": marker}
        prefix = f"{name}, " if several else ""
        for part, (word, style) in PARTS.items():
            values = _values(history, part, metric)
            if not all(map(math.isnan, values)):
                line = {"color": color, "label": prefix + word, **dots}
                if len(epochs) == 1 and part == "train":
                    line["mfc"] = "none"  # as its line would be dashed
                self.lines_ += self.ax_.plot(epochs, values, style, **line)
        if best := self._best(name):
            value = _values(history, "valid", metric)[best - 1]
            ground = self.ax_.get_facecolor()
            mark = {"color": color, "ms": 10, "mfc": ground, "mew": 2, "zorder": 3}
            label = f"{prefix}best: epoch {best}"
            self.best_ += self.ax_.plot(best, value, marker, label=label, **mark)

    def _best(self, name):
        """The best epoch of a model, None without."""
        return (self.best_epochs or {}).get(name)

    def _legend(self):
        """The lines for the legend, their labels and its title."""
        from matplotlib.lines import Line2D

        if len(self.histories) == 1:
            lines = [*self.lines_, *self.best_]
            return lines, [line.get_label() for line in lines], next(iter(self.histories))
        lines = [Line2D([], [], ms=5, **_look(at)) for at in range(len(self.histories))]
        bests = [
            f" (best: epoch {best})" if (best := self._best(n)) else "" for n in self.histories
        ]
        labels = [f"{name}{best}" for name, best in zip(self.histories, bests, strict=True)]
        styles = {line.get_linestyle() for line in self.lines_}
        for word, style in PARTS.values():
            if style in styles:
                lines.append(Line2D([], [], color="0.4", linestyle=style))
                labels.append(word)
        return lines, labels, None

    def _title(self, metric):
        """The parts of the title: how long the training was and how it ended."""
        n_epochs = max(map(len, self.histories.values()))
        epochs = f"{n_epochs} epoch{'s' * (n_epochs != 1)}"
        if len(self.histories) > 1:
            title = [f"{len(self.histories)} networks,", f"up to {epochs}"]
        else:
            ((name, history),) = self.histories.items()
            best = self._best(name)
            part = "valid" if f"valid_{metric}" in history[-1] else "train"
            value = _values(history, part, metric)[(best or n_epochs) - 1]
            number = f"{value:.2f} %" if metric == "error" else f"{value:.3g}"
            where = f"Best epoch {best} of {n_epochs}:" if best else f"After {epochs}:"
            title = [where, f"{PARTS[part][0]} {metric} {number}"]
        if self.random_state is None:
            return title
        return [*title[:-1], f"{title[-1]},", f"seed {self.random_state}"]

    def frame(self):
        """Return the curves as a table.

        Returns
        -------
        frame : pandas.DataFrame
            One row for each epoch of each curve, with the columns "name", "epoch", "train_loss",
            "train_error" and, where there was a validation set, "valid_loss" and "valid_error";
            errors are shares in [0, 1].
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
            search whose best estimator does. A joint classifier has curves for each of its tasks.

        metric : {"error", "loss"}, default="error"
            What to show: the share of wrong predictions in %, or the loss.

        name : str, default=None
            Name of the classifier, for the legend. By default that of its class, or the names of
            the tasks of a joint classifier.

        ax : matplotlib axes, default=None
            Axes object to plot on. If `None`, a new figure and axes is created.

        Returns
        -------
        display : :class:`TrainingCurveDisplay`
            The display, drawn.

        See Also
        --------
        TrainingCurveDisplay.from_estimators : Several classifiers in one axes.
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
            Names and fitted classifiers, as for :meth:`from_estimator`. The curves of a joint
            classifier have its name and that of a task, as "joint, letters".

        metric : {"error", "loss"}, default="error"
            What to show: the share of wrong predictions in %, or the loss.

        ax : matplotlib axes, default=None
            Axes object to plot on. If `None`, a new figure and axes is created.

        Returns
        -------
        display : :class:`TrainingCurveDisplay`
            The display, drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimators")
        if not estimators:
            raise ValueError("estimators must have one or more fitted classifiers. Got {} instead.")
        histories, best_epochs, seeds = {}, {}, []
        for name, estimator in estimators.items():
            _, classifier = split_model(estimator)
            check_is_fitted(classifier)
            if not hasattr(classifier, "history_"):
                raise ValueError(
                    f"{type(classifier).__name__} has no `history_`: {cls.__name__} shows "
                    "ConvNetClassifier and MultiTaskConvNetClassifier."
                )
            seeds.append(classifier.random_state)
            for curve, part in _parts(name, classifier).items():
                if curve in histories:
                    raise ValueError(f"Two curves have the name {curve!r}: change the names.")
                if not part.history_:
                    raise ValueError(
                        f"{curve} has completed no epoch, since its training was interrupted in "
                        "the first: there is no curve to show."
                    )
                histories[curve] = part.history_
                # 0 where a training that went on was interrupted in its first epoch.
                if best := getattr(part, "best_epoch_", 0):
                    best_epochs[curve] = best
        seed = seeds[0] if isinstance(seeds[0], Integral) and len(set(seeds)) == 1 else None
        display = cls(histories, best_epochs=best_epochs, random_state=seed)
        return display.plot(metric=metric, ax=ax)


def _parts(name, classifier):
    """The classifiers that have a curve each, and the names of the curves."""
    tasks = getattr(classifier, "estimators_", {})
    if len(tasks) < 2:
        return {type(classifier).__name__ if name is None else name: classifier}
    prefix = "" if name is None else f"{name}, "
    return {f"{prefix}{task}": part for task, part in tasks.items()}


def _look(at):
    """The colour and the marker of a model by its number."""
    from matplotlib import rcParams

    color = COLORS[at % len(COLORS)] or rcParams["text.color"]
    return {"color": color, "marker": MARKERS[at % len(MARKERS)]}


def _values(history, part, metric):
    """What is drawn of each epoch: errors in percent, or losses."""
    factor = 100 if metric == "error" else 1
    return [factor * epoch.get(f"{part}_{metric}", math.nan) for epoch in history]
