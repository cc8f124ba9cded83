"""The contexts in which a training runs code of the user."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from ..networks._own_code import SeededCode, is_own
from ..networks._torch_state import float32_by_default
from ._config import TrainingConfig


class TrainingContexts:
    """The contexts for the parts of a training that may be a user's code.

    Those of the library need none: they name dtypes and have a generator of their own, so that
    threads need not wait for each other.
    """

    def __init__(self, network: nn.Module, config: TrainingConfig):
        self.config = config
        self.is_network = any(is_own(type(part)) for part in network.modules())
        self.is_step = self.is_network or is_own(config.optimizer)
        self.is_augmentation = config.augmentation is not None and is_own(type(config.augmentation))
        #: Context of the network where it is not trained.
        self.evaluation: AbstractContextManager = (
            float32_by_default if self.is_network else nullcontext()
        )
        #: Context of the augmentation.
        self.augmentation: AbstractContextManager = nullcontext()
        #: Context of a training step, and of the loss of a validation batch.
        self.step: AbstractContextManager = nullcontext()

    def seed(self, generator: torch.Generator) -> None:
        """Start a training: draw the seed of the random numbers of a user's code, if any runs."""
        if not self.config.optimizer_options.get("fused"):
            # torch's optimizers keep numbers in the default dtype.
            self.step = float32_by_default
        if self.is_step or self.is_augmentation:
            if not self.is_network:
                # The training is that of another augmentation with the same seed.
                state = generator.get_state()
                generator = torch.Generator("cpu")
                generator.set_state(state)
            seeded = SeededCode(generator, self.config.device)
            self.step = seeded if self.is_step else self.step
            self.augmentation = seeded if self.is_augmentation else nullcontext()
