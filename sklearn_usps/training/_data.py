"""Images, targets and weights of a training or validation set, and their batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from numbers import Real
from typing import NamedTuple

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from sklearn.utils import gen_batches
from sklearn.utils.class_weight import compute_sample_weight
from skorch.dataset import Dataset
from torch.utils.data import Subset

from .gpu._cuda import is_cuda

#: Approximate number of images of a block: negligible overhead per block, in few megabytes.
BLOCK_SIZE = 2048
#: Number of random orders to try, and of looks at a group, which take about 10 µs each.
_N_ORDERS, _N_LOOKS = 10, 20_000


class WeightedSubset(Subset):
    """Some samples of a skorch data set, by their rows, and their weights.

    The data set is not copied. Its `X` is of shape (n_samples, height * width), its `y` an array of
    class indices or None. The attribute `weights` has a mean of one, or is None if all are equal.
    """

    def __init__(self, dataset: Dataset, rows: np.ndarray, weights: np.ndarray | None = None):
        super().__init__(dataset, rows)
        if weights is None or weights.min() == weights.max():
            self.weights = None
        else:
            self.weights = (weights / weights.mean()).astype(np.float32)

    @property
    def targets(self) -> np.ndarray:
        """The class index of each sample."""
        return self.dataset.y[self.indices]


class Block(NamedTuple):
    """Images that are read and deformed at once, in the order of training."""

    images: torch.Tensor
    targets: torch.Tensor | None
    weights: torch.Tensor | None
    #: The rows of each batch.
    slices: list[slice]

    def to(self, device: str) -> Block:
        """Return the block with the images on a device.

        Targets and weights stay on the CPU; an Nvidia GPU copies them without waiting.
        """
        targets, weights = self.targets, self.weights
        if is_cuda(device):
            targets = None if targets is None else targets.pin_memory()
            weights = None if weights is None else weights.pin_memory()
        return Block(self.images.to(device), targets, weights, self.slices)

    def batches(self) -> Iterator[tuple]:
        """Yield each batch, a tuple of images and targets, and its weights."""
        for rows in self.slices:
            targets = None if self.targets is None else self.targets[rows]
            weights = None if self.weights is None else self.weights[rows]
            yield (self.images[rows], targets), weights


def batch_slices(n_samples: int, batch_size: int) -> list[slice]:
    """Cut samples into batches.

    A single sample that is left over joins the batch before it, since batch normalization can
    learn nothing from one value.
    """
    return list(gen_batches(n_samples, batch_size, min_batch_size=min(2, batch_size)))


class BatchIterator:
    """The batches of a data set, as slices of blocks.

    One indexing operation on the array of all images reads many batches, so that a batch costs no
    more than a slice. No more than a block is copied, so the array may be a memory map.

    `slices` has the batches of a pass by the position of their samples; ``sample(n_samples)`` draws
    as many indices for each pass, by default all samples in their order. ``read(X, rows)`` returns
    rows of the array as a float32 tensor; a block has about `block_size` of them.
    """

    def __init__(
        self, dataset, image_shape, slices, *, sample=None, read=None, block_size=BLOCK_SIZE
    ):
        self.dataset, self.rows, self.weights = dataset, None, None
        if isinstance(dataset, WeightedSubset):
            self.dataset, self.rows = dataset.dataset, dataset.indices
            self.weights = dataset.weights
        self.image_shape = image_shape
        self.sample = sample
        self.read = read or read_images
        self.slices = slices
        self.batches_per_block = max(1, block_size // (slices[0].stop - slices[0].start))

    def __len__(self) -> int:
        return len(self.slices)

    def __iter__(self) -> Iterator[Block]:
        drawn = None if self.sample is None else self.sample(self.slices[-1].stop)
        for i in range(0, len(self.slices), self.batches_per_block):
            batches = self.slices[i : i + self.batches_per_block]
            begin, end = batches[0].start, batches[-1].stop
            picked = slice(begin, end) if drawn is None else drawn[begin:end]
            rows = picked if self.rows is None else self.rows[picked]
            y = self.dataset.y
            yield Block(
                self.read(self.dataset.X, rows).view(-1, 1, *self.image_shape),
                None if y is None else torch.from_numpy(y[rows]),
                None if self.weights is None else torch.from_numpy(self.weights[picked]),
                [slice(batch.start - begin, batch.stop - begin) for batch in batches],
            )


def read_images(X, rows) -> torch.Tensor:
    """Copy some rows of an array, which may be read-only or on disk, to a float32 tensor."""
    return torch.from_numpy(np.asarray(X[rows]).astype(np.float32))


def draw_samples(sampling: str, n_samples: int, n_drawn: int, generator) -> np.ndarray:
    """Draw indices of samples: all in random order, over and over, or independently."""
    if sampling == "replacement":
        drawn = torch.randint(n_samples, (n_drawn,), generator=generator, device=generator.device)
        return drawn.numpy()
    orders = [
        torch.randperm(n_samples, generator=generator, device=generator.device)
        for _ in range(0, n_drawn, n_samples)
    ]
    return torch.cat(orders)[:n_drawn].numpy()


class LabeledImages(NamedTuple):
    """Checked images, their class indices, and their weights or None."""

    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None


def split_samples(
    data: LabeledImages,
    classes: np.ndarray,
    class_weight,
    *,
    valid: LabeledImages | None = None,
    fraction: float | None = None,
    groups: np.ndarray | None = None,
    random_state=None,
    task_of: Callable | None = None,
) -> tuple[WeightedSubset, WeightedSubset | None]:
    """Return the samples to train on and those to validate on, or None.

    Without separate samples `valid`, a fraction of each class is held out, of whole `groups` if
    there are some. Sample weights count in both, weights of `classes` in training only.
    ``task_of(y)`` returns the task of each sample; the weights of each task then have a mean of
    one.
    """
    X, y, weights = data
    if weights is not None:
        weights = scale_weights(weights)
    rows, train_weights = _combine_weights(y, classes, weights, class_weight)
    if len(rows) == 0:
        raise ValueError(
            "There is no sample to train on: sample_weight or class_weight is zero for all."
        )
    samples, valid_samples = Dataset(X, y), None
    if valid is not None:
        valid_rows, valid_weights = _combine_weights(valid.y, classes, valid.weights, None)
        valid_samples = Dataset(valid.X, valid.y)
    elif fraction is not None:
        if groups is None:
            _check_fraction(y[rows], classes, fraction)
            kept, held_out = train_test_split(
                range(len(rows)), test_size=fraction, stratify=y[rows], random_state=random_state
            )
        else:
            kept, held_out = split_groups(y[rows], groups[rows], classes, fraction, random_state)
        valid_rows, valid_samples = rows[held_out], samples
        valid_weights = None if weights is None else weights[valid_rows]
        rows, train_weights = rows[kept], None if train_weights is None else train_weights[kept]

    def subset(samples, rows, weights):
        if task_of is not None and weights is not None:
            weights = _scale_by_task(weights, task_of(samples.y[rows]))
        return WeightedSubset(samples, rows, weights)

    train = subset(samples, rows, train_weights)
    if valid_samples is None:
        return train, None
    return train, subset(valid_samples, valid_rows, valid_weights)


def _check_fraction(y: np.ndarray, classes: np.ndarray, fraction: float) -> None:
    """Check that a fraction of the samples of each class can be held out."""
    if (alone := np.flatnonzero(np.bincount(y) == 1)).size:
        raise ValueError(
            "early_stopping holds out samples of each class, but there is only one of "
            f"{classes[alone].tolist()}. Leave them out, or pass X_val."
        )
    n_classes, n_held_out = len(np.unique(y)), math.ceil(fraction * len(y))
    if min(n_held_out, len(y) - n_held_out) < n_classes:
        raise ValueError(
            f"validation_fraction={fraction} divides {len(y)} samples so that {n_held_out} are "
            f"held out: too few for {n_classes} classes in both parts. Change it, or pass X_val."
        )


def split_groups(
    y: np.ndarray, groups: np.ndarray, classes: np.ndarray, fraction: float, random_state
) -> tuple[np.ndarray, np.ndarray]:
    """Return the samples to keep and those to hold out: whole groups, and all classes in both.

    The held-out share of each class is as near to `fraction` as its groups allow. scikit-learn's
    `GroupShuffleSplit` ignores the classes, and a fold of its `StratifiedGroupKFold` may lack some.

    Raises
    ------
    ValueError
        If no such split is found.
    """
    present, y = np.unique(y, return_inverse=True)
    names, groups = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), len(present)), dtype=np.int64)
    np.add.at(counts, (groups, y), 1)
    if (alone := np.flatnonzero((counts > 0).sum(axis=0) == 1)).size:
        raise ValueError(
            "early_stopping holds out whole groups with samples of each class, but there is only "
            f"one group with {classes[present[alone]].tolist()}. Pass other groups, or X_val."
        )
    n_orders = max(1, min(_N_ORDERS, _N_LOOKS // len(names)))
    orders = (random_state.permutation(len(names)) for _ in range(n_orders))
    found = [_choose_groups(counts, fraction, order) for order in orders]
    totals = counts.sum(axis=0)
    held_out = min(found, key=lambda groups: _cost(counts[groups].sum(0), totals, fraction, 1))
    n_held_out = counts[held_out].sum(axis=0)
    if not np.all((n_held_out > 0) & (n_held_out < totals)):
        raise ValueError(
            f"early_stopping found no way to hold out some of {len(names)} groups so that all "
            f"{len(present)} classes are in both parts. Pass smaller groups, or X_val."
        )
    is_held_out = held_out[groups]
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def _choose_groups(counts: np.ndarray, fraction: float, order: np.ndarray) -> np.ndarray:
    """Return True for the groups to hold out, as an order of changes finds them.

    A group changes sides if this lowers the cost: in the first round that of the shares alone, so
    that a large group is not taken for having all classes, then also that of missing classes.
    """
    chosen = np.zeros(len(counts), dtype=bool)
    totals = counts.sum(axis=0)
    held_out = np.zeros_like(totals)
    for penalty in (0, 1, 1):
        cost = _cost(held_out, totals, fraction, penalty)
        for group in order:
            changed = held_out + (-counts[group] if chosen[group] else counts[group])
            if (new_cost := _cost(changed, totals, fraction, penalty)) < cost:
                chosen[group] = not chosen[group]
                held_out, cost = changed, new_cost
    return chosen


def _cost(held_out: np.ndarray, totals: np.ndarray, fraction: float, penalty: int) -> float:
    """Return the squared distances of the shares, and a penalty for each class in one part alone.

    `held_out` and `totals` have the number of samples of each class.
    """
    distances = held_out / totals - fraction
    one_sided = np.count_nonzero((held_out == 0) | (held_out == totals))
    return float(distances @ distances) + penalty * one_sided


def _combine_weights(
    y: np.ndarray, classes: np.ndarray, sample_weight: np.ndarray | None, class_weight
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the samples of positive weight, and the product of both weights of each of them.

    Leaving out a sample of weight zero makes it change nothing, as if it were missing.
    """
    rows = np.arange(len(y))
    if sample_weight is not None:
        rows = np.flatnonzero(sample_weight)
        sample_weight = sample_weight[rows]
    if class_weight is None:
        return rows, sample_weight
    if isinstance(class_weight, dict):
        weights = scale_weights(_weights_of_classes(classes, class_weight)[y[rows]])
    else:
        weights = scale_weights(compute_sample_weight(class_weight, y[rows]))
    if sample_weight is not None:
        weights = weights * sample_weight
    return rows[weights > 0], weights[weights > 0]


def _weights_of_classes(classes: np.ndarray, class_weight: dict) -> np.ndarray:
    """Return the weight of each class, one where the dict has none."""
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


def scale_weights(weights: np.ndarray) -> np.ndarray:
    """Divide weights by a power of two, which rounds nothing, so that no sum of them overflows."""
    return np.ldexp(weights, -np.frexp(abs(weights).max(initial=0))[1])


def _scale_by_task(weights: np.ndarray, tasks: np.ndarray) -> np.ndarray:
    """Return weights of which those of each task have a mean of one."""
    means = np.bincount(tasks, weights) / np.maximum(np.bincount(tasks), 1)
    return weights / means[tasks]
