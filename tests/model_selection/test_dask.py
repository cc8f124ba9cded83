"""Searches on a Dask cluster of two processes on this machine."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV

from sklearn_usps import BatchedGridSearchCV, ConvNetClassifier

distributed = pytest.importorskip("distributed")
psutil = pytest.importorskip("psutil")  # distributed needs it
pytestmark = pytest.mark.real_data

GRID = {"lr": [1e-4, 0.003, 0.01, 0.03]}


@pytest.fixture(scope="module")
def client():
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True}
    with (
        distributed.LocalCluster(**options, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def digits(roweis):
    rows = np.random.default_rng(0).permutation(10_000)[:1000]
    return roweis.data[rows], roweis.target[rows]


@pytest.fixture(params=[GridSearchCV, BatchedGridSearchCV])
def search(request):
    classifier = ConvNetClassifier(
        network="luacnn", max_epochs=3, batch_size=32, augmentation=None, random_state=0
    )
    return request.param(classifier, GRID, cv=3, n_jobs=2)


def test_results_are_those_without_a_cluster(search, digits, client):
    here = search.set_params(n_jobs=None).fit(*digits).cv_results_["mean_test_score"]
    with parallel_config("dask"):
        there = search.set_params(n_jobs=2).fit(*digits).cv_results_["mean_test_score"]
    np.testing.assert_allclose(there, here, atol=1e-3)


def test_scattered_data_are_sent_once_to_each_worker(search, roweis, client):
    X, y = roweis.data[:10_000], roweis.target[:10_000]
    search.set_params(refit=False, estimator__max_epochs=1, estimator__batch_size=500)

    def sent():
        return psutil.net_io_counters(pernic=True)["lo"].bytes_sent

    before = sent()
    with parallel_config("dask", scatter=[X, y]):
        search.fit(X, y)
    n_bytes = X.nbytes + y.nbytes
    # For twelve fits; the surplus is messages of the cluster and traffic of other tests.
    assert 2 * n_bytes <= sent() - before < 4 * n_bytes


@pytest.mark.parametrize("max_models", [1, 32])
def test_a_search_survives_the_loss_of_a_worker(max_models, digits, client):
    classifier = ConvNetClassifier(
        network="luacnn", max_epochs=30, batch_size=32, augmentation=None, random_state=0
    )
    search = BatchedGridSearchCV(classifier, GRID, cv=3, refit=False, max_models=max_models)
    here = search.fit(*digits)
    expected = here.cv_results_["mean_test_score"]
    process, *_ = client.run(os.getpid).values()

    def kill():
        deadline = time.monotonic() + 60
        while not any(client.processing().values()) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.3)
        os.kill(process, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with parallel_config("dask", scatter=list(digits)):
        search.set_params(n_jobs=2).fit(*digits)
    killer.join()
    assert process not in client.run(os.getpid).values()
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], expected, atol=1e-3)
