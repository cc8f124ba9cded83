"""Learning rates: schedules over the batches of a training, and factors for each layer.

A schedule is an array with a factor for each batch. torch's schedulers do the same one batch at a
time, at 15 µs a batch: a thirtieth of the time of a batch of the smallest network.
"""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import nn


def one_cycle(n_batches: int) -> np.ndarray:
    """Rise from 1/25 to 1 over the first 30 % of the batches, then fall to almost zero [1]_.

    Both follow half a wave of the cosine, as torch's `OneCycleLR` does by default.

    References
    ----------
    .. [1] L. N. Smith and N. Topin, "Super-Convergence: Very Fast Training of Neural Networks Using
       Large Learning Rates", arXiv:1708.07120, 2017.
    """
    first, last = 1 / 25, 1 / 25 / 10_000
    highest = 0.3 * n_batches - 1
    batch = np.arange(n_batches)
    # Fewer than four batches have no rise, and a single one has no fall.
    risen = np.clip(batch / highest, 0, 1) if highest > 0 else np.ones(n_batches)
    fallen = np.clip((batch - highest) / max(n_batches - 1 - highest, 1), 0, 1)
    rise = first + (1 - first) * _half_wave(risen)
    return np.where(batch <= highest, rise, 1 + (last - 1) * _half_wave(fallen))


def cosine(n_batches: int) -> np.ndarray:
    """Fall from 1 towards zero along half a wave of the cosine [1]_.

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
       ICLR 2017, equation 5 without restarts.
    """
    return 1 - _half_wave(np.arange(n_batches) / n_batches)


def _half_wave(x: np.ndarray) -> np.ndarray:
    """Rise from 0 at 0 to 1 at 1."""
    return (1 - np.cos(np.pi * x)) / 2


#: The schedules by name. "constant" has none, so that a callback may set the rate.
SCHEDULES = {"one-cycle": one_cycle, "cosine": cosine}


class LayerSize(NamedTuple):
    """Numbers of connections of a layer."""

    #: Inputs of each unit, without its bias.
    n_inputs: float
    #: Connections of an image that share a weight.
    n_sharing: int


def layer_sizes(network: nn.Module, image_shape: tuple[int, int]) -> dict[str, LayerSize]:
    """Return the sizes of the layers of weighted sums, by the names of the modules with weights.

    A module may state them by attributes `fan_in` and `n_sharing`. Otherwise its inputs are the
    elements of `weight[0]`, and the positions in a channel of its output share a weight.
    """
    sizes: dict[str, LayerSize] = {}

    def watch(name, module):
        weight = getattr(module, "weight", None)
        n_inputs = getattr(module, "fan_in", None)
        if n_inputs is None and isinstance(weight, nn.Parameter) and weight.ndim >= 2:
            n_inputs = weight[0].numel()
        if n_inputs is None:  # no weighted sum, such as batch normalization
            return None
        if hasattr(module, "n_sharing"):
            sizes[name] = LayerSize(n_inputs, module.n_sharing)
            return None

        def record(module, inputs, output):
            sizes[name] = LayerSize(n_inputs, output.shape[2:].numel())

        return module.register_forward_hook(record)

    hooks = [watch(name, module) for name, module in network.named_modules()]
    training = network.training
    try:
        with torch.no_grad():
            device = next(network.parameters(), torch.empty(0)).device
            blank = torch.zeros(1, 1, *image_shape, dtype=torch.float32, device=device)
            network.eval()(blank)
    finally:
        network.train(training)
        for hook in hooks:
            if hook is not None:
                hook.remove()
    return sizes


def fan_in(size: LayerSize) -> float:
    """Divide the rate by the number of inputs [1]_ [2]_.

    References
    ----------
    .. [1] D. C. Plaut and G. E. Hinton, "Learning sets of filters using back-propagation", Computer
       Speech and Language 2(1):35-61, 1987.
    .. [2] R. Collobert, J. Weston, L. Bottou, M. Karlen, K. Kavukcuoglu and P. Kuksa, "Natural
       Language Processing (Almost) from Scratch", JMLR 12:2493-2537, 2011, section 3.4.
    """
    return 1 / size.n_inputs


def efficient_backprop(size: LayerSize) -> float:
    """Multiply the rate by √inputs or, for shared weights, by √connections that share one [1]_.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, G. B. Orr and K.-R. Müller, "Efficient BackProp", in Neural
       Networks: Tricks of the Trade, Springer, 1998, section 4.7.
    """
    return math.sqrt(size.n_sharing if size.n_sharing > 1 else size.n_inputs)


#: The factors for layers by name.
SCALINGS = {"fan-in": fan_in, "efficient-backprop": efficient_backprop}


def parameter_groups(named_parameters, factors: dict[str, float], lr: float) -> list[dict]:
    """Return an optimizer's groups of parameters: those of one factor of the learning rate each."""
    groups: dict[float, list] = {}
    for name, parameter in named_parameters:
        groups.setdefault(factors.get(name, 1.0), []).append(parameter)
    return [
        {"params": parameters, "lr": lr * factor, "lr_factor": factor}
        for factor, parameters in groups.items()
    ]


def rate_factors(
    scaling: str, network: nn.Module, image_shape: tuple[int, int], *, on_meta_device: bool = False
) -> dict[str, float]:
    """Return the factor of the learning rate for each parameter of a layer of weighted sums.

    The geometric mean over these layers is one, so that the rate keeps its meaning. On the meta
    device no memory is taken for the outputs of layers.
    """
    if scaling not in SCALINGS:
        return {}
    copied = copy.deepcopy(network).to("meta") if on_meta_device else network
    sizes = layer_sizes(copied, image_shape)
    factors = {name: SCALINGS[scaling](size) for name, size in sizes.items()}
    mean = math.exp(sum(map(math.log, factors.values())) / max(len(factors), 1))
    return {
        f"{name}.{parameter}" if name else parameter: factor / mean
        for name, factor in factors.items()
        for parameter, _ in network.get_submodule(name).named_parameters(recurse=False)
    }
