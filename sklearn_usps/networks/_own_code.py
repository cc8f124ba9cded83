"""The code of a user that the library runs: a network, an augmentation, an optimizer.

It may make tensors of torch's default dtype, which here is float32, and while it trains it may draw
from torch's global generator, which here is seeded and afterwards as it was.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from ._torch_state import float32_by_default

#: The turns of threads with torch's global generator.
_turns = threading.RLock()
if hasattr(os, "register_at_fork"):  # not on Windows
    # A child process would wait forever for a turn to end of a thread that it does not have.
    os.register_at_fork(
        before=_turns.acquire, after_in_parent=_turns.release, after_in_child=_turns.release
    )


def is_own(kind: type) -> bool:
    """Return True if a class is a user's: neither of this library nor of torch."""
    return kind.__module__.partition(".")[0] not in ("sklearn_usps", "torch")


class OwnCode:
    """The contexts for the parts of a training that may be a user's code.

    Parts of the library need none: its networks and its augmentation have a generator of their own,
    so that threads need not wait for each other.
    """

    def __init__(self, network: nn.Module, augmentation: Callable | None, optimizer: type):
        #: Context of the network where it is not trained.
        self.evaluation: AbstractContextManager = nullcontext()
        #: Context of the augmentation.
        self.augmentation: AbstractContextManager = nullcontext()
        #: Context of a training step, and of a loss of the validation set.
        self.step: AbstractContextManager = nullcontext()
        self.is_network_own = any(is_own(type(part)) for part in network.modules())
        self.is_step_own = self.is_network_own or is_own(optimizer)
        self.is_augmentation_own = augmentation is not None and is_own(type(augmentation))
        if self.is_network_own:
            self.evaluation = float32_by_default

    def seed(self, generator: torch.Generator, device: str) -> None:
        """Start a training: draw the seed of its random numbers if there is code of the user."""
        # The numbers that torch's optimizers keep are of the default dtype, unless they are fused.
        self.step = float32_by_default
        if self.is_step_own or self.is_augmentation_own:
            seeded = SeededCode(generator, device)
            self.step = seeded if self.is_step_own else float32_by_default
            self.augmentation = seeded if self.is_augmentation_own else nullcontext()


class SeededCode:
    """The code of a user's network, augmentation or optimizer in a training.

    It may draw from torch's global generator, which in this context is in a state of its own that
    continues from one use to the next. Threads take turns. They do so for each block of batches
    rather than for each training, so that no thread waits long and callbacks, which may wait for
    other threads, run between the turns.
    """

    def __init__(self, generator: torch.Generator, device: str = "cpu"):
        seed = int(torch.randint(2**62, (), generator=generator, device="cpu"))
        self.access = _access_to_generators(torch.device(device))
        self.states = [torch.Generator(kind).manual_seed(seed).get_state() for kind in self.access]

    def __enter__(self) -> None:
        _turns.acquire()
        try:
            self.found = self._get_states()
            self._set_states(self.states)
            float32_by_default.__enter__()
        except BaseException:
            self._set_states(self.found)
            _turns.release()
            raise

    def __exit__(self, *exception) -> None:
        try:
            float32_by_default.__exit__()
            self.states = self._get_states()
        finally:
            self._set_states(self.found)
            _turns.release()

    def _get_states(self) -> list[torch.Tensor]:
        return [get() for get, _ in self.access.values()]

    def _set_states(self, states: list[torch.Tensor]) -> None:
        for (_, set_), state in zip(self.access.values(), states, strict=True):
            set_(state)


def _access_to_generators(device: torch.device) -> dict[str, tuple[Callable, Callable]]:
    """Return functions that get and set the states of torch's generators that a network may use.

    Those of other devices are left alone: to ask for their states would initialize the devices.
    """
    access: dict[str, tuple[Callable, Callable]] = {
        "cpu": (torch.get_rng_state, torch.set_rng_state)
    }
    if device.type == "cuda":
        access[str(device)] = (
            functools.partial(torch.cuda.get_rng_state, device),
            functools.partial(torch.cuda.set_rng_state, device=device),
        )
    elif device.type == "mps":
        access["mps"] = (torch.mps.get_rng_state, torch.mps.set_rng_state)
    return access
