"""Array-likes of any kind as numbers or labels, and errors that say what they have instead.

scikit-learn's checks come after these. Where they meet what numpy can't convert, numpy's own errors
get through, which name no parameter, or it is converted silently: dates to their seconds, complex
numbers to their real parts, masked entries to what is under the mask.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from scipy.sparse import issparse

#: What may have items with items, whose arrays have more than one dimension.
_NESTED = (Sequence, deque, np.ndarray)
#: Objects of which numpy makes floats that are something else.
_NO_NUMBERS = (np.datetime64, np.timedelta64, complex, np.complexfloating, np.ndarray)


def as_array(values, name: str):
    """Make an array of an array-like; tables and sparse matrices are left to scikit-learn."""
    is_array = isinstance(values, np.ndarray)
    if not is_array and (hasattr(values, "iloc") or _is_table(values)):
        return values
    array = values if is_array else _make_array(values, name)
    if _has_masked(values if isinstance(values, _NESTED) else array, array.ndim):
        raise ValueError(
            f"`{name}` has masked entries. Leave out their samples, or give all values, such as "
            "with filled(...) of a masked array."
        )
    return array.data if isinstance(array, np.ma.MaskedArray) else array


def _make_array(values, name: str) -> np.ndarray:
    try:
        return np.asanyarray(values)  # objects that make an array of theirs may make a masked one
    except MemoryError:
        raise
    except Exception as error:  # what objects do when they are asked for an array is anything
        raise ValueError(
            f"`{name}` can't be made an array: give an array, or lists of equal lengths. "
            f"The reason: {error}"
        ) from error


def _has_masked(values, n_levels: int) -> bool:
    """Whether an array has masked entries, or lists have as deep as their array has dimensions.

    Only lists of which some item may have an entry are gone through item by item.
    """
    if isinstance(values, np.ma.MaskedArray):
        return bool(np.ma.is_masked(values))
    if isinstance(values, np.ndarray):
        return values.dtype.kind == "O" and _has_type(values, np.ma.MaskedArray)
    if n_levels == 0 or not isinstance(values, _NESTED) or not _has_type(values, _NESTED):
        return False
    return any(_has_masked(value, n_levels - 1) for value in values)


def _has_type(values, types) -> bool:
    """Whether a value is of some types, without a look at each in Python."""
    if isinstance(values, np.ndarray):
        values = values.ravel()
    return any(issubclass(type_, types) for type_ in set(map(type, values)))


def as_numbers(values, name: str):
    """Make an array of numbers of an array-like, or check that a table has such."""
    values = as_array(values, name)
    if isinstance(values, np.ndarray):
        return _check_numbers(values, name)
    if not issparse(values):
        dtypes = values.dtypes if _is_table(values) else [values.dtype]
        if not all(map(_is_number, dtypes)):
            _check_numbers(as_array(values.to_numpy(), name), name)
    return values


def _check_numbers(values: np.ndarray, name: str) -> np.ndarray:
    """Check that an array has numbers; of objects make floats, where they are not something else.

    As in scikit-learn, objects may be strings of numbers, but the array may have no dtype of such.
    """
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
    if _has_type(values, _NO_NUMBERS):
        raise ValueError(
            f"`{name}` must have numbers, but some values are dates, durations, complex numbers or "
            "arrays."
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
    given, labels = labels, as_array(labels, name)
    if isinstance(given, (list, tuple)):  # of which numpy makes strings
        _check_one_label_type(given, name)
    array = as_array(np.asarray(labels), name)
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
