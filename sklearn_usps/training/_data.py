"""Which samples train, which validate, and what each of them counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils.class_weight import compute_sample_weight
from skorch.dataset import Dataset
from torch.utils.data import Subset


class Part(Subset):
    """Some samples of a data set, and what each of them counts.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset
        The data set, which is not copied.

    rows : ndarray of shape (n_part,), dtype int64
        The samples.

    weights : ndarray of shape (n_part,) or None
        Their weights, positive. `weights` of the part have a mean of one, or are None where all are
        equal.
    """

    def __init__(self, dataset: Dataset, rows: np.ndarray, weights: np.ndarray | None):
        super().__init__(dataset, rows)
        if weights is None or weights.min() == weights.max():
            self.weights = None
        else:
            self.weights = (weights / weights.mean()).astype(np.float32)


@dataclass(frozen=True)
class Split:
    """What tells skorch, as its `train_split`, which samples train and which validate."""

    train_rows: np.ndarray
    train_weights: np.ndarray | None
    valid_rows: np.ndarray | None = None
    valid_weights: np.ndarray | None = None
    #: The data set of the rows that validate; None: that of the training samples.
    valid_data: Dataset | None = None

    def __call__(self, dataset: Dataset, y=None) -> tuple[Part, Part | None]:
        train = Part(dataset, self.train_rows, self.train_weights)
        if self.valid_rows is None:
            return train, None
        valid_data = dataset if self.valid_data is None else self.valid_data
        return train, Part(valid_data, self.valid_rows, self.valid_weights)


def make_split(
    y: np.ndarray,
    classes: np.ndarray,
    sample_weight: np.ndarray | None,
    class_weight,
    *,
    valid: tuple | None = None,
    fraction: float | None = None,
    random_state=None,
) -> Split:
    """Train on all samples and validate on others, or on a fraction of each class, or not at all.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), dtype int64
        Indices of the labels in `classes`.

    classes : ndarray of shape (n_classes,)
        The labels.

    sample_weight : ndarray of shape (n_samples,) or None
        What each sample counts, both in training and if it is held out.

    class_weight : dict, "balanced" or None
        What samples of each class count in training.

    valid : tuple or None
        Images, indices of labels and weights (or None) of the samples to validate on.

    fraction : float or None
        Share of the samples to hold out without `valid`.

    random_state : RandomState or None
        Draws them.
    """
    if sample_weight is not None:
        sample_weight = scale(sample_weight)
    rows, weights = _weigh(y, classes, sample_weight, class_weight)
    if len(rows) == 0:
        raise ValueError(
            "There is no sample to train on: sample_weight or class_weight is zero for all."
        )
    if valid is not None:
        X_val, y_val, weights_val = valid
        return Split(
            rows, weights, *_weigh(y_val, classes, weights_val, None), Dataset(X_val, y_val)
        )
    if fraction is None:
        return Split(rows, weights)
    if (alone := np.flatnonzero(np.bincount(y[rows]) == 1)).size:
        raise ValueError(
            "early_stopping holds out samples of each class, but there is only one of "
            f"{classes[alone].tolist()}. Leave them out, or give X_val."
        )
    n_classes, n_held_out = len(np.unique(y[rows])), math.ceil(fraction * len(rows))
    if min(n_held_out, len(rows) - n_held_out) < n_classes:
        raise ValueError(
            f"validation_fraction={fraction} divides {len(rows)} samples so that {n_held_out} are "
            f"held out: too few for {n_classes} classes in both parts. Change it, or give X_val."
        )
    train, held_out = train_test_split(
        np.arange(len(rows)), test_size=fraction, stratify=y[rows], random_state=random_state
    )
    return Split(
        rows[train],
        None if weights is None else weights[train],
        rows[held_out],
        None if sample_weight is None else sample_weight[rows[held_out]],
    )


def _weigh(
    y: np.ndarray, classes: np.ndarray, sample_weight: np.ndarray | None, class_weight
) -> tuple[np.ndarray, np.ndarray | None]:
    """The samples that count, and the product of both weights of each of them.

    A sample of weight zero is left out, so that it changes nothing, as if it were not there.
    """
    rows = np.arange(len(y))
    if sample_weight is not None:
        rows = np.flatnonzero(sample_weight)
        sample_weight = sample_weight[rows]
    if class_weight is None:
        return rows, sample_weight
    if isinstance(class_weight, dict):
        weights = scale(_of_classes(classes, class_weight)[y[rows]])
    else:
        weights = scale(compute_sample_weight(class_weight, y[rows]))
    if sample_weight is not None:
        weights = weights * sample_weight
    return rows[weights > 0], weights[weights > 0]


def _of_classes(classes: np.ndarray, class_weight: dict) -> np.ndarray:
    """The weight of each class, one where the dict has none."""
    labels = classes.tolist()
    if unknown := [label for label in class_weight if label not in labels]:
        raise ValueError(f"class_weight has {unknown}, but the classes are {labels}.")
    if not all(map(_is_weight, class_weight.values())):
        raise ValueError(f"class_weight must have weights of 0 or more. Got {class_weight}.")
    return np.array([class_weight.get(label, 1) for label in labels], dtype=np.float64)


def _is_weight(value) -> bool:
    try:
        return isinstance(value, Real) and 0 <= float(value) < np.inf
    except OverflowError:
        return False


def scale(weights: np.ndarray) -> np.ndarray:
    """Divide weights by a power of two, which rounds nothing, so that no sum of them overflows."""
    return np.ldexp(weights, -np.frexp(abs(weights).max(initial=0))[1])
