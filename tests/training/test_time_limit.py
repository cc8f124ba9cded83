"""max_time: training ends on a whole epoch, with its schedule completed."""

import time

import numpy as np
import pytest
from skorch.callbacks import Callback

from sklearn_usps import BatchedGridSearchCV, ConvNetClassifier, MultiTaskConvNetClassifier
from sklearn_usps.training.optim._time_limit import TimeLimit

FAST = {"network": "luacnn", "batch_size": 32, "random_state": 0}
N_BATCHES = 4  # of 120 samples


class Slow(Callback):
    """An epoch takes a fifth of a second, or more."""

    def on_epoch_end(self, net, **kwargs):
        time.sleep(0.2)


class Rates(Callback):
    def on_train_begin(self, net, **kwargs):
        self.rates = []

    def on_batch_begin(self, net, training, **kwargs):
        if training:
            self.rates.append(net.current_lr())


@pytest.mark.parametrize("max_time", [1e4, np.float32(1e9)])
@pytest.mark.parametrize("lr_schedule", ["one-cycle", "cosine", "constant"])
def test_with_ample_time_nothing_changes(max_time, lr_schedule, bars):
    X, y = bars
    params = {**FAST, "max_epochs": 7, "lr_schedule": lr_schedule, "early_stopping": True}
    expected = ConvNetClassifier(**params).fit(X, y)
    limited = ConvNetClassifier(max_time=max_time, **params).fit(X, y)
    assert limited.n_iter_ == 7
    np.testing.assert_array_equal(limited.predict_proba(X), expected.predict_proba(X))


def test_without_time_an_epoch_has_the_whole_schedule(bars):
    X, y = bars
    rates = Rates()
    params = {**FAST, "callbacks": [rates], "lr_schedule": "cosine", "lr": 0.01}
    classifier = ConvNetClassifier(max_time=1e-9, max_epochs=10**30, **params).fit(X, y)
    assert classifier.n_iter_ == len(classifier.history_) == 1
    expected = 0.01 * (1 + np.cos(np.pi * np.arange(N_BATCHES) / N_BATCHES)) / 2
    np.testing.assert_allclose(rates.rates, expected, rtol=1e-3)
    one_epoch = ConvNetClassifier(max_epochs=1, **params).fit(X, y)
    np.testing.assert_allclose(rates.rates, expected)
    assert one_epoch.history_[0].keys() == classifier.history_[0].keys()


def test_by_default_the_time_is_used(bars):
    X, y = bars[0][:20], bars[1][:20]
    assert ConvNetClassifier(max_time=1e4, **FAST).fit(X, y).n_iter_ == 1000
    params = {**FAST, "early_stopping": True, "n_iter_no_change": 1000}
    assert ConvNetClassifier(max_time=1e4, **params).fit(X, y, X_val=X, y_val=y).n_iter_ == 100


@pytest.mark.parametrize("lr_schedule", ["one-cycle", "constant"])
def test_whole_epochs_that_fit(lr_schedule, bars):
    X, y = bars
    rates = Rates()
    params = {"callbacks": [rates, Slow()], "max_time": 1.3, "max_epochs": 1000}
    classifier = ConvNetClassifier(**params, lr_schedule=lr_schedule, **FAST).fit(X, y)
    assert 1 <= classifier.n_iter_ <= 6  # each of 0.2 s or more
    assert len(rates.rates) == N_BATCHES * classifier.n_iter_
    assert [epoch["epoch"] for epoch in classifier.history_] == [*range(1, classifier.n_iter_ + 1)]


def test_slow_first_steps_are_not_taken_for_the_others():
    limit = TimeLimit(time.perf_counter() + 100)
    limit.on_train_begin(None)
    limit.epoch_begin_ -= 1000  # the seconds of the first step, in which libraries start
    assert [limit.plan_epochs(n_steps, 40) for n_steps in range(1, 6)][-1] > 10


def test_early_stopping_may_come_first(bars):
    X, y = bars
    params = {**FAST, "early_stopping": True, "n_iter_no_change": 2, "lr": 1e-9}
    classifier = ConvNetClassifier(max_time=1e4, max_epochs=1000, **params).fit(X, y)
    assert classifier.n_iter_ < 1000
    limited = ConvNetClassifier(max_time=1e-9, **params).fit(X, y)
    assert limited.n_iter_ == limited.best_epoch_ == 1


def test_each_fit_has_its_own_time_and_partial_fit_has_none(bars):
    X, y = bars
    classifier = ConvNetClassifier(max_time=1e-9, warm_start=True, **FAST)
    assert [classifier.fit(X, y).n_iter_ for _ in range(3)] == [1, 2, 3]
    assert classifier.partial_fit(X, y).n_iter_ == 4
    expected = ConvNetClassifier(**FAST).partial_fit(X, y, classes=[0, 1, 2])
    limited = ConvNetClassifier(max_time=1e-9, **FAST).partial_fit(X, y, classes=[0, 1, 2])
    np.testing.assert_array_equal(limited.predict_proba(X), expected.predict_proba(X))


def test_several_tasks(two_tasks):
    X, y, task = two_tasks
    model = MultiTaskConvNetClassifier(ConvNetClassifier(max_epochs=5, **FAST))
    assert model.set_params(estimator__max_time=1e-9).fit(X, y, task=task).n_iter_ == 1
    assert model.set_params(estimator__max_time=1e4).fit(X, y, task=task).n_iter_ == 5


def test_a_batched_search_fits_them_one_by_one(bars):
    X, y = bars
    grid = {"max_time": [None, 1e-9], "lr": [0.01, 0.02]}
    classifier = ConvNetClassifier(max_epochs=3, **FAST)
    search = BatchedGridSearchCV(classifier, grid, cv=2, refit=False).fit(X, y)
    one_epoch = BatchedGridSearchCV(classifier, {**grid, "max_time": [1e-9]}, cv=2).fit(X, y)
    assert one_epoch.best_estimator_.n_iter_ == 1
    scores = search.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(scores[1::2], one_epoch.cv_results_["mean_test_score"])


def test_verbose_prints_the_time_that_is_left(bars, capsys):
    params = {"max_time": 1e-9, "max_epochs": 100, "verbose": 1}
    ConvNetClassifier(**params, **FAST).fit(*bars)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("Epoch   1/100 ")
    assert line.endswith("   0 s left")


@pytest.mark.parametrize("max_time", [0, -1.0, np.nan, np.inf, "10", [10]])
def test_wrong_values(max_time, bars):
    with pytest.raises(ValueError, match="'max_time' parameter of ConvNetClassifier must be a flo"):
        ConvNetClassifier(max_time=max_time).fit(*bars)
