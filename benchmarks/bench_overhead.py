"""Training time per batch of ConvNetClassifier, a bare PyTorch loop and plain skorch.

All train the same networks on the 10,000 training images of roweis, without augmentation, by
stochastic gradient descent with momentum at a constant rate. The bare loop is the loop one would
write by hand: all images in a tensor, an index per batch, and only the sum of the losses is
recorded. The loop and skorch compute "luacnn" in two ways: with convolution and subsampling fused,
as ConvNetClassifier does, and layer by layer.
"""

import statistics

import torch
from harness import interleaved, main, ratio
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn import functional

from sklearn_usps import ConvNetClassifier, fetch_usps
from sklearn_usps.networks._layers import Subsampling
from sklearn_usps.networks._registry import NETWORKS

LR, MOMENTUM = 0.01, 0.9
EPOCHS = {"luacnn": 5, "convnet": 1}


class LayerByLayer(nn.Sequential):
    """The network "luacnn", with convolution and subsampling not fused."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 6, 5), Subsampling(6), nn.Tanh(), nn.Flatten(), nn.Linear(216, 10)
        )


def ours(X, y, network, batch_size, epochs):
    ConvNetClassifier(
        network=network,
        optimizer="sgd",
        lr=LR,
        momentum=MOMENTUM,
        weight_decay=0.0,
        lr_schedule="constant",
        batch_size=batch_size,
        max_epochs=epochs,
        label_smoothing=0.0,
        augmentation=None,
        random_state=0,
    ).fit(X, y)


def bare_loop(X, y, module, batch_size, epochs):
    X, y = torch.from_numpy(X).view(-1, 1, 16, 16), torch.from_numpy(y)
    optimizer = torch.optim.SGD(module.parameters(), lr=LR, momentum=MOMENTUM, fused=True)
    for _ in range(epochs):
        total = torch.zeros(())
        order = torch.randperm(len(X))
        for rows in order.split(batch_size):
            optimizer.zero_grad()
            loss = functional.cross_entropy(module(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.detach()


def plain_skorch(X, y, module, batch_size, epochs):
    NeuralNetClassifier(
        module,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        optimizer__momentum=MOMENTUM,
        lr=LR,
        max_epochs=epochs,
        batch_size=batch_size,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    ).fit(X.reshape(-1, 1, 16, 16), y)


def contestants(network, *options):
    """Return the functions to time by name, ours first."""
    X, y, batch_size, epochs = options

    def named():
        return NETWORKS[network]((16, 16), 10)

    table = {
        "ours": lambda: ours(X, y, network, batch_size, epochs),
        "bare loop": lambda: bare_loop(X, y, named(), batch_size, epochs),
        "plain skorch": lambda: plain_skorch(X, y, named(), batch_size, epochs),
    }
    if network == "luacnn":
        table["bare loop, by layers"] = lambda: bare_loop(X, y, LayerByLayer(), batch_size, epochs)
        table["plain skorch, by layers"] = lambda: plain_skorch(
            X, y, LayerByLayer(), batch_size, epochs
        )
    return table


def run(quick):
    X, y = fetch_usps(subset="train", return_X_y=True)
    if quick:
        X, y = X[::20], y[::20]
    rows = []
    for network, epochs in EPOCHS.items():
        for batch_size in (64, 256):
            functions = contestants(network, X, y, batch_size, epochs)
            next(iter(functions.values()))()  # warm
            seconds = interleaved(functions, 1 if quick else 5)
            n_batches = epochs * -(-len(X) // batch_size)
            rows += [
                {
                    "network": network,
                    "batch": batch_size,
                    "implementation": name,
                    "µs per batch": round(1e6 * statistics.median(values) / n_batches),
                    "time of ours": ratio(seconds["ours"], values),
                }
                for name, values in seconds.items()
            ]
    return {"Training, time of ours as a multiple of each": rows}


if __name__ == "__main__":
    main("overhead", run)
