"""Processes that are killed at random moments while they write."""

import os
import random
import subprocess

import pytest
from factor import FACTOR

from sklearn_usps import ConvNetClassifier, load_model, load_mosaic, save_model

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and forks of POSIX")
N_KILLS = 10 if FACTOR == 1 else 100

#: For each time in the input, forks a child that runs `work` in a loop, and kills it after it.
KILLER = """
import signal, time
for line in sys.stdin:
    if not (child := os.fork()):
        while True:
            work()
    time.sleep(float(line))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print("killed", flush=True)
"""


def kills(start, code, path, longest):
    """Run the function `work` of `code`; yield after each kill at a random time."""
    child = start(code + KILLER, path, stdin=subprocess.PIPE)
    rng = random.Random(0 if FACTOR == 1 else None)
    for _ in range(N_KILLS):
        child.stdin.write(f"{rng.uniform(0, longest)}\n")
        child.stdin.flush()
        line = child.stdout.readline()
        assert line == "killed\n", child.communicate()[1]
        yield


def test_model_file_is_the_old_or_the_new_one(start, tmp_path):
    path = tmp_path / "model.skops"
    save_model(ConvNetClassifier(lr=0.5), path)
    code = """
from sklearn_usps import ConvNetClassifier, save_model
models = [ConvNetClassifier(lr=lr) for lr in (0.5, 0.25)]
save_model(models[0], path)
def work():
    for model in models:
        save_model(model, path)
"""
    for _ in kills(start, code, path, 0.05):
        assert load_model(path).lr in (0.5, 0.25)
    save_model(ConvNetClassifier(lr=0.125), path)
    assert load_model(path).lr == 0.125


def test_mosaic_is_the_old_or_the_new_one(start, tmp_path):
    path = tmp_path / "mosaic.png"
    code = """
import numpy as np
from sklearn_usps import save_mosaic
pictures = [np.full((400, 16, 16), level, np.uint8) for level in (0, 255)]
save_mosaic(pictures[0], path)
def work():
    for images in pictures:
        save_mosaic(images, path)
"""
    for _ in kills(start, code, path, 0.05):
        assert float(load_mosaic(path).std()) == 0
