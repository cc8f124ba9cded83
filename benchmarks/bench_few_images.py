"""Error against the number of training images, of the default and of other classifiers.

Five times, with seeds 0 to 4, 3,000 of the 10,000 training images of roweis are held out, and as
many of the others as the row says are trained on, with equal shares of the classes. All 10,000 are
cross-validated in five folds, and so is scikit-learn's `load_digits`, of 8 × 8 pixels, with five
seeds. All classifiers train on the same images.

"SVC, tuned" chooses C and gamma in each fit, by cross-validation of its training images. The
settings of the others are the best for all 10,000 training images (peers.py). The defaults were
chosen by cross-validation with other seeds and, for roweis, other splits.
"""

import warnings

import numpy as np
from harness import main, percent
from peers import PEERS
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from sklearn_usps import ConvNetClassifier, ImageNormalizer, fetch_usps

N_IMAGES = (50, 100, 300, 1000, 3000)
N_HELD_OUT = 3000


def tuned_svc(seed):
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    grid = {"C": [1, 10, 100], "gamma": [0.01, 0.03, 0.1, 0.3]}
    return GridSearchCV(SVC(), grid, cv=folds, n_jobs=2)


CONTESTANTS = {
    "default": lambda seed: make_pipeline(ImageNormalizer(), ConvNetClassifier(random_state=seed)),
    "SVC, tuned": tuned_svc,
    **{name: make for name, make in PEERS.items() if name != "plain skorch"},
}


def held_out(n_images, quick):
    """Yield the training and the held-out images of roweis for each seed."""
    X, y = fetch_usps(subset="train", return_X_y=True)
    for seed in range(1 if quick else 5):
        options = {"stratify": y, "random_state": seed}
        X_rest, X_test, y_rest, y_test = train_test_split(X, y, test_size=N_HELD_OUT, **options)
        options["stratify"] = y_rest
        X_train, _, y_train, _ = train_test_split(X_rest, y_rest, train_size=n_images, **options)
        yield X_train, y_train, X_test, y_test


def folds(X, y, seed):
    """Yield the training and the test images of each fold."""
    for train, test in StratifiedKFold(5, shuffle=True, random_state=seed).split(X, y):
        yield X[train], y[train], X[test], y[test]


def error(make, parts):
    """Return the error of a classifier for each part."""
    errors = []
    for seed, (X, y, X_test, y_test) in enumerate(parts):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            errors.append((make(seed).fit(X, y).predict(X_test) != y_test).mean())
    return errors


def run(quick):
    digits = load_digits(return_X_y=True)
    digits = (digits[0] / 16, digits[1])
    rows = []
    for n_images in N_IMAGES[:1] if quick else N_IMAGES:
        parts = list(held_out(n_images, quick))
        errors = {name: percent(error(make, parts)) for name, make in CONTESTANTS.items()}
        rows.append({"training images": f"roweis, {n_images:,}", **errors})
    if not quick:
        parts = list(folds(*fetch_usps(subset="train", return_X_y=True), seed=0))
        errors = {name: percent(error(make, parts)) for name, make in CONTESTANTS.items()}
        rows.append({"training images": "roweis, 8,000 of 10,000", **errors})
    errors = {}
    for name, make in CONTESTANTS.items():
        seeds = range(1 if quick else 5)
        of_seeds = [np.mean(error(make, folds(*digits, seed))) for seed in seeds]
        errors[name] = percent(of_seeds)
    rows.append({"training images": "load_digits, 1,437 of 1,797", **errors})
    return {"Error": rows}


if __name__ == "__main__":
    main("few_images", run)
