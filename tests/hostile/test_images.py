"""Images in every container, of every value, and other objects, for all that accepts images."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from outcomes import Refused, assert_same, outcome
from values import (
    N_PIXELS,
    N_SAMPLES,
    SIDE,
    disguised_images,
    extreme_images,
    junk,
)

from sklearn_usps import (
    ConvNetClassifier,
    ImageNormalizer,
    MultiTaskConvNetClassifier,
    RandomDeformation,
)

Y = np.arange(N_SAMPLES) % 2
TASK = np.array(["a", "b"])[np.arange(N_SAMPLES) // 2 % 2]
METHODS = ["global", "pixel", "image", "contrast"]
RESULTS = ["predict", "predict_proba", "transform"]
junk_images = junk((N_SAMPLES, N_PIXELS), (N_SAMPLES, SIDE, SIDE))


def classifier(**params):
    return ConvNetClassifier(network="luacnn", max_epochs=1, random_state=0, device="cpu", **params)


def multi_task():
    return MultiTaskConvNetClassifier(classifier(augmentation=None))


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    return classifier().fit(rng.integers(0, 17, (N_SAMPLES, N_PIXELS)) / 8, Y)


@pytest.fixture(scope="module")
def fitted_multi_task():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 17, (12, N_PIXELS)) / 8
    return multi_task().fit(images, np.arange(12) % 2, task=["a", "b"] * 3 + ["b", "a"] * 3)


def weights(model):
    """Return all numbers that a fit has learned."""
    return np.concatenate([w.detach().numpy().ravel() for w in model.net_.module_.parameters()])


# The same values in any container give the same bits; other objects may or must be refused.


def check_disguise(disguise, call, rtol=0.0):
    X, images, is_number = disguise
    got = outcome(call, X)
    if is_number is not None:
        assert isinstance(got, Refused) != is_number, got
    assert_same(got, outcome(call, images), rtol)


@given(disguise=disguised_images(), method=st.sampled_from(RESULTS))
def test_a_fitted_classifier_sees_values(fitted, disguise, method):
    check_disguise(disguise, getattr(fitted, method))


@given(disguise=disguised_images())
def test_score_sees_values(fitted, disguise):
    check_disguise(disguise, lambda X: fitted.score(X, Y))


@given(disguise=disguised_images())
def test_fit_sees_values(disguise):
    check_disguise(disguise, lambda X: weights(classifier().fit(X, Y)))


@given(disguise=disguised_images())
def test_partial_fit_sees_values(disguise):
    check_disguise(disguise, lambda X: weights(classifier().partial_fit(X, Y, classes=[0, 1])))


@given(disguise=disguised_images())
def test_a_validation_set_is_its_values(disguise):
    def losses(X_val):
        model = classifier().fit(np.eye(N_SAMPLES, N_PIXELS), Y, X_val=X_val, y_val=Y)
        return model.history_[0]["valid_loss"]

    check_disguise(disguise, losses)


@given(disguise=disguised_images())
def test_multi_task_classifiers_see_values(fitted_multi_task, disguise):
    check_disguise(disguise, lambda X: weights(multi_task().fit(X, Y, task=TASK)))
    check_disguise(disguise, lambda X: fitted_multi_task.predict(X, task=TASK))


@given(disguise=disguised_images(), method=st.sampled_from(METHODS))
def test_a_normalizer_sees_values(disguise, method):
    check_disguise(disguise, lambda X: ImageNormalizer(method=method).fit_transform(X), 1e-5)


@given(disguise=disguised_images(), method=st.sampled_from(METHODS[:2]))
def test_a_fitted_normalizer_sees_values(disguise, method):
    normalizer = ImageNormalizer(method=method).fit(np.eye(N_SAMPLES, N_PIXELS))
    check_disguise(disguise, normalizer.transform, 1e-5)
    check_disguise(disguise, normalizer.inverse_transform, 1e-5)


# Values up to the limits of their dtype.


def check_finite(result):
    if not isinstance(result, Refused):
        assert np.isfinite(np.asarray(result)).all()


@given(X=extreme_images(), augmentation=st.sampled_from(["default", None]))
def test_extreme_values_train_or_are_refused(X, augmentation):
    model = outcome(classifier(augmentation=augmentation).fit, X, Y)
    if not isinstance(model, Refused):
        check_finite(weights(model))
        check_finite(outcome(model.predict_proba, X))


@given(X=extreme_images())
def test_extreme_values_are_predicted_or_refused(fitted, fitted_multi_task, X):
    for method in ("predict_proba", "transform"):
        check_finite(outcome(getattr(fitted, method), X))
    outcome(classifier().partial_fit, X, Y, classes=[0, 1])
    proba = outcome(fitted_multi_task.predict_proba, X, task="a")
    check_finite(proba)


@given(X=extreme_images(["f2", "i8", "u8"]), method=st.sampled_from(METHODS))
def test_large_values_are_normalized_or_refused(X, method):
    normalizer = ImageNormalizer(method=method)
    if isinstance(outcome(normalizer.fit, X), Refused):
        return
    for name in ("mean_", "var_", "scale_"):
        check_finite(getattr(normalizer, name, 0.0))
    check_finite(outcome(normalizer.transform, X))


limits = st.one_of(st.floats(0, 1e6), st.floats(min_value=0), st.just(1e-300), st.just(np.inf))


@example(params={**RandomDeformation().get_params(), "elastic_sigma": 6e307}, shape=(1, 1))
@example(params={**RandomDeformation().get_params(), "elastic_sigma": 1e-300}, shape=(3, 2))
@given(
    params=st.fixed_dictionaries(
        {
            "rotation": limits,
            "scale": st.floats(0, 1, exclude_max=True),
            "shear": limits,
            "shift": limits,
            "elastic_displacement": limits,
            "elastic_sigma": limits,
        }
    ),
    shape=st.sampled_from([(1, 1), (1, 7), (3, 2), (4, 4)]),
)
def test_any_deformation_keeps_values_finite(params, shape):
    images = np.random.default_rng(0).random((N_SAMPLES, *shape))
    model = outcome(classifier(augmentation=RandomDeformation(**params)).fit, images, Y)
    assert isinstance(model, Refused) == (max(params.values()) > 1e9 or not params["elastic_sigma"])
    if not isinstance(model, Refused):
        check_finite(weights(model))


# Objects of any kind.


@given(X=junk_images)
def test_no_image_is_too_strange_for_a_classifier(fitted, fitted_multi_task, X):
    for method in RESULTS:
        outcome(getattr(fitted, method), X)
    outcome(fitted.score, X, Y)
    outcome(fitted_multi_task.predict, X, task=TASK)


@given(X=junk_images)
def test_no_image_is_too_strange_to_train_on(X):
    outcome(classifier().fit, X, Y)
    outcome(classifier().partial_fit, X, Y, classes=[0, 1])
    outcome(multi_task().fit, X, Y, task=TASK)
    outcome(classifier().fit, np.eye(N_SAMPLES, N_PIXELS), Y, X_val=X, y_val=Y)


@given(X=junk_images, column=st.sampled_from([0, -1, 7, "p", None, 2.5]))
def test_no_table_is_too_strange_for_a_task_column(X, column):
    model = MultiTaskConvNetClassifier(classifier(), task_column=column)
    outcome(model.fit, X, Y)


@given(X=junk_images, method=st.sampled_from(METHODS))
def test_no_image_is_too_strange_for_a_normalizer(X, method):
    normalizer = ImageNormalizer(method=method).fit(np.eye(N_SAMPLES, N_PIXELS))
    outcome(normalizer.transform, X)
    if method in METHODS[:2]:
        outcome(normalizer.inverse_transform, X)
    outcome(normalizer.partial_fit, X)
    outcome(normalizer.fit, X)


# Views that are far larger than memory.


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
@pytest.mark.parametrize("shape", [(N_SAMPLES, 10**12), (10**12, N_PIXELS), (2, 10**6, 10**6)])
def test_gigantic_views_are_refused_by_their_shape(fitted, fitted_multi_task, shape, dtype):
    X = np.broadcast_to(dtype(1), shape)
    for call in (classifier().fit, multi_task().fit):
        assert isinstance(outcome(call, X, Y), Refused)
    if shape[1] != N_PIXELS:
        for method in RESULTS:
            assert isinstance(outcome(getattr(fitted, method), X), Refused)
        assert isinstance(outcome(fitted_multi_task.predict, X, task="a"), Refused)
