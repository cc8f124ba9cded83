"""The pixels on which a prediction depends."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from sklearn_usps import (
    AttributionDisplay,
    ConvNetClassifier,
    ImageNormalizer,
    MultiTaskConvNetClassifier,
)
from sklearn_usps.inspection import _occlusion
from sklearn_usps.inspection._occlusion import occlude

#: Row and column of the pixel that alone decides the class of the planted data.
PLANTED = 4, 1


@pytest.fixture(scope="module")
def planted():
    """Images 6 × 5 of noise whose class, "dark" or "bright", is that of one pixel."""
    rng = np.random.default_rng(0)
    X = rng.random((200, 6, 5))
    y = np.where(X[:, *PLANTED] > 0.5, "bright", "dark")
    return X, y


class OnePixel(ClassifierMixin, BaseEstimator):
    """The probability of "bright" is the value of the planted pixel."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X):
        p = np.asarray(X).reshape(-1, 6, 5)[:, *PLANTED]
        return np.column_stack([p, 1 - p])


def test_the_planted_pixel_alone_has_an_attribution(planted):
    X, y = planted
    image = np.full((6, 5), 0.5)
    image[PLANTED], image[0, 0] = 0.9, 0.1
    model = OnePixel().fit(X.reshape(-1, 30), y)
    found = occlude(model, image, patch_size=1)
    assert (found.target, found.score, found.score_name) == ("bright", 0.9, "probability")
    expected = np.zeros((6, 5))
    expected[PLANTED] = 0.9 - 0.5  # gray is the middle of 0.1 and 0.9
    np.testing.assert_allclose(found.attributions, expected, atol=1e-12)
    np.testing.assert_array_equal(found.image, image)
    # Squares of 3 × 3, cut off at the border, cover it from each neighbor.
    around = np.zeros((6, 5))
    around[3:6, 0:3] = 0.4
    np.testing.assert_allclose(occlude(model, image).attributions, around, atol=1e-12)
    # The other class gains what this one loses.
    against = occlude(model, image, target="dark")
    assert against.score == pytest.approx(0.1)
    np.testing.assert_allclose(against.attributions, -around, atol=1e-12)
    erased = occlude(model, image, patch_size=1, fill=0).attributions
    assert erased[PLANTED] == pytest.approx(0.9)
    assert np.count_nonzero(erased) == 1


@pytest.fixture(scope="module")
def model(bars):
    X, y = bars
    classifier = ConvNetClassifier(network="luacnn", max_epochs=2, random_state=0)
    return make_pipeline(ImageNormalizer(), classifier).fit(X, y)


def test_each_attribution_is_a_difference_of_predictions(model, bars):
    X, _ = bars
    image = X[0]
    found = occlude(model, image, target=2, patch_size=5)
    assert found.attributions.shape == (16, 16)
    gray = (image.min() + image.max()) / 2
    for row, column in [(0, 0), (7, 9), (15, 3)]:
        covered = image.reshape(16, 16).copy()
        covered[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3] = gray
        before, after = model.predict_proba(np.stack([image, covered.ravel()]))[:, 2]
        assert found.attributions[row, column] == before - after
    assert found.score == before


def test_blocks_of_images_change_nothing(model, bars, monkeypatch):
    expected = occlude(model, bars[0][0])
    for n_pixels in (256 * 40, 256 * 100):
        monkeypatch.setattr(_occlusion, "_BLOCK_PIXELS", n_pixels)
        found = occlude(model, bars[0][0])
        np.testing.assert_array_equal(found.attributions, expected.attributions)


def test_forms_of_the_image(bars):
    X, y = bars
    X = (X * 255).round().astype(np.float64)
    classifier = GaussianNB().fit(X, y)
    expected = occlude(classifier, X[0])
    picture = X[0].reshape(16, 16).astype(np.uint8)
    forms = [X[:1], picture, picture[None], picture.tolist(), Image.fromarray(picture)]
    for image in [*forms, torch.from_numpy(picture), pd.Series(X[0])]:
        found = occlude(classifier, image)
        np.testing.assert_array_equal(found.attributions, expected.attributions)


@pytest.mark.parametrize(
    "make_classifier",
    [
        LogisticRegression,
        lambda: SVC(kernel="linear"),
        LinearSVC,
        RidgeClassifier,
        lambda: make_pipeline(StandardScaler(), SVC()),
        lambda: CalibratedClassifierCV(LinearSVC(), cv=2),
        lambda: VotingClassifier([("a", LogisticRegression())], voting="soft"),
    ],
    ids=["logistic", "svc", "linear svc", "ridge", "pipeline", "calibrated", "voting"],
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_classifiers_of_scikit_learn(make_classifier, n_classes, bars):
    X, y = bars[0][bars[1] < n_classes], bars[1][bars[1] < n_classes]
    classifier = make_classifier().fit(X, y)
    display = AttributionDisplay.from_estimator(classifier, X[0], patch_size=1)
    assert display.target == classifier.predict(X[:1])[0]
    has_proba = hasattr(classifier, "predict_proba")
    assert display.score_name == ("probability" if has_proba else "decision function")
    assert np.abs(display.attributions).max() > 0
    others = [label for label in classifier.classes_ if label != display.target]
    scores = [occlude(classifier, X[0], target=label).score for label in others]
    assert display.score > max(scores)


def test_decision_function_of_a_linear_model(bars):
    """Of a linear score, the attribution of a pixel is its weight times its change."""
    X, y = bars
    classifier = LinearSVC().fit(X[y < 2], y[y < 2])
    for target, sign in [(1, 1), (0, -1)]:
        found = occlude(classifier, X[0], target=target, patch_size=1)
        gray = (X[0].min() + X[0].max()) / 2
        expected = sign * classifier.coef_[0] * (X[0] - gray)
        np.testing.assert_allclose(found.attributions.ravel(), expected, atol=1e-6)


def test_models_fitted_on_data_frames(bars):
    X = pd.DataFrame(bars[0]).add_prefix("pixel")
    scaler = make_column_transformer((StandardScaler(), list(X.columns)))
    model = make_pipeline(scaler, GaussianNB(var_smoothing=0.1)).fit(X, bars[1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        maps = [occlude(model, image).attributions for image in (X.iloc[0], X[:1], bars[0][0])]
    for found in maps:
        np.testing.assert_array_equal(found, maps[0])


def test_tasks(two_tasks):
    X, y, task = two_tasks
    classifier = ConvNetClassifier(network="luacnn", max_epochs=1, random_state=0)
    model = make_pipeline(ImageNormalizer(), MultiTaskConvNetClassifier(classifier))
    model.fit(X, y, multitaskconvnetclassifier__task=task)
    part = make_pipeline(model[0], model[-1].estimators_["sides"])
    found, expected = occlude(model, X[0], task="sides"), occlude(part, X[0])
    assert found.target in ("left", "both")
    np.testing.assert_array_equal(found.attributions, expected.attributions)
    with pytest.raises(ValueError, match=r"task must be one of \['bars', 'sides'\]. Got None"):
        occlude(model, X[0])
    with pytest.raises(ValueError, match=r"target must be one of \['both', 'left'\]. Got 'lying'"):
        occlude(model, X[0], task="sides", target="lying")
    with pytest.raises(ValueError, match=r"Pipeline of .* has no tasks. Got task='sides'"):
        occlude(part, X[0], task="sides")


def test_a_column_of_tasks_is_no_part_of_the_image(two_tasks):
    X, y, task = two_tasks
    is_side = task == "sides"
    table = np.column_stack([X, is_side])
    classifier = ConvNetClassifier(network="luacnn", max_epochs=1, random_state=0)
    model = MultiTaskConvNetClassifier(classifier, task_column=256).fit(table, y)
    found, expected = occlude(model, X[0], task=1), occlude(model.estimators_[1], X[0])
    np.testing.assert_array_equal(found.attributions, expected.attributions)
    with pytest.raises(ValueError, match=r"a row of its 256 pixels. Got .* shape \(257,\)"):
        occlude(model, table[0], task=1)
    images = make_column_transformer((ImageNormalizer(), slice(256)), remainder="passthrough")
    pipeline = make_pipeline(images, model).fit(table, y)
    with pytest.raises(ValueError, match=r"also take its task_column. Pass the last step alone"):
        occlude(pipeline, table[0], task=1)
    occlude(pipeline[-1], images.transform(table[:1])[0, :256], task=1)


class Undecided(NearestCentroid):
    """A classifier without scores: they are properties of a recent scikit-learn."""

    predict_proba = decision_function = property()


@pytest.mark.parametrize(
    ("make_arguments", "message"),
    [
        (lambda m, x: (m, x, {"target": 3}), r"target must be one of \[0, 1, 2\]. Got 3 instead"),
        (lambda m, x: (m, x, {"target": "1"}), r"target must be one of .* Got '1' instead"),
        (lambda m, x: (m, x, {"target": [1]}), r"target must be one of .* Got \[1\] instead"),
        (lambda m, x: (m, x, {"patch_size": 2}), "patch_size must be odd. Got 2"),
        (lambda m, x: (m, x, {"patch_size": 0}), "patch_size == 0, must be >= 1"),
        (
            lambda m, x: (m, np.stack([x, x]), {}),
            r"must be one image of shape \(16, 16\).*\(2, 256",
        ),
        (lambda m, x: (m, x[:-1], {}), r"or a row of its 256 pixels. Got .* shape \(255,\)"),
        (lambda m, x: (m, np.full(256, np.inf), {}), "image contains infinity"),
        (lambda m, x: (m[-1].net_.module_, x, {}), "only supports classifiers. Got LuaCNN"),
    ],
)
def test_arguments_that_are_refused(make_arguments, message, model, bars):
    estimator, image, options = make_arguments(model, bars[0][0])
    with pytest.raises(ValueError, match=message):
        AttributionDisplay.from_estimator(estimator, image, **options)


def test_models_that_are_refused(bars):
    X, y = bars
    with pytest.raises(ValueError, match=r"only supports classifiers. Got LinearRegression"):
        occlude(LinearRegression().fit(X, y), X[0])
    with pytest.raises(ValueError, match="Undecided has neither predict_proba nor decision_funct"):
        occlude(Undecided().fit(X, y), X[0])
    pairs = SVC(decision_function_shape="ovo").fit(np.tile(X, (2, 1)), np.arange(240) % 4)
    with pytest.raises(ValueError, match="returns 6 values for 4 classes: set decision_function"):
        occlude(pairs, X[0])
    odd = GaussianNB().fit(X[:, :120], y)
    with pytest.raises(ValueError, match=r"120 pixels, which is not a perfect square: pass the"):
        occlude(odd, X[0, :120])
    assert occlude(odd, X[0, :120].reshape(12, 10)).attributions.shape == (12, 10)


def test_nothing_of_the_model_changes(model, bars):
    network = model[-1].net_.module_
    states = {name: value.clone() for name, value in network.state_dict().items()}
    random = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    image = bars[0][0].copy()
    occlude(model, image)
    np.testing.assert_array_equal(image, bars[0][0])
    for name, value in network.state_dict().items():
        assert torch.equal(value, states[name])
    assert torch.equal(torch.get_rng_state(), random[0])
    np.testing.assert_array_equal(np.random.get_state()[1], random[1])  # noqa: NPY002


def test_threads_get_the_same_attributions(model, bars):
    images = bars[0][:8]
    expected = [occlude(model, image).attributions for image in images]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda image: occlude(model, image).attributions, images))
    np.testing.assert_array_equal(found, expected)


def test_draws_image_and_attributions_side_by_side(model, bars):
    display = AttributionDisplay.from_estimator(model, bars[0][0])
    np.testing.assert_array_equal(display.image_.get_array(), bars[0][0].reshape(16, 16))
    np.testing.assert_array_equal(display.attributions_.get_array(), display.attributions)
    limit = np.abs(display.attributions).max()
    assert display.attributions_.get_clim() == pytest.approx((-limit, limit))
    middle = display.attributions_.to_rgba(np.zeros((1, 1)))[0, 0, :3]
    np.testing.assert_allclose(middle, 1, atol=0.04)  # zero is white
    red, _, blue = display.attributions_.to_rgba(np.full((1, 1), limit))[0, 0, :3]
    assert red > blue
    assert display.image_.get_extent()[1] < display.attributions_.get_extent()[0]
    proba = model.predict_proba(bars[0][:1])[0]
    assert (
        display.ax_.get_title() == f"Class {proba.argmax()}, probability {100 * proba.max():.1f} %"
    )
    _, scale = display.figure_.axes
    assert scale.get_xlabel() == "Fall of the probability when covered"
    assert scale.get_xlim() == pytest.approx((-limit, limit))
    frame = display.frame()
    assert len(frame) == 256
    row = frame[(frame["row"] == 3) & (frame["column"] == 7)]
    assert row["attribution"].item() == display.attributions[3, 7]
    assert row["pixel"].item() == display.image[3, 7]


def test_blank_images_are_drawn(model):
    display = AttributionDisplay.from_estimator(model, np.zeros(256))
    assert not display.attributions.any()
    assert display.attributions_.get_clim() == (-1, 1)


@pytest.mark.parametrize("layout", ["own", None, "constrained"])
def test_titles_are_not_cut_off(layout, assert_fits):
    rng = np.random.default_rng(0)
    display = AttributionDisplay(
        rng.random((9, 6)), rng.normal(size=(9, 6)), target="a $long$ label", score=-12.3456,
        score_name="decision function",
    )  # fmt: skip
    if layout == "own":
        axes = [display.plot().ax_]
    else:
        _, axes = plt.subplots(1, 3, layout=layout, figsize=(9, 4))
        for ax in axes:
            assert display.plot(ax=ax, cmap="PuOr").ax_ is ax
    for ax in axes:
        words = "Class a $long$ label, decision function -12.3"
        assert ax.get_title().replace("\n", " ") == words
    assert_fits(axes[0].figure)
