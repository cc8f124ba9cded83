"""Networks by name; the docstring of `networks/__init__.py` describes their interface.

To add a network, write its class in a module of this folder, add it to `NETWORKS` below and to
`__init__.pyi`, and describe it in the docstring of `ConvNetClassifier` and in
`docs/guide/networks.rst`. The tests in `tests/networks` run for all of `NETWORKS`.
"""

from __future__ import annotations

import inspect

import torch
from torch import nn

from ._convnet import ConvNet
from ._historical import LeCun1989, LeNet5, LuaCNN
from ._own_code import SeededCode, is_user_code
from ._torch_state import float32_by_default

#: Names that the parameter `network` of `ConvNetClassifier` accepts.
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
    """Build a network by name or class; `generator` draws its initial weights."""
    network = NETWORKS[network] if isinstance(network, str) else network
    if not (isinstance(network, type) and issubclass(network, nn.Module)):
        problem = f"network must be one of {sorted(NETWORKS)} or a torch.nn.Module class"
        if isinstance(network, nn.Module):
            raise ValueError(
                f"{problem}, not an instance: set network={type(network).__name__}, and its "
                "arguments as network_params."
            )
        raise ValueError(f"{problem}. Got {network!r} instead.")
    params = dict(params or {})
    if takes_generator(network):
        params["generator"] = generator
    with SeededCode(generator) if is_user_code(network) else float32_by_default:
        return network(image_shape, n_classes, **params)


def takes_generator(network: type[nn.Module]) -> bool:
    """Return True if the constructor of a network takes a generator."""
    return "generator" in inspect.signature(network).parameters
