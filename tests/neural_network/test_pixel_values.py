"""Warnings of images at another scale than in training, on real digits."""

import warnings

import numpy as np
import pytest
from sklearn import config_context
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline

from sklearn_usps import ConvNetClassifier, ImageNormalizer, MultiTaskConvNetClassifier

PARAMS = {"network": "luacnn", "max_epochs": 1, "batch_size": 256, "random_state": 0}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X / 16, y


def fit(X, y, **params):
    return ConvNetClassifier(**PARAMS | params).fit(X, y)


SCALES = {
    "bytes": lambda X: 255 * X,
    "counts": lambda X: 16 * X,
    "unit": lambda X: X,
    "symmetric": lambda X: 2 * X - 1,
    "centered": lambda X: X - 0.5,
    "shifted": lambda X: X + 1,
    "tiny": lambda X: X / 255,
    "inverted": lambda X: 1 - X,
}


@pytest.mark.parametrize("at_predict", SCALES)
@pytest.mark.parametrize("at_fit", SCALES)
def test_another_scale_warns(at_fit, at_predict, digits):
    X, y = digits
    if (at_fit, at_predict) == ("centered", "symmetric"):
        pytest.skip("twice the contrast is within the limits")
    classifier = fit(SCALES[at_fit](X), y)
    X_new = SCALES[at_predict](X[:200])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        classifier.predict_proba(X_new)
        for image in X_new[:20]:
            classifier.predict(image[None])
    assert all("Scale X as in fit" in str(warning.message) for warning in caught)
    assert len(caught) == (0 if at_fit == at_predict else 21)


def test_the_message_names_both_ranges(digits):
    X, y = digits
    with pytest.warns(UserWarning, match=r"X has values in \[0, 1\].*on values in \[0, 255\]"):
        fit(255 * X, y).predict(X)
    with pytest.warns(UserWarning, match=r"X has images of mean 0\.6.*of means in \[0\.2"):
        fit(X, y).predict(1 - X)


@pytest.mark.parametrize("unusual", ["blank", "light", "dark", "pale", "all blank"])
def test_a_few_unusual_images_do_not_warn(unusual, digits):
    X, y = digits
    classifier = fit(X, y)
    blank = np.zeros_like(X[:1])
    X_new = {
        "blank": blank,
        "light": 1.5 * X,
        "dark": 0.8 * X,
        "pale": np.concatenate([X[:50], X[:10] / 10]),
        "all blank": np.repeat(blank, 100, axis=0),
    }[unusual]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.predict(X_new)


@pytest.mark.parametrize("method", ["global", "pixel", "image", "contrast"])
def test_normalized_images_do_not_warn(method, digits):
    X, y = digits
    scaler = ImageNormalizer(method=method).fit(X[:1000])
    classifier = fit(scaler.transform(X[:1000]), y[:1000])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.predict(scaler.transform(X[1000:]))


def test_one_class_alone_does_not_warn(digits):
    X, y = digits
    classifier = fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for label in range(10):
            classifier.predict(X[y == label])


@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_training_further_at_another_scale_warns(method, digits):
    X, y = digits
    classifier = fit(255 * X, y, warm_start=True)
    with pytest.warns(UserWarning, match="Scale X as in fit"):
        getattr(classifier, method)(X, y)


def test_one_image_of_fit_at_another_scale(digits):
    X, y = digits
    classifier = fit(np.vstack([16 * X, 10000 * X[:1]]), np.append(y, y[0]))
    with pytest.warns(UserWarning, match="Scale X as in fit"):
        classifier.predict(X)


def test_partial_fit_widens_what_is_usual(digits):
    X, y = digits
    with pytest.warns(UserWarning, match="Scale X as in fit"):
        classifier = fit(X, y).partial_fit(255 * X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.predict(X)
        classifier.predict(255 * X)


def test_each_method_warns(digits):
    X, y = digits
    classifier = fit(255 * X, y)
    for method in ("predict", "predict_proba", "decision_function", "transform"):
        with pytest.warns(UserWarning, match="Scale X as in fit"):
            getattr(classifier, method)(X)
    with pytest.warns(UserWarning, match="Scale X as in fit"):
        classifier.score(X, y)
    multi_task = MultiTaskConvNetClassifier(ConvNetClassifier(**PARAMS)).fit(255 * X, y)
    with pytest.warns(UserWarning, match="Scale X as in fit"):
        multi_task.predict(X)


# Validation images that bypass the steps of a pipeline


def pipeline(**requests):
    classifier = ConvNetClassifier(**PARAMS, early_stopping=True)
    return Pipeline(
        [("normalize", ImageNormalizer()), ("net", classifier.set_fit_request(**requests))],
        **({"transform_input": ["X_val"]} if requests else {}),
    )


def test_validation_images_that_bypass_a_pipeline(digits):
    X, y = digits
    with pytest.warns(
        UserWarning, match=r'X_val has values in \[0, 1\].*transform_input=\["X_val"\].*set_fit_req'
    ):
        Pipeline(
            [("n", ImageNormalizer()), ("c", ConvNetClassifier(**PARAMS, early_stopping=True))]
        ).fit(X, y, c__X_val=X, c__y_val=y)


def test_validation_images_that_bypass_a_reduction(digits):
    X, y = digits
    model = Pipeline([("pca", PCA(16)), ("c", ConvNetClassifier(**PARAMS))])
    with pytest.raises(ValueError, match=r'X_val has 64 features.*transform_input=\["X_val"\]'):
        model.fit(X, y, c__X_val=X, c__y_val=y)


def test_the_warning_names_the_line_of_the_user(digits):
    X, y = digits
    model = Pipeline([("c", ConvNetClassifier(**PARAMS))]).fit(X, y)
    with pytest.warns(UserWarning, match="Scale X as in fit") as caught:
        model.predict(255 * X)
    assert caught[0].filename == __file__


def test_validation_images_transformed_by_a_pipeline(digits):
    X, y = digits
    with config_context(enable_metadata_routing=True), warnings.catch_warnings():
        warnings.simplefilter("error")
        model = pipeline(X_val=True, y_val=True).fit(X, y, X_val=X, y_val=y)
    assert model[-1].history_[-1]["valid_error"] == pytest.approx(1 - model.score(X, y))
