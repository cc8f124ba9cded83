"""Convolutional networks for small grey images, by name.

A network is any `torch.nn.Module` class that is built as ``Network(image_shape, n_classes)`` and
whose `forward` takes images (n, 1, height, width) and returns scores (n, n_classes). Three methods
are optional: ``loss(scores, targets)`` returns a loss per sample, by default the cross-entropy;
``log_proba(scores)`` returns logarithms of probabilities, by default the log-softmax; and
``features(images)`` returns the last hidden layer. Where the constructor takes a keyword
`generator`, it gets the `torch.Generator` that all random numbers of a fit come from.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ._convnet import ConvNet
from ._historical import LeCun1989, LeNet5, LuaCNN

#: The networks that `ConvNetClassifier` knows by name.
NETWORKS: dict[str, type[nn.Module]] = {
    "convnet": ConvNet,
    "lecun1989": LeCun1989,
    "lenet5": LeNet5,
    "luacnn": LuaCNN,
}


def build_network(
    network: str | type[nn.Module],
    params: dict | None,
    image_shape: tuple[int, int],
    n_classes: int,
    generator: torch.Generator,
) -> nn.Module:
    """Build a network by name or class, its initial weights drawn from the generator."""
    network = NETWORKS[network] if isinstance(network, str) else network
    if not (isinstance(network, type) and issubclass(network, nn.Module)):
        raise ValueError(
            f"network must be one of {sorted(NETWORKS)} or a torch.nn.Module class. Got "
            f"{network!r} instead."
        )
    params = dict(params or {})
    if takes_generator(network):
        params["generator"] = generator
    with seeded_global_rng(network, generator):
        return network(image_shape, n_classes, **params)


def takes_generator(network: type[nn.Module]) -> bool:
    """Whether a network draws random numbers from a generator that it is given."""
    return "generator" in inspect.signature(network).parameters


@contextmanager
def seeded_global_rng(network: str | type[nn.Module], generator: torch.Generator) -> Iterator[None]:
    """Seed torch's global generator from ours for networks that draw from it, and put it back."""
    if isinstance(network, str) or takes_generator(network):
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        yield
