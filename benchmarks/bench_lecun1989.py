"""Errors of the recipe "lecun1989" on training images and held-out images of zip, pass by pass.

Run: python benchmarks/bench_lecun1989.py [--quick]

Seeds 0 to 4 train on all 7,291 images and on the first 5,833, the last 1,458 held out, in one
thread: ten fits of about three minutes. No test image is read.
"""

import torch
from harness import main, percent
from skorch.callbacks import Callback

from sklearn_usps import fetch_usps
from sklearn_usps.recipes import recipe

N_HELD_OUT = 1458


class ErrorsByPass(Callback):
    """Compute the errors on some sets of images after each pass; they change no weight."""

    def __init__(self, sets):
        self.sets = sets
        self.errors = {name: [] for name in sets}

    def on_epoch_end(self, net, **kwargs):
        for name, (X, y) in self.sets.items():
            self.errors[name].append(float((net.predict(X) != y).mean()))


def errors_by_pass(seed, sets, max_epochs):
    """Return the errors of the recipe, trained on the first of the sets, on each set."""
    recorder = ErrorsByPass(sets)
    X, y = next(iter(sets.values()))
    classifier = recipe("lecun1989", random_state=seed)[-1]
    classifier.set_params(max_epochs=max_epochs, callbacks=[recorder]).fit(X, y)
    return recorder.errors


def run(quick):
    torch.set_num_threads(1)
    X, y = fetch_usps(version="zip", subset="train", return_X_y=True)
    X = recipe("lecun1989")[0].transform(X)  # in [-1, 1]
    max_epochs, n_seeds = (2, 1) if quick else (23, 5)
    splits = {
        f"all {len(X):,} images": {"training": (X, y)},
        f"{N_HELD_OUT:,} images held out": {
            "training": (X[:-N_HELD_OUT], y[:-N_HELD_OUT]),
            "held out": (X[-N_HELD_OUT:], y[-N_HELD_OUT:]),
        },
    }
    final, curves = [], []
    for split, sets in splits.items():
        by_seed = [errors_by_pass(seed, sets, max_epochs) for seed in range(n_seeds)]
        for name in sets:
            errors = [100 * each[name][-1] for each in by_seed]
            final.append(
                {
                    "fit": split,
                    "images": name,
                    "published": "0.14 %" if len(sets) == 1 else "none",
                    "error": percent([error / 100 for error in errors]),
                    "each seed, in %": " ".join(f"{error:.2f}" for error in errors),
                }
            )
            for i in range(max_epochs):
                errors = [f"{100 * each[name][i]:.3f}" for each in by_seed]
                curves.append(
                    {
                        "fit": split,
                        "images": name,
                        "pass": i + 1,
                        "each seed, in %": " ".join(errors),
                    }
                )
    return {"After the last pass": final, "After each pass": curves}


if __name__ == "__main__":
    main("lecun1989", run)
