"""The feature maps of the convolutions of a network for one image, without matplotlib."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from .._utils._models import open_convnet
from ..networks._torch_state import default_state, float32_by_default
from ._one_image import as_fitted, check_image, select_task

_CONVOLUTIONS = (functional.conv2d, torch.conv2d, torch.convolution)


def feature_maps(estimator, image, *, task=None) -> list[tuple[str, np.ndarray]]:
    """Return the input of a network and the feature maps of its convolutions for an image.

    Parameters, errors and the content of the maps are those of
    :meth:`FeatureMapDisplay.from_estimator`. Each map array is (n_maps, height, width), float32.
    The names are "Input", then "Convolution 1" and so on.

    The model is not changed, and threads may call this at once: 0.5 to 1.5 ms for the networks by
    name on one core.
    """
    model = select_task(estimator, task)
    transformers, classifier = open_convnet(model, "FeatureMapDisplay")
    pixels, _ = check_image(image, model)
    pixels = as_fitted(pixels, model)
    for _, step in transformers:
        pixels = step.transform(pixels)
    pixels = np.array(pixels, dtype=np.float32).reshape(1, 1, *classifier.image_shape_)
    network, device = classifier.net_.module_, classifier.net_.device
    with default_state(device), float32_by_default, _evaluation_mode(network), torch.no_grad():
        images = torch.from_numpy(pixels).to(device)
        with MapRecorder() as recorder:
            network(images.clone())  # which it may change in place
    if not recorder.maps:
        raise ValueError(
            f"The network {type(network).__name__} calls no two-dimensional convolution of torch, "
            "so it has no feature maps to show."
        )
    arrays = [maps[0].float().numpy(force=True) for maps in (images, *recorder.maps)]
    names = ["Input", *(f"Convolution {number}" for number in range(1, len(arrays)))]
    return list(zip(names, arrays, strict=True))


class MapRecorder(TorchFunctionMode):
    """A context that keeps the feature maps of each convolution that this thread computes.

    `maps` are the outputs of the convolutions in the order of their calls. An operation on the
    latest tensor of a convolution whose result has its shape, such as a bias, a normalization, an
    activation or the addition of a skip connection, replaces that tensor.

    Hooks on modules would be called by other threads too, and miss activations that are functions
    and convolutions that a network computes otherwise, as "luacnn" does.
    """

    def __init__(self):
        super().__init__()
        self.maps: list[torch.Tensor] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if not isinstance(result, torch.Tensor) or not result.is_floating_point():
            return result
        if func in _CONVOLUTIONS:
            if result.ndim == 4:
                self.maps.append(result)
            return result
        values = (*args, *(kwargs or {}).values())
        for index, latest in reversed(list(enumerate(self.maps))):
            if result.shape == latest.shape and any(value is latest for value in values):
                self.maps[index] = result
                break
        return result


@contextmanager
def _evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Let a network be in evaluation mode, as fitted ones are, and restore what it was in."""
    training = [module for module in network.modules() if module.training]
    if training:
        network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
