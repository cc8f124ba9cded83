"""Other classifiers for the same digits, with settings chosen by cross-validation.

Run: python benchmarks/peers.py [PEER ...]

Cross-validates each setting of the grids in three folds of the 10,000 training images of roweis and
prints errors and seconds per fit. HistGradientBoosting is slow and uses every tenth image. The
settings of `PEERS` are the best of each grid or, of two within 0.1 %, the faster.
peer_settings.txt contains the output.
"""

import sys

import torch
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_usps import fetch_usps
from sklearn_usps.networks._layers import Subsampling


def demo_network():
    """Return the network of the demo, layer by layer, for rows of pixels."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 16, 16)),
        nn.Conv2d(1, 6, 5),
        Subsampling(6),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(216, 10),
    )


class SeededSkorch(NeuralNetClassifier):
    """A skorch classifier with a random state, which seeds torch's global generator."""

    def __init__(self, *args, random_state=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.random_state = random_state

    def initialize(self):
        torch.manual_seed(self.random_state)
        return super().initialize()


def skorch(random_state=None, **settings):
    """Return plain skorch with the network of the demo."""
    return SeededSkorch(
        demo_network,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        random_state=random_state,
        **settings,
    )


#: Functions that take a random state and return a classifier.
PEERS = {
    "SVC": lambda seed: SVC(C=10),
    "KNeighbors": lambda seed: KNeighborsClassifier(1),
    "RandomForest": lambda seed: RandomForestClassifier(
        500, max_features=0.03, n_jobs=2, random_state=seed
    ),
    "HistGradientBoosting": lambda seed: HistGradientBoostingClassifier(
        max_features=0.1, random_state=seed
    ),
    "MLP": lambda seed: MLPClassifier(500, alpha=0.1, random_state=seed),
    "plain skorch": lambda seed: skorch(lr=0.003, max_epochs=20, batch_size=64, random_state=seed),
}

SCALE = 0.0291  # the value of gamma="scale" on these digits

GRIDS = {
    "SVC": {"C": [1, 3, 10, 30], "gamma": [SCALE / 2, "scale", 2 * SCALE]},
    "KNeighbors": {"n_neighbors": [1, 3, 5], "weights": ["uniform", "distance"]},
    "RandomForest": {"max_features": ["sqrt", 0.03, 0.12], "min_samples_leaf": [1, 2]},
    "HistGradientBoosting": {
        "learning_rate": [0.05, 0.1, 0.2],
        "max_features": [0.1, 1.0],
    },
    "MLP": {
        "hidden_layer_sizes": [(100,), (500,)],
        "alpha": [1e-4, 0.1, 1.0],
        "early_stopping": [False, True],
    },
    "plain skorch": {
        "lr": [0.001, 0.003, 0.01],
        "max_epochs": [10, 20, 40],
        "batch_size": [64, 128],
    },
}


def main(names=tuple(GRIDS)):
    X, y = fetch_usps(subset="train", return_X_y=True)
    print(f"gamma='scale' is {1 / (X.shape[1] * X.var()):.4f}")
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    for name in names:
        step = 10 if name == "HistGradientBoosting" else 1
        search = GridSearchCV(PEERS[name](0), GRIDS[name], cv=folds, refit=False)
        search.fit(X[::step], y[::step])
        results = search.cv_results_
        for params, score, seconds in zip(
            results["params"], results["mean_test_score"], results["mean_fit_time"], strict=True
        ):
            print(f"{name:20} {100 * (1 - score):6.2f} % {seconds:7.1f} s  {params}", flush=True)


if __name__ == "__main__":
    main(*[sys.argv[1:]] if sys.argv[1:] else ())
