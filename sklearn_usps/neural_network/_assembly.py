"""From the parameters of a classifier to the skorch net that does what they ask for."""

from __future__ import annotations

import inspect
import sys
import warnings
from functools import partial

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from skorch.callbacks import EarlyStopping, ProgressBar
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch.utils.data import Subset

from sklearn_usps.preprocessing import RandomDeformer

from ._epoch_log import EpochLog
from ._networks import build_network
from ._schedules import schedule_callback
from ._trainer import Trainer

OPTIMIZERS = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
DEVICES = ("auto", "cpu", "cuda", "mps")


def assemble_net(
    classifier, network, network_params: dict | None, generator: torch.Generator, **options
) -> Trainer:
    """The net of a classifier that knows its classes and the shape of its images."""
    n_classes = len(classifier.classes_)
    module = build_network(network, network_params, classifier.image_shape_, n_classes, generator)
    deformer = classifier.deformer
    return Trainer(
        module,
        image_shape=classifier.image_shape_,
        generator=generator,
        deformer=RandomDeformer() if isinstance(deformer, str) else deformer,
        label_smoothing=classifier.label_smoothing,
        classes=np.arange(n_classes),
        lr=classifier.lr,
        batch_size=classifier.batch_size,
        max_epochs=classifier.max_epochs,
        verbose=classifier.verbose,
        **_optimizer_options(classifier),
        **options,
    )


def _optimizer_options(classifier) -> dict:
    optimizer = OPTIMIZERS.get(classifier.optimizer, classifier.optimizer)
    accepted = inspect.signature(optimizer).parameters
    options = {
        f"optimizer__{name}": getattr(classifier, name)
        for name in ("momentum", "weight_decay")
        if name in accepted
    }
    return {"optimizer": optimizer, **options}


def assemble_callbacks(classifier, n_batches: int) -> list:
    """The callbacks of a fit of `n_batches` per epoch, in the order in which they are called."""
    callbacks: list = []
    if classifier.verbose >= 2 and sys.stderr.isatty():
        callbacks.append(("progress_bar", ProgressBar()))
    if classifier.verbose:
        callbacks.append(("epoch_log", EpochLog()))
    callbacks += schedule_callback(classifier.lr_schedule, classifier.max_epochs * n_batches)
    callbacks += classifier.callbacks or []
    if classifier.early_stopping:
        # Any smaller loss counts, so that the best epoch is the one with the smallest.
        stop = EarlyStopping(patience=classifier.n_iter_no_change, threshold=0, load_best=True)
        callbacks.append(("early_stopping", stop))
    return callbacks


def hold_out(y: np.ndarray, fraction: float, random_state) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the training samples and of a `fraction` of each class held out from them."""
    return train_test_split(
        np.arange(len(y)), test_size=fraction, stratify=y, random_state=random_state
    )


def split_by_indices(train: np.ndarray, valid: np.ndarray) -> partial:
    """A skorch `train_split` that takes these samples, without copying them."""
    return partial(_subsets, train=train, valid=valid)


def _subsets(dataset, y=None, *, train, valid):
    return Subset(dataset, train), Subset(dataset, valid)


def split_predefined(X_val: np.ndarray, y_val: np.ndarray) -> partial:
    """A skorch `train_split` that trains on all samples and validates on these."""
    return predefined_split(Dataset(X_val, y_val))


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
