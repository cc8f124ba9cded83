"""GridSearchCV with one and two processes.

Each search fits the default network eight times (four rates, two folds, refit=False) on the 10,000
training images of roweis, two epochs each. The single process uses one thread or all of them. With
two processes, started beforehand, joblib gives each one thread. Five rounds.
"""

import statistics

import torch
from harness import interleaved, main, ratio
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_usps import ConvNetClassifier, ImageNormalizer, fetch_usps


def search(X, y, n_jobs, epochs, n_threads):
    classifier = ConvNetClassifier(max_epochs=epochs, random_state=0)
    grid = {"convnetclassifier__lr": [0.005, 0.01, 0.02, 0.04]}
    model = make_pipeline(ImageNormalizer(), classifier)
    torch.set_num_threads(n_threads)
    GridSearchCV(model, grid, cv=2, refit=False, n_jobs=n_jobs).fit(X, y)


def run(quick):
    X, y = fetch_usps(subset="train", return_X_y=True)
    if quick:
        X, y = X[::20], y[::20]
    epochs, n_threads = 1 if quick else 2, torch.get_num_threads()
    functions = {
        "n_jobs=2": lambda: search(X, y, 2, epochs, n_threads),
        "n_jobs=1, one thread": lambda: search(X, y, 1, epochs, 1),
        f"n_jobs=1, {n_threads} threads": lambda: search(X, y, 1, epochs, n_threads),
    }
    functions["n_jobs=2"]()  # starts the processes
    seconds = interleaved(functions, 1 if quick else 5)
    return {
        "A search, its time as a multiple of n_jobs=2": [
            {
                "search": name,
                "seconds": f"{statistics.median(values):.1f}",
                "relative time": ratio(values, seconds["n_jobs=2"]),
            }
            for name, values in seconds.items()
        ]
    }


if __name__ == "__main__":
    main("n_jobs", run)
