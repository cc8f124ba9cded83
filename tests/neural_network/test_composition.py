"""The classifier inside scikit-learn's own tools, on real digits."""

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 (makes the import work)
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.semi_supervised import SelfTrainingClassifier

from sklearn_usps import ConvNetClassifier, ImageNormalizer, RandomDeformation

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def digits(roweis):
    """Three hundred real digits of three classes, in random order."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([digit * 1000 + rng.permutation(1000)[:100] for digit in (0, 1, 7)])
    rows = rng.permutation(rows)
    return roweis.data[rows], roweis.target[rows]


@pytest.fixture
def model():
    classifier = ConvNetClassifier(
        network="luacnn", max_epochs=5, lr=0.02, batch_size=32, augmentation=None, random_state=0
    )
    return make_pipeline(ImageNormalizer(), classifier)


GRID = {"convnetclassifier__lr": [1e-6, 0.02]}


def test_cross_val_score(model, digits):
    assert cross_val_score(model, *digits, cv=3).min() > 0.9


def test_cross_val_predict(model, digits):
    proba = cross_val_predict(model, *digits, cv=3, method="predict_proba")
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    assert (np.array([0, 1, 7])[proba.argmax(axis=1)] == digits[1]).mean() > 0.9


def test_grid_search_on_the_ready_validation_split(model, roweis):
    model.set_params(convnetclassifier__max_epochs=1)
    search = GridSearchCV(model, GRID, cv=roweis.validation_split)
    search.fit(roweis.data, roweis.target)
    assert search.n_splits_ == 1
    assert search.best_params_ == {"convnetclassifier__lr": 0.02}
    assert search.best_score_ > 0.9


def test_grid_search_in_two_processes_finds_the_same(model, digits):
    alone = GridSearchCV(model, GRID, cv=3).fit(*digits)
    together = GridSearchCV(model, GRID, cv=3, n_jobs=2).fit(*digits)
    np.testing.assert_allclose(
        together.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"], atol=0.02
    )
    assert together.best_params_ == {"convnetclassifier__lr": 0.02}


def test_randomized_search(model, digits):
    search = RandomizedSearchCV(model, GRID, n_iter=2, cv=3, random_state=0).fit(*digits)
    assert search.best_params_ == {"convnetclassifier__lr": 0.02}


def test_halving_search_over_the_epochs(model, digits):
    grid = {"convnetclassifier__lr": [1e-6, 1e-5, 0.02, 0.03]}
    search = HalvingGridSearchCV(
        model, grid, resource="convnetclassifier__max_epochs", max_resources=8, cv=3, random_state=0
    )
    assert search.fit(*digits).best_params_["convnetclassifier__lr"] >= 0.02


def test_search_over_the_parameters_of_the_augmentation(model, digits):
    model.set_params(convnetclassifier__augmentation=RandomDeformation())
    search = GridSearchCV(model, {"convnetclassifier__augmentation__rotation": [5, 90]}, cv=3)
    search.fit(*digits)
    assert search.best_estimator_[-1].augmentation.rotation == 5


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: CalibratedClassifierCV(model, cv=2),
        lambda model: BaggingClassifier(model, n_estimators=2, random_state=0),
        lambda model: StackingClassifier([("net", model)], LogisticRegression(), cv=2),
        OneVsRestClassifier,
    ],
    ids=["calibrated", "bagging", "stacking", "one-vs-rest"],
)
def test_meta_estimators(wrap, model, digits):
    X, y = digits
    assert wrap(model).fit(X[:200], y[:200]).score(X[200:], y[200:]) > 0.9


def test_self_training(model, digits):
    X, y = digits
    partly = np.where(np.arange(300) < 100, y, -1)
    semi = SelfTrainingClassifier(model, threshold=0.6).fit(X, partly)
    assert (semi.labeled_iter_ > 0).sum() > 50
    assert semi.score(X[200:], y[200:]) > 0.9


def test_learning_curve(model, digits):
    sizes, _, scores = learning_curve(model, *digits, train_sizes=[30, 200], cv=3)
    assert sizes.tolist() == [30, 200]
    assert scores[1].mean() > scores[0].mean()


def test_permutation_importance(model, digits):
    X, y = digits
    X = np.column_stack([X[:, :-1], np.zeros(300, np.float32)])  # a constant pixel
    result = permutation_importance(
        model.fit(X, y), X, y, scoring="neg_log_loss", n_repeats=1, random_state=0
    )
    assert result.importances_mean.shape == (256,)
    assert result.importances_mean[-1] == 0
    assert result.importances_mean.max() > 0


def test_a_worker_process_trains_and_predicts_the_same_bits(model, digits):
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as many as each worker has
    try:
        here = clone(model).fit(*digits)
    finally:
        torch.set_num_threads(n_threads)
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        (there,) = joblib.Parallel(n_jobs=2)([joblib.delayed(clone(model).fit)(*digits)])
        (proba,) = joblib.Parallel(n_jobs=2)([joblib.delayed(here.predict_proba)(digits[0])])
    np.testing.assert_array_equal(there.predict_proba(digits[0]), here.predict_proba(digits[0]))
    np.testing.assert_allclose(proba, here.predict_proba(digits[0]), rtol=1e-5)


def test_a_fitted_model_is_cloned_unfitted_with_its_parameters(model, digits):
    fitted = model.fit(*digits)[-1]
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert not [name for name in vars(copy) if name.endswith("_")]


def test_pipeline_with_memory_normalizes_once(model, digits, tmp_path):
    memory = joblib.Memory(tmp_path, verbose=0)
    cached = Pipeline(model.steps, memory=memory).fit(*digits)
    (result,) = tmp_path.rglob("output.pkl")
    written = result.stat().st_mtime_ns
    again = clone(cached).set_params(convnetclassifier__max_epochs=1).fit(*digits)
    assert [path.stat().st_mtime_ns for path in tmp_path.rglob("output.pkl")] == [written]
    assert again[-1].n_iter_ == 1
    plain = model.fit(*digits)
    np.testing.assert_array_equal(cached.predict_proba(digits[0]), plain.predict_proba(digits[0]))


def test_html_shows_the_parameters(model, digits):
    for html in (model._repr_html_(), model.fit(*digits)._repr_html_()):
        assert "ImageNormalizer" in html
        assert "max_epochs" in html
        assert "luacnn" in html
