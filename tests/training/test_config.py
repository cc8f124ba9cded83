"""Threads of processes."""

import subprocess
import sys

import pytest

FORK = """
import os, signal, sys
import numpy as np, skorch, torch

torch.set_num_threads(2)
handlers = []
os.register_at_fork = lambda **handler: handlers.append(handler)
import sklearn_usps.neural_network
from sklearn_usps import ConvNetClassifier
classifier = ConvNetClassifier(network="luacnn", max_epochs=1, device="cpu")
assert not handlers and torch.get_num_threads() == 2

X, y = np.random.default_rng(0).random((600, 256)), np.arange(600) % 3
classifier.fit(X, y)  # which starts the threads
assert torch.get_num_threads() == 2
for call in (lambda: classifier.predict(X), lambda: classifier.fit(X, y)):
    if (child := os.fork()) == 0:
        signal.alarm(60)
        call()
        os._exit(torch.get_num_threads() - 1)
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(sys.platform != "linux", reason="OpenMP of other systems survives a fork")
def test_a_forked_process_computes_in_one_thread():
    """The import leaves threads and forks alone, and neither predict nor fit of a child hangs."""
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=180)
