"""Time of fetch_usps with cached files, compared with a parser that checks nothing.

Run: python benchmarks/bench_fetch.py [RUNS]

Prints medians over RUNS (default 11) interleaved runs, in milliseconds. Skips versions whose files
are not in scikit-learn's data folder.
"""

import gzip
import io
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import loadmat
from sklearn.datasets import get_data_home

from sklearn_usps import fetch_usps

FOLDER = Path(get_data_home(), "usps")


def parse_roweis():
    return loadmat(FOLDER / "usps_all.mat")["data"]


def parse_luacnn():
    return [np.asarray(Image.open(FOLDER / f"usps_{digit}.png")) for digit in range(10)]


def parse_zip():
    return np.loadtxt(io.BytesIO(gzip.decompress((FOLDER / "zip.train.gz").read_bytes())))


ALTERNATIVES = {
    ("roweis", "all"): parse_roweis,
    ("luacnn", "all"): parse_luacnn,
    ("zip", "train"): parse_zip,
}


def milliseconds(function, **options):
    start = time.perf_counter()
    function(**options)
    return 1000 * (time.perf_counter() - start)


def main(runs=11):
    print(f"Median milliseconds of {runs} runs")
    print(f"{'version':8} {'subset':6} {'fetch_usps':>12} {'bare parser':>12}")
    for (version, subset), parse in ALTERNATIVES.items():
        options = {"version": version, "subset": subset, "return_X_y": True}
        try:
            fetch_usps(**options, download_if_missing=False)
        except OSError as error:
            print(f"{version:8} {subset:6} skipped: {error}")
            continue
        pairs = [(milliseconds(fetch_usps, **options), milliseconds(parse)) for _ in range(runs)]
        ours, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"{version:8} {subset:6} {ours:12.1f} {bare:12.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
