"""100 small fits: BatchedGridSearchCV, GridSearchCV with two processes, and plain skorch.

Each search has 20 candidates (learning rates and weight decays) in five folds of the 10,000
training images of roweis: the network "luacnn", five epochs in batches of 64, no augmentation,
refit=False. Plain skorch trains the demo's network layer by layer with the same optimizer. The
processes are started beforehand. Three rounds.
"""

import statistics

import numpy as np
import torch
from harness import interleaved, main, ratio
from peers import demo_network
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_usps import BatchedGridSearchCV, ConvNetClassifier, fetch_usps

LR, DECAY = np.geomspace(0.001, 0.05, 10), [0.0, 0.1]
EPOCHS, BATCH = 5, 64


def contestants(X, y, epochs):
    ours = ConvNetClassifier(
        network="luacnn",
        optimizer="adamw",
        max_epochs=epochs,
        batch_size=BATCH,
        augmentation=None,
        random_state=0,
    )
    grid = {"lr": LR, "weight_decay": DECAY}
    skorch = NeuralNetClassifier(
        demo_network,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        max_epochs=epochs,
        batch_size=BATCH,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )
    skorch_grid = {"lr": LR, "optimizer__weight_decay": DECAY}
    options = {"cv": 5, "refit": False}
    return {
        "BatchedGridSearchCV": BatchedGridSearchCV(ours, grid, **options),
        "BatchedGridSearchCV, n_jobs=2": BatchedGridSearchCV(ours, grid, n_jobs=2, **options),
        "GridSearchCV, n_jobs=2": GridSearchCV(ours, grid, n_jobs=2, **options),
        "GridSearchCV of plain skorch, n_jobs=2": GridSearchCV(
            skorch, skorch_grid, n_jobs=2, **options
        ),
    }


def run(quick):
    X, y = fetch_usps(subset="train", return_X_y=True)
    for search in contestants(X[::20], y[::20], 1).values():  # warm
        search.fit(X[::20], y[::20])
    if quick:
        X, y = X[::20], y[::20]
    searches = contestants(X, y, 1 if quick else EPOCHS)
    functions = {name: lambda s=search: s.fit(X, y) for name, search in searches.items()}
    seconds = interleaved(functions, 1 if quick else 3)
    first = next(iter(seconds.values()))
    return {
        "A search, its time as a multiple of BatchedGridSearchCV": [
            {
                "search": name,
                "seconds": f"{statistics.median(values):.1f}",
                "fits per second": f"{100 / statistics.median(values):.1f}",
                "relative time": ratio(values, first),
                "best score": f"{searches[name].best_score_:.4f}",
            }
            for name, values in seconds.items()
        ]
    }


if __name__ == "__main__":
    main("search", run)
