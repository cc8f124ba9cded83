"""Where the tests get the original USPS files from.

The version "roweis" comes as users get it, through scikit-learn's data folder, the mirrors or the
package index. Files that a machine can't download can be given by hand: SKLEARN_USPS_ORIGINALS
names a folder that has them, in subfolders or not.
"""

import os
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from sklearn_usps import fetch_usps


@pytest.fixture(scope="session")
def data_home(tmp_path_factory):
    """A data folder with the originals that were given by hand."""
    home = tmp_path_factory.mktemp("data-home")
    (home / "usps").mkdir()
    (home / "alphadigits").mkdir()
    if folder := os.environ.get("SKLEARN_USPS_ORIGINALS"):
        for pattern in ("usps_all.mat", "usps_?.png", "zip.*.gz"):
            for file in Path(folder).rglob(pattern):
                shutil.copyfile(file, home / "usps" / file.name)
        for file in Path(folder).rglob("binaryalphadigs.mat"):
            shutil.copyfile(file, home / "alphadigits" / file.name)
    return home


@pytest.fixture(scope="session")
def fetch_or_skip(data_home):
    """Calls a fetcher on files given by hand or downloaded; where that fails, skips the test."""

    def fetch_or_skip(fetcher, **options):
        try:
            return fetcher(data_home=data_home, n_retries=0, **options)
        except OSError as error:
            pytest.skip(f"not in SKLEARN_USPS_ORIGINALS, and {error}")

    return fetch_or_skip


@pytest.fixture(scope="session")
def fetch(fetch_or_skip):
    """fetch_usps, or the test is skipped."""
    return partial(fetch_or_skip, fetch_usps)


@pytest.fixture(scope="session")
def roweis():
    """The real training digits, from scikit-learn's data folder, a mirror or the package index."""
    try:
        return fetch_usps(subset="train", n_retries=0)
    except OSError as error:
        if os.environ.get("CI"):  # there the real data must run
            raise
        pytest.skip(f"no mirror and no package index answers: {error}")


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
