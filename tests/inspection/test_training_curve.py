"""The curves of errors and losses."""

import copy

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_usps import (
    ConvNetClassifier,
    ImageNormalizer,
    MultiTaskConvNetClassifier,
    TrainingCurveDisplay,
)

KEYS = ("train_error", "valid_error", "train_loss", "valid_loss")
SMALL = {"network": "luacnn", "lr": 0.01, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    X = rng.random((80, 64)) * 0.5
    X[y == 1, :20] += 0.5
    return X, y


@pytest.fixture(scope="module")
def stopped(data):
    return ConvNetClassifier(max_epochs=4, early_stopping=True, **SMALL).fit(*data)


def legend_texts(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def histories(n_models, n_epochs=20):
    """Return made-up curves with another value for each part, epoch and model."""
    return {
        f"model {i}": [
            {"epoch": at, **{key: (i + k + 1) / (40 * at) for k, key in enumerate(KEYS)}}
            for at in range(1, n_epochs + 1)
        ]
        for i in range(n_models)
    }


def test_draws_both_errors_in_percent_and_marks_the_best_epoch(stopped):
    display = TrainingCurveDisplay.from_estimator(stopped)
    for line, key, style in zip(
        display.lines_, ("train_error", "valid_error"), ("--", "-"), strict=True
    ):
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3, 4])
        errors = [100 * epoch[key] for epoch in stopped.history_]
        np.testing.assert_allclose(line.get_ydata(), errors)
        assert line.get_linestyle() == style
    (mark,) = display.best_
    best = stopped.best_epoch_
    assert mark.get_xdata() == [best]
    assert mark.get_ydata() == pytest.approx([100 * stopped.history_[best - 1]["valid_error"]])
    legend = display.ax_.get_legend()
    assert legend_texts(display) == ["training", "validation", f"best: epoch {best}"]
    assert legend.get_title().get_text() == "ConvNetClassifier"
    error = 100 * stopped.history_[best - 1]["valid_error"]
    title = f"Best epoch {best} of 4: validation error {error:.2f} %, seed 0"
    assert display.ax_.get_title() == title
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("Epoch", "Error (%)")
    assert display.figure_ is display.ax_.figure


def test_draws_losses_and_no_validation_where_there_is_none(data):
    classifier = ConvNetClassifier(max_epochs=2, **SMALL).fit(*data)
    display = TrainingCurveDisplay.from_estimator(classifier, metric="loss")
    (line,) = display.lines_
    losses = [epoch["train_loss"] for epoch in classifier.history_]
    np.testing.assert_allclose(line.get_ydata(), losses)
    assert display.ax_.get_ylabel() == "Loss"
    assert display.best_ == []
    assert display.ax_.get_title() == f"After 2 epochs: training loss {losses[-1]:.3g}, seed 0"


def test_validation_without_early_stopping(data):
    X, y = data
    classifier = ConvNetClassifier(max_epochs=2, **{**SMALL, "random_state": None})
    classifier.fit(X, y, X_val=X, y_val=y)
    display = TrainingCurveDisplay.from_estimator(classifier, name="luacnn, $5$")
    error = 100 * classifier.history_[-1]["valid_error"]
    assert display.ax_.get_title() == f"After 2 epochs: validation error {error:.2f} %"
    assert len(display.lines_) == 2
    assert display.best_ == []
    title = display.ax_.get_legend().get_title()
    assert title.get_text() == "luacnn, $5$"
    assert not title.get_parse_math()  # a dollar sign is no formula
    assert set(display.frame()["name"]) == {"luacnn, $5$"}


def test_several_models_in_one_axes(data, stopped):
    X, y = data
    model = make_pipeline(ImageNormalizer(), ConvNetClassifier(max_epochs=2, **SMALL))
    search = GridSearchCV(model, {"convnetclassifier__lr": [0.01]}, cv=2).fit(X, y)
    _, ax = plt.subplots()
    display = TrainingCurveDisplay.from_estimators({"stopped": stopped, "searched": search}, ax=ax)
    assert display.ax_ is ax
    labels = [line.get_label() for line in display.lines_]
    assert labels == ["stopped, training", "stopped, validation", "searched, training"]
    assert len({line.get_color() for line in display.lines_}) == 2
    assert display.ax_.get_title() == "2 networks, up to 4 epochs, seed 0"
    frame = display.frame()
    assert frame["name"].tolist() == ["stopped"] * 4 + ["searched"] * 2
    assert frame["epoch"].tolist() == [1, 2, 3, 4, 1, 2]
    assert frame["valid_error"].isna().tolist() == [False] * 4 + [True] * 2
    for seed in (1, None):  # the title has a seed only if all models have the same
        other = ConvNetClassifier(**{**SMALL, "max_epochs": 1, "random_state": seed}).fit(X, y)
        display = TrainingCurveDisplay.from_estimators({"stopped": stopped, "other": other})
        assert display.ax_.get_title() == "2 networks, up to 4 epochs"


def test_a_multi_task_classifier_has_curves_of_each_task(data, stopped):
    X, y = data
    model = MultiTaskConvNetClassifier(ConvNetClassifier(max_epochs=3, **SMALL))
    model.fit(X, y, task=np.repeat(["a", "b"], 40))
    display = TrainingCurveDisplay.from_estimator(model)
    assert [line.get_label() for line in display.lines_] == ["a, training", "b, training"]
    assert legend_texts(display) == ["a", "b", "training"]
    errors = [100 * epoch["tasks"]["b"]["train_error"] for epoch in model.history_]
    np.testing.assert_allclose(display.lines_[1].get_ydata(), errors)
    assert display.random_state == 0
    named = TrainingCurveDisplay.from_estimators({"m": model, "m, c": stopped})
    assert list(named.histories) == ["m, a", "m, b", "m, c"]
    with pytest.raises(ValueError, match="Two curves have the name 'm, a': change the names"):
        TrainingCurveDisplay.from_estimators({"m": model, "m, a": stopped})


@pytest.mark.parametrize("metric", ["error", "loss"])
def test_each_curve_and_each_mark_has_its_own_values(metric):
    given = histories(3)
    best_epochs = {"model 0": 7, "model 2": 20}
    display = TrainingCurveDisplay(given, best_epochs=best_epochs).plot(metric=metric)
    factor = 100 if metric == "error" else 1
    lines = iter(display.lines_)
    for name, history in given.items():
        for part, word, style in [("train", "training", "--"), ("valid", "validation", "-")]:
            line = next(lines)
            assert line.get_label() == f"{name}, {word}"
            assert line.get_linestyle() == style
            np.testing.assert_array_equal(line.get_xdata(), range(1, 21))
            expected = [factor * epoch[f"{part}_{metric}"] for epoch in history]
            np.testing.assert_allclose(line.get_ydata(), expected)
    valid = dict(zip(given, display.lines_[1::2], strict=True))
    for (name, best), mark in zip(best_epochs.items(), display.best_, strict=True):
        assert mark.get_xdata() == [best]
        expected = factor * given[name][best - 1][f"valid_{metric}"]
        assert mark.get_ydata() == pytest.approx([expected])
        assert mark.get_color() == valid[name].get_color()
        assert mark.get_marker() == valid[name].get_marker()
        assert mark.get_markerfacecolor() == (1, 1, 1, 1)
        assert mark.get_markersize() > valid[name].get_markersize()
    labels = ["model 0 (best: epoch 7)", "model 1", "model 2 (best: epoch 20)"]
    assert legend_texts(display) == [*labels, "training", "validation"]
    handles = display.ax_.get_legend().legend_handles
    looks = [(handle.get_color(), handle.get_marker()) for handle in handles[:3]]
    assert looks == [(line.get_color(), line.get_marker()) for line in valid.values()]
    assert [handle.get_linestyle() for handle in handles[3:]] == ["--", "-"]
    assert display.ax_.get_title() == "3 networks, up to 20 epochs"


def test_title_has_the_value_of_the_best_epoch():
    display = TrainingCurveDisplay(histories(1), best_epochs={"model 0": 5}).plot()
    assert display.ax_.get_title() == "Best epoch 5 of 20: validation error 1.00 %"


def test_many_models_are_told_apart_in_colour_and_in_grey():
    lines = TrainingCurveDisplay(histories(70)).plot().lines_[1::2]
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 70
    assert len({line.get_marker() for line in lines[:10]}) == 10
    assert len({line.get_color() for line in lines[:7]}) == 7
    # Some markers stand on each line, but not so many that they hide it.
    for line in lines:
        first, every = line.get_markevery()
        assert 5 <= len(range(first, 20, every)) <= 10


@pytest.mark.parametrize("layout", ["own", None, "constrained"])
@pytest.mark.parametrize(("n_models", "rising"), [(1, False), (1, True), (9, False), (9, True)])
@pytest.mark.parametrize("metric", ["error", "loss"])
def test_legend_hides_nothing_and_nothing_is_cut_off(layout, n_models, rising, metric, assert_fits):
    given = histories(n_models)
    if rising:
        for history in given.values():
            history[-1].update(dict.fromkeys(KEYS, 1.0))
    best_epochs = dict.fromkeys(given, 20)
    display = TrainingCurveDisplay(given, best_epochs=best_epochs, random_state=0)
    if layout == "own":
        axes = [display.plot(metric=metric).ax_]
    else:
        _, axes = plt.subplots(1, 2, layout=layout, figsize=(8, 4.5))
    for ax in axes:
        display.plot(metric=metric, ax=None if layout == "own" else ax)
        assert_fits(display.figure_)
        legend = display.ax_.get_legend().get_window_extent()
        assert display.ax_.bbox.x0 <= legend.x0 < legend.x1 <= display.ax_.bbox.x1
        assert legend.y1 <= display.ax_.bbox.y1
        for line in [*display.lines_, *display.best_]:
            points = line.get_transform().transform(line.get_xydata())
            assert points[:, 1].max() < legend.y0
            assert points[:, 1].min() >= display.ax_.bbox.y0 - 1
            half = line.get_markersize() / 2 * display.figure_.dpi / 72
            assert points[:, 1].max() + half < legend.y0


def test_no_error_above_100_percent_is_on_the_axis():
    given = {"all wrong": [{"epoch": at, "train_error": 1.0} for at in (1, 2)]}
    display = TrainingCurveDisplay(given).plot()
    display.figure_.draw_without_rendering()
    ticks = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert "100" in ticks
    assert display.ax_.get_ylim()[1] > 105
    assert max(float(tick) for tick in ticks if tick) == 100
    assert display.ax_.get_ylim()[0] == 0


def test_one_epoch_is_a_dot():
    given = {"both": [{"epoch": 1, **dict.fromkeys(KEYS, 0.5)}]}
    train, valid = TrainingCurveDisplay(given).plot().lines_
    assert (train.get_marker(), train.get_markerfacecolor()) == ("o", "none")
    assert valid.get_markerfacecolor() != "none"
    low, high = train.axes.get_xlim()
    assert [tick for tick in train.axes.get_xticks() if low <= tick <= high] == [1]


def test_curves_are_visible_on_a_dark_background():
    with plt.style.context("dark_background"):
        given = histories(8)
        display = TrainingCurveDisplay(given, best_epochs=dict.fromkeys(given, 3)).plot()
        ground = matplotlib.colors.to_rgba(display.ax_.get_facecolor())
        handles = display.ax_.get_legend().get_lines()
        for line in [*display.lines_, *display.best_, *handles]:
            assert abs(np.subtract(matplotlib.colors.to_rgba(line.get_color()), ground)).max() > 0.3
        for mark in display.best_:
            assert matplotlib.colors.to_rgba(mark.get_markerfacecolor()) == ground


def test_interrupted_training(stopped):
    interrupted = copy.copy(stopped)
    interrupted.history_ = []
    with pytest.raises(ValueError, match="ConvNetClassifier has completed no epoch, since its tr"):
        TrainingCurveDisplay.from_estimator(interrupted)
    # A warm start was interrupted in its first epoch.
    interrupted.history_, interrupted.best_epoch_ = stopped.history_[:2], 0
    display = TrainingCurveDisplay.from_estimator(interrupted)
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), [1, 2])
    assert display.best_ == []
    assert display.best_epochs == {}


def test_models_without_a_curve(data, stopped):
    with pytest.raises(NotFittedError):
        TrainingCurveDisplay.from_estimator(ConvNetClassifier())
    with pytest.raises(ValueError, match="Got LogisticRegression instead"):
        TrainingCurveDisplay.from_estimator(LogisticRegression().fit(*data))
    with pytest.raises(ValueError, match=r"The 'metric' parameter of .* must be a str among"):
        TrainingCurveDisplay.from_estimator(stopped, metric="accuracy")
    with pytest.raises(ValueError, match=r"The 'metric' parameter of .* must be a str among"):
        TrainingCurveDisplay.from_estimator(stopped).plot(metric="accuracy")
    with pytest.raises(ValueError, match="estimators must have one or more fitted classifiers"):
        TrainingCurveDisplay.from_estimators({})
