"""Where the tests get the original USPS files from.

The version "roweis" comes as users get it, through scikit-learn's data folder, the mirrors or the
package index. Files that a machine can't download can be given by hand: SKLEARN_USPS_ORIGINALS
names a folder that has them, in subfolders or not.
"""

import os
import shutil
from functools import partial
from pathlib import Path

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
