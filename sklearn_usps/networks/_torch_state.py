"""The state of the process that results must not depend on.

A user's program may compute in float64 by default, without gradients, in bfloat16 where torch finds
it suitable, or with numpy's errors as exceptions. Here are the contexts in which the library works
as in a fresh process; they leave everything as they found it.

Most of the state belongs to a thread. The default dtype and the precision of products belong to the
process, where the last of several threads restores them.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import numpy as np
import sklearn
import torch

from .._utils._arrays import NUMPY_ERRORS, numpy_defaults

# The state of a thread


@contextmanager
def default_state(device: str | None = None) -> Iterator[None]:
    """Let this thread compute as in a fresh process, then restore what it had.

    Gradients are on, inference mode and autocast are off, numpy's errors are warnings, scikit-learn
    looks for NaN, and denormal numbers are not flushed to zero. If the `device` to compute on is
    given, a default device other than it becomes this one, matrix products are computed in full
    precision, and cuDNN chooses algorithms that return the same bits each time.
    """
    with ExitStack() as stack:
        for change in _state_changes(None if device is None else torch.device(device)):
            stack.enter_context(change)
        yield


def _state_changes(device: torch.device | None) -> list[AbstractContextManager]:
    """Return the contexts that make this thread's state the default: 2 µs where it is already."""
    changes: list[AbstractContextManager] = []
    if torch.is_inference_mode_enabled() or not torch.is_grad_enabled():
        # Also turns on gradients, those of forward mode and the threads of the backward pass.
        changes.append(torch.inference_mode(False))
    changes += [
        torch.autocast(kind, enabled=False)
        for kind in {"cpu", "cpu" if device is None else device.type}
        if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    ]
    if device is not None and torch.empty(0).device.type not in ("cpu", device.type):
        changes.append(device)
    if np.geterr() != NUMPY_ERRORS or sklearn.get_config()["assume_finite"]:
        changes.append(numpy_defaults())
    if sys.float_info.min / 2 == 0:
        changes.append(_denormals())
    if device is not None:
        changes.append(full_precision)
        if device.type == "cuda":
            changes.append(repeatable_convolutions)
    return changes


@contextmanager
def _denormals() -> Iterator[None]:
    torch.set_flush_denormal(False)
    try:
        yield
    finally:
        torch.set_flush_denormal(True)


def in_default_state(method: Callable) -> Callable:
    """Let a method of an estimator run in the default state of a thread.

    `default_state` itself, as a decorator, would hold a generator: methods of classes in a notebook
    could not be sent to other processes.
    """

    @functools.wraps(method)
    def wrapper(*args, **kwargs):
        with default_state():
            return method(*args, **kwargs)

    return wrapper


# The state of the process


class _ProcessSetting:
    """A setting of the process that has its default while any thread is in this context.

    `name` is the variable of this module that holds it.
    """

    def __init__(
        self, name: str, get: Callable[[], Any], restore: Callable[[Any], None], default: Any
    ):
        self.name = name
        self.get, self.restore, self.default = get, restore, default
        self.lock = threading.RLock()
        self.depths: Counter[int] = Counter()  # of threads
        self.found: Any = default

    def __enter__(self) -> None:
        _handle_forks()
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

    def __reduce__(self) -> str:
        return self.name  # copies and pickles of what refers to it have this very object

    def _restore_if_unused(self) -> None:
        # If someone else has changed it meanwhile, it stays as changed.
        if not self.depths and self.found != self.default and self.get() == self.default:
            self.restore(self.found)

    def forget_other_threads(self) -> None:
        """Forget the threads that a forked process does not have."""
        if self.depths:
            thread = threading.get_ident()
            self.depths = Counter({k: n for k, n in self.depths.items() if k == thread})
            self._restore_if_unused()


#: The default dtype is float32. Code of this library names dtypes instead.
float32_by_default = _ProcessSetting(
    "float32_by_default", torch.get_default_dtype, torch.set_default_dtype, torch.float32
)


#: Parts of torch that have a precision of their own, since torch 2.9.
_PARTS: list[Any] = [
    part
    for part in (
        *(getattr(torch.backends.mkldnn, name, None) for name in ("matmul", "conv", "rnn")),
        torch.backends.cuda.matmul,
    )
    if hasattr(part, "fp32_precision")
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


#: Matrix products, and convolutions on the CPU, are computed in float32: not in bfloat16 or TF32.
full_precision = _ProcessSetting(
    "full_precision", _get_precisions, _set_precisions, ["highest", *len(_PARTS) * ["ieee"]]
)


def _get_choice() -> tuple[bool, bool]:
    return torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark


def _set_choice(choice: tuple[bool, bool]) -> None:
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = choice


#: cuDNN chooses among algorithms that return the same bits each time, without timing them.
repeatable_convolutions = _ProcessSetting(
    "repeatable_convolutions", _get_choice, _set_choice, (True, False)
)
_SETTINGS = (float32_by_default, full_precision, repeatable_convolutions)


# Turns of threads, and forks

_turns = threading.RLock()


@contextmanager
def exclusive() -> Iterator[None]:
    """Let one thread at a time use what the process has once, such as a global generator."""
    _handle_forks()
    with _turns:
        yield


@functools.cache
def _handle_forks() -> None:
    """Let forks wait until no other thread holds a lock: the child process would wait forever.

    This is called by what takes a lock, since an import should not change what forks do.
    """
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(
            before=_take_locks,
            after_in_parent=_release_locks,
            after_in_child=functools.partial(_release_locks, in_child=True),
        )


def _take_locks() -> None:
    _turns.acquire()  # first, since a thread that has its turn takes the others
    for setting in _SETTINGS:
        setting.lock.acquire()


def _release_locks(*, in_child: bool = False) -> None:
    for setting in reversed(_SETTINGS):
        if in_child:
            setting.forget_other_threads()
        setting.lock.release()
    _turns.release()
