"""A classifier as the numbers from which the page computes its answers in the browser."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from torch import nn

from ..networks import ConvNet
from ..networks._torch_state import default_state
from ..preprocessing import ImageNormalizer


def export_model(model: Pipeline, examples: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return a fitted pipeline as plain values for `network.js`; arrays are base64 of float32.

    The pipeline is an ImageNormalizer and a ConvNetClassifier with the network "convnet".
    `examples` are training images (n, n_pixels) in [0, 1], among which the page finds the nearest.

    Raises
    ------
    ValueError
        If the pipeline is another one.
    """
    network = _find_network(model)
    if network is None:
        raise ValueError(
            "model must be a fitted pipeline of ImageNormalizer(), global or by pixel, and a "
            f"ConvNetClassifier with the network 'convnet'. Got {model!r} instead."
        )
    normalizer, classifier = model
    with default_state("cpu"):
        layers = _export_layers(network)
    return {
        "classes": [str(label) for label in classifier.classes_.tolist()],
        "image_shape": list(classifier.image_shape_),
        "mean": _encode(np.broadcast_to(normalizer.mean_, examples.shape[1:])),
        "scale": _encode(np.broadcast_to(normalizer.scale_, examples.shape[1:])),
        "layers": layers,
        "output": {
            "weight": _encode(network.output.weight.numpy(force=True)),
            "bias": _encode(network.output.bias.numpy(force=True)),
        },
        "examples": base64.b64encode(np.uint8(np.round(255 * examples)).tobytes()).decode(),
        "labels": [str(label) for label in labels.tolist()],
    }


def _find_network(model) -> ConvNet | None:
    """Return the network of a pipeline that can be exported, or None of another model."""
    if not isinstance(model, Pipeline) or len(model) != 2:
        return None
    normalizer, classifier = model
    trainer = getattr(classifier, "net_", None)
    if not isinstance(normalizer, ImageNormalizer) or not hasattr(normalizer, "mean_"):
        return None
    return trainer.module_ if trainer and isinstance(trainer.module_, ConvNet) else None


def _export_layers(network: ConvNet) -> list[dict[str, Any]]:
    """Return the convolutions with the batch normalization after each as a part of them."""
    layers: list[dict[str, Any]] = []
    padding, is_border = 0, False
    for part in network.convolutions:
        if isinstance(part, nn.ReplicationPad2d):
            padding, is_border = part.padding[0], True
        elif isinstance(part, nn.Conv2d):
            convolution = part
            if not is_border:
                padding = part.padding[0]
        elif isinstance(part, nn.BatchNorm2d):
            scale = (part.weight / (part.running_var + part.eps).sqrt()).detach()
            kernels = convolution.weight.detach() * scale[:, None, None, None]
            layers.append(
                {
                    "shape": list(kernels.shape),
                    "kernels": _encode(kernels.numpy(force=True)),
                    "bias": _encode((part.bias - part.running_mean * scale).numpy(force=True)),
                    "stride": convolution.stride[0],
                    "padding": padding,
                    "pads_border": is_border,
                }
            )
            is_border = False
    return layers


def _encode(array: np.ndarray) -> str:
    """Return an array as base64 of little-endian float32."""
    return base64.b64encode(np.asarray(array, dtype="<f4").tobytes()).decode()
