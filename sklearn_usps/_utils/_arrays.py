"""Array-likes as arrays of numbers or labels.

scikit-learn's checks come afterwards. These stop conversions that numpy does silently.
"""

import numpy as np
from scipy.sparse import issparse

#: numpy's own reaction to floating-point errors, which a user's program may have changed.
NUMPY_ERRORS = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
#: Objects of which `astype(float)` makes counts of a time unit, or real parts.
_NO_NUMBERS = (np.datetime64, np.timedelta64, np.complexfloating)


def as_array(values, name: str):
    """Convert an array-like to an array; leave tables and sparse matrices to scikit-learn.

    Masked entries are refused, since scikit-learn would use the values under the mask.
    """
    if hasattr(values, "iloc") or _is_table(values):
        return values
    try:
        array = np.asanyarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # these messages name no parameter
        message = f"`{name}` is not an array: pass an array, or lists of equal lengths. {error}"
        raise ValueError(message) from error
    # numpy drops the masks of the rows of a list.
    if any(map(np.ma.is_masked, values if isinstance(values, (list, tuple)) else [array])):
        raise ValueError(
            f"`{name}` has masked entries. Leave out their samples, or fill them, for example by "
            "filled(...) of a masked array."
        )
    return array.data if isinstance(array, np.ma.MaskedArray) else array


def as_numbers(values, name: str):
    """Convert an array-like to an array of numbers, or check that a table has numbers.

    Dates, durations and complex objects are refused, since numpy converts them to floats silently.
    As in scikit-learn, objects may be strings of numbers, but arrays of strings are refused.
    """
    values = as_array(values, name)
    if issparse(values):
        return values
    if not isinstance(values, np.ndarray):  # a table
        dtypes = values.dtypes if _is_table(values) else [values.dtype]
        if not all(getattr(dtype, "kind", "O") in "biufc" for dtype in dtypes):
            as_numbers(values.to_numpy(), name)
        return values
    if values.dtype.kind in "biufc":  # scikit-learn refuses complex dtypes
        return values
    kinds = set(map(type, values.ravel())) if values.dtype.kind == "O" else {values.dtype.type}
    if values.dtype.kind != "O" or any(issubclass(kind, _NO_NUMBERS) for kind in kinds):
        raise ValueError(
            f"`{name}` must have numbers. Got {', '.join(sorted(kind.__name__ for kind in kinds))} "
            f"instead: convert them first, for example by {name}.astype(float)."
        )
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:  # these messages name no parameter
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"`{name}` must have numbers: {error}") from error


def check_labels(labels, name: str):
    """Check that labels are all strings, to which numpy would convert others, or can be sorted."""
    if labels is None:  # scikit-learn's error is clear
        return None
    array = as_array(labels, name)
    kind = np.asarray(array).dtype.kind
    if kind == "T":  # numpy's strings of any length, unknown to scikit-learn
        return np.array(array.tolist(), dtype=str)
    if kind == "V":  # structured arrays
        raise TypeError(f"`{name}` must have strings or numbers. Got the dtype {array.dtype}.")
    objects: list | tuple | np.ndarray = np.ravel(array) if kind == "O" else []
    if isinstance(labels, (list, tuple)):
        objects = labels
    are_strings = {isinstance(label, str) for label in objects}
    if len(are_strings) > 1:
        raise ValueError(
            f"{name} has labels of mixed types, strings and others. Convert all of them to "
            f"strings, for example by {name} = [str(label) for label in {name}]."
        )
    try:
        np.unique(array if are_strings == {False} else [])
    except (TypeError, ArithmeticError) as error:  # of objects, such as Decimal("NaN")
        raise TypeError(f"`{name}` must have strings or numbers: {error}") from error
    return array


def _is_table(values) -> bool:
    return hasattr(values, "columns") or issparse(values)
