"""Threads and forks: networks of a user draw from one global generator, and take turns with it."""

import logging
import os
import signal
import threading
import warnings

import joblib
import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from torch import nn

from sklearn_usps import (
    BatchedGridSearchCV,
    ConvNetClassifier,
    MultiTaskConvNetClassifier,
    export_onnx,
)

EXPORTER = "torch.onnx._internal.exporter._registration"


class Own(nn.Module):
    """A user's network with dropout, which draws from torch's global generator."""

    def __init__(self, image_shape, n_classes):
        super().__init__()
        height, width = image_shape
        self.filters = nn.Conv2d(1, 3, 3, padding=1)
        self.dropout = nn.Dropout(0.3)
        self.output = nn.Linear(3 * height * width, n_classes)

    def forward(self, images):
        return self.output(self.dropout(self.filters(images).relu().flatten(1)) * torch.ones(1))


class TakesGenerator(Own):
    """A network that takes a generator, but not for its dropout."""

    def __init__(self, image_shape, n_classes, generator=None):
        super().__init__(image_shape, n_classes)


def make(network, seed=0, **params):
    defaults = {"max_epochs": 2, "batch_size": 16, "device": "cpu", "random_state": seed}
    return ConvNetClassifier(network=network, **defaults | params)


def fit(network, data, seed=0, **params):
    """Return the bits of a fit's probabilities."""
    return make(network, seed, **params).fit(*data).predict_proba(data[0]).tobytes()


def in_threads(function, *arguments, n_jobs=4):
    return Parallel(n_jobs=n_jobs, prefer="threads")(delayed(function)(*each) for each in arguments)


@pytest.fixture(autouse=True)
def _global_state_is_kept():
    state, dtype = torch.get_rng_state(), torch.get_default_dtype()
    yield
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_default_dtype() == dtype


@pytest.fixture
def float64():
    """The default dtype float64, which fits must not change."""
    torch.set_default_dtype(torch.float64)
    yield
    found = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    assert found == torch.float64


NETWORKS = pytest.mark.parametrize("network", [Own, TakesGenerator, "luacnn", "convnet"])


@NETWORKS
def test_fits_in_threads_have_the_bits_of_serial_ones(network, bars):
    serial = [fit(network, bars, seed) for seed in range(2)]
    assert in_threads(fit, *[(network, bars, i % 2) for i in range(6)]) == serial * 3


@NETWORKS
def test_threads_with_another_default_dtype(network, bars, request):
    serial = fit(network, bars)
    request.getfixturevalue("float64")
    assert set(in_threads(fit, *[(network, bars)] * 4)) == {serial}


def brighten(images, generator):
    return images + torch.rand(len(images), 1, 1, 1) * 0.1


def test_augmentations_in_threads(bars):
    serial = [fit("luacnn", bars, seed, augmentation=brighten) for seed in range(2)]
    calls = [
        delayed(fit)("luacnn", bars, seed, augmentation=brighten) for seed in range(2) for _ in "ab"
    ]
    parallel = Parallel(n_jobs=4, prefer="threads")(calls)
    assert parallel == [serial[0], serial[0], serial[1], serial[1]]


@pytest.mark.parametrize("network", [Own, "luacnn"])
@pytest.mark.parametrize(
    "model",
    [
        lambda c, n: GridSearchCV(c, {"lr": [0.01, 0.02]}, cv=2, n_jobs=n),
        lambda c, n: BatchedGridSearchCV(c, {"lr": [0.01, 0.02]}, cv=2, n_jobs=n),
        lambda c, n: BaggingClassifier(c, n_estimators=3, n_jobs=n, random_state=0),
        lambda c, n: VotingClassifier([("a", c), ("b", c)], voting="soft", n_jobs=n),
    ],
    ids=["search", "batched search", "bagging", "voting"],
)
def test_composites_with_threads(model, network, bars):
    X, y = bars
    serial = model(make(network), None).fit(X, y)
    with joblib.parallel_backend("threading"):
        parallel = model(make(network), 4).fit(X, y)
        np.testing.assert_array_equal(parallel.predict_proba(X), serial.predict_proba(X))


def test_tasks_in_threads(two_tasks):
    X, y, task = two_tasks

    def fit_tasks():
        model = MultiTaskConvNetClassifier(make(Own)).fit(X, y, task=task)
        return model.predict_proba(X, task=task).tobytes()

    assert set(in_threads(fit_tasks, *[()] * 4)) == {fit_tasks()}


@NETWORKS
def test_predictions_of_one_classifier_in_threads_while_others_are_fitted(network, bars):
    X, y = bars
    classifier = make(network).fit(X, y)
    expected = {classifier.predict_proba(X).tobytes()}, {fit(network, bars, 1)}

    def call(number):
        if number % 4 == 0:
            return fit(network, bars, 1)
        return classifier.predict_proba(X).tobytes()

    found = in_threads(call, *[(i,) for i in range(24)], n_jobs=8)
    assert ({found[i] for i in range(24) if i % 4}, set(found[::4])) == expected


class FitsInThreads(Callback):
    """A callback that waits for threads which fit networks too."""

    def __init__(self, data):
        self.data = data

    def on_train_begin(self, net, **kwargs):
        self.found, self.states = [], []

    def on_epoch_end(self, net, **kwargs):
        self.states.append(torch.get_rng_state())
        self.found += in_threads(fit, *[(Own, self.data, 5)] * 2, n_jobs=2)


class FitsInBatches(FitsInThreads):
    def on_batch_end(self, net, training, **kwargs):
        if training and len(self.found) < 4:
            self.on_epoch_end(net)


@pytest.mark.parametrize("callback", [FitsInThreads, FitsInBatches])
def test_a_callback_may_wait_for_fits_in_threads(callback, bars):
    listener = callback(bars)
    expected = fit(Own, bars), {fit(Own, bars, 5)}
    assert (fit(Own, bars, callbacks=[listener]), set(listener.found)) == expected
    # It sees the random state of the program, not that of the network.
    assert all(torch.equal(state, torch.get_rng_state()) for state in listener.states)


class Predicts(Callback):
    """A callback that predicts in the middle of an epoch, which needs the mode of evaluation."""

    def __init__(self, X):
        self.X = X

    def on_batch_begin(self, net, **kwargs):
        net.predict(self.X)


@pytest.mark.parametrize("network", [Own, "convnet"])
def test_a_callback_may_predict_between_batches(network, bars):
    assert fit(network, bars, callbacks=[Predicts(bars[0])]) == fit(network, bars)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_fork_while_threads_fit(bars, float64):
    expected, state = fit(Own, bars), torch.get_rng_state()
    stop = threading.Event()

    def keep_fitting():
        while not stop.is_set():
            fit(Own, bars)

    threads = [threading.Thread(target=keep_fitting) for _ in range(2)]
    for thread in threads:
        thread.start()
    codes = []
    for _ in range(4):
        if (child := os.fork()) == 0:
            signal.alarm(60)
            kept = torch.equal(torch.get_rng_state(), state)
            kept = kept and torch.get_default_dtype() == torch.float64
            same = fit(Own, bars) == expected and torch.get_default_dtype() == torch.float64
            os._exit(2 * (not kept) + (not same))
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    stop.set()
    for thread in threads:
        thread.join()
    assert codes == [0] * 4


def test_calls_of_partial_fit_in_turns(bars):
    X, y = bars
    first, second, alone = make(Own, 1), make(Own, 2), make(Own, 1)
    for _ in range(2):
        first.partial_fit(X, y, classes=[0, 1, 2])
        second.partial_fit(X, y, classes=[0, 1, 2])
    for _ in range(2):
        alone.partial_fit(X, y, classes=[0, 1, 2])
    np.testing.assert_array_equal(first.predict_proba(X), alone.predict_proba(X))


def test_exports_in_threads_leave_the_filters_of_warnings(bars, tmp_path):
    pytest.importorskip("onnxscript")
    classifier = make("luacnn").fit(*bars)
    filters, logger = warnings.filters.copy(), logging.getLogger(EXPORTER)
    level = logger.level
    in_threads(export_onnx, *[(classifier, tmp_path / f"{i}.onnx") for i in range(3)])
    assert (warnings.filters, logger.level) == (filters, level)
    assert len({(tmp_path / f"{i}.onnx").read_bytes() for i in range(3)}) == 1
