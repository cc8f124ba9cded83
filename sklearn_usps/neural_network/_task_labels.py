"""Tasks of samples, and the class labels of each task."""

from __future__ import annotations

from numbers import Number, Real
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d

from .._utils._arrays import as_array
from .._utils._sklearn import (
    _num_samples,
    _safe_indexing,
    is_pandas_na,
    is_scalar_nan,
)
from .._utils._tables import column_names
from ._validation import check_classes, encode

#: The name of the only task where none is named.
ONLY_TASK = "all"


def take_task_column(X, column, task=None, name: str = "task"):
    """Return X without its column of tasks, and that column; `task` must be None beside it."""
    if task is not None:
        raise ValueError(f"`{name}` was passed beside task_column={column!r}: pass one of them.")
    X = as_array(X, "X")
    if isinstance(X, np.ndarray) and X.dtype.kind in "SUT":
        X = X.astype(object)  # which may be strings of numbers
    if len(X.shape) != 2:
        raise ValueError(
            f"With task_column={column!r} X must have two dimensions. Got the shape {X.shape}."
        )
    n_columns = X.shape[1]
    is_name = isinstance(column, str)
    names = column_names(X) if is_name else range(-n_columns, n_columns)
    found = [at % n_columns for at, name in enumerate(names) if name == column]
    if len(found) != 1:
        raise ValueError(
            f"task_column={column!r} must be one column of X, which has {n_columns} columns. Found "
            f"{len(found) or 'none'}."
        )
    at = found[0]
    # Slices don't copy an array.
    others = {0: slice(1, None), n_columns - 1: slice(0, n_columns - 1)}
    rest = others.get(at, [i for i in range(n_columns) if i != at])
    return _safe_indexing(X, rest, axis=1), _safe_indexing(X, at, axis=1)


def check_tasks(given, X, name: str = "task") -> np.ndarray:
    """Return the task of each sample from an array-like, or from one name for all samples."""
    is_name = isinstance(given, (str, bytes, Number, np.generic))
    task = np.repeat(np.asarray([given]), _num_samples(X)) if is_name else as_array(given, name)
    if isinstance(given, (list, tuple)):  # numpy would turn all of them into strings
        _check_none_missing(given, name)
        _check_one_kind(given, name)
    if hasattr(task, "to_numpy"):  # scikit-learn would turn pandas' integers into floats
        task = as_array(task.to_numpy(), name)
    if np.ndim(task) == 0:
        raise TypeError(
            f"`{name}` must be one name or an array-like of names. Got an instance of "
            f"{type(given).__name__} instead."
        )
    if np.ndim(task) > 1 and np.shape(task)[1:] != (1,):
        raise ValueError(
            f"`{name}` must have the shape (n_samples,). Got {np.shape(task)} instead."
        )
    task = column_or_1d(task)
    check_consistent_length(X, task)
    if not len(task):  # the check of X reports that it has no samples
        return task
    if task.dtype.kind in "OTf":
        _check_none_missing(task.tolist(), name)
    if task.dtype.kind in "OT":
        _check_one_kind(task, name)
        names = task.tolist()
        task = np.array(names, dtype=str) if isinstance(names[0], str) else as_array(names, name)
    if task.dtype.kind not in "Uiufb" or task.ndim != 1:
        raise TypeError(f"`{name}` must have names that are strings or numbers. Got {task[0]!r}.")
    return task.astype(int) if task.dtype.kind == "b" else task


def _check_one_kind(names, name: str) -> None:
    if len({isinstance(value, str) for value in names}) > 1:
        raise ValueError(f"`{name}` has strings and other values: make all of them strings.")


def _check_none_missing(names, name: str) -> None:
    if any(value is None or is_scalar_nan(value) or is_pandas_na(value) for value in names):
        raise ValueError(f"`{name}` must name the task of each sample, but some are missing.")


def _check_one_type(arrays: list[np.ndarray]) -> None:
    """Raise a ValueError if the labels of all tasks can't be sorted together."""
    types = {"string" if labels.dtype.kind in "OU" else labels.dtype.kind for labels in arrays}
    if len(types) > 1 and not types <= set("biuf"):
        raise ValueError(
            "`classes` must have labels of one type, for all tasks. Got the dtypes "
            f"{', '.join(str(labels.dtype) for labels in arrays)}."
        )


class TaskLabels(NamedTuple):
    """The labels of several tasks, numbered task by task: first all labels of the first task."""

    #: The names of the tasks, sorted.
    tasks: np.ndarray
    #: The labels of each task, sorted.
    classes: list[np.ndarray]

    @classmethod
    def from_samples(cls, y: np.ndarray, task: np.ndarray) -> TaskLabels:
        """Return the tasks and labels of samples."""
        tasks, task_encoded = np.unique(task, return_inverse=True)
        return cls(tasks, [np.unique(y[task_encoded == index]) for index in range(len(tasks))])

    @classmethod
    def from_dict(cls, classes: dict) -> TaskLabels:
        """Check and return the tasks and labels of a user's dict."""
        names = list(classes)
        are_names = (
            all(isinstance(name, str) for name in names),
            all(isinstance(name, Real) and name == name for name in names),
        )
        if not names or not any(are_names):
            raise TypeError(
                "The keys of `classes` must be the names of the tasks, all strings or all numbers. "
                f"Got {names} instead."
            )
        arrays = [np.asarray(check_classes(labels)) for labels in classes.values()]
        if empty := [name for name, labels in zip(names, arrays, strict=True) if not len(labels)]:
            raise ValueError(f"`classes` has no labels for the tasks {empty}.")
        _check_one_type(arrays)
        tasks, order = np.unique(check_tasks(names, names), return_index=True)
        return cls(tasks, [np.unique(arrays[index]) for index in order])

    def equals(self, other: TaskLabels) -> bool:
        """Return True if both have the same tasks and labels."""
        return np.array_equal(self.tasks, other.tasks) and all(
            map(np.array_equal, self.classes, other.classes)
        )

    def to_dict(self) -> dict[str, list]:
        """Return the labels of each task as a list."""
        return {
            task: labels.tolist()
            for task, labels in zip(self.tasks.tolist(), self.classes, strict=True)
        }

    def sizes(self) -> list[int]:
        """Return the number of labels of each task."""
        return [len(labels) for labels in self.classes]

    def names(self, *, with_tasks: bool) -> np.ndarray:
        """Return a name for each index: the label, and if there are several tasks also its task."""
        if len(self.tasks) == 1 or not with_tasks:
            return np.concatenate(self.classes)
        by_task = self.to_dict().items()
        return np.array([f"{task}: {label}" for task, labels in by_task for label in labels])

    def encode_tasks(self, task, X, name: str = "task") -> np.ndarray:
        """Return the index of the task of each sample; `task` may be None if there is one task."""
        known = self.tasks.tolist()
        if task is None and len(known) > 1:
            raise ValueError(
                f"`{name}` is missing: the classifier was fitted on the tasks {known}. Pass one of "
                "them for all samples, or one for each."
            )
        task = check_tasks(known[0] if task is None else task, X, name)
        unknown = [value for value in np.unique(task).tolist() if value not in known]
        if unknown:
            more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
            raise ValueError(
                f"`{name}` has {unknown[:5]}{more}, but the tasks seen in fit are {known}."
            )
        return np.searchsorted(self.tasks, task)

    def decode_tasks(self, y_encoded: np.ndarray) -> np.ndarray:
        """Return the index of the task that each index of a label belongs to."""
        return np.repeat(np.arange(len(self.tasks)), self.sizes())[y_encoded]

    def check_two_classes(self, y_encoded: np.ndarray) -> None:
        """Raise a ValueError for a task whose samples to train on are of fewer than two classes."""
        present = np.flatnonzero(np.bincount(y_encoded))
        n_classes = np.bincount(self.decode_tasks(present), minlength=len(self.tasks))
        for task, n in zip(self.tasks.tolist(), n_classes.tolist(), strict=True):
            if n < 2:
                where = f" in the task {task!r}" if len(self.tasks) > 1 else ""
                raise ValueError(
                    f"The number of classes has to be greater than one; got {n} class{where}, "
                    "without samples of weight zero"
                )

    def check_all_tasks(self, y_encoded: np.ndarray, *, is_held_out: bool) -> None:
        """Raise a ValueError if a validation set lacks samples of a task."""
        missing = np.delete(self.tasks, np.unique(self.decode_tasks(y_encoded)))
        if len(missing):
            remedy = "X_val must have samples of each, of positive weight"
            if is_held_out:
                remedy = "pass X_val, or a larger validation_fraction"
            raise ValueError(
                f"The validation set has no sample of the tasks {missing.tolist()}: {remedy}."
            )

    def encode(self, y: np.ndarray, task, name: str = "y", task_name: str = "task"):
        """Return the index of the label of each sample."""
        task_encoded = self.encode_tasks(task, y, task_name)
        y_encoded = np.zeros(len(y), dtype=np.int64)
        begins = np.cumsum([0, *self.sizes()])
        for index, (begin, labels) in enumerate(zip(begins, self.classes, strict=False)):
            rows = task_encoded == index
            if rows.any():
                of_task = f"estimators_[{self.tasks[index].item()!r}].classes_"
                known = "classes_" if len(self.tasks) == 1 else of_task
                y_encoded[rows] = begin + encode(labels, y[rows], name, known)
        return y_encoded


def labels_of_fit(y, task, previous: TaskLabels | None) -> TaskLabels:
    """Return the tasks and labels of samples, which `fit` with `warm_start` can't change."""
    labels = TaskLabels.from_samples(y, check_tasks(ONLY_TASK if task is None else task, y))
    if previous is not None and not labels.equals(previous):
        raise ValueError(
            "warm_start can only be used where each task has the same classes as in the previous "
            f"call to fit. Previously got {previous.to_dict()}, now {labels.to_dict()}."
        )
    return labels


def labels_of_partial_fit(classes, task, previous: TaskLabels | None) -> TaskLabels:
    """Return the tasks and labels that `partial_fit` is told to expect, in its first call."""
    if classes is None:
        if previous is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        return previous
    if not isinstance(classes, dict):
        if task is not None:
            raise ValueError(
                "`classes` must be a dict of the labels of each task, since there are tasks. Got "
                f"{classes!r} instead."
            )
        classes = {ONLY_TASK if previous is None else previous.tasks.tolist()[0]: classes}
    labels = TaskLabels.from_dict(classes)
    if previous is not None and not labels.equals(previous):
        raise ValueError(
            f"`classes={labels.to_dict()!r}` is not the same as on last call to partial_fit, was: "
            f"{previous.to_dict()!r}"
        )
    return labels


def check_task_weights(weights: dict, tasks: list) -> dict:
    """Return the weight of each task, 1 where it is missing."""
    if unknown := [task for task in weights if task not in tasks]:
        raise ValueError(f"task_weights has {unknown}, but the tasks are {tasks}.")
    if not all(isinstance(w, Real) and 0 < float(w) < np.inf for w in weights.values()):
        raise ValueError(f"task_weights must be positive numbers. Got {weights} instead.")
    return {task: weights.get(task, 1.0) for task in tasks}
