"""Predictions of a trained network, in batches of one size.

The kernels of torch differ between batch sizes in the last bits. Since all batches are of one size,
the last one filled up, the outputs for an image do not depend on the other images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.utils import gen_batches
from torch import nn
from torch.nn import functional

from ..networks._torch_state import default_state
from ._config import use_one_thread_in_fork
from ._data import BatchIterator
from .gpu._cuda import BLOCK_PIXELS, copy_to_cpu, copy_to_gpu, is_cuda

if TYPE_CHECKING:
    from ._trainer import Trainer

#: Number of images to evaluate at once on an accelerator, and everywhere during training.
INFERENCE_BATCH_SIZE = 512
#: On the CPU, the number of images to predict at once, and the largest number of their pixels.
#: The rows of a matrix product of MKL differ in bits by their position if a thread computes a
#: number of them that the kernel has no multiple of. With AVX-512, 48 rows are equal at each number
#: of threads tried, 1 to 6; with AVX2 at 1 to 4, and 24, 32, 64, 72, 120, 128 and 256 rows are not.
#: 48 images of 16 × 16 pixels take the default network 1.4 ms (2 threads); one of them would take
#: 0.6 ms.
_CPU_BATCH_SIZE, _CPU_BATCH_PIXELS = 48, 48 * 48 * 48


def predict_scores(trainer: Trainer, X, *, with_shifts: bool = False) -> np.ndarray:
    """Return scores, of which that of the predicted class is the largest, as `predict_log_proba`.

    They are the logits, unless the mean over shifted images or the network's own probabilities
    decide.
    """
    if with_shifts or hasattr(trainer.module_, "log_proba"):
        return predict_log_proba(trainer, X, with_shifts=with_shifts)
    return _check_no_nan(trainer.forward(X).double()).numpy()


def predict_log_proba(trainer: Trainer, X, *, with_shifts: bool = False) -> np.ndarray:
    """Return logarithms of probabilities of images X: (n_samples, n_classes), float64.

    With `with_shifts`, the probabilities are means over the images of `shifted_images`.
    """
    own_log_proba = getattr(trainer.module_, "log_proba", nn.Identity())

    def outputs(images):
        views = shifted_images(images) if with_shifts else [images]
        return torch.stack([own_log_proba(trainer.infer(view)) for view in views], dim=1)

    parts = []
    for part in iter_outputs(trainer, X, outputs):
        log_proba = part.double().log_softmax(2)  # own probabilities are normalized once more
        parts.append(log_proba.logsumexp(1) - math.log(log_proba.shape[1]))
    return _check_no_nan(torch.cat(parts)).numpy()


def predict_features(trainer: Trainer, X) -> np.ndarray:
    """Return the last hidden layer for images X: (n_samples, n_features), float32."""

    def features(images):
        return trainer.module_.features(images.to(trainer.device)).flatten(1)

    return torch.cat(list(iter_outputs(trainer, X, features))).numpy()


def iter_outputs(
    trainer: Trainer, X, function: Callable, *, training: bool = False, device: str = "cpu"
) -> Iterator[torch.Tensor]:
    """Yield the values of a function of batches of images, those of many batches together.

    In training, where images of a batch may depend on each other, the last one is not filled up.
    """
    parts = _compute_parts(trainer, X, function, training=training)
    if is_cuda(trainer.config.device) and device == "cpu":
        return copy_to_cpu(parts)
    return (part.to(device) for part in parts)


def _compute_parts(trainer: Trainer, X, function, *, training) -> Iterator[torch.Tensor]:
    """Yield the values for many batches together, on the device that computed them."""
    use_one_thread_in_fork()
    trainer.module_.train(training)
    dataset, image_shape = trainer.get_dataset(X), trainer.config.image_shape
    size = _batch_size(image_shape, trainer.device)
    slices = list(gen_batches(len(dataset), size))
    options: dict[str, Any] = {}
    if is_cuda(trainer.config.device):
        options["read"] = partial(copy_to_gpu, trainer.config.device)
        options["block_size"] = BLOCK_PIXELS // math.prod(image_shape)
    for block in BatchIterator(dataset, image_shape, slices, **options):
        state = default_state(trainer.config.device)
        with state, trainer.contexts_.evaluation, torch.inference_mode(not training):
            values = [
                function(images if training else _fill_up(images, size))[: len(images)]
                for (images, _), _ in block.batches()
            ]
            part = torch.cat(values)
        yield part


def _batch_size(image_shape: tuple[int, int], device: str) -> int:
    if torch.device(device).type != "cpu":
        return INFERENCE_BATCH_SIZE
    return _CPU_BATCH_SIZE if _CPU_BATCH_SIZE * math.prod(image_shape) <= _CPU_BATCH_PIXELS else 1


def _fill_up(images: torch.Tensor, size: int) -> torch.Tensor:
    """Repeat the last image so that there are `size`."""
    missing = size - len(images)
    if missing == 0:
        return images
    return torch.cat([images, images[-1:].expand(missing, -1, -1, -1)])


def _check_no_nan(scores: torch.Tensor) -> torch.Tensor:
    """Raise a ValueError for NaN, of which `argmax` would make a class."""
    if scores.isnan().any():
        image = int(scores.isnan().any(1).nonzero()[0])
        raise ValueError(
            f"The network returned NaN for image {image} of X: its values or the weights of the "
            "network are too large."
        )
    return scores


def shifted_images(images: torch.Tensor) -> list[torch.Tensor]:
    """Return the images, and all of them shifted by one pixel to each of the four sides."""
    height, width = images.shape[2:]
    padded = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    offsets = [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
    # Copies, since a network may change its input.
    return [padded[:, :, top : top + height, left : left + width].clone() for top, left in offsets]


def log_probabilities(network: nn.Module, logits: torch.Tensor) -> torch.Tensor:
    """Return the log-probabilities for the logits of a network."""
    return network.log_proba(logits) if hasattr(network, "log_proba") else logits.log_softmax(1)
