"""Models in skops files."""

from __future__ import annotations

import io
import json
import math
import os
import traceback
import warnings
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from sklearn.base import BaseEstimator

from .._utils._files import DAY, remove_leftovers, write_atomically
from ._trusted_types import TRUSTED_TYPES

#: Kinds of skops objects that are built from values alone, without a call that the file chooses.
_PLAIN_KINDS = {
    *("DictNode", "FunctionNode", "JsonNode", "ListNode", "NdArrayNode", "RandomStateNode"),
    *("SliceNode", "TupleNode", "TypeNode"),
}
#: Member of the archive with the format number, the versions of the libraries and the metadata.
_INFO = "sklearn-usps.json"
#: Incremented when older versions of this library can't load new files any more.
_FORMAT = 1


class UntrustedTypesError(ValueError):
    """Error of :func:`load_model` for a file with types that are not trusted, named in `types`."""

    def __init__(self, path, types: list[str]):
        super().__init__(
            f"{path} holds types that are not trusted: {', '.join(types)}. If you know them and "
            f"the source of the file, call load_model(path, trusted={types})."
        )
        self.types = types


def save_model(model: Any, path: str | os.PathLike, *, metadata: dict | None = None) -> None:
    """Save an estimator in a skops file.

    The file, written with :mod:`skops.io`, holds arrays, plain values and names of types, and no
    code as a pickle does. An existing file is replaced when the new one is complete.

    Parameters
    ----------
    model : estimator
        A classifier, a transformer or a :class:`~sklearn.pipeline.Pipeline` of them, fitted or
        not. Of a fitted search, the `best_estimator_` is saved. An object that several steps share
        is saved, and loaded, as one copy for each.

    path : str or path-like
        The file to write; by convention its name ends in ".skops".

    metadata : dict, default=None
        Facts about the model for :func:`read_metadata`, such as its training data and test error:
        a dict of str, bool, int, finite float, None, and lists and dicts of them by str keys.

    Raises
    ------
    TypeError
        If `model` is not an estimator, refers to itself or holds an object that can't be found by
        its name, such as a lambda, or if `metadata` holds other values.
    OSError
        If the file can't be written.

    See Also
    --------
    load_model, read_metadata : Load the file, or its metadata alone.

    Examples
    --------
    >>> import os, tempfile
    >>> from sklearn_usps import ConvNetClassifier, load_model, read_metadata, save_model
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.skops")
    ...     save_model(ConvNetClassifier(lr=0.001), path, metadata={"data": "roweis"})
    ...     load_model(path), read_metadata(path)
    (ConvNetClassifier(lr=0.001), {'data': 'roweis'})
    """
    model = getattr(model, "best_estimator_", model)
    if not isinstance(model, BaseEstimator) or hasattr(model, "module_"):  # a skorch net
        raise TypeError(f"model must be an estimator. Got an instance of {type(model)} instead.")
    metadata = {} if metadata is None else metadata
    _check_metadata(metadata)
    try:
        content = _dump(model, metadata)
        _, untrusted = _check(content)
        _make(content, [*TRUSTED_TYPES, *untrusted, *skops.io.get_untrusted_types(data=content)])
    except Exception as error:
        raise TypeError(
            f"model can't be saved so that it could be loaded again: {error}. Its objects must be "
            "found in a module by name, as a lambda or a local class is not, and must not refer to "
            "the model, as metadata requests of scikit-learn estimators do (set_fit_request)."
        ) from error
    remove_leftovers(Path(path), min_age=DAY)
    write_atomically(path, content)


def load_model(path: str | os.PathLike, *, trusted: Sequence[str | type] | None = None) -> Any:
    """Load an estimator that :func:`save_model` has saved.

    Parameters
    ----------
    path : str or path-like
        The file.

    trusted : list of str or type, default=None
        Further types that the file may hold, such as the class of your own network: their full
        names or the types themselves. Trust only types that you know, since their code is run.
        Always trusted are :func:`~sklearn_usps.persistence.trusted_types`, arrays, plain values
        and the ufuncs of numpy and scipy.

    Returns
    -------
    model : estimator
        The estimator, on the device of its parameter `device`, or with a warning on another one
        if this machine does not have it.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file is damaged, was not written by `save_model`, has a newer format, takes far more
        memory than its size, or holds types that are not trusted.
    TypeError
        If `trusted` is not a list of strings and types.

    Warns
    -----
    UserWarning
        If the file was written with other versions of the libraries than are installed.
    """
    is_list = isinstance(trusted, Sequence) and not isinstance(trusted, str)
    if trusted is not None and not (is_list and all(isinstance(t, (str, type)) for t in trusted)):
        raise TypeError(f"trusted must be a list of str and types. Got {trusted!r} instead.")
    by_user = {
        t if isinstance(t, str) else f"{t.__module__}.{t.__qualname__}" for t in trusted or []
    }
    content, info, untrusted = _read(path)
    installed = _versions()
    differences = ", ".join(
        f"{library} {saved} ({installed[library]} is installed)"
        for library, saved in info["versions"].items()
        if saved != installed.get(library, saved)
    )
    try:
        untrusted |= set(skops.io.get_untrusted_types(data=content)) - TRUSTED_TYPES
        unknown = sorted(untrusted - by_user)
        model = None if unknown else _make(content, [*TRUSTED_TYPES, *by_user])
    except Exception as error:
        reason = "".join(traceback.format_exception_only(error)).strip()  # even if str(error) fails
        written = f" It was written with {differences}." if differences else ""
        raise ValueError(f"{path} can't be loaded: {reason}.{written}") from error
    if unknown:
        raise UntrustedTypesError(path, unknown)
    if differences:
        warnings.warn(f"{path} was written with {differences}.", stacklevel=2)
    return model


def read_metadata(path: str | os.PathLike) -> dict[str, Any]:
    """Read the metadata of a model file without loading the model.

    Parameters
    ----------
    path : str or path-like
        A file that :func:`save_model` has saved.

    Returns
    -------
    metadata : dict
        The `metadata` that :func:`save_model` was called with, or an empty dict.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`load_model` does, except for types that are not trusted.
    """
    return _read(path)[1]["metadata"]


def _check_metadata(metadata: dict) -> None:
    if not isinstance(metadata, dict):
        raise TypeError(f"metadata must be a dict. Got an instance of {type(metadata)} instead.")
    for key, value in metadata.items():
        is_plain = False
        with suppress(TypeError, ValueError):
            is_plain = json.loads(json.dumps({key: value}, allow_nan=False)) == {key: value}
        if not is_plain:
            raise TypeError(
                "metadata must have str keys and plain JSON values (str, bool, int, finite float, "
                f"None, list, dict). Got {value!r} of {type(value)} for the key {key!r}."
            )


def _dump(model: BaseEstimator, metadata: dict) -> bytes:
    """Return the content of a model file.

    skops describes an object in full in each place, with an identity by which it is built once.
    Without identities, the checked description in a place is the one that is built there, and a
    short file can't visit one object a billion times.
    """

    def without_identity(part):  # a user's dict may have this key too, for another dict
        return {key: v for key, v in part.items() if key != "__id__" or isinstance(v, dict)}

    buffer, dumped = io.BytesIO(), zipfile.ZipFile(io.BytesIO(skops.io.dumps(model)))
    info = {"format": _FORMAT, "versions": _versions(), "metadata": metadata}
    with dumped, zipfile.ZipFile(buffer, "w") as archive:
        description = json.loads(dumped.read("schema.json"), object_hook=without_identity)
        archive.writestr(_INFO, json.dumps(info))
        archive.writestr("schema.json", json.dumps(description))
        for name in dumped.namelist():
            if name != "schema.json":
                archive.writestr(name, dumped.read(name))
    return buffer.getvalue()


def _read(path: str | os.PathLike) -> tuple[bytes, dict[str, Any], set[str]]:
    """Return the content of a file, and what `_check` returns."""
    path = Path(path)
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is not a regular file.")
    content = path.read_bytes()
    try:
        info, untrusted = _check(content)
    except Exception as error:  # zipfile and json raise errors of many types on damaged files
        raise ValueError(f"{path} is damaged or was not written by save_model: {error}") from error
    if info["format"] > _FORMAT:
        raise ValueError(
            f"{path} has the format {info['format']}, and this version of sklearn-usps reads "
            f"formats up to {_FORMAT}: update sklearn-usps."
        )
    return content, info, untrusted


def _check(content: bytes) -> tuple[dict[str, Any], set[str]]:
    """Check a file before any object is made of it.

    Returns its member `_INFO`, and the types that are not trusted here although skops may do so.
    """
    objects: list[dict] = []
    untrusted: set[str] = set()

    def collect(part):
        objects.append(part)
        return part

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        sizes = {member.filename: member.file_size for member in members}
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("it is compressed")
        if len(sizes) < len(members) or sum(sizes.values()) > len(content):
            raise ValueError("its members overlap or have the same name")
        info = json.loads(archive.read(_INFO))
        are_dicts = isinstance(info["versions"], dict) and isinstance(info["metadata"], dict)
        if type(info["format"]) is not int or not are_dicts:
            raise ValueError(f"its {_INFO} is malformed")
        if info["format"] > _FORMAT:
            return info, untrusted
        description = json.loads(archive.read("schema.json"), object_hook=collect)
        if description["protocol"] < 2:  # that of skops 0.15: older code checks less
            raise ValueError("it claims an old protocol")
        # In each place, since skops reads a member for each. A fitted model has few arrays twice.
        n_bytes = sum(sizes[part["file"]] for part in objects if isinstance(part.get("file"), str))
        if n_bytes > 2 * len(content) + 2**22:
            raise ValueError("it becomes far more than its size")
        for part in objects:
            if not isinstance(part.get("__id__", {}), dict):
                raise ValueError("it has an object with an identity")
            kind = part.get("__loader__")
            if kind == "DictNode":
                _check_keys(part)
            elif kind == "RandomStateNode":
                _check_random_state(part)
            elif kind == "NdArrayNode" and part["type"] == "numpy":
                _check_array(part, archive)
            elif isinstance(kind, str) and kind not in _PLAIN_KINDS:
                name = f"{part['__module__']}.{part['__class__']}"
                untrusted |= {name} - (TRUSTED_TYPES if kind == "ObjectNode" else set())
    return info, untrusted


def _check_keys(part: dict) -> None:
    # skops saves keys as texts: those of 1 and "1" are the same, and bool("false") is True, so that
    # class_weight={True: 1, False: 2} would lose a class.
    types = [type_["__class__"] for type_ in part["key_types"]["content"]]
    if len(types) != len(part["content"]) or {"bool", "bool_"}.intersection(types):
        raise ValueError("it has a dict with keys that are bools, or keys with the same text")


def _check_random_state(part: dict) -> None:
    generator = part["content"]
    state = generator["content"]["state"]
    position = state["content"]["pos"]
    kinds = [node["__loader__"] for node in (generator, state, position)]
    is_plain = kinds == ["DictNode", "DictNode", "JsonNode"]
    if not is_plain or json.loads(position["content"]) not in range(625):
        # numpy would read memory beyond its 624 numbers.
        raise ValueError("it has a random state beyond its numbers")


def _check_array(part: dict, archive: zipfile.ZipFile) -> None:
    """Check that an array has as many bytes as its header claims, before numpy allocates them."""
    with archive.open(part["file"]) as file:
        version = np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        n_bytes = archive.getinfo(part["file"]).file_size - file.tell()
    # Items without bytes, or with fields, would become objects by the thousand. skops calls the
    # type of a scalar with its value: numpy.void would allocate as many bytes as an int says.
    plain = version == (1, 0) and dtype.itemsize and dtype.names is None
    plain = plain and part["__class__"] in ("ndarray", dtype.type.__name__)
    if not plain or math.prod(shape) * dtype.itemsize != n_bytes:
        raise ValueError(
            f"an array of {part['__class__']}, shape {shape} and {dtype} has {n_bytes} bytes"
        )


def _make(content: bytes, trusted: list[str]) -> BaseEstimator:
    """Make the estimator that a file describes."""
    model = skops.io.loads(content, trusted=trusted)
    if not isinstance(model, BaseEstimator):
        raise TypeError(f"it holds no estimator, but an object of {type(model)}")
    model.get_params()  # fails for a model without a parameter, which could not even be shown
    return model


def _versions() -> dict[str, str]:
    versions = {}
    for library in ("sklearn-usps", "scikit-learn", "numpy", "torch", "skops"):
        with suppress(PackageNotFoundError):  # run from a source tree that is not installed
            # Without the build after a plus, such as torch's "+cpu".
            versions[library] = version(library).partition("+")[0]
    return versions
