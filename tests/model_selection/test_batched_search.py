"""Searches whose fits are done at once: the same results as one by one."""

import pickle
import warnings
from typing import ClassVar

import numpy as np
import pytest
import sklearn
import torch
from joblib import parallel_config
from joblib.parallel import get_active_backend
from scipy.stats import loguniform, spearmanr
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    ParameterGrid,
    RandomizedSearchCV,
    cross_val_score,
)
from sklearn.model_selection._validation import _fit_and_score
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.fixes import parse_version
from sklearn.utils.parallel import delayed
from torch import nn

from sklearn_usps import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    ConvNetClassifier,
    ImageNormalizer,
)
from sklearn_usps.model_selection._fit_groups import group_tasks
from sklearn_usps.training._batched import fit_batched

pytestmark = pytest.mark.real_data

PLAIN = {"max_epochs": 3, "batch_size": 32, "augmentation": None, "random_state": 0}


@pytest.fixture(scope="module")
def digits(roweis):
    """Four hundred real digits of all classes, in random order."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([digit * 1000 + rng.permutation(1000)[:40] for digit in range(10)])
    rows = rng.permutation(rows)
    return roweis.data[rows], roweis.target[rows]


class Linear(nn.Module):
    """A user's network without a method `features`."""

    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.output = nn.Linear(image_shape[0] * image_shape[1], n_classes)

    def forward(self, images):
        return self.output(images.flatten(1))


@parametrize_with_checks(
    [
        BatchedGridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
        BatchedRandomizedSearchCV(
            LogisticRegression(), {"C": [0.1, 1.0]}, n_iter=2, cv=2, random_state=0
        ),
        BatchedGridSearchCV(
            # With a method transform, GridSearchCV is not what the checks take a transformer for.
            ConvNetClassifier(network=Linear, lr=0.05, random_state=0),
            {"lr": [0.04, 0.05]},
            cv=2,
            error_score="raise",
        ),
    ],
    expected_failed_checks=lambda search: (
        {
            "check_sample_weight_equivalence_on_dense_data": "Samples of weight two and samples "
            "that are there twice are drawn into other batches."
        }
        if isinstance(search.estimator, ConvNetClassifier)
        else {}
    ),
)
def test_scikit_learn_compatible(estimator, check):
    check(estimator)


# Stacks of classifiers


class WithDropout(nn.Module):
    """A user's network, with a buffer and torch's own random numbers."""

    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 5, stride=2),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.2),
        )
        self.output = nn.Linear(144, n_classes)

    def forward(self, images):
        return self.output(self.layers(images))


VARIANTS = [
    {"lr": 0.01},
    {"lr": 0.03, "weight_decay": 0.3},
    {"label_smoothing": 0.2, "lr_schedule": "constant", "lr": 0.003},
    {"class_weight": {0: 3.0, 1: 0.5}, "lr": 0.01},
    {"lr_scaling": "fan-in", "lr": 0.005, "lr_schedule": "cosine"},
]


@pytest.mark.parametrize(
    "params",
    [
        {"network": "luacnn"},
        {"network": "luacnn", "optimizer": "sgd", "momentum": 0.5},
        {"network": "convnet", "network_params": {"n_channels": (4, 8)}},
        {"network": "convnet", "network_params": {"n_channels": (4,)}, "augmentation": "default"},
        {"network": "lenet5", "sampling": "replacement"},
        {"network": "lecun1989"},
        {"network": WithDropout},
        {"network": "luacnn", "early_stopping": True, "n_iter_no_change": 1, "max_epochs": 8},
    ],
    ids=lambda params: "-".join(str(getattr(v, "__name__", v)) for v in params.values())[:40],
)
def test_a_stack_is_as_its_classifiers_one_by_one(params, digits):
    X, y = digits
    variants = [v for v in VARIANTS if params["network"] != "lecun1989" or "lr_scaling" not in v]
    make = [{**PLAIN, **params, **variant} for variant in variants]
    together = [ConvNetClassifier(**kwargs) for kwargs in make]
    assert fit_batched(together, X, y).all()
    for kwargs, stacked in zip(make, together, strict=True):
        alone = ConvNetClassifier(**kwargs).fit(X, y)
        assert stacked.n_iter_ == alone.n_iter_
        assert getattr(stacked, "best_epoch_", None) == getattr(alone, "best_epoch_", None)
        first, last = alone.history_[0], alone.history_[-1]
        assert stacked.history_[0]["train_loss"] == pytest.approx(first["train_loss"], rel=1e-3)
        assert stacked.history_[-1]["lr"] == pytest.approx(last["lr"], rel=1e-5)
        assert stacked.history_[0].keys() == first.keys()
        assert stacked.n_parameters_ == alone.n_parameters_
        # Rounding grows from step to step: one sample may change its class, few with dropout.
        n_changed = (stacked.predict(X) != alone.predict(X)).sum()
        assert n_changed <= (8 if params["network"] is WithDropout else 1)
        np.testing.assert_array_equal(stacked.classes_, alone.classes_)


def test_the_first_steps_of_a_stack_are_those_of_one(digits):
    X, y = digits
    params = {**PLAIN, "network": "luacnn", "max_epochs": 1, "batch_size": 200}
    together = [ConvNetClassifier(lr=lr, **params) for lr in (0.01, 0.02)]
    fit_batched(together, X, y)
    for stacked in together:
        alone = clone(stacked).fit(X, y)
        np.testing.assert_allclose(stacked.predict_proba(X), alone.predict_proba(X), atol=1e-6)


def test_one_that_diverges_spoils_no_other(digits):
    X, y = digits
    params = {**PLAIN, "network": "luacnn", "optimizer": "sgd"}
    together = [ConvNetClassifier(lr=lr, **params) for lr in (0.01, 1e30)]
    assert fit_batched(together, X, y).tolist() == [True, False]
    assert not hasattr(together[1], "net_")
    alone = clone(together[0]).fit(X, y)
    np.testing.assert_allclose(together[0].predict_proba(X), alone.predict_proba(X), atol=1e-3)


# Searches

GRID = {"convnetclassifier__lr": [1e-5, 1e-3, 0.01, 0.05]}


@pytest.fixture
def model():
    return make_pipeline(ImageNormalizer(), ConvNetClassifier(network="luacnn", **PLAIN))


def comparable(search):
    return {key: value for key, value in search.cv_results_.items() if "_time" not in key}


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_results_are_those_of_grid_search(n_jobs, model, digits):
    grid = [
        {**GRID, "convnetclassifier__batch_size": [16, 32]},
        {"convnetclassifier__optimizer": ["sgd"], "convnetclassifier__momentum": [0.5, 0.9]},
    ]
    options = {"cv": 3, "scoring": ["accuracy", "neg_log_loss"], "refit": "accuracy"}
    options["return_train_score"] = True
    usual = GridSearchCV(model, grid, **options).fit(*digits)
    stacked = BatchedGridSearchCV(model, grid, n_jobs=n_jobs, **options).fit(*digits)
    assert list(stacked.cv_results_) == list(usual.cv_results_)
    assert stacked.cv_results_["params"] == usual.cv_results_["params"]
    for key, values in comparable(usual).items():
        if "score" in key or "split" in key:
            np.testing.assert_allclose(stacked.cv_results_[key], values, atol=0.02, err_msg=key)
    assert stacked.best_params_ == usual.best_params_
    np.testing.assert_array_equal(
        stacked.best_estimator_.predict_proba(digits[0]),
        usual.best_estimator_.predict_proba(digits[0]),
    )
    assert (stacked.cv_results_["mean_fit_time"] > 0).all()


def test_the_ranking_agrees_with_grid_search(model, digits):
    grid = {
        "convnetclassifier__lr": np.geomspace(1e-5, 0.05, 8),
        "convnetclassifier__weight_decay": [0.0, 0.1],
    }
    means = [
        search(model, grid, cv=3, refit=False).fit(*digits).cv_results_["mean_test_score"]
        for search in (GridSearchCV, BatchedGridSearchCV)
    ]
    assert np.ptp(means[0]) >= 0.05
    assert spearmanr(*means).statistic >= 0.9
    np.testing.assert_allclose(*means, atol=0.01)


class Counting(ImageNormalizer):
    """A normalizer that notes how many images it is fitted to, all in one process."""

    fits: ClassVar[list] = []

    def fit(self, X, y=None):
        self.fits.append(len(X))
        return super().fit(X)


def test_results_are_those_of_randomized_search(model, digits):
    candidates = {"convnetclassifier__lr": loguniform(1e-4, 0.05)}
    means = [
        search(model, candidates, n_iter=6, cv=2, random_state=0, refit=False)
        .fit(*digits)
        .cv_results_["mean_test_score"]
        for search in (RandomizedSearchCV, BatchedRandomizedSearchCV)
    ]
    np.testing.assert_allclose(*means, atol=0.01)


def test_transformers_are_fitted_once_a_stack(digits):
    fits = Counting.fits
    fits.clear()
    model = Pipeline([("count", Counting()), ("net", ConvNetClassifier(network="luacnn", **PLAIN))])
    BatchedGridSearchCV(model, {"net__lr": [0.01, 0.02, 0.03]}, cv=2, refit=False).fit(*digits)
    assert fits == [200, 200]
    fits.clear()
    search = BatchedGridSearchCV(
        model, {"net__lr": [0.01, 0.02, 0.03]}, cv=2, refit=False, max_models=2
    )
    search.fit(*digits)
    assert fits == [200] * 4  # three networks are two stacks


def test_what_cannot_be_stacked_is_fitted_one_by_one(model, digits):
    grid = [
        {"imagenormalizer": [ImageNormalizer(), "passthrough"]},
        {"convnetclassifier__random_state": [np.random.RandomState(0)]},
        {"convnetclassifier": [LogisticRegression(max_iter=20)]},
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LogisticRegression has not converged
        scores = [
            search(model, grid, cv=2, refit=False).fit(*digits).cv_results_["mean_test_score"]
            for search in (GridSearchCV, BatchedGridSearchCV)
        ]
    np.testing.assert_array_equal(*scores)


def test_candidates_that_fail_get_the_error_score(model, digits):
    grid = {
        "convnetclassifier__lr": [-1.0, 0.01, 0.02, 1e30],
        "convnetclassifier__optimizer": ["sgd"],
    }
    search = BatchedGridSearchCV(model, grid, cv=2, error_score=-5.0, refit=False)
    with pytest.warns(FitFailedWarning, match="4 fits failed out of a total of 8"):
        search.fit(*digits)
    scores = search.cv_results_["mean_test_score"]
    assert scores[[0, 3]].tolist() == [-5, -5]
    assert scores[1:3].min() > 0
    search.set_params(error_score="raise")
    with pytest.raises(ValueError, match="'lr' parameter of ConvNetClassifier must be a float"):
        search.fit(*digits)


class Stubborn(Linear):
    """A network that can't be run for many at once."""

    def forward(self, images):
        return super().forward(images) * float(images.sum() > -1) * float(self.output.bias[0] < 99)


def test_a_network_that_vmap_refuses_is_fitted_one_by_one_with_a_warning(digits):
    classifier = ConvNetClassifier(network=Stubborn, **PLAIN)
    searches = [
        search(classifier, {"lr": [0.001, 0.01]}, cv=2, refit=False)
        for search in (GridSearchCV, BatchedGridSearchCV)
    ]
    searches[0].fit(*digits)
    with pytest.warns(UserWarning, match="2 fits could not be done at once, .*vmap"):
        searches[1].fit(*digits)
    np.testing.assert_array_equal(*[s.cv_results_["mean_test_score"] for s in searches])


class Half(Linear):
    """A user's network, half of which is not trained."""

    def __init__(self, image_shape, n_classes):
        super().__init__(image_shape, n_classes)
        self.output.bias.requires_grad_(False)


class Remembering(Linear):
    """A user's network that replaces a buffer instead of changing it."""

    def __init__(self, image_shape, n_classes):
        super().__init__(image_shape, n_classes)
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, images):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * images.mean()
        return super().forward(images - self.mean)


class Scaled(Linear):
    """A user's network whose loss has a parameter."""

    def __init__(self, image_shape, n_classes):
        super().__init__(image_shape, n_classes)
        self.scale = nn.Parameter(torch.ones(()))

    def loss(self, scores, targets):
        return nn.functional.cross_entropy(scores * self.scale, targets, reduction="none")


@pytest.mark.filterwarnings("ignore:2 fits could not be done at once")
@pytest.mark.parametrize("network", [Half, Remembering, Scaled])
def test_networks_that_would_be_others_in_a_stack_are_fitted_one_by_one(network, digits):
    classifier = ConvNetClassifier(network=network, **PLAIN)
    options = {"cv": 2, "refit": False, "scoring": "neg_log_loss"}
    scores = [
        search(classifier, {"lr": [0.001, 0.01]}, **options).fit(*digits).cv_results_
        for search in (GridSearchCV, BatchedGridSearchCV)
    ]
    np.testing.assert_array_equal(*[results["mean_test_score"] for results in scores])


def test_steps_of_steps_are_candidates_too(digits):
    model = make_pipeline(
        FeatureUnion([("pixels", ImageNormalizer())]), ConvNetClassifier(network="luacnn", **PLAIN)
    )
    grid = {"featureunion__pixels": [ImageNormalizer()], "convnetclassifier__lr": [0.01, 0.05]}
    means = [
        search(model, grid, cv=2, refit=False).fit(*digits).cv_results_["mean_test_score"]
        for search in (GridSearchCV, BatchedGridSearchCV)
    ]
    np.testing.assert_allclose(*means, atol=0.01)


def test_scorers_may_save_the_candidate_and_fit_it_anew(model, digits):
    def score(estimator, X, y):
        again = pickle.loads(pickle.dumps(estimator))
        again.set_params(convnetclassifier__max_epochs=1).fit(X, y)
        return again[-1].n_iter_

    search = BatchedGridSearchCV(model, GRID, cv=2, scoring=score, refit=False).fit(*digits)
    assert set(search.cv_results_["mean_test_score"]) == {1}


@pytest.mark.parametrize("backend", ["threading", "multiprocessing"])
def test_in_other_backends(backend, model, digits):
    with parallel_config(backend):
        search = BatchedGridSearchCV(model, GRID, cv=2, n_jobs=2, refit=False).fit(*digits)
    usual = GridSearchCV(model, GRID, cv=2, refit=False).fit(*digits)
    scores = [s.cv_results_["mean_test_score"] for s in (search, usual)]
    np.testing.assert_allclose(*scores, atol=0.01)


class Noting(ImageNormalizer):
    """A normalizer that notes joblib's backend of the moment, all in one process."""

    backends: ClassVar[list] = []

    def fit(self, X, y=None):
        self.backends.append(type(get_active_backend()[0]).__name__)
        return super().fit(X)


def test_steps_find_joblib_as_it_is_outside(digits):
    Noting.backends.clear()
    model = make_pipeline(Noting(), ConvNetClassifier(network="luacnn", **PLAIN))
    BatchedGridSearchCV(model, GRID, cv=2).fit(*digits)
    assert len(Noting.backends) == 3  # two stacks and the refit
    assert "GatheringBackend" not in Noting.backends


def test_there_are_stacks_for_all_workers():
    def task(i, fold):
        classifier = ConvNetClassifier(network="luacnn", random_state=0)
        kwargs = {"parameters": {"lr": 0.01 * (i + 1)}, "train": np.arange(fold, fold + 5)}
        return delayed(_fit_and_score)(classifier, None, None, **kwargs)

    tasks = [task(i, fold) for i in range(10) for fold in range(2)]
    assert [len(group) for group in group_tasks(tasks, 32)] == [10, 10]
    assert [len(group) for group in group_tasks(tasks, 4)] == [4, 3, 3, 4, 3, 3]
    assert [len(group) for group in group_tasks(tasks, 32, n_workers=4)] == [5, 5, 5, 5]
    assert sorted(i for group in group_tasks(tasks, 4) for i in group) == list(range(20))


def test_random_state_none_is_one_draw_for_a_stack(digits):
    classifier = ConvNetClassifier(network="luacnn", **{**PLAIN, "random_state": None})
    search = BatchedGridSearchCV(classifier, {"weight_decay": [0.01, 0.01]}, cv=2, refit=False)
    results = search.fit(*digits).cv_results_
    np.testing.assert_array_equal(results["split0_test_score"][0], results["split0_test_score"][1])


def test_sample_weights_are_routed(model, digits):
    X, y = digits
    weights = np.where(y < 5, 1.0, 0.001)
    weighted = {}
    for search in (GridSearchCV, BatchedGridSearchCV):
        candidates = search(model, GRID, cv=2, refit=False)
        candidates.fit(X, y, convnetclassifier__sample_weight=weights)
        weighted[search] = candidates.cv_results_["mean_test_score"]
    np.testing.assert_allclose(*weighted.values(), atol=0.02)
    assert weighted[GridSearchCV].max() < 0.6  # the rare half is not learned


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.8"),
    reason="there searches don't route to a pipeline's score",
)
def test_metadata_are_routed(model, digits):
    X, y = digits
    weights = np.where(y < 5, 1.0, 0.001)
    with config_context(enable_metadata_routing=True):
        classifier = clone(model[-1]).set_fit_request(sample_weight=True)
        classifier.set_score_request(sample_weight=True)
        routed = make_pipeline(ImageNormalizer(), classifier)
        means = [
            search(routed, GRID, cv=2, refit=False)
            .fit(X, y, sample_weight=weights)
            .cv_results_["mean_test_score"]
            for search in (GridSearchCV, BatchedGridSearchCV)
        ]
    np.testing.assert_allclose(*means, atol=0.02)
    assert means[0].max() > 0.8


def test_inside_a_cross_validation(model, digits):
    search = BatchedGridSearchCV(model, GRID, cv=2)
    usual = GridSearchCV(model, GRID, cv=2)
    np.testing.assert_allclose(
        cross_val_score(search, *digits, cv=2), cross_val_score(usual, *digits, cv=2), atol=0.01
    )
    assert clone(search).get_params()["max_models"] == 32


def test_a_callable_scoring_sees_fitted_candidates(model, digits):
    def score(estimator, X, y):
        return {
            "accuracy": get_scorer("accuracy")(estimator, X, y),
            "epochs": estimator[-1].n_iter_,
        }

    search = BatchedGridSearchCV(model, GRID, cv=2, scoring=score, refit="accuracy").fit(*digits)
    assert search.cv_results_["mean_test_epochs"].tolist() == [3] * len(ParameterGrid(GRID))


def test_max_stack_is_checked(model, digits):
    with pytest.raises(
        ValueError, match="'max_models' parameter of BatchedGridSearchCV must be an int"
    ):
        BatchedGridSearchCV(model, GRID, max_models=0).fit(*digits)
