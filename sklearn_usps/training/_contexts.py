"""The contexts in which a training runs networks, and code of the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from .._utils._warnings import warn_user
from ..networks._layers import Dropout
from ..networks._own_code import SeededCode, is_user_code
from ..networks._torch_state import float32_by_default
from ._config import TrainingConfig, has_fast_bfloat16
from .gpu._cuda import cuda_generator, is_cuda, own_stream


class TrainingContexts:
    """The contexts for the parts of a training that may be a user's code.

    Those of the library need none: they name dtypes and have a generator of their own, so that
    threads need not wait for each other.
    """

    def __init__(self, network: nn.Module, config: TrainingConfig):
        self.config = config
        self.has_own_network = any(is_user_code(type(part)) for part in network.modules())
        self.has_own_step = self.has_own_network or is_user_code(config.optimizer)
        self.has_own_augmentation = config.augmentation is not None and is_user_code(
            type(config.augmentation)
        )
        #: Context of the network where it is not trained.
        self.evaluation: AbstractContextManager = (
            float32_by_default if self.has_own_network else nullcontext()
        )
        #: Context of the augmentation.
        self.augmentation: AbstractContextManager = nullcontext()
        #: Context of a training step, and of the loss of a validation batch.
        self.step: AbstractContextManager = nullcontext()
        #: Context of the network in a training step.
        self.forward: AbstractContextManager = nullcontext()

    @contextmanager
    def training(self, network: nn.Module, generator: torch.Generator) -> Iterator[None]:
        """Enter the context of a training, with the generator of its random numbers.

        On an Nvidia GPU the training has a stream of its own, and what draws from the generator in
        the library, augmentation and dropout, draws from one on the GPU.
        """
        self._seed(generator)
        self.generator = self.device_generator = generator
        if not is_cuda(self.config.device):
            yield
            return
        self.device_generator = cuda_generator(self.config.device, generator)
        dropouts = [
            part
            for part in network.modules()
            if isinstance(part, Dropout) and part.generator is generator
        ]
        try:
            for dropout in dropouts:
                dropout.generator = self.device_generator
            with own_stream(self.config.device):
                yield
        finally:
            for dropout in dropouts:
                dropout.generator = generator
            self.device_generator = generator

    def _seed(self, generator: torch.Generator) -> None:
        """Draw the seed of the random numbers of a user's code, if any runs."""
        if self.config.precision == "bfloat16":
            self.forward = _bfloat16(self.config.device)
        if not self.config.optimizer_options.get("fused"):
            # torch's optimizers keep numbers in the default dtype.
            self.step = float32_by_default
        if self.has_own_step or self.has_own_augmentation:
            if not self.has_own_network:
                # The training is that of another augmentation with the same seed.
                state = generator.get_state()
                generator = torch.Generator("cpu")
                generator.set_state(state)
            seeded = SeededCode(generator, self.config.device)
            self.step = seeded if self.has_own_step else self.step
            self.augmentation = seeded if self.has_own_augmentation else nullcontext()

    def augment(self, images: torch.Tensor) -> torch.Tensor:
        """Return augmented images, after a check of their shape and dtype."""
        augmentation: Any = self.config.augmentation
        generator = self.generator if self.has_own_augmentation else self.device_generator
        with self.augmentation:
            augmented = augmentation(images, generator)
        shape, dtype = getattr(augmented, "shape", None), getattr(augmented, "dtype", None)
        if (shape, dtype) != (images.shape, images.dtype):
            of_shape = "" if shape is None else f" of shape {tuple(shape)}"
            raise ValueError(
                f"augmentation must return a tensor of shape {tuple(images.shape)} and dtype "
                f"{images.dtype}. Got {dtype or type(augmented).__name__}{of_shape}."
            )
        return augmented


def _bfloat16(device: str) -> AbstractContextManager:
    """Return the context of computations in bfloat16, or with a warning of those in float32."""
    if has_fast_bfloat16(device):
        # Within a user's autocast, torch would keep the casts of the weights from step to step.
        return torch.autocast(torch.device(device).type, torch.bfloat16, cache_enabled=False)
    warn_user(
        f"precision='bfloat16' is slower than 'float32' on this {device.upper()}: training uses "
        "'float32'."
    )
    return nullcontext()
