"""Test error, calibration, training and prediction time of our classifiers and of others.

On roweis, all classifiers train on the 10,000 training images and are tested on the 1,000 test
images. On zip, they train on four fifths of the 7,291 training images, drawn once, and are tested
on the rest. Each classifier is fitted five times, with random states 0 to 4; each round fits all of
them in turn.

These figures chose no settings: those come from cross-validation on training images
(cross_validate.py, peers.py).
"""

import statistics
import time

import numpy as np
from harness import calibration_error, main, percent
from peers import PEERS
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sklearn_usps import ConvNetClassifier, ImageNormalizer, fetch_usps
from sklearn_usps.recipes import recipe

OURS = {
    "recipe one-pass": lambda seed: recipe("one-pass", random_state=seed),
    "recipe fast": lambda seed: recipe("fast", random_state=seed),
    "recipe minibatch": lambda seed: recipe("minibatch", random_state=seed),
    "default": lambda seed: make_pipeline(ImageNormalizer(), ConvNetClassifier(random_state=seed)),
    "recipe best": lambda seed: recipe("best", random_state=seed),
}


def data_sets():
    """Return X, y, X_test and y_test of each version."""
    roweis = [fetch_usps(subset=part, return_X_y=True) for part in ("train", "test")]
    X, y = fetch_usps(version="zip", subset="train", return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.2, stratify=y, random_state=0
    )
    return {
        "roweis, test images": (*roweis[0], *roweis[1]),
        "zip, held out training images": (X_train, y_train, X_test, y_test),
    }


def measure(model, X, y, X_test, y_test):
    start = time.perf_counter()
    model.fit(X, y)
    trained = time.perf_counter()
    predicted = model.predict(X_test)
    finished = time.perf_counter()
    error = (predicted != y_test).mean()
    return trained - start, finished - trained, error, *calibration(model, X_test, y_test)


def calibration(model, X, y):
    """Return log-loss and expected calibration error, NaN of a classifier of labels alone."""
    if not hasattr(model, "predict_proba"):
        return np.nan, np.nan
    p = model.predict_proba(X)
    return log_loss(y, p), calibration_error(y, p)


def run(quick):
    tables = {}
    seeds = range(1 if quick else 5)
    contestants = {**OURS, **PEERS}
    for version, (X, y, X_test, y_test) in data_sets().items():
        if quick:  # the test images are for the full run only
            X, y, X_test, y_test = X[::50], y[::50], X[1::50], y[1::50]
        OURS["recipe fast"](0).fit(X[::20], y[::20])  # warm
        measured = {name: [] for name in contestants}
        for seed in seeds:
            for name, make in contestants.items():
                measured[name].append(measure(make(seed), X, y, X_test, y_test))
        tables[version] = [
            row(name, *zip(*values, strict=True)) for name, values in measured.items()
        ]
    return tables


def row(name, fits, predictions, errors, losses, calibration_errors):
    has_probabilities = not np.isnan(losses[0])
    return {
        "classifier": name,
        "error": percent(errors),
        "log-loss": f"{np.mean(losses):.3f}" if has_probabilities else "",
        "calibration error": f"{100 * np.mean(calibration_errors):.1f} %"
        if has_probabilities
        else "",
        "seconds to train": round(statistics.median(fits), 3),
        "seconds to predict": round(statistics.median(predictions), 3),
        "mean error": round(float(statistics.mean(errors)), 6),
    }


if __name__ == "__main__":
    main("accuracy", run)
