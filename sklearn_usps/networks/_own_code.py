"""User code that the library runs: a network, an augmentation, an optimizer.

It may make tensors of torch's default dtype, which here is float32, and while it trains it may draw
from torch's global generator, which here is seeded and afterwards as it was.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack

import torch

from ._torch_state import exclusive, float32_by_default


def is_user_code(kind: type) -> bool:
    """Return True if a class is a user's: neither of this library nor of torch."""
    return kind.__module__.partition(".")[0] not in ("sklearn_usps", "torch")


class SeededCode:
    """User code in a training: a network, an augmentation or an optimizer.

    It may draw from torch's global generator, which in this context has its own state, kept between
    uses. Threads take turns, for each block of batches rather than for each training, so that no
    thread waits long and callbacks, which may wait for other threads, run between the turns.
    """

    def __init__(self, generator: torch.Generator, device: str = "cpu"):
        seed = int(torch.randint(2**62, (), generator=generator, device="cpu"))
        self.access = _access_to_generators(torch.device(device))
        self.states = [torch.Generator(kind).manual_seed(seed).get_state() for kind in self.access]

    def __enter__(self) -> None:
        with ExitStack() as stack:
            stack.enter_context(exclusive())
            stack.enter_context(float32_by_default)
            stack.callback(self._set_states, self._get_states())
            self._set_states(self.states)
            self.stack = stack.pop_all()

    def __exit__(self, *exception) -> None:
        with self.stack:
            self.states = self._get_states()

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
