"""From the parameters of a classifier to the skorch net that does what they ask for."""

from __future__ import annotations

import copy
import inspect
import sys
import warnings

import numpy as np
import torch
from skorch.callbacks import EarlyStopping, LRScheduler
from torch import nn

from ..preprocessing import RandomDeformation
from ._callbacks import EpochBar, EpochLog
from ._data import Split
from ._trainer import Trainer
from .optim._learning_rates import SCHEDULES, rate_factors

OPTIMIZERS = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
DEVICES = ("auto", "cpu", "cuda", "mps")


def assemble_net(
    classifier,
    module: nn.Module,
    generator: torch.Generator,
    *,
    trainer: type[Trainer] = Trainer,
    **options,
) -> Trainer:
    """An initialized net around a network, as the parameters of a classifier say."""
    augmentation = classifier.augmentation
    defaults = {
        "train_split": None,
        "max_epochs": classifier.max_epochs,
        "schedule": None,
        "classes": np.arange(len(classifier.classes_)),
    }
    options = {**defaults, **options}
    return trainer(
        module,
        image_shape=classifier.image_shape_,
        generator=generator,
        sampling=classifier.sampling,
        augmentation=RandomDeformation() if isinstance(augmentation, str) else augmentation,
        label_smoothing=classifier.label_smoothing,
        lr_factors=_rate_factors(classifier, module),
        lr=classifier.lr,
        batch_size=classifier.batch_size,
        verbose=classifier.verbose,
        **_optimizer_options(classifier, options["device"]),
        **options,
    ).initialize()


def _rate_factors(classifier, module: nn.Module) -> dict[str, float]:
    network, _ = classifier._network
    if classifier.lr_scaling != "none" and isinstance(network, str):
        # Our own networks tell the sizes of their planes without the memory that these would take.
        module = copy.deepcopy(module).to("meta")
    return rate_factors(classifier.lr_scaling, module, classifier.image_shape_)


def _optimizer_options(classifier, device: str) -> dict:
    optimizer = OPTIMIZERS.get(classifier.optimizer, classifier.optimizer)
    if not (isinstance(optimizer, type) and issubclass(optimizer, torch.optim.Optimizer)):
        raise ValueError(
            f"optimizer must be one of {sorted(OPTIMIZERS)} or a torch.optim.Optimizer class. Got "
            f"{optimizer!r} instead."
        )
    accepted = inspect.signature(optimizer).parameters
    options = {
        f"optimizer__{name}": getattr(classifier, name)
        for name in ("momentum", "weight_decay")
        if name in accepted
    }
    by_name = isinstance(classifier.optimizer, str) and isinstance(classifier.network, str)
    if by_name and device != "mps":
        # One kernel for all parameters: a tenth less time per batch of the smallest network. It
        # takes real parameters alone, and loaded state must lie in memory as they do: those of
        # users' networks may be others.
        options["optimizer__fused"] = True
    return {"optimizer": optimizer, **options}


def fit_options(classifier, split: Split, n_batches: int) -> dict:
    """Options of a net that trains for `max_epochs` of `n_batches`, with early stopping."""
    schedule = SCHEDULES.get(classifier.lr_schedule)
    callbacks = [*_log(classifier), *(classifier.callbacks or [])]
    if schedule is not None and any(map(_is_lr_scheduler, classifier.callbacks or [])):
        raise ValueError(
            "An LRScheduler among the callbacks has no effect beside "
            f"lr_schedule={classifier.lr_schedule!r}: set lr_schedule='constant'."
        )
    if classifier.early_stopping:
        # Any smaller loss counts, so that the best epoch is the one with the smallest.
        stop = EarlyStopping(patience=classifier.n_iter_no_change, threshold=0, load_best=True)
        callbacks.append(("early_stopping", stop))
    return {
        "callbacks": callbacks,
        "train_split": split,
        "schedule": None if schedule is None else schedule(classifier.max_epochs * n_batches),
    }


def partial_fit_options(classifier, split: Split) -> dict:
    """Options of a net that trains for one epoch, at a constant learning rate."""
    callbacks = [*_log(classifier), *(classifier.callbacks or [])]
    return {"callbacks": callbacks, "train_split": split, "max_epochs": 1}


def _is_lr_scheduler(callback) -> bool:
    return isinstance(callback[1] if isinstance(callback, tuple) else callback, LRScheduler)


def _log(classifier) -> list:
    # The bar is wiped off before the line of the epoch is printed.
    bar = [("progress_bar", EpochBar())] if classifier.verbose >= 2 else []
    log = [("epoch_log", EpochLog())] if classifier.verbose else []
    return [*(bar if sys.stderr.isatty() else []), *log]


def find_device(device: str) -> str:
    """The device that a name stands for on this machine."""
    if device == "auto":
        return next((name for name in ("cuda", "mps") if _is_available(name)), "cpu")
    if not _is_available(device):
        raise ValueError(
            f"device={device!r} is not available on this machine: set device='auto' or 'cpu'."
        )
    return device


def find_device_or_cpu(device: str) -> str:
    """The device that a name stands for on this machine, with a warning the CPU if none."""
    if device not in DEVICES:
        raise ValueError(f"device must be one of {DEVICES}")
    if device == "auto" or _is_available(device):
        return find_device(device)
    warnings.warn(
        f"The classifier was fitted with device={device!r}, which is not available on this "
        "machine: it predicts on the CPU.",
        stacklevel=3,
    )
    return "cpu"


def _is_available(device: str) -> bool:
    return {
        "cpu": lambda: True,
        "cuda": torch.cuda.is_available,
        "mps": torch.backends.mps.is_available,
    }[device]()
