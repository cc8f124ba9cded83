"""Searches that fit candidates in groups, compared with those of scikit-learn."""

import pickle
import warnings
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from joblib import parallel_config
from joblib.parallel import get_active_backend
from scipy.stats import loguniform
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score
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
from sklearn_usps.model_selection._fit_groups import (
    are_on_gpu,
    fit_batched,
    group_tasks,
    run_in_threads,
)
from sklearn_usps.model_selection._joblib_backend import GatheringBackend

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
            # Without a method `transform`: the checks expect more of a transformer.
            ConvNetClassifier(network=Linear, lr=0.05, random_state=0),
            {"lr": [0.04, 0.05]},
            cv=2,
            error_score="raise",
        ),
    ],
    expected_failed_checks=lambda search: (
        {
            "check_sample_weight_equivalence_on_dense_data": "A sample of weight two and a "
            "repeated sample fall into other batches."
        }
        if isinstance(search.estimator, ConvNetClassifier)
        else {}
    ),
)
def test_scikit_learn_compatible(estimator, check):
    check(estimator)


# Groups of classifiers


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
def test_a_batched_fit_gives_the_classifiers_of_single_fits(params, digits):
    X, y = digits
    variants = [v for v in VARIANTS if params["network"] != "lecun1989" or "lr_scaling" not in v]
    classifiers = [ConvNetClassifier(**{**PLAIN, **params, **variant}) for variant in variants]
    assert fit_batched(classifiers, X, y).all()
    for batched in classifiers:
        alone = clone(batched).fit(X, y)
        assert batched.n_iter_ == alone.n_iter_
        assert getattr(batched, "best_epoch_", None) == getattr(alone, "best_epoch_", None)
        first, last = alone.history_[0], alone.history_[-1]
        assert batched.history_[0]["train_loss"] == pytest.approx(first["train_loss"], rel=1e-3)
        assert batched.history_[-1]["lr"] == pytest.approx(last["lr"], rel=1e-5)
        assert batched.history_[0].keys() == first.keys()
        assert batched.n_parameters_ == alone.n_parameters_
        # Rounding errors grow with the steps: one prediction may change, a few with dropout.
        n_changed = (batched.predict(X) != alone.predict(X)).sum()
        assert n_changed <= (8 if params["network"] is WithDropout else 1)
        np.testing.assert_array_equal(batched.classes_, alone.classes_)


def test_first_steps_agree_to_rounding(digits):
    params = {**PLAIN, "network": "luacnn", "max_epochs": 1, "batch_size": 200}
    classifiers = [ConvNetClassifier(lr=lr, **params) for lr in (0.01, 0.02)]
    fit_batched(classifiers, *digits)
    for batched in classifiers:
        alone = clone(batched).fit(*digits)
        np.testing.assert_allclose(
            batched.predict_proba(digits[0]), alone.predict_proba(digits[0]), atol=1e-6
        )


def test_a_diverging_network_spoils_no_other(digits):
    params = {**PLAIN, "network": "luacnn", "optimizer": "sgd"}
    classifiers = [ConvNetClassifier(lr=lr, **params) for lr in (0.01, 1e30)]
    assert fit_batched(classifiers, *digits).tolist() == [True, False]
    assert not hasattr(classifiers[1], "net_")
    probabilities = [
        classifier.predict_proba(digits[0])
        for classifier in (classifiers[0], clone(classifiers[0]).fit(*digits))
    ]
    np.testing.assert_allclose(*probabilities, atol=1e-3)


# Searches

GRID = {"convnetclassifier__lr": [1e-5, 1e-3, 0.01, 0.05]}


@pytest.fixture
def model():
    return make_pipeline(ImageNormalizer(), ConvNetClassifier(network="luacnn", **PLAIN))


def mean_scores(model, grid, X, y, fit_params=None, **options):
    """Return the scores of the candidates in scikit-learn's search and in ours."""
    options = {"cv": 2, "refit": False, **options}
    searches = [search(model, grid, **options) for search in (GridSearchCV, BatchedGridSearchCV)]
    return [
        search.fit(X, y, **(fit_params or {})).cv_results_["mean_test_score"] for search in searches
    ]


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_results_are_those_of_grid_search(n_jobs, model, digits):
    grid = [
        {**GRID, "convnetclassifier__batch_size": [16, 32]},
        {
            "convnetclassifier__optimizer": ["adamw", "muon", "sgd"],
            "convnetclassifier__momentum": [0.5, 0.9],
        },
    ]
    options = {"cv": 3, "scoring": ["accuracy", "neg_log_loss"], "refit": "accuracy"}
    options["return_train_score"] = True
    usual = GridSearchCV(model, grid, **options).fit(*digits)
    batched = BatchedGridSearchCV(model, grid, n_jobs=n_jobs, **options).fit(*digits)
    assert list(batched.cv_results_) == list(usual.cv_results_)
    assert batched.cv_results_["params"] == usual.cv_results_["params"]
    for key, values in usual.cv_results_.items():
        if "_time" not in key and ("score" in key or "split" in key):
            np.testing.assert_allclose(batched.cv_results_[key], values, atol=0.02, err_msg=key)
    assert batched.best_params_ == usual.best_params_
    np.testing.assert_array_equal(
        batched.best_estimator_.predict_proba(digits[0]),
        usual.best_estimator_.predict_proba(digits[0]),
    )
    assert (batched.cv_results_["mean_fit_time"] > 0).all()


def test_results_are_those_of_randomized_search(model, digits):
    candidates = {"convnetclassifier__lr": loguniform(1e-4, 0.05)}
    means = [
        search(model, candidates, n_iter=6, cv=2, random_state=0, refit=False)
        .fit(*digits)
        .cv_results_["mean_test_score"]
        for search in (RandomizedSearchCV, BatchedRandomizedSearchCV)
    ]
    np.testing.assert_allclose(*means, atol=0.01)


class Recording(ImageNormalizer):
    """A normalizer that records the size and joblib's backend of each fit, in one process."""

    fits: ClassVar[list] = []

    def fit(self, X, y=None):
        self.fits.append((len(X), type(get_active_backend()[0]).__name__))
        return super().fit(X)


@pytest.mark.parametrize(("max_models", "n_groups"), [(32, 2), (2, 4)])
def test_transformers_are_fitted_once_a_group_in_the_users_backend(max_models, n_groups, digits):
    Recording.fits.clear()
    model = Pipeline(
        [("scale", Recording()), ("net", ConvNetClassifier(network="luacnn", **PLAIN))]
    )
    grid = {"net__lr": [0.01, 0.02, 0.03]}
    BatchedGridSearchCV(model, grid, cv=2, max_models=max_models).fit(*digits)
    n_samples, backends = zip(*Recording.fits, strict=True)
    assert n_samples == (200,) * n_groups + (400,)  # the refit comes last
    assert "GatheringBackend" not in backends


def test_other_candidates_are_fitted_one_by_one(model, digits):
    grid = [
        {"imagenormalizer": [ImageNormalizer(), "passthrough"]},
        {"convnetclassifier__random_state": [np.random.RandomState(0)]},
        {"convnetclassifier": [LogisticRegression(max_iter=20)]},
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LogisticRegression has not converged
        np.testing.assert_array_equal(*mean_scores(model, grid, *digits))


def test_parameters_of_nested_steps_are_candidates_too(digits):
    model = make_pipeline(
        FeatureUnion([("pixels", ImageNormalizer())]), ConvNetClassifier(network="luacnn", **PLAIN)
    )
    grid = {"featureunion__pixels": [ImageNormalizer()], "convnetclassifier__lr": [0.01, 0.05]}
    np.testing.assert_allclose(*mean_scores(model, grid, *digits), atol=0.01)


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


class DataDependent(Linear):
    """A network with control flow that `torch.func.vmap` refuses."""

    def forward(self, images):
        return super().forward(images) * float(images.sum() > -1) * float(self.output.bias[0] < 99)


class PartlyFrozen(Linear):
    """A network with parameters that are not trained."""

    def __init__(self, image_shape, n_classes):
        super().__init__(image_shape, n_classes)
        self.output.bias.requires_grad_(False)


class RunningMean(Linear):
    """A network that replaces a buffer instead of changing it in place."""

    def __init__(self, image_shape, n_classes):
        super().__init__(image_shape, n_classes)
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, images):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * images.mean()
        return super().forward(images - self.mean)


class ScaledLoss(Linear):
    """A network whose loss has a parameter."""

    def __init__(self, image_shape, n_classes):
        super().__init__(image_shape, n_classes)
        self.scale = nn.Parameter(torch.ones(()))

    def loss(self, logits, targets):
        return nn.functional.cross_entropy(logits * self.scale, targets, reduction="none")


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (DataDependent, "vmap"),
        (PartlyFrozen, "parameters that are not trained"),
        (RunningMean, "buffers"),
        (ScaledLoss, None),  # known before the fit, so without a warning
    ],
)
def test_networks_that_a_group_would_change_are_fitted_one_by_one(network, reason, digits):
    classifier = ConvNetClassifier(network=network, **PLAIN)
    grid = {"lr": [0.001, 0.01]}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scores = mean_scores(classifier, grid, *digits, scoring="neg_log_loss")
    np.testing.assert_array_equal(*scores)
    text = "2 candidates could not be fitted together and were fitted one by one: "
    messages = [str(w.message) for w in caught if text in str(w.message)]
    assert len(messages) == (2 if reason else 0)  # one a fold
    assert all(reason in message for message in messages)


@pytest.mark.parametrize("backend", ["threading", "multiprocessing"])
def test_other_backends(backend, model, digits):
    with parallel_config(backend):
        np.testing.assert_allclose(*mean_scores(model, GRID, *digits, n_jobs=2), atol=0.01)


def test_groups_are_small_enough_for_all_workers():
    def task(i, fold):
        classifier = ConvNetClassifier(network="luacnn", random_state=0)
        kwargs = {"parameters": {"lr": 0.01 * (i + 1)}, "train": np.arange(fold, fold + 5)}
        return delayed(_fit_and_score)(classifier, None, None, **kwargs)

    tasks = [task(i, fold) for i in range(10) for fold in range(2)]
    assert [len(group) for group in group_tasks(tasks, 32)] == [10, 10]
    assert [len(group) for group in group_tasks(tasks, 4)] == [4, 3, 3, 4, 3, 3]
    assert [len(group) for group in group_tasks(tasks, 32, n_workers=4)] == [5, 5, 5, 5]
    assert sorted(i for group in group_tasks(tasks, 4) for i in group) == list(range(20))


# Threads, which a search uses on a GPU


def fit_in_threads(search, X, y, n_threads):
    """Fit a search of scikit-learn in threads, as one of ours on a GPU; return its scores."""
    backend = GatheringBackend(lambda tasks: run_in_threads(tasks, n_threads, verbose=0))
    with parallel_config(backend=backend):
        return search.fit(X, y).cv_results_["mean_test_score"]


def test_fits_in_threads_are_those_of_grid_search(model, digits):
    grid = {**GRID, "convnetclassifier__network": ["convnet", "luacnn"]}
    search = GridSearchCV(model, grid, cv=2, refit=False)
    expected = search.fit(*digits).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(fit_in_threads(clone(search), *digits, n_threads=2), expected)


class Refused(Linear):
    """A network that finds no memory as often as `n_times` says."""

    n_times = 0

    def forward(self, images):
        if self.training and Refused.n_times:
            Refused.n_times -= 1
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return super().forward(images)


def test_a_fit_without_memory_is_run_again(digits):
    search = GridSearchCV(
        ConvNetClassifier(network=Refused, **PLAIN), {"lr": [0.01, 0.02, 0.03]}, cv=2, refit=False
    )
    expected = search.fit(*digits).cv_results_["mean_test_score"]
    Refused.n_times = 2
    np.testing.assert_array_equal(fit_in_threads(clone(search), *digits, n_threads=2), expected)
    assert Refused.n_times == 0
    assert np.isfinite(expected).all()


def test_only_fits_of_the_classifier_on_a_gpu_run_in_threads():
    def task(**params):
        kwargs = {"parameters": params, "train": np.arange(5)}
        return delayed(_fit_and_score)(ConvNetClassifier(), None, None, **kwargs)

    assert not are_on_gpu([task(device="cpu")])
    assert not are_on_gpu([task(device="cuda:999")])  # the fit raises the error
    assert not are_on_gpu([delayed(len)([])])


def test_random_state_none_is_drawn_once_a_group(digits):
    classifier = ConvNetClassifier(network="luacnn", **{**PLAIN, "random_state": None})
    search = BatchedGridSearchCV(classifier, {"weight_decay": [0.01, 0.01]}, cv=2, refit=False)
    results = search.fit(*digits).cv_results_
    np.testing.assert_array_equal(results["split0_test_score"][0], results["split0_test_score"][1])


def test_sample_weights_reach_the_classifier(model, digits):
    X, y = digits
    weights = {"convnetclassifier__sample_weight": np.where(y < 5, 1.0, 0.001)}
    means = mean_scores(model, GRID, X, y, fit_params=weights)
    np.testing.assert_allclose(*means, atol=0.02)
    assert means[0].max() < 0.6  # digits of almost no weight are not learned


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.8"),
    reason="older searches don't route metadata to a pipeline's score",
)
def test_metadata_are_routed(model, digits):
    X, y = digits
    with config_context(enable_metadata_routing=True):
        classifier = clone(model[-1]).set_fit_request(sample_weight=True)
        classifier.set_score_request(sample_weight=True)
        routed = make_pipeline(ImageNormalizer(), classifier)
        weights = {"sample_weight": np.where(y < 5, 1.0, 0.001)}
        means = mean_scores(routed, GRID, X, y, fit_params=weights)
    np.testing.assert_allclose(*means, atol=0.02)
    assert means[0].max() > 0.8


def test_a_search_inside_a_cross_validation(model, digits):
    searches = [search(model, GRID, cv=2) for search in (GridSearchCV, BatchedGridSearchCV)]
    scores = [cross_val_score(search, *digits, cv=2) for search in searches]
    np.testing.assert_allclose(*scores, atol=0.01)
    assert clone(searches[1]).get_params()["max_models"] == 32


# Scoring


def test_a_callable_scores_frozen_candidates(model, digits):
    def score(estimator, X, y):
        assert isinstance(estimator, FrozenEstimator)
        before = estimator.predict_proba(X)
        np.testing.assert_array_equal(estimator.fit(X, y).predict_proba(X), before)
        with pytest.raises(ValueError, match="cannot set parameters of the inner estimator"):
            estimator.set_params(convnetclassifier__max_epochs=1)
        anew = clone(pickle.loads(pickle.dumps(estimator)).estimator)
        anew.set_params(convnetclassifier__max_epochs=1).fit(X, y)
        return {
            "accuracy": estimator.score(X, y),
            "n_iter": estimator[-1].n_iter_,
            "n_iter_anew": anew[-1].n_iter_,
        }

    search = BatchedGridSearchCV(
        model, GRID, cv=2, scoring=score, refit="accuracy", error_score="raise"
    ).fit(*digits)
    assert set(search.cv_results_["mean_test_n_iter"]) == {3}
    assert set(search.cv_results_["mean_test_n_iter_anew"]) == {1}
    assert type(search.best_estimator_) is Pipeline


def test_a_scorer_that_fails_gives_the_error_score(model, digits):
    def score(estimator, X, y):
        if estimator[-1].lr > 0.02:
            raise RuntimeError
        return 1.0

    search = BatchedGridSearchCV(model, GRID, cv=2, scoring=score, error_score=-1, refit=False)
    with pytest.warns(UserWarning, match="Scoring failed"):
        search.fit(*digits)
    assert search.cv_results_["mean_test_score"].tolist() == [1, 1, 1, -1]


def test_feature_names_are_kept(digits):
    X, y = digits
    X = pd.DataFrame(X).add_prefix("pixel")
    search = BatchedGridSearchCV(
        ConvNetClassifier(network="luacnn", **PLAIN), {"lr": [0.01, 0.02]}, scoring="roc_auc_ovr"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search.fit(X, y)
        assert list(search.feature_names_in_) == list(X)
        search.score(X, y)


@pytest.mark.parametrize("verbose", [2, 10])
def test_verbose_lines_have_the_parameters(verbose, model, digits, capsys):
    BatchedGridSearchCV(model, GRID, cv=2, refit=False, verbose=verbose).fit(*digits)
    lines = [line for line in capsys.readouterr().out.splitlines() if "[CV" in line]
    for lr in GRID["convnetclassifier__lr"]:
        assert sum(line.startswith(f"convnetclassifier__lr={lr} [CV") for line in lines) == 2


def test_max_models_is_checked(model, digits):
    message = "'max_models' parameter of BatchedGridSearchCV must be an int"
    with pytest.raises(ValueError, match=message):
        BatchedGridSearchCV(model, GRID, max_models=0).fit(*digits)
