"""Ctrl-C in training and searches, and workers that die."""

import os
import signal
import time

import psutil
import pytest
from factor import FACTOR

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

BEGIN = """
import json, signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
import numpy as np
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn_usps import ConvNetClassifier, BatchedGridSearchCV
rng = np.random.default_rng(0)
X, y = rng.random((400, 64), dtype=np.float32), np.arange(400) % 2
params = dict(network="luacnn", random_state=0, device="cpu")
endless = ConvNetClassifier(max_epochs=10**6, **params)
"""


def test_interrupted_training_keeps_its_epochs(start, tmp_path):
    # The signal arrives in the forward pass: out of a callback, it would be a request to stop.
    code = """
from skorch.callbacks import Callback
from sklearn_usps.networks import LuaCNN
class WaitingCNN(LuaCNN):
    waits = False
    def forward(self, images):
        if WaitingCNN.waits:
            WaitingCNN.waits = False
            print("third epoch", flush=True)
            time.sleep(60)
        return super().forward(images)
class WaitAfterTwoEpochs(Callback):
    def on_epoch_end(self, net, **kwargs):
        WaitingCNN.waits = len(net.history) == 2
endless.set_params(network=WaitingCNN, callbacks=[WaitAfterTwoEpochs()])
try:
    endless.fit(X, y)
except KeyboardInterrupt:
    assert endless.n_iter_ == len(endless.history_) == endless.history_[-1]["epoch"] == 2
    assert np.isfinite(endless.predict_proba(X)).all()
    endless.set_params(max_epochs=2, callbacks=None).fit(X, y)
    fresh = ConvNetClassifier(max_epochs=2, **params).set_params(network=WaitingCNN).fit(X, y)
    np.testing.assert_array_equal(endless.predict_proba(X), fresh.predict_proba(X))
    print("interrupted")
"""
    child = start(BEGIN + code, tmp_path)
    assert child.stdout.readline() == "third epoch\n", child.communicate()[1]
    child.send_signal(signal.SIGINT)
    output, errors = child.communicate(timeout=300)
    assert output == "interrupted\n", errors


#: With two jobs joblib ends the workers, which may take long on a busy machine.
SEARCHES = [
    ("BatchedGridSearchCV", 1),
    ("GridSearchCV", 1),
    ("BatchedGridSearchCV", 2),
    ("GridSearchCV", 2),
]


@pytest.mark.parametrize(("search", "n_jobs"), SEARCHES[:2] if FACTOR == 1 else SEARCHES)
def test_interrupted_searches_end_with_their_workers(start, tmp_path, search, n_jobs):
    code = f"""
search = {search}(endless, {{"lr": [0.01, 0.02]}}, cv=2, n_jobs={n_jobs})
print("begin", flush=True)
search.fit(X, y)
"""
    # A session of its own, so that the signal reaches all its processes, as Ctrl-C does.
    child = start(BEGIN + code, tmp_path, start_new_session=True)
    assert child.stdout.readline() == "begin\n", child.communicate()[1]
    process = psutil.Process(child.pid)
    if n_jobs > 1:
        deadline = time.monotonic() + 60
        while len(busy(process)) < 2:
            assert time.monotonic() < deadline, "the workers do not work"
            time.sleep(0.05)
    else:
        time.sleep(0.5)
    family = [process, *process.children(recursive=True)]
    os.killpg(child.pid, signal.SIGINT)
    _, errors = child.communicate(timeout=300)
    assert child.returncode != 0
    assert "KeyboardInterrupt" in errors
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive


def busy(process):
    """Return the children that have worked for longer than the imports take."""
    return [
        child
        for child in process.children(recursive=True)
        if "loky" in " ".join(child.cmdline()) and child.cpu_times().user > 3
    ]


def test_worker_that_dies_is_an_error_and_the_next_call_works(start, tmp_path):
    code = """
class Dies(ConvNetClassifier):
    def fit(self, X, y):
        os.kill(os.getpid(), signal.SIGKILL)
from joblib.externals.loky.process_executor import TerminatedWorkerError
try:
    cross_val_score(Dies(max_epochs=1, **params), X, y, n_jobs=2, cv=2)
except TerminatedWorkerError as error:
    print("error", flush=True)
print(len(cross_val_score(ConvNetClassifier(max_epochs=1, **params), X, y, n_jobs=2, cv=2)))
"""
    output, errors = start(BEGIN + code, tmp_path).communicate(timeout=300)
    assert output == "error\n2\n", errors
