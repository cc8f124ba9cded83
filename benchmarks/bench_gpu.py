"""Fits, searches and predictions on an Nvidia GPU: captured steps, steps one by one, and the CPU.

It takes about three minutes. The images are the 10,000 training images of roweis. "AdamW" is a
setting that stays the same whatever the defaults become: the default network, AdamW, batches of
128, 20 epochs, as is "three epochs", a small network without augmentation. Seconds are medians of
three fits after a first one; the very first has the start of CUDA. Steps one by one are those of a
fit that captures none.

A search fits 20 candidates on five folds. Errors are those of networks trained on 8,000 of the
images, on the 2,000 others, with five seeds for fit and split. `--quick` also runs on a CPU.
"""

import hashlib
import statistics
import time
from dataclasses import replace

import numpy as np
import torch
from bench_frontier import ADAMW as FORMER_DEFAULT
from harness import main, percent
from sklearn.model_selection import train_test_split

from sklearn_usps import (
    BatchedGridSearchCV,
    ConvNetClassifier,
    ImageNormalizer,
    fetch_usps,
)
from sklearn_usps.recipes import recipe
from sklearn_usps.training.gpu._captured_steps import CapturedSteps

ADAMW = {**FORMER_DEFAULT, "random_state": 0}
THREE_EPOCHS = {
    **ADAMW,
    "network_params": {"n_channels": (24, 32), "kernel_sizes": (5, 3), "strides": (3, 1)},
    "lr": 0.06,
    "max_epochs": 3,
    "augmentation": None,
}
LUACNN = {
    "network": "luacnn",
    "optimizer": "adamw",
    "batch_size": 64,
    "max_epochs": 5,
    "augmentation": None,
    "random_state": 0,
}
FITS = {
    "AdamW": ConvNetClassifier(**ADAMW),
    "three epochs": ConvNetClassifier(**THREE_EPOCHS),
    "default": ConvNetClassifier(random_state=0),
    "default, bfloat16": ConvNetClassifier(random_state=0, precision="bfloat16"),
    "recipe minibatch": recipe("minibatch", random_state=0)[-1],
    "recipe fast": recipe("fast", random_state=0)[-1],
}
SEARCHES = {
    "luacnn, 5 epochs": (LUACNN, {"lr": np.geomspace(0.001, 0.05, 10), "weight_decay": [0.0, 0.1]}),
    "AdamW": (ADAMW, {"lr": np.geomspace(0.005, 0.05, 10), "weight_decay": [0.0, 0.01]}),
}


def seconds(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def fit_step_by_step(classifier, X, y):
    """Fit a classifier as it would be if no step were captured."""
    trainer, data, valid_data = classifier._prepare(X, y)
    trainer.config = replace(trainer.config, captures_steps=False)
    trainer.train(data, valid_data)


def time_fits(X, y, quick):
    """Return a row for each setting; its "same bits" says if fits with one seed are the same."""
    rows = []
    for name, classifier in FITS.items():
        first = seconds(classifier.fit, X, y)
        digests = {digest(classifier)}
        times = []
        for _ in range(1 if quick else 3):
            times.append(seconds(classifier.fit, X, y))
            digests.add(digest(classifier))
        alone = seconds(fit_step_by_step, classifier, X, y)
        rows.append(
            {
                "fit": name,
                "seconds": f"{statistics.median(times):.2f}",
                "first fit": f"{first:.2f}",
                "steps one by one": f"{alone:.2f}",
                "same bits": "yes" if len(digests) == 1 else "no",
            }
        )
    on_cpu = ConvNetClassifier(**ADAMW, device="cpu")
    if quick:
        on_cpu.set_params(max_epochs=1)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    rows[0]["two CPU threads"] = f"{seconds(on_cpu.fit, X, y):.2f}"
    torch.set_num_threads(n_threads)
    return [{**dict.fromkeys(rows[0], ""), **row} for row in rows]


def digest(classifier):
    """Return a hash of the weights of a network."""
    weights = classifier.net_.module_.state_dict().values()
    return hashlib.md5(b"".join(w.cpu().numpy().tobytes() for w in weights)).hexdigest()


def time_searches(X, y, quick):
    rows = []
    for name, (params, grid) in SEARCHES.items():
        classifier = ConvNetClassifier(**params)
        if quick:
            classifier.set_params(max_epochs=1)
            grid = {"lr": grid["lr"][:2]}
        cv = 2 if quick else 5
        search = BatchedGridSearchCV(classifier, grid, cv=cv, refit=False, error_score="raise")
        taken = seconds(search.fit, X, y)
        n_fits = search.n_splits_ * len(search.cv_results_["params"])
        best = f"{1 - search.best_score_:.2%}"
        rows.append({"search": name, "fits": n_fits, "seconds": f"{taken:.1f}", "error": best})
    return rows


def time_predictions(X, y, quick):
    classifier = ConvNetClassifier(random_state=0, max_epochs=1).fit(X, y)
    rows = []
    for n in (1, 1000) if quick else (1, 100_000, 1_000_000):
        many = np.resize(X, (n, X.shape[1]))
        times = [seconds(classifier.predict, many) for _ in range(3)]
        rows.append({"images": n, "seconds": f"{statistics.median(times):.4f}"})
    return rows


def measure_errors(X, y, quick):
    errors = {}
    for device in ("auto", "cpu"):
        classifier = ConvNetClassifier(**{**ADAMW, "device": device})
        if quick:
            classifier.set_params(max_epochs=1)
        errors[device] = []
        for seed in range(2 if quick else 5):
            classifier.set_params(random_state=seed)
            parts = train_test_split(X, y, test_size=0.2, stratify=y, random_state=seed)
            classifier.fit(parts[0], parts[2])
            errors[device].append(1 - classifier.score(parts[1], parts[3]))
    return [
        {"device": "GPU" if device == "auto" else "CPU", "error": percent(values)}
        for device, values in errors.items()
    ]


def run(quick):
    if not (torch.cuda.is_available() or quick):
        raise SystemExit("bench_gpu.py needs an Nvidia GPU, and there is none. --quick needs none.")
    X, y = fetch_usps(subset="train", return_X_y=True)
    X = ImageNormalizer().fit_transform(X)
    if quick:
        X, y = X[::20], y[::20]
        for classifier in FITS.values():
            classifier.set_params(max_epochs=1)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    fits = time_fits(X, y, quick)
    if torch.cuda.is_available() and not CapturedSteps.is_possible:
        print("A step could not be captured: set the log to DEBUG, as the guide says.")
    return {
        f"Fits to {len(X)} images on {gpu}": fits,
        "Searches": time_searches(X, y, quick),
        "Predictions": time_predictions(X, y, quick),
        "Errors": measure_errors(X, y, quick),
    }


if __name__ == "__main__":
    main("gpu", run)
