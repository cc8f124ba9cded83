"""Networks whose first layers are shared."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized

#: Layers that every task has to itself.
NORMALIZATIONS = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
    *(nn.GroupNorm, nn.LayerNorm, nn.RMSNorm),
)


class SharedLayersNetwork(nn.Module):
    """Networks of one class, one for each task, whose first layers are the same tensors.

    The networks are changed in place: the others get the tensors of the first. Normalization layers
    are not shared, since means and variances differ between tasks such as digits and letters.

    R. Caruana, "Multitask Learning", Machine Learning 28:41-75, 1997.
    """

    def __init__(self, networks: Sequence[nn.Module], n_shared_layers: int):
        super().__init__()
        first, *others = (layers(network) for network in networks)
        n_layers = min(map(len, (first, *others)))
        if others and n_shared_layers >= n_layers:
            raise ValueError(
                "n_shared_layers must be smaller than the number of layers of the network, "
                f"{n_layers}: each task has its own output. Got {n_shared_layers} instead."
            )
        for other in others:
            for number in range(n_shared_layers):
                _share(first[number], other[number], number + 1)
        self.networks = nn.ModuleList(networks)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits of all tasks side by side."""
        return torch.cat([network(images) for network in self.networks], dim=1)


def layers(network: nn.Module) -> list[list[nn.Module]]:
    """Return the layers of a network, as lists of modules, in the order of `network.modules()`.

    A layer begins with a module that has a parameter of two or more dimensions, or the attributes
    `weight` and `fan_in`. The modules with other parameters after it, such as biases, belong to it.
    """
    found: list[list[nn.Module]] = []
    for module in network.modules():
        tensors: list[torch.Tensor] = list(module.parameters(recurse=False))
        weight = getattr(module, "weight", None)
        if isinstance(weight, torch.Tensor):  # also one that a parametrization computes
            tensors.append(weight)
        if isinstance(module, NORMALIZATIONS) or not tensors:
            continue
        if any(map(is_lazy, tensors)):
            raise ValueError(
                f"network has a {type(module).__name__}, which has no sizes before its first call "
                "and can't be shared by tasks. Use a layer with sizes."
            )
        if hasattr(module, "fan_in"):
            begins = weight is not None
        elif isinstance(module, ParametrizationList):  # part of the module before it
            begins = False
        else:
            begins = any(tensor.ndim >= 2 for tensor in tensors)
        if begins:
            found.append([module])
        elif found:
            found[-1].append(module)
    return found


def _share(ours: list[nn.Module], theirs: list[nn.Module], number: int) -> None:
    shapes = _shapes(ours), _shapes(theirs)
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"n_shared_layers: tasks can't share layer {number} of the network, whose parameters "
            f"have the shapes {shapes[0]} and {shapes[1]}. Layers count in the order in which the "
            "network makes them: make the output layer last."
        )
    for our_module, their_module in zip(ours, theirs, strict=True):
        if is_parametrized(our_module):  # its state is shared too
            their_module.parametrizations = our_module.parametrizations
        for name, parameter in our_module.named_parameters(recurse=False):
            setattr(their_module, name, parameter)


def _shapes(layer: list[nn.Module]) -> list[dict[str, tuple[int, ...]]]:
    return [
        {name: tuple(tensor.shape) for name, tensor in module.named_parameters(recurse=False)}
        for module in layer
    ]
