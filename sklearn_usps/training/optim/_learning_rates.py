"""How the learning rate changes from batch to batch.

A schedule is an array with a factor for each batch. torch's schedulers do the same one batch at a
time, at 15 µs a batch: a thirtieth of the time of a batch of the smallest network.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import nn


def one_cycle(n_batches: int) -> np.ndarray:
    """Rise from 1/25 to 1 over the first 30 % of the batches, then fall to almost zero.

    Both along half a wave of the cosine, as torch's `OneCycleLR` by default.

    References
    ----------
    .. [1] L. N. Smith and N. Topin, "Super-Convergence: Very Fast Training of Neural Networks Using
       Large Learning Rates", arXiv:1708.07120, 2017.
    """
    first, last = 1 / 25, 1 / 25 / 10_000
    highest = 0.3 * n_batches - 1
    batch = np.arange(n_batches)
    # Of fewer than four batches none rises; of a single one nothing falls to the end.
    risen = np.clip(batch / highest, 0, 1) if highest > 0 else np.ones(n_batches)
    fallen = np.clip((batch - highest) / max(n_batches - 1 - highest, 1), 0, 1)
    rise = first + (1 - first) * _half_wave(risen)
    return np.where(batch <= highest, rise, 1 + (last - 1) * _half_wave(fallen))


def cosine(n_batches: int) -> np.ndarray:
    """Fall from 1 towards zero along half a wave of the cosine.

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
       ICLR 2017, equation 5 without restarts.
    """
    return 1 - _half_wave(np.arange(n_batches) / n_batches)


def _half_wave(x: np.ndarray) -> np.ndarray:
    """From 0 at 0 to 1 at 1."""
    return (1 - np.cos(np.pi * x)) / 2


SCHEDULES = {"one-cycle": one_cycle, "cosine": cosine}


class LayerSize(NamedTuple):
    """How a layer's units are connected."""

    #: Inputs of each unit, without its bias.
    n_inputs: float
    #: Connections of an image that share a weight.
    n_sharing: int


def layer_sizes(network: nn.Module, image_shape: tuple[int, int]) -> dict[str, LayerSize]:
    """The sizes of the layers of weighted sums, by the names of the modules that hold the weights.

    A module may tell them by attributes `fan_in` and `n_sharing`. Else its inputs are counted in
    `weight[0]`, and what shares a weight are the positions in a plane of its output.
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
            network.eval()(torch.zeros(1, 1, *image_shape, device=device))
    finally:
        network.train(training)
        for hook in hooks:
            if hook is not None:
                hook.remove()
    return sizes


def fan_in(size: LayerSize) -> float:
    """The rate divided by the number of inputs.

    References
    ----------
    .. [1] D. C. Plaut and G. E. Hinton, "Learning sets of filters using back-propagation", Computer
       Speech and Language 2(1):35-61, 1987.
    .. [2] R. Collobert, J. Weston, L. Bottou, M. Karlen, K. Kavukcuoglu and P. Kuksa, "Natural
       Language Processing (Almost) from Scratch", JMLR 12:2493-2537, 2011, section 3.4.
    """
    return 1 / size.n_inputs


def efficient_backprop(size: LayerSize) -> float:
    """The rate times √inputs; for shared weights, times √connections that share a weight.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, G. B. Orr and K.-R. Müller, "Efficient BackProp", in Neural
       Networks: Tricks of the Trade, Springer, 1998, section 4.7.
    """
    return math.sqrt(size.n_sharing if size.n_sharing > 1 else size.n_inputs)


SCALINGS = {"fan-in": fan_in, "efficient-backprop": efficient_backprop}


def rate_factors(
    scaling: str, network: nn.Module, image_shape: tuple[int, int]
) -> dict[str, float]:
    """What to multiply the learning rate by, for each parameter of a layer of weighted sums.

    The geometric mean over these layers is one, so that the rate keeps its meaning.
    """
    if scaling == "none":
        return {}
    sizes = layer_sizes(network, image_shape)
    factors = {name: SCALINGS[scaling](size) for name, size in sizes.items()}
    mean = math.exp(sum(map(math.log, factors.values())) / max(len(factors), 1))
    return {
        f"{name}.{parameter}" if name else parameter: factor / mean
        for name, factor in factors.items()
        for parameter, _ in network.get_submodule(name).named_parameters(recurse=False)
    }
