"""The curves of errors and losses."""

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
    JointConvNetClassifier,
    TrainingCurveDisplay,
)

matplotlib.use("Agg")
SMALL = {"network": "torch7", "lr": 0.01, "random_state": 0}


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


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


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
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["training", "validation", f"best: epoch {best}"]
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
    frame = display.frame()
    assert frame["name"].tolist() == ["stopped"] * 4 + ["searched"] * 2
    assert frame["epoch"].tolist() == [1, 2, 3, 4, 1, 2]
    assert frame["valid_error"].isna().tolist() == [False] * 4 + [True] * 2


def test_a_joint_classifier_has_curves_of_each_task(data):
    X, y = data
    task = np.repeat(["a", "b"], 40)
    joint = JointConvNetClassifier(max_epochs=3, **SMALL).fit(X, y, task=task)
    display = TrainingCurveDisplay.from_estimator(joint)
    assert [line.get_label() for line in display.lines_] == ["a, training", "b, training"]
    errors = [100 * epoch["tasks"]["b"]["train_error"] for epoch in joint.history_]
    np.testing.assert_allclose(display.lines_[1].get_ydata(), errors)


def test_one_epoch_is_a_dot(data):
    once = ConvNetClassifier(network="torch7", max_epochs=1, random_state=0).fit(*data)
    (line,) = TrainingCurveDisplay.from_estimator(once).lines_
    assert line.get_marker() == "."
    assert line.get_ydata() == [100 * once.history_[0]["train_error"]]


def test_what_has_no_curve(data, stopped):
    with pytest.raises(NotFittedError):
        TrainingCurveDisplay.from_estimator(ConvNetClassifier())
    with pytest.raises(ValueError, match="LogisticRegression has no `history_`"):
        TrainingCurveDisplay.from_estimator(LogisticRegression().fit(*data))
    with pytest.raises(ValueError, match=r"The 'metric' parameter of .* must be a str among"):
        TrainingCurveDisplay.from_estimator(stopped, metric="accuracy")
    with pytest.raises(ValueError, match=r"The 'metric' parameter of .* must be a str among"):
        TrainingCurveDisplay.from_estimator(stopped).plot(metric="accuracy")
    with pytest.raises(ValueError, match="estimators must have one or more fitted classifiers"):
        TrainingCurveDisplay.from_estimators({})
