"""Array-likes as arrays of numbers or labels.

scikit-learn's checks come afterwards. These stop conversions that numpy does silently.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence, ValuesView
from contextlib import contextmanager

import numpy as np
import sklearn
from scipy.sparse import issparse

from ._sklearn import is_pandas_na, is_scalar_nan
from ._tables import (
    as_table,
    column_names,
    columns_without_numbers,
    is_instance,
    replace_column,
)

#: numpy's own reaction to floating-point errors, which a user's program may have changed.
NUMPY_ERRORS = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
#: Objects of which `astype(float)` makes counts of a time unit, or real parts.
_NO_NUMBERS = (np.datetime64, np.timedelta64, np.complexfloating)
#: Attributes of the objects that numpy or torch can read as an array.
_PROTOCOLS = ("__array__", "__array_interface__", "__dlpack__", "__cuda_array_interface__")
#: Modes of PIL images whose numbers are gray values; those of "P" are numbers of colors.
_GRAY_MODES = {"1", "L", "F", "I", "I;16", "I;16L", "I;16B", "I;16N"}
_PICTURE_FILE = re.compile(r".*\.(png|jpe?g|bmp|gif|tiff?|webp|p[bgpn]m)", re.IGNORECASE)


@contextmanager
def numpy_defaults() -> Iterator[None]:
    """Let floating-point errors and NaN be treated as in a fresh process."""
    errors = np.errstate(**NUMPY_ERRORS)  # type: ignore[arg-type]  # a dict of str
    with errors, sklearn.config_context(assume_finite=False):
        yield


def as_array(values, name: str):
    """Convert an array-like to an array; leave tables and sparse matrices to scikit-learn.

    Lists, series and arrays of images become one array, and tensors are read from any device.
    Masked entries are refused, since scikit-learn would use the values under the mask.
    """
    if type(values) is np.ndarray and values.dtype.kind != "O":
        return values
    if issparse(values):
        return values
    if (table := as_table(values, name)) is not None:
        if getattr(table, "ndim", 2) != 1 or not _is_nested(objects := table.to_numpy()):
            return table
        values = objects
    _check_container(values, name)
    return _convert(values, name)


def _check_container(values, name: str) -> None:
    """Refuse containers of which numpy makes one object, or an array after a long time."""
    if is_instance(values, "PIL.Image.Image"):
        advice = f"pass a list of images, [{name}]"
    elif is_instance(values, "torch.utils.data.DataLoader"):
        advice = "pass arrays, for example X, y = map(torch.cat, zip(*loader))"
    elif is_instance(values, "torch.utils.data.Dataset"):
        advice = "pass its images and labels, for example X, y = zip(*dataset)"
    elif is_instance(values, "datasets.Dataset", "datasets.IterableDataset"):  # of Hugging Face
        advice = f"pass one of its columns, for example list({name}['image'])"
    elif isinstance(values, Mapping):
        advice = f"pass one of its values. Its keys are {[*values][:9]}"
    elif isinstance(values, (Iterator, ValuesView)):
        advice = f"pass list({name})"
    else:
        return
    got = type(values).__name__
    raise TypeError(f"`{name}` must be an array-like. Got an instance of {got} instead: {advice}.")


def _convert(values, name: str) -> np.ndarray:
    """Convert an array-like of any library, or a sequence of them, to an array."""
    # Also tuples, deques and columns of Hugging Face.
    if isinstance(values, Sequence) and not isinstance(values, (list, str, bytes, memoryview)):
        values = list(values)
    if isinstance(values, list) and _have_arrays(values):
        return _stack(values, name)
    if is_instance(values, "torch.Tensor"):
        return _read_tensor(values, name)
    if is_instance(values, "PIL.Image.Image"):
        _check_modes([values], name)
    try:
        array = np.asanyarray(_import_tensor(values))
    # These messages name no parameter.
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        advice = "pass an array, or lists of equal lengths"
        if isinstance(values, list):
            _check_shapes([value for value in values if isinstance(value, np.ndarray)], name)
            if all(isinstance(value, (list, tuple)) and len(value) == 2 for value in values):
                advice = "if it has pairs of images and labels, pass X, y = zip(*pairs)"
        raise ValueError(f"`{name}` is not an array: {advice}. {error}") from error
    if np.ma.is_masked(array):
        raise ValueError(
            f"`{name}` has masked entries. Leave out their samples, or fill them, for example by "
            "filled(...) of a masked array."
        )
    if _is_nested(array):
        return _stack(list(array), name)
    return array.data if isinstance(array, np.ma.MaskedArray) else array


def _read_tensor(tensor, name: str) -> np.ndarray:
    """Return the values of a tensor of torch, on any device and of any dtype."""
    if tensor.is_meta:
        raise ValueError(f"`{name}` is a tensor on the device 'meta', which has no values.")
    if tensor.is_nested:
        raise ValueError(f"`{name}` is a nested tensor: make all images of one size, and stack.")
    if tensor.layout is not sys.modules["torch"].strided:
        raise ValueError(f"`{name}` is a tensor of {tensor.layout}: pass {name}.to_dense().")
    tensor = tensor.dequantize() if tensor.is_quantized else tensor
    try:
        return tensor.numpy(force=True)
    except TypeError:  # bfloat16 and floats of 8 bits, which numpy does not have
        return tensor.float().numpy(force=True)


def _import_tensor(values):
    """Return a tensor of another library as an array if numpy can't read it, else `values`."""
    is_on_gpu = hasattr(type(values), "__cuda_array_interface__")
    if hasattr(type(values), "__dlpack__") and (is_on_gpu or not hasattr(values, "__array__")):
        import torch

        return torch.from_dlpack(values).numpy(force=True)
    if is_on_gpu:
        raise TypeError("It is in the memory of a GPU: copy it to that of the CPU.")
    return values


def _have_arrays(values) -> bool:
    """Return True if any value is an array-like of which numpy makes no rows of a plain array.

    Of a list, numpy drops the masks of masked arrays and reads PIL images of any mode.
    """
    kinds = [kind for kind in set(map(type, values)) if kind is not np.ndarray]
    return any(
        hasattr(kind, protocol)
        for kind in kinds
        if not issubclass(kind, np.generic)
        for protocol in _PROTOCOLS
    )


def _is_nested(array: np.ndarray) -> bool:
    """Return True if the values of a one-dimensional array are arrays or lists."""
    if array.ndim != 1 or array.dtype.kind != "O":
        return False
    first = next((value for value in array if value is not None), None)
    return isinstance(first, (list, tuple, np.ndarray)) or _have_arrays([first])


def _stack(values, name: str) -> np.ndarray:
    _check_modes([value for value in values if is_instance(value, "PIL.Image.Image")], name)
    if missing := [index for index, value in enumerate(values) if value is None]:
        raise ValueError(f"`{name}` has None instead of an image at {missing[:5]}: leave it out.")
    arrays = [_convert(value, name) for value in values]
    _check_shapes(arrays, name)
    return np.stack(arrays)


def _check_shapes(arrays: list[np.ndarray], name: str) -> None:
    """Check that arrays to stack have one shape."""
    shapes = list(dict.fromkeys(array.shape for array in arrays))
    if len(shapes) > 1:
        is_pair = len(arrays) == 2 and len(arrays[0].shape) != len(arrays[1].shape)
        advice = "pass images and labels apart" if is_pair else "make all images of one size"
        raise ValueError(
            f"`{name}` has arrays of the shapes {', '.join(map(str, shapes[:5]))}: {advice}."
        )


def _check_modes(images, name: str) -> None:
    """Check that PIL images have gray values of one scale: 0 to 1 in mode "1", to 255 in "L"."""
    modes = sorted({image.mode for image in images})
    if len(modes) > 1 or not _GRAY_MODES.issuperset(modes):
        raise ValueError(
            f"`{name}` has PIL images of the mode {' and '.join(modes)}: make all of them gray, "
            f'for example [image.convert("L") for image in {name}].'
        )


def as_numbers(values, name: str):
    """Convert an array-like to an array of numbers, or a table to a table of numbers.

    Dates, durations and complex objects are refused, since numpy converts them to floats silently.
    As in scikit-learn, objects may be strings of numbers, but arrays of strings are refused.
    """
    values = as_array(values, name)
    if isinstance(values, np.ndarray):
        return _to_numbers(values, name)
    if issparse(values):
        return values
    table = values
    for index, objects in columns_without_numbers(table, name).items():
        column = "" if getattr(table, "ndim", 2) == 1 else repr(column_names(table)[index])
        if objects.ndim > 1 or _is_nested(objects):
            raise ValueError(
                f"`{name}` has arrays or lists in its column {column}: pass the column, "
                f"{name}[{column}]."
            )
        table = replace_column(table, index, _to_numbers(objects, name, column))
    return table


def _to_numbers(values: np.ndarray, name: str, column: str = "") -> np.ndarray:
    """Convert objects to numbers; errors name the column of a table."""
    if values.dtype.kind in "biufc":  # scikit-learn refuses complex dtypes
        return values
    where, advice = "", f"convert them first, for example by np.asarray({name}, dtype=float)"
    if column:
        where, advice = f" in its column {column}", "convert this column first, or leave it out"
    first = values.flat[0] if values.size else None
    if isinstance(first, (str, os.PathLike)) and _PICTURE_FILE.fullmatch(str(first)):
        raise ValueError(
            f"`{name}` must have numbers. Got paths{where} instead: read the pictures, for example "
            f"[prepare_image(path) for path in {name}]."
        )
    kinds = set(map(type, values.ravel())) if values.dtype.kind == "O" else {values.dtype.type}
    if values.ndim == 2 and (isinstance(first, (list, np.ndarray)) or _have_arrays([first])):
        advice = f"pass a list of images, for example list({name}[:, 0])"
    if kinds and all(issubclass(kind, Mapping) for kind in kinds):
        advice = f"take the images out of them, for example [row['image'] for row in {name}]"
    if values.dtype.kind == "O" and not any(issubclass(kind, _NO_NUMBERS) for kind in kinds):
        try:
            return values.astype(np.float64)
        except (TypeError, ValueError, OverflowError) as error:  # these messages name no parameter
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"`{name}` must have numbers{where}: {advice} ({error}).") from error
    got = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise ValueError(f"`{name}` must have numbers. Got {got}{where} instead: {advice}.")


def check_labels(labels, name: str):
    """Check that labels are all strings, to which numpy would convert others, or can be sorted.

    Numbers in an array of objects become an array of numbers, since scikit-learn refuses them.
    """
    if labels is None:  # scikit-learn's error is clear
        return None
    array = as_array(labels, name)
    if issparse(array):
        raise TypeError(f"`{name}` is sparse: pass {name}.toarray().")
    if not hasattr(array, "iloc"):
        array = np.asanyarray(array)  # tables other than those of pandas
    _check_one_column(array, name)
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
        _check_none_missing(objects, name)
        raise ValueError(
            f"{name} has labels of mixed types, strings and others. Convert all of them to "
            f"strings, for example by {name} = [str(label) for label in {name}]."
        )
    if are_strings != {False}:
        return array
    try:
        np.unique(array)
    except (TypeError, ArithmeticError) as error:  # of objects, such as Decimal("NaN")
        _check_none_missing(objects, name)
        raise TypeError(f"`{name}` must have strings or numbers: {error}") from error
    return _unbox(array) if kind == "O" else array


def _check_one_column(array, name: str) -> None:
    shape = np.shape(array)
    if len(shape) == 2 and shape[0] > 1 < shape[1]:
        is_labels = name in ("y", "y_val")
        advice = f" Of one-hot labels pass np.asarray({name}).argmax(axis=1)." if is_labels else ""
        raise ValueError(
            f"{name} should be a 1d array, got an array of shape {shape} instead.{advice}"
        )


def _check_none_missing(labels, name: str) -> None:
    n_missing = sum(x is None or is_scalar_nan(x) or is_pandas_na(x) for x in labels)
    if n_missing:
        raise ValueError(f"`{name}` has {n_missing} missing labels: leave out their samples.")


def _unbox(array):
    """Return an array of objects as one of numbers, if all are numbers and none is rounded."""
    numbers = np.array(np.asarray(array).tolist())
    is_same = numbers.dtype.kind in "biuf" and np.array_equal(numbers, array)
    return numbers if is_same else array
