"""Models in files, without pickle."""

from __future__ import annotations

import io
import json
import os
import warnings
import zipfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import skops.io
from sklearn.base import BaseEstimator

from .._files import write_atomically

#: What may be in a file beyond the types that skops trusts, by the names under which it finds them:
#: what this library has, a function that a recipe scales its input with, and what `set_fit_request`
#: leaves, which are names.
_TRUSTED = [
    "numpy.interp",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
    "sklearn_usps.neural_network._classifier.ConvNetClassifier",
    "sklearn_usps.neural_network._joint.JointConvNetClassifier",
    "sklearn_usps.preprocessing._deformer.RandomDeformer",
    "sklearn_usps.preprocessing._normalizer.ImageNormalizer",
]
_LIBRARIES = ("sklearn-usps", "scikit-learn", "numpy", "torch", "skops")
#: What archives may unpack to: this many bytes, or if that is more, so many times their size.
#: Weights are stored as they are.
_SMALL, _MAX_RATIO = 2**26, 10
#: The member of the archive that says which versions it was written with.
_VERSIONS = "versions.json"


def save_model(model: Any, path: str | os.PathLike) -> None:
    """Save an estimator in one file.

    The file is written with :mod:`skops.io`: it holds arrays and plain values, and loading it runs
    no code that it brings along, as a pickle would. It is whole, or as it was before.

    Parameters
    ----------
    model : estimator
        A classifier, a transformer or a :class:`~sklearn.pipeline.Pipeline` of them, fitted or
        not. Of a fitted search its `best_estimator_` is saved.

    path : str or path-like
        The file to write; by convention its name ends in ".skops".

    Raises
    ------
    TypeError
        If the model is no estimator, refers to itself, or holds a function that can't be found by
        its name, such as a lambda.
    OSError
        If the file can't be written.

    See Also
    --------
    load_model : Load the file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn_usps import ConvNetClassifier, load_model, save_model
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(ConvNetClassifier(lr=0.001), Path(folder, "model.skops"))
    ...     load_model(Path(folder, "model.skops"))
    ConvNetClassifier(lr=0.001)
    """
    model = getattr(model, "best_estimator_", model)
    if not isinstance(model, BaseEstimator):
        raise TypeError(f"model must be an estimator. Got an instance of {type(model)} instead.")
    try:
        content = skops.io.dumps(model)
    except RecursionError as error:
        raise TypeError(
            "model refers to itself and can't be saved: so do steps of scikit-learn's that have "
            "asked for metadata, such as by set_fit_request."
        ) from error
    nameless = [name for name in skops.io.get_untrusted_types(data=content) if "<" in name]
    if nameless:
        raise TypeError(
            f"model holds {', '.join(nameless)}, which could not be loaded again: define it in a "
            "module, by a name."
        )
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(_VERSIONS, json.dumps(_versions()))
    write_atomically(path, buffer.getvalue())


def load_model(path: str | os.PathLike, *, trusted: Sequence[str | type] | None = None) -> Any:
    """Load an estimator that `save_model` has saved.

    Parameters
    ----------
    path : str or path-like
        The file.

    trusted : list of str or type, default=None
        Further types that the file may hold, such as the class of your own network, by their full
        names or as such. The estimators of this library and what skops knows of scikit-learn, numpy
        and scipy are trusted anyway. Trust only types that you know: their code is run.

    Returns
    -------
    model : estimator
        The estimator, on the device that its parameter `device` names, where this machine has it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, is no saved estimator, unpacks to far more than its size, or holds
        types that are not trusted.
    TypeError
        If `trusted` is no list of strings and types.

    Warns
    -----
    UserWarning
        If the file was written with other versions of the libraries than are installed.

    See Also
    --------
    save_model : Save an estimator.
    """
    path = Path(path)
    trusted = [*_TRUSTED, *_names(trusted or [])]
    content = path.read_bytes()
    differences = _differences(_read_versions(path, content))
    try:
        unknown = set(skops.io.get_untrusted_types(data=content)) - set(trusted)
        model = None if unknown else skops.io.loads(content, trusted=trusted)
    except Exception as error:
        written = f" It was written with {differences}." if differences else ""
        raise ValueError(f"{path} can't be loaded: {error!r}.{written}") from error
    if unknown:
        raise ValueError(
            f"{path} holds types that are not trusted: {', '.join(sorted(unknown))}. If you know "
            f"them and where the file is from, call load_model(path, trusted={sorted(unknown)})."
        )
    if not isinstance(model, BaseEstimator):
        raise ValueError(f"{path} holds no estimator, but an object of {type(model)}.")
    if differences:
        warnings.warn(f"{path} was written with {differences}.", stacklevel=2)
    return model


def _read_versions(path: Path, content: bytes) -> dict[str, str]:
    """The versions that a file was written with; an error if it is no whole archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if size > max(_SMALL, _MAX_RATIO * len(content)):
                raise zipfile.BadZipFile(f"it unpacks to {size:,} bytes")
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(f"bad checksum of {damaged}")
            return dict(json.loads(archive.read(_VERSIONS)))
    except Exception as error:  # what zipfile raises on damaged files is anything
        raise ValueError(f"{path} is damaged or was not written by save_model: {error}") from error


def _names(trusted: Sequence[str | type]) -> list[str]:
    """The full names of types."""
    is_list = isinstance(trusted, Sequence) and not isinstance(trusted, str)
    if not is_list or not all(isinstance(type_, (str, type)) for type_ in trusted):
        raise TypeError(f"trusted must be a list of str and types. Got {trusted!r} instead.")
    return [
        type_ if isinstance(type_, str) else f"{type_.__module__}.{type_.__qualname__}"
        for type_ in trusted
    ]


def _versions() -> dict[str, str]:
    versions = {}
    for library in _LIBRARIES:
        try:
            # Without the build that it names after a plus, such as torch's "+cpu".
            versions[library] = version(library).partition("+")[0]
        except PackageNotFoundError:  # run from a source tree that is not installed
            continue
    return versions


def _differences(saved: dict[str, str]) -> str:
    """The versions of a file that are not the installed ones, in words."""
    installed = _versions()
    return ", ".join(
        f"{library} {saved[library]} ({installed[library]} is installed)"
        for library in _LIBRARIES
        if library in saved and library in installed and saved[library] != installed[library]
    )
