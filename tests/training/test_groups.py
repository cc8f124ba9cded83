"""Groups of samples, such as images by one writer: early stopping holds out whole ones."""

import numpy as np
import pytest
import sklearn
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import Pipeline
from skorch.callbacks import Callback

from sklearn_usps import (
    BatchedGridSearchCV,
    ConvNetClassifier,
    ImageNormalizer,
    MultiTaskConvNetClassifier,
)
from sklearn_usps.training._data import split_groups

FAST = {"network": "luacnn", "max_epochs": 1, "batch_size": 32, "random_state": 0}
seen: list = []  # a clone of a callback has a copy of its attributes


class Rows(Callback):
    """Notes the first pixels of the training and of the validation samples."""

    def on_train_begin(self, net, **kwargs):
        parts = net.get_split_datasets(None)
        seen.append([set(part.dataset.X[part.indices, 0].tolist()) for part in parts])


@pytest.fixture
def written(bars):
    """The bars, by 12 writers of ten; the first pixel is the number of the writer."""
    seen.clear()
    X, y = bars
    writers = np.random.default_rng(0).permutation(120) % 12
    X = X.copy()
    X[:, 0] = writers / 12
    return X, y, np.array([f"writer {number}" for number in writers])


def classifier(**params):
    return ConvNetClassifier(early_stopping=True, callbacks=[Rows()], **{**FAST, **params})


def test_a_writer_is_on_one_side(written):
    X, y, writers = written
    for seed in range(5):
        classifier(random_state=seed).fit(X, y, groups=writers)
        train, valid = seen[-1]
        assert train.isdisjoint(valid)
        assert len(valid) == 1  # of 12, a tenth
    classifier().fit(X, y, groups=list(writers))
    assert seen[-1] == seen[0]  # names in a list
    classifier().fit(X, y)
    assert not seen[-1][0].isdisjoint(seen[-1][1])


def test_samples_of_weight_zero_do_not_count(written):
    X, y, writers = written
    weights = np.where(np.isin(writers, ["writer 1", "writer 5"]), 1.0, 0.0)
    classifier().fit(X, y, weights, groups=writers)
    train, valid = seen[-1]
    assert len(train) == len(valid) == 1


def test_without_a_hold_out_groups_change_nothing(written):
    X, y, writers = written
    expected = ConvNetClassifier(**FAST).fit(X, y).predict_proba(X)
    given = ConvNetClassifier(**FAST).fit(X, y, groups=writers).predict_proba(X)
    np.testing.assert_array_equal(given, expected)
    validation = {"X_val": X[:30], "y_val": y[:30]}
    early = classifier().fit(X, y, **validation).predict_proba(X)
    given = classifier().fit(X, y, groups=writers, **validation).predict_proba(X)
    np.testing.assert_array_equal(given, early)


@pytest.mark.parametrize("wrap", [lambda model: model, MultiTaskConvNetClassifier])
@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.arange(119), "inconsistent numbers of samples"),
        (
            np.zeros((120, 2)),
            r"groups should be a 1d array, got an array of shape \(120, 2\) instead\.$",
        ),
        (np.r_[np.nan, np.arange(119.0)], "Input groups contains NaN"),
        ([None, *"a" * 119], "`groups` has 1 missing labels"),
        (np.zeros(120), "there is only one group with"),
        (np.arange(120) % 3, "there is only one group with"),
    ],
)
def test_wrong_groups(wrap, groups, message, bars):
    X, y = bars
    model = wrap(ConvNetClassifier(early_stopping=True, **FAST))
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, groups=groups)


def test_groups_of_several_tasks(two_tasks):
    X, y, task = two_tasks
    seen.clear()
    writers = np.arange(160) // 2 % 16
    X = X.copy()
    X[:, 0] = writers / 16
    model = MultiTaskConvNetClassifier(classifier())
    model.fit(X, y, task=task, groups=writers)
    train, valid = seen[-1]
    assert train.isdisjoint(valid)
    assert set(model.history_[0]["tasks"]) == {"bars", "sides"}
    assert all("valid_loss" in each for each in model.history_[0]["tasks"].values())


def test_a_search_routes_groups_to_several_tasks(two_tasks):
    X, y, task = two_tasks
    seen.clear()
    writers = np.arange(160) // 2 % 16
    X = X.copy()
    X[:, 0] = writers / 16
    with sklearn.config_context(enable_metadata_routing=True):
        model = MultiTaskConvNetClassifier(classifier())
        model.set_fit_request(groups=True, task=True).set_score_request(task=True)
        search = GridSearchCV(model, {"estimator__lr": [0.01]}, cv=GroupKFold(2))
        search.fit(X, y, groups=writers, task=task)
    assert len(seen) == 3
    assert all(train.isdisjoint(valid) for train, valid in seen)
    assert 0 <= search.best_score_ <= 1


@pytest.mark.parametrize("search", [GridSearchCV, BatchedGridSearchCV])
@pytest.mark.parametrize("in_pipeline", [False, True])
def test_searches_route_groups_to_splitter_and_classifier(search, in_pipeline, written):
    X, y, writers = written
    with sklearn.config_context(enable_metadata_routing=True):
        model = classifier().set_fit_request(groups=True)
        prefix = ""
        if in_pipeline:
            normalizer = ImageNormalizer(method="global")
            model, prefix = Pipeline([("normalize", normalizer), ("net", model)]), "net__"
        grid = {f"{prefix}lr": [0.01, 0.02]}
        search = search(model, grid, cv=GroupKFold(3)).fit(X, y, groups=writers)
        assert len(seen) == 3 * 2 + 1
        for train, valid in seen:
            assert train.isdisjoint(valid)
            assert len(valid) == 1
            assert len(train) in (7, 11)  # of eight in a fold, or of all twelve
        scores = cross_val_score(model, X, y, cv=GroupKFold(3), params={"groups": writers})
        assert len(scores) == 3
        assert all(train.isdisjoint(valid) for train, valid in seen)


def test_a_batched_search_with_groups_is_that_of_scikit_learn(written):
    X, y, writers = written
    params = {**FAST, "max_epochs": 3, "early_stopping": True}
    with sklearn.config_context(enable_metadata_routing=True):
        model = ConvNetClassifier(**params).set_fit_request(groups=True)
        grid = {"lr": [0.01, 0.02, 0.05]}
        one_by_one, batched = (
            search(model, grid, cv=GroupKFold(3)).fit(X, y, groups=writers)
            for search in (GridSearchCV, BatchedGridSearchCV)
        )
    key = "mean_test_score"
    np.testing.assert_allclose(batched.cv_results_[key], one_by_one.cv_results_[key], atol=0.02)
    assert isinstance(batched.best_estimator_, ConvNetClassifier)


def held_out_shares(y, groups, fraction, seed=0):
    classes = np.arange(y.max() + 1)
    rng = np.random.RandomState(seed)
    kept, held_out = split_groups(y, groups, classes, fraction, rng)
    assert set(kept) | set(held_out) == set(range(len(y)))
    assert set(groups[kept]).isdisjoint(groups[held_out])
    return np.bincount(y[held_out]) / np.bincount(y)


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.25, 0.6])
def test_shares_of_the_classes(fraction):
    rng = np.random.default_rng(0)
    y = rng.integers(10, size=5000)
    of_100 = held_out_shares(y, rng.integers(100, size=5000), fraction)
    np.testing.assert_allclose(of_100, fraction, atol=0.03)
    unequal = np.floor(rng.pareto(1, size=5000)).astype(int)
    np.testing.assert_allclose(held_out_shares(y, unequal, fraction), fraction, atol=0.03)
    one_group_each = np.arange(5000)
    np.testing.assert_allclose(held_out_shares(y, one_group_each, fraction), fraction, atol=0.01)


def test_classes_in_few_groups():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(10), 40)
    two_each = held_out_shares(
        y, 2 * y + rng.permuted(np.tile([0, 1], (10, 20)), axis=1).ravel(), 0.1
    )
    np.testing.assert_allclose(two_each, 0.5)
    ten_each = held_out_shares(y, 10 * y + np.tile(np.arange(10), 40), 0.1)
    np.testing.assert_allclose(ten_each, 0.1)
    huge = np.where(np.arange(400) % 2, 0, 1 + np.arange(400) // 2 % 10)
    np.testing.assert_allclose(held_out_shares(y, huge, 0.1), 0.1)
    with pytest.raises(
        ValueError, match="no way to hold out some of 3 groups so that all 3 classes"
    ):
        split_groups(
            np.array([0, 1, 1, 2, 0, 2]),
            np.array([0, 0, 1, 1, 2, 2]),
            np.arange(3),
            0.3,
            np.random.RandomState(0),
        )
