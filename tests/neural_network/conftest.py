"""Small data that a network learns in no time."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def bars():
    """Images 16 × 16 of noise with a bright bar: 0 lies, 1 stands, 2 is a cross."""
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    X = rng.random((120, 16, 16), dtype=np.float32) * 0.3
    for image, label in zip(X, y, strict=True):
        at = rng.integers(4, 12, size=2)
        if label != 1:
            image[at[0], 2:14] = 1.0
        if label != 0:
            image[2:14, at[1]] = 1.0
    return X.reshape(120, 256), y


@pytest.fixture(scope="session")
def two_tasks(bars):
    """Images, labels and tasks: 120 bars in three classes, 40 bright sides in two, shuffled."""
    X, y = bars
    rng = np.random.default_rng(1)
    sides = rng.random((40, 16, 16), dtype=np.float32) * 0.3
    left = np.arange(40) % 2 == 0
    sides[left, :, :5] = 1
    sides[~left, :, :5] = sides[~left, :, 11:] = 1
    X = np.concatenate([X, sides.reshape(40, 256)])
    y = np.concatenate([np.array(["lying", "standing", "both"])[y], np.where(left, "left", "both")])
    task = np.repeat(["bars", "sides"], [120, 40])
    order = rng.permutation(160)
    return X[order], y[order], task[order]
