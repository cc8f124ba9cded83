"""Several networks whose first layers are the same tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized

NORMALIZATIONS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


class SharedLayersNetwork(nn.Module):
    """A network for each task, the parameters of their first layers one and the same [1]_.

    What a normalization knows of the values that pass through it is each task's own, as are its
    parameters: digits and letters have other means.

    Parameters
    ----------
    networks : sequence of torch.nn.Module
        Networks of the same kind, a task each. They are changed: those after the first get its
        tensors.

    n_shared : int
        How many layers are shared, at least one and not all.

    Raises
    ------
    ValueError
        If there are no more layers than are shared, or the layers have different shapes.

    References
    ----------
    .. [1] R. Caruana, "Multitask Learning", Machine Learning 28:41-75, 1997.
    """

    def __init__(self, networks: Sequence[nn.Module], n_shared: int):
        super().__init__()
        first, *others = (layers(network) for network in networks)
        n_layers = min(map(len, (first, *others)))
        if others and n_shared >= n_layers:
            raise ValueError(
                f"shared must be smaller than the number of layers of the network, {n_layers}, "
                f"since the tasks have classes of their own. Got {n_shared} instead."
            )
        for other in others:
            for number in range(n_shared):
                _share(first[number], other[number], number + 1)
        self.networks = nn.ModuleList(networks)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The scores of the classes of all tasks, side by side."""
        return torch.cat([network(images) for network in self.networks], dim=1)


def layers(network: nn.Module) -> list[list[nn.Module]]:
    """The layers of a network: modules of weighted sums, each with what belongs to it.

    A layer begins with a module that has a parameter of two or more dimensions, or a `weight` and
    tells its `fan_in`; biases that come after it in modules of their own belong to it.
    """
    found: list[list[nn.Module]] = []
    for module in network.modules():
        tensors: list[torch.Tensor] = list(module.parameters(recurse=False))
        weight = getattr(module, "weight", None)
        if isinstance(weight, torch.Tensor):  # which may be computed, by a parametrization
            tensors.append(weight)
        if isinstance(module, NORMALIZATIONS) or not tensors:
            continue
        if any(map(is_lazy, tensors)):
            raise ValueError(
                f"network: {type(module).__name__} has no sizes before its first call, so that "
                "tasks can't share it. Take a layer with sizes."
            )
        if hasattr(module, "fan_in"):
            begins = weight is not None
        elif isinstance(module, ParametrizationList):  # of the weights of the module before it
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
            f"shared: layer {number} of the network can't be the same for all tasks, since its "
            f"parameters have the shapes {shapes[0]} and {shapes[1]}. Layers count in the order in "
            "which the network makes them: the output layer must come last."
        )
    for our_module, their_module in zip(ours, theirs, strict=True):
        if is_parametrized(our_module):  # wholly, with what a parametrization knows of the weights
            their_module.parametrizations = our_module.parametrizations
        for name, parameter in our_module.named_parameters(recurse=False):
            setattr(their_module, name, parameter)


def _shapes(layer: list[nn.Module]) -> list[dict[str, tuple[int, ...]]]:
    return [
        {name: tuple(tensor.shape) for name, tensor in module.named_parameters(recurse=False)}
        for module in layer
    ]
