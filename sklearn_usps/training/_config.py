"""The parameters of a training, checked and resolved, and the device to compute on."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from skorch.callbacks import EarlyStopping, InputShapeSetter, LRScheduler

from .._utils._warnings import warn_user
from ..preprocessing import RandomDeformation
from .gpu._cuda import is_cuda
from .optim._optimizers import find_optimizer

#: The parameters that a configuration takes over without a change.
_UNCHANGED = (
    *("lr", "lr_schedule", "lr_scaling", "sampling", "batch_size", "max_epochs"),
    *("label_smoothing", "precision", "verbose"),
)
#: With ``batch_size="auto"``: number of batches in an epoch, between limits of their size.
_N_BATCHES, _BATCH_SIZE_LIMITS = 64, (8, 128)
#: With ``max_epochs="auto"``: number of images seen in a training, between limits of the epochs.
_N_IMAGES_SEEN, _EPOCH_LIMITS = 30_000, (20, 100)
#: With ``max_epochs="auto"`` and a time limit: the maximum of the epochs.
_MAX_EPOCHS_WITH_TIME_LIMIT = 1000
#: The process that imported this module, or the fork that computes in one thread already.
_process = os.getpid()


@dataclass(frozen=True)
class TrainingConfig:
    """The parameters of a training, as those of :class:`~sklearn_usps.ConvNetClassifier`."""

    image_shape: tuple[int, int]
    optimizer: type[torch.optim.Optimizer]
    #: Keyword arguments of the optimizer beside `lr`.
    optimizer_options: dict[str, Any]
    lr: float
    lr_schedule: str
    lr_scaling: str
    #: True if the network states the sizes of its layers on the meta device, as those by name do.
    sizes_by_module: bool
    sampling: str
    batch_size: int | str
    max_epochs: int | str
    label_smoothing: float
    #: ``augmentation(images, generator)`` returns the deformed images of a block of batches.
    augmentation: Callable | None
    callbacks: tuple
    #: Number of epochs to wait for a smaller validation loss; None: no early stopping.
    patience: int | None
    #: Time of `time.perf_counter` to end before, by a whole number of epochs; None: no time limit.
    deadline: float | None
    #: "cpu", "mps", or "cuda" with or without an index, such as "cuda:1".
    device: str
    #: "float32" or "bfloat16", of the outputs of layers in training steps.
    precision: str
    #: True to replay captured training steps where that is possible.
    captures_steps: bool
    verbose: int

    def __post_init__(self):
        for callback in self.callbacks:
            _check_callback(callback)
        if isinstance(self.augmentation, type):
            name = self.augmentation.__name__
            raise TypeError(
                f"augmentation must be an instance, not a class: augmentation={name}()."
            )
        if self.lr_schedule != "constant" and any(map(_is_lr_scheduler, self.callbacks)):
            raise ValueError(
                "An LRScheduler among the callbacks has no effect beside "
                f"lr_schedule={self.lr_schedule!r}: set lr_schedule='constant'."
            )

    @classmethod
    def from_params(cls, params: dict[str, Any], image_shape: tuple[int, int]) -> TrainingConfig:
        """Resolve the parameters of a :class:`~sklearn_usps.ConvNetClassifier`.

        They may include the `deadline` that follows from `max_time`.
        """
        device = find_device(params["device"])
        by_name = isinstance(params["network"], str)
        optimizer, options = find_optimizer(
            params["optimizer"],
            # Fused kernels take real parameters alone, and loaded state must lie in memory as they
            # do: the parameters of users' networks may be others.
            fused=by_name and device != "mps",
            momentum=params["momentum"],
            weight_decay=params["weight_decay"],
        )
        augmentation = params["augmentation"]
        return cls(
            image_shape=image_shape,
            optimizer=optimizer,
            optimizer_options=options,
            sizes_by_module=by_name,
            augmentation=RandomDeformation() if isinstance(augmentation, str) else augmentation,
            callbacks=tuple(params["callbacks"] or ()),
            patience=params["n_iter_no_change"] if params["early_stopping"] else None,
            deadline=params.get("deadline"),
            device=device,
            captures_steps=is_cuda(device),
            **{name: params[name] for name in _UNCHANGED},
        )

    def without_callbacks(self) -> TrainingConfig:
        """Return the same without callbacks, early stopping, time limit and output."""
        return replace(self, callbacks=(), patience=None, deadline=None, verbose=0)

    def choose_batch_size(self, n_images: int) -> int:
        """Return the batch size for `n_images` training images."""
        if isinstance(self.batch_size, str):
            smallest, largest = _BATCH_SIZE_LIMITS
            return min(max(n_images // _N_BATCHES, smallest), largest)
        return self.batch_size

    def choose_max_epochs(self, n_images: int) -> int:
        """Return the number of epochs for `n_images` training images.

        With a time limit or early stopping it is the maximum.
        """
        if not isinstance(self.max_epochs, str):
            return self.max_epochs
        # Early stopping would end a long training where the learning rate still rises.
        if self.deadline is not None and self.patience is None:
            return _MAX_EPOCHS_WITH_TIME_LIMIT
        fewest, most = _EPOCH_LIMITS
        return min(max(_N_IMAGES_SEEN // n_images, fewest), most)


def _check_callback(callback) -> None:
    """Check that skorch can call a callback, and that it has an effect."""
    named, callback = callback, _without_name(callback)
    if not hasattr(callback, "on_epoch_end"):
        raise TypeError(
            "callbacks must be a list of skorch callbacks, or of tuples of name and callback. Got "
            f"{named!r} in it."
        )
    name = type(callback).__name__
    if isinstance(callback, InputShapeSetter):
        raise ValueError(
            f"The callback {name} has no use: `network` gets the shape of the images as "
            "`image_shape`."
        )
    remedy = None
    if isinstance(callback, EarlyStopping) and callback.lower_is_better:
        remedy = "lower_is_better=False"
    elif _is_lr_scheduler(callback) and getattr(callback, "mode", "min") == "min":
        remedy = "mode='max'"
    if remedy and str(callback.monitor).endswith("_acc"):
        warn_user(
            f"The callback {name} monitors {callback.monitor!r} as if it should fall: set {remedy}."
        )


def _without_name(callback):
    return callback[-1] if isinstance(callback, tuple) and callback else callback


def _is_lr_scheduler(callback) -> bool:
    return isinstance(_without_name(callback), LRScheduler)


def find_device(device: str | torch.device) -> str:
    """Return the name of a device on this machine, the fastest for "auto".

    Raises
    ------
    ValueError
        If there is no such device here, or the name is not that of a supported device.
    """
    if device == "auto":
        return next(kind for kind in ("cuda", "mps", "cpu") if _count_devices(kind))
    kind, index = _parse_device(device)
    n_devices = _count_devices(kind)
    if index >= n_devices:
        there = ", ".join(f"'{kind}:{i}'" for i in range(n_devices))
        raise ValueError(
            f"device={str(device)!r} is not available: this machine has "
            f"{f'only {there}' if there else f'no {kind!r}'}. Set device='auto' or 'cpu'."
        )
    if kind == "cuda" and ":" in str(device):
        return f"cuda:{index}"
    return kind  # of "cuda", torch's current device


def find_saved_device(device: str | torch.device) -> str:
    """Return the name of a device of a saved model, or with a warning one that there is here.

    Instead of a missing "cuda:1" it is "cuda", and instead of a missing "cuda" the CPU.
    """
    if device == "auto":
        return find_device(device)
    kind, index = _parse_device(device)
    if index < _count_devices(kind):
        return find_device(device)
    found = kind if _count_devices(kind) else "cpu"
    warn_user(
        f"The classifier was fitted with device={str(device)!r}, which is not available on this "
        f"machine: it predicts with device={found!r}."
    )
    return found


def _parse_device(device: str | torch.device) -> tuple[str, int]:
    """Return the kind of a device and its index."""
    parts = re.fullmatch(r"(cpu|cuda|mps)(?::([0-9]{1,9}))?", str(device))
    if parts is None:
        raise ValueError(
            "device must be 'auto', 'cpu', 'cuda', 'mps', one with an index such as 'cuda:1', or "
            f"a torch.device of these. Got {str(device)!r} instead."
        )
    return parts[1], int(parts[2] or 0)


def _count_devices(kind: str) -> int:
    if kind == "cuda":
        return torch.cuda.device_count() if torch.cuda.is_available() else 0
    return int(kind == "cpu" or torch.backends.mps.is_available())


def has_fast_bfloat16(device: str) -> bool:
    """Return True if training is faster in bfloat16 than in float32 on a device.

    On a CPU it is with AMX, in 0.6 of the time. With AVX512_BF16 it takes about as long, and where
    bfloat16 is emulated twice as long (AVX-512) or eight times (AVX2).
    """
    if device.startswith("cuda"):
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    # Older versions of torch lack the function.
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return device == "cpu" and bool(capabilities.get("amx_bf16"))


def use_one_thread_in_fork() -> None:
    """Let torch compute in one thread if this process was forked.

    GNU OpenMP, which torch uses on Linux, loses its threads in a fork without knowing, so that an
    operation in several threads waits forever. torch's data loaders set one thread too.
    """
    global _process
    if os.getpid() != _process:
        _process = os.getpid()  # a further call leaves the number of threads to the user
        torch.set_num_threads(1)
