"""Models inside searches, pipelines, frozen and calibrated estimators."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_usps import ImageNormalizer
from sklearn_usps._utils._models import input_image_shape, open_model

rng = np.random.default_rng(0)
X, Y = rng.random((40, 36)), np.arange(40) % 2
contrast = ImageNormalizer(method="contrast", image_shape=(4, 9))


class WithShape(GaussianNB):
    image_shape_ = (12, 12)


def upsample(X):
    return np.kron(X.reshape(-1, 6, 6), np.ones((2, 2))).reshape(-1, 144)


def test_models_without_transformers():
    plain = GaussianNB()
    assert open_model(plain) == ([], plain)
    search = GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9]}, cv=2)
    assert open_model(search) == ([], search)
    assert open_model(search.fit(X, Y)) == ([], search.best_estimator_)
    assert open_model(FrozenEstimator(FrozenEstimator(search))) == ([], search.best_estimator_)


def test_transformers_of_nested_pipelines():
    inner = make_pipeline(StandardScaler(), GaussianNB())
    search = GridSearchCV(inner, {"gaussiannb__var_smoothing": [1e-9]}, cv=2)
    frozen = FrozenEstimator(ImageNormalizer().fit(X))
    steps = [("first", frozen), ("none", "passthrough"), ("search", search)]
    model = Pipeline(steps).fit(X, Y)
    transformers, estimator = open_model(FrozenEstimator(model))
    assert [name for name, _ in transformers] == ["first", "standardscaler"]
    assert transformers[0][1] is frozen.estimator
    assert estimator is model[-1].best_estimator_[-1]


def test_calibrated_classifiers():
    several = CalibratedClassifierCV(GaussianNB(), cv=2).fit(X, Y)
    single = CalibratedClassifierCV(GaussianNB(), cv=2, ensemble=False).fit(X, Y)
    prefit = GaussianNB().fit(X, Y)
    frozen = CalibratedClassifierCV(FrozenEstimator(prefit), ensemble=False).fit(X, Y)
    for model in (several, single, frozen):
        assert open_model(model) == ([], model)
    assert open_model(single, calibrated="single")[1] is single.calibrated_classifiers_[0].estimator
    assert open_model(frozen, calibrated="single")[1] is prefit
    with pytest.raises(ValueError, match=r"has 2 classifiers, one for each fold. Set en"):
        open_model(several, calibrated="single")
    first = open_model(several, calibrated="first")[1]
    assert first is several.calibrated_classifiers_[0].estimator


def test_input_image_shape():
    assert input_image_shape(GaussianNB().fit(X, Y)) is None
    model = make_pipeline(contrast, FunctionTransformer(upsample), WithShape()).fit(X, Y)
    assert input_image_shape(model) == input_image_shape(model, 36) == (4, 9)
    assert input_image_shape(model, 144) == (12, 12)
    assert input_image_shape(model, 35) is None
    calibrated = CalibratedClassifierCV(model, cv=2).fit(X, Y)
    assert input_image_shape(FrozenEstimator(calibrated)) == (4, 9)
