"""How long a batch of training takes: ours, a bare PyTorch loop and plain skorch.

Run: python benchmarks/bench_fit.py [RUNS]

All train the same networks on the 10,000 training images of roweis, without deformation, by
stochastic gradient descent with momentum at a constant rate. The bare loop is what one writes by
hand: all images in a tensor, an index for each batch, no record but the sum of the losses. "torch7"
is computed there both as we do it, convolution and subsampling in one, and layer by layer, as one
would write it; so it is in skorch.

Prints medians of RUNS (default 5) interleaved runs, in microseconds a batch, and the median of the
ratios to the first column with the smallest and the largest.
"""

import statistics
import sys
import time

import torch
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn import functional

from sklearn_usps import ConvNetClassifier, fetch_usps
from sklearn_usps.neural_network._layers import Subsampling
from sklearn_usps.neural_network._networks import NETWORKS

LR, MOMENTUM = 0.01, 0.9
EPOCHS = {"torch7": 5, "convnet": 1}


class LayerByLayer(nn.Sequential):
    """The network "torch7" as one would write it."""

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
        deformer=None,
        random_state=0,
    ).fit(X, y)


def bare_loop(X, y, module, batch_size, epochs):
    X, y = torch.from_numpy(X).view(-1, 1, 16, 16), torch.from_numpy(y)
    optimizer = torch.optim.SGD(module.parameters(), lr=LR, momentum=MOMENTUM)
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


def contestants(network):
    """Functions of X, y, batch size and epochs, ours first."""

    def fused():
        return NETWORKS[network]((16, 16), 10)

    table = {
        "ours": lambda *args: ours(*args[:2], network, *args[2:]),
        "bare loop": lambda *args: bare_loop(*args[:2], fused(), *args[2:]),
        "plain skorch": lambda *args: plain_skorch(*args[:2], fused(), *args[2:]),
    }
    if network == "torch7":
        layers = LayerByLayer
        table["bare, layers"] = lambda *args: bare_loop(*args[:2], layers(), *args[2:])
        table["skorch, layers"] = lambda *args: plain_skorch(*args[:2], layers(), *args[2:])
    return table


def seconds(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def main(runs=5):
    X, y = fetch_usps(subset="train", return_X_y=True)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, medians of {runs} runs")
    for network, epochs in EPOCHS.items():
        table = contestants(network)
        for batch_size in (64, 256):
            n_batches = epochs * -(-len(X) // batch_size)
            times = [
                [seconds(function, X, y, batch_size, epochs) for function in table.values()]
                for _ in range(runs)
            ]
            print(f"\n{network}, batches of {batch_size}")
            for i, name in enumerate(table):
                micro = 1e6 * statistics.median(row[i] for row in times) / n_batches
                ratios = sorted(row[i] / row[0] for row in times)
                middle = statistics.median(ratios)
                spread = f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
                print(f"{name:15} {micro:8.0f} µs a batch   {middle:.2f} x ours {spread}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
