"""The state of the process that results must not depend on.

A user's program may compute in float64 by default, without gradients, in bfloat16 where torch finds
it suitable, or with numpy's errors as exceptions. Here are the contexts in which the library works
as in a fresh process; they leave everything as they found it.

Most of the state belongs to a thread. Default dtype, precision of products and global random
generator belong to the process: several threads may need them at the same time, so threads are
counted for the first two and take turns with the third.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn

from .._utils._arrays import NUMPY_ERRORS

# The state of a thread


class default_state:  # noqa: N801 (a context, as those of torch)
    """Let this thread compute as in a fresh process, then restore what it had.

    Gradients are on, inference mode and autocast are off, numpy's errors are warnings, and denormal
    numbers are not flushed to zero. If the `device` to compute on is given, a default device other
    than it becomes this one, and the CPU computes in full precision.
    """

    def __init__(self, device: str | None = None):
        self.device = None if device is None else torch.device(device)
        self.stack: ExitStack | None = None

    def __enter__(self) -> None:
        if changes := _state_changes(self.device):
            with ExitStack() as stack:
                for change in changes:
                    stack.enter_context(change)
                self.stack = stack.pop_all()

    def __exit__(self, *exception) -> None:
        if self.stack is not None:
            self.stack.close()


def _state_changes(device: torch.device | None) -> list[AbstractContextManager]:
    """Return the contexts that make this thread's state the default: 2 µs where it is already."""
    changes: list[AbstractContextManager] = []
    if torch.is_inference_mode_enabled() or not torch.is_grad_enabled():
        # Also turns on gradients, those of forward mode and the threads of the backward pass.
        changes.append(torch.inference_mode(False))
    for kind in {"cpu"} if device is None else {"cpu", device.type}:
        if torch.is_autocast_enabled(kind):
            changes.append(torch.autocast(kind, enabled=False))
    if device is not None and torch.empty(0).device.type not in ("cpu", device.type):
        changes.append(device)
    if np.geterr() != NUMPY_ERRORS:
        changes.append(np.errstate(**NUMPY_ERRORS))
    if sys.float_info.min / 2 == 0:
        changes.append(_denormals())
    if device is not None and device.type == "cpu":
        changes.append(full_precision)
    return changes


@contextmanager
def _denormals() -> Iterator[None]:
    torch.set_flush_denormal(False)
    try:
        yield
    finally:
        torch.set_flush_denormal(True)


def in_default_state(method: Callable) -> Callable:
    """Let a method of an estimator run in the default state of a thread."""

    @functools.wraps(method)
    def wrapper(*args, **kwargs):
        with default_state():
            return method(*args, **kwargs)

    return wrapper


# The state of the process


class _ProcessSetting:
    """A setting of the process that has its default while any thread is in this context."""

    def __init__(self, get: Callable[[], Any], restore: Callable[[Any], None], default: Any):
        self.get, self.restore, self.default = get, restore, default
        self.lock = threading.Lock()
        self.depths: Counter[int] = Counter()  # of threads
        self.found: Any = default

    def __enter__(self) -> None:
        with self.lock:
            if not self.depths:
                self.found = self.get()
                if self.found != self.default:
                    self.restore(self.default)
            self.depths[threading.get_ident()] += 1

    def __exit__(self, *exception) -> None:
        with self.lock:
            thread = threading.get_ident()
            self.depths[thread] -= 1
            if not self.depths[thread]:
                del self.depths[thread]
            self._restore_if_unused()

    def _restore_if_unused(self) -> None:
        # If someone else has changed it meanwhile, it stays as changed.
        if not self.depths and self.found != self.default and self.get() == self.default:
            self.restore(self.found)

    def forget_other_threads(self) -> None:
        """Forget the threads that a forked process does not have; the lock is held."""
        if self.depths:
            thread = threading.get_ident()
            self.depths = Counter({k: n for k, n in self.depths.items() if k == thread})
            self._restore_if_unused()


#: The default dtype is float32. Code of this library names dtypes instead.
float32_by_default = _ProcessSetting(
    torch.get_default_dtype, torch.set_default_dtype, torch.float32
)


#: Parts of torch that have a precision of their own, since torch 2.9.
_PARTS = [
    part
    for name in ("matmul", "conv", "rnn")
    if hasattr(part := getattr(torch.backends.mkldnn, name, None), "fp32_precision")
]


def _get_precisions() -> list[str | None]:
    """Return the precision of float32 products on the CPU, in general and of each part."""
    try:
        in_general: str | None = torch.get_float32_matmul_precision()
    except RuntimeError:  # it was set for some devices alone
        in_general = None
    values = [part.fp32_precision for part in _PARTS]
    return [in_general, *("ieee" if value == "none" else value for value in values)]


def _set_precisions(values: list[str | None]) -> None:
    in_general, *of_parts = values
    if in_general is not None:
        torch.set_float32_matmul_precision(in_general)
    for part, value, now in zip(_PARTS, of_parts, _get_precisions()[1:], strict=True):
        if value != now:
            part.fp32_precision = value


#: Products and convolutions on the CPU are computed in float32, not in bfloat16.
full_precision = _ProcessSetting(
    _get_precisions, _set_precisions, ["highest", *len(_PARTS) * ["ieee"]]
)


# The code of a user


_random_turn = threading.RLock()


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
        self.states = [
            torch.Generator(kind).manual_seed(seed).get_state() for kind in self.access
        ]

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


def is_own(kind: type | None) -> bool:
    """Return True if a class is a user's: neither of this library nor of torch."""
    return kind is not None and kind.__module__.partition(".")[0] not in ("sklearn_usps", "torch")


def has_own_code(network: nn.Module) -> bool:
    """Return True if a network, or a part of it, is of a user's class."""
    return any(is_own(type(part)) for part in network.modules())


_turns = threading.RLock()


def _before_fork() -> None:
    """Wait until no thread is inside of what a child process, which lacks it, could not end."""
    _turns.acquire()
    for setting in _SETTINGS:
        setting.lock.acquire()


def _after_fork(*, in_child: bool = False) -> None:
    for setting in _SETTINGS:
        if in_child:
            setting.forget_other_threads()
        setting.lock.release()
    _turns.release()


_SETTINGS = (float32_by_default, full_precision)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork,
        after_in_child=functools.partial(_after_fork, in_child=True),
    )
