"""Interleaved runs, tables and machine data for all benchmarks.

A benchmark is a script `bench_NAME.py` with a function ``run(quick)`` that returns tables by title,
each a list of rows. ``python benchmarks/bench_NAME.py`` prints them and writes results/NAME.json.
With ``--quick``, it runs a small part to check that the script works, and writes nothing.
"""

import argparse
import importlib.metadata
import json
import platform
import statistics
import time
from datetime import date
from pathlib import Path

import numpy as np
import torch
from scipy.stats import binom

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("numpy", "scikit-learn", "torch", "skorch", "onnxruntime")


def interleaved(functions, n_runs):
    """Return the seconds of each function by run, in turn: a slow machine slows all of them."""
    seconds = {name: [] for name in functions}
    for _ in range(n_runs):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds, others):
    """Return the median of the ratios run by run, with its 94 % confidence interval.

    For five runs the interval is from the smallest to the largest: all five lie on one side of the
    median in one of 16 cases. For fewer runs it is the same range, with a lower confidence.
    """
    ratios = sorted(a / b for a, b in zip(seconds, others, strict=True))
    beyond = max(int(binom.ppf(0.032, len(ratios), 0.5)) - 1, 0)
    low, high = ratios[beyond], ratios[-1 - beyond]
    return f"{statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})"


def percent(errors):
    """Return mean and standard deviation of errors, or their value if all are equal."""
    mean = f"{100 * statistics.mean(errors):.2f} %"
    return mean if len(set(errors)) == 1 else f"{mean} ± {100 * statistics.stdev(errors):.2f} %"


def calibration_error(y, p, n_bins=15):
    """Return the expected calibration error of probabilities (n_samples, n_classes) of labels y.

    It is the mean distance of accuracy and mean probability over bins of equal width of the largest
    probability, weighted by the number of samples: C. Guo et al., "On Calibration of Modern Neural
    Networks", ICML 2017, equation 3.
    """
    largest, is_right = p.max(axis=1), p.argmax(axis=1) == y
    bins = np.minimum((n_bins * largest).astype(int), n_bins - 1)
    return float(abs(np.bincount(bins, is_right - largest)).sum() / len(y))


def main(name, run):
    """Run a benchmark, print its tables and write them to a file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="only check that it works")
    quick = parser.parse_args().quick
    start = time.perf_counter()
    tables = run(quick)
    machine = {**_machine(), "minutes": round((time.perf_counter() - start) / 60, 1)}
    print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in machine.items()))
    for title, rows in tables.items():
        _print_table(title, rows)
    if not quick:
        RESULTS.mkdir(exist_ok=True)
        text = json.dumps({"machine": machine, "tables": tables}, indent=1, ensure_ascii=False)
        (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _machine():
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "none"
    return {
        "date": date.today().isoformat(),
        "processor": _processor(),
        "torch threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **versions,
    }


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "unknown")


def _print_table(title, rows):
    widths = {key: max(len(str(row[key])) for row in [*rows, {key: key}]) for key in rows[0]}
    print(f"\n{title}")
    for row in [{key: key for key in widths}, *rows]:
        print("  ".join(f"{row[key]!s:{width}}" for key, width in widths.items()).rstrip())
    print(flush=True)
