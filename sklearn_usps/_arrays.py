"""Array-likes of any kind as numbers or labels, and errors that say what they have instead.

scikit-learn's checks come after these. Where they meet what numpy can't convert, numpy's own errors
get through, which name no parameter, or it is converted silently: dates to their seconds, masked
entries to what is under the mask.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import issparse


def as_array(values, name: str):
    """Make an array of an array-like; tables and sparse matrices are left to scikit-learn."""
    if isinstance(values, np.ma.MaskedArray):
        if np.ma.is_masked(values):
            raise ValueError(
                f"`{name}` has masked entries. Leave out their samples, or give all values with "
                f"{name}.filled(...)."
            )
        return values.data
    if isinstance(values, np.ndarray) or hasattr(values, "iloc") or _is_table(values):
        return values
    try:
        return np.asarray(values)
    except MemoryError:
        raise
    except Exception as error:  # what objects do when they are asked for an array is anything
        raise ValueError(
            f"`{name}` can't be made an array: give an array, or lists of equal lengths. "
            f"The reason: {error}"
        ) from error


def as_numbers(values, name: str):
    """Make an array of numbers of an array-like, or check that a table has such."""
    values = as_array(values, name)
    if not isinstance(values, np.ndarray):
        if not _is_table(values) or issparse(values) or all(map(_is_number, values.dtypes)):
            return values
        _check_numbers(as_array(values.to_numpy(), name), name)
        return values
    return _check_numbers(values, name)


def _check_numbers(values: np.ndarray, name: str) -> np.ndarray:
    if values.dtype.kind in "biufc":  # the complex ones are refused by scikit-learn
        return values
    if values.dtype.kind == "O" and values.ndim == 0:
        raise TypeError(
            f"`{name}` must be an array-like of numbers. Got an instance of "
            f"{type(values.item()).__name__} instead."
        )
    if values.dtype.kind != "O":
        raise ValueError(
            f"`{name}` must have numbers. Got the dtype {values.dtype} instead: convert them, such "
            f"as by {name}.astype(float)."
        )
    try:
        return values.astype(np.float64)
    except Exception as error:  # objects may have a __float__ of their own
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"`{name}` must have numbers, but some value is none: {error}") from error


def check_labels(labels, name: str):
    """Check that labels have an order and are of one type; a missing one is scikit-learn's."""
    if labels is None:
        return labels
    if isinstance(labels, (list, tuple)):
        _check_one_label_type(labels, name)
    labels = as_array(labels, name)
    array = np.asarray(labels)
    if array.dtype.kind == "T":  # numpy's strings of any length, which scikit-learn doesn't know
        return np.array(array.tolist(), dtype=str)
    if array.dtype.kind == "V":
        raise TypeError(
            f"`{name}` must have strings or numbers. Got the dtype {array.dtype} instead."
        )
    if array.dtype.kind == "O" and array.ndim:
        _check_one_label_type(array.ravel(), name)
        _check_order(array, name)
    return labels


def _check_one_label_type(labels, name: str) -> None:
    """Raise a ValueError where some labels are strings and others are not."""
    if len({isinstance(label, str) for label in labels}) > 1:
        raise ValueError(
            f"{name} has labels of mixed types, strings and others. Make all of them strings, such "
            f"as by {name} = [str(label) for label in {name}]."
        )


def _check_order(labels: np.ndarray, name: str) -> None:
    if all(isinstance(label, str) for label in labels.ravel()):
        return
    try:
        np.unique(labels)
    except Exception as error:  # objects compare as they like
        raise TypeError(
            f"`{name}` must have labels that can be sorted, strings or numbers: {error}"
        ) from error


def _is_table(values) -> bool:
    return hasattr(values, "columns") or issparse(values)


def _is_number(dtype) -> bool:
    return getattr(dtype, "kind", "O") in "biufc"
