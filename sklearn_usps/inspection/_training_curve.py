"""The error or loss of networks, epoch by epoch."""

import math

from sklearn.utils._optional_dependencies import check_matplotlib_support, check_pandas_support
from sklearn.utils._param_validation import StrOptions, validate_params
from sklearn.utils.validation import check_is_fitted

from ._steps import split_model

#: Colours that the colour-blind tell apart (M. Okabe and K. Ito, 2008), the darkest first.
COLORS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = "osD^vPX"


class TrainingCurveDisplay:
    """Training and validation error, or loss, of each epoch.

    The training curve is dashed, the validation curve solid. A mark stands at the epoch that the
    weights are from, where there was early stopping. The training error is that of the images as
    they were trained on, deformed and with dropout: it may well be above the validation error.

    It is recommended to use :meth:`from_estimator` or :meth:`from_estimators` to create a display.
    All parameters are stored as attributes.

    Parameters
    ----------
    histories : dict of str to list of dict
        For each curve its name and epochs, as in the attribute `history_` of a
        :class:`~sklearn_usps.ConvNetClassifier`.

    best_epochs : dict of str to int, default=None
        The epochs to mark, by name.

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

    def __init__(self, histories, *, best_epochs=None):
        self.histories = histories
        self.best_epochs = best_epochs

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
        factor = 100 if metric == "error" else 1
        for i, (name, history) in enumerate(self.histories.items()):
            color, marker = COLORS[i % len(COLORS)], MARKERS[i % len(MARKERS)]
            prefix = f"{name}, " if len(self.histories) > 1 else ""
            for part, style in (("train", "--"), ("valid", "-")):
                values = [factor * epoch.get(f"{part}_{metric}", math.nan) for epoch in history]
                if all(map(math.isnan, values)):
                    continue
                label = prefix + {"train": "training", "valid": "validation"}[part]
                epochs = [epoch["epoch"] for epoch in history]
                # A line through one point is none.
                dot = "." if len(epochs) == 1 else ""
                self.lines_ += ax.plot(epochs, values, style, marker=dot, color=color, label=label)
            best = (self.best_epochs or {}).get(name)
            if best is not None:
                value = factor * history[best - 1][f"valid_{metric}"]
                label = f"{prefix}best: epoch {best}"
                self.best_ += ax.plot(best, value, marker, color=color, ms=8, label=label)
        ax.set(xlabel="Epoch", ylabel="Error (%)" if metric == "error" else "Loss")
        ax.set_ylim(bottom=0 if metric == "error" else None)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(alpha=0.3)
        ax.legend()
        return self

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
        estimator : ConvNetClassifier or JointConvNetClassifier
            Fitted classifier, a fitted :class:`~sklearn.pipeline.Pipeline` that ends with one, or a
            search whose best estimator does. A joint classifier has curves for each of its tasks.

        metric : {"error", "loss"}, default="error"
            What to show: the share of wrong predictions in %, or the loss.

        name : str, default=None
            Name of the classifier, for the legend. By default that of its class, which is shown
            only beside others.

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
        if name is None:
            name = type(split_model(estimator)[1]).__name__
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
            Names and fitted classifiers, as for :meth:`from_estimator`.

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
        histories, best_epochs = {}, {}
        for name, estimator in estimators.items():
            _, classifier = split_model(estimator)
            check_is_fitted(classifier)
            if not hasattr(classifier, "history_"):
                raise ValueError(
                    f"{type(classifier).__name__} has no `history_`: {cls.__name__} shows "
                    "ConvNetClassifier and JointConvNetClassifier."
                )
            parts = getattr(classifier, "classifiers_", {})
            if len(parts) < 2:
                parts = {name: classifier}
            elif len(estimators) > 1:
                parts = {f"{name}, {task}": part for task, part in parts.items()}
            for part_name, part in parts.items():
                histories[part_name] = part.history_
                if hasattr(part, "best_epoch_"):
                    best_epochs[part_name] = part.best_epoch_
        return cls(histories, best_epochs=best_epochs).plot(metric=metric, ax=ax)
