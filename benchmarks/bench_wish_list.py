"""Steps to 4 % validation error with each improvement that the luacnn demo suggests.

Run: python benchmarks/bench_wish_list.py [SEEDS]

Trains on the 9,000 training images of the validation split of roweis, one image a step, and
computes the error on the other 1,000 after every 9,000 steps. Each recipe takes SEEDS (default 5)
fits of about a minute, in one thread. "luacnn-early-stopping" trains as "luacnn" does and is left
out.
"""

import sys

import torch
from sklearn.pipeline import Pipeline

from sklearn_usps import fetch_usps
from sklearn_usps.recipes import recipe

NAMES = ("luacnn", "luacnn-normalized", "luacnn-fan-in", "luacnn-efficient-backprop")
TARGET = 0.04


def validation_errors(name, seed, X, y, train, valid):
    """Return the validation errors of a recipe after each epoch."""
    model = recipe(name, random_state=seed)
    if isinstance(model, Pipeline):
        X = model[:-1].fit(X[train]).transform(X)
        model = model[-1]
    model.fit(X[train], y[train], X_val=X[valid], y_val=y[valid])
    return [epoch["valid_error"] for epoch in model.history_]


def main(seeds=5):
    torch.set_num_threads(1)
    digits = fetch_usps(subset="train")
    ((train, valid),) = digits.validation_split.split()
    print(f"{'recipe':26} seed {'steps to 4 %':>12}   validation error in %, after each epoch")
    for seed in range(seeds):
        for name in NAMES:
            errors = validation_errors(name, seed, digits.data, digits.target, train, valid)
            reached = [i for i, error in enumerate(errors, 1) if error <= TARGET]
            steps = f"{reached[0] * len(train):,}" if reached else "never"
            curve = " ".join(f"{100 * error:.1f}" for error in errors)
            print(f"{name:26} {seed:4} {steps:>12}   {curve}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
