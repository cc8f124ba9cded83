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
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.feature_selection import VarianceThreshold
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from .._utils._files import DAY, remove_leftovers, write_atomically
from ._archive import VERSIONS, check_archive

#: The estimators of scikit-learn's that may be in a file. Others, such as support vector machines,
#: compute with what is in it in ways that nothing checks.
_OF_SKLEARN = [
    *(ColumnTransformer, DummyClassifier, FeatureUnion, LogisticRegression, PCA, Pipeline),
    *(Binarizer, FunctionTransformer, MaxAbsScaler, MinMaxScaler, Normalizer, PowerTransformer),
    *(QuantileTransformer, RobustScaler, StandardScaler, VarianceThreshold),
]
#: What else may be in it, by the names under which skops finds it: what this library has, a
#: function that a recipe scales its input with, and what `set_fit_request` leaves, which are names.
_TRUSTED = [
    *(f"{estimator.__module__}.{estimator.__qualname__}" for estimator in _OF_SKLEARN),
    "numpy.interp",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
    "sklearn_usps.neural_network._classifier.ConvNetClassifier",
    "sklearn_usps.neural_network._multitask.MultiTaskConvNetClassifier",
    "sklearn_usps.preprocessing._deformation.RandomDeformation",
    "sklearn_usps.preprocessing._normalizer.ImageNormalizer",
]
_LIBRARIES = ("sklearn-usps", "scikit-learn", "numpy", "torch", "skops")


def save_model(model: Any, path: str | os.PathLike) -> None:
    """Save an estimator in one file.

    The file is written with :mod:`skops.io`: it holds arrays and plain values, and loading it runs
    no code that it brings along, as a pickle would. It is whole, or as it was before; what was left
    by a process that was killed while it saved to the same path is removed after a day.

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
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(VERSIONS, json.dumps(_versions()))
    content = buffer.getvalue()
    try:
        _, types, special = check_archive(content)
        _make(content, [*types, *special, *skops.io.get_untrusted_types(data=content)])
    except Exception as error:
        raise TypeError(
            f"model can't be saved, since it could not be loaded again: {error}. What it holds "
            "must be found in a module by its name, as a lambda or a class in a function is not."
        ) from error
    remove_leftovers(Path(path), min_age=DAY)
    write_atomically(path, content)


def load_model(path: str | os.PathLike, *, trusted: Sequence[str | type] | None = None) -> Any:
    """Load an estimator that `save_model` has saved.

    Parameters
    ----------
    path : str or path-like
        The file.

    trusted : list of str or type, default=None
        Further types that the file may hold, such as the class of your own network, by their full
        names or as such. Trust only types that you know: their code is run. Trusted anyway are the
        estimators of this library, arrays and plain values, ufuncs of numpy and scipy, and of
        scikit-learn `Pipeline`, `FeatureUnion`, `ColumnTransformer`, `Binarizer`,
        `FunctionTransformer`, `MaxAbsScaler`, `MinMaxScaler`, `Normalizer`, `PowerTransformer`,
        `QuantileTransformer`, `RobustScaler`, `StandardScaler`, `VarianceThreshold`, `PCA`,
        `LogisticRegression` and `DummyClassifier`.

    Returns
    -------
    model : estimator
        The estimator, on the device that its parameter `device` names, where this machine has it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If there is no regular file, or it is damaged, is no saved estimator, would become far more
        than its size, or holds types that are not trusted.
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
    by_user = _names([] if trusted is None else trusted)
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is no file.")
    content = path.read_bytes()
    try:
        versions, types, special = check_archive(content)
    except Exception as error:  # what zipfile and json raise on damaged files is anything
        raise ValueError(f"{path} is damaged or was not written by save_model: {error}") from error
    differences = _differences(versions)
    try:
        special.difference_update(by_user)
        if not special:  # which skops reads in any case
            types.update(skops.io.get_untrusted_types(data=content))
        unknown = sorted(types.difference(_TRUSTED, by_user) | special)
        model = None if unknown else _make(content, [*_TRUSTED, *by_user])
    except Exception as error:
        written = f" It was written with {differences}." if differences else ""
        raise ValueError(f"{path} can't be loaded: {_say(error)}.{written}") from error
    if unknown:
        raise ValueError(
            f"{path} holds types that are not trusted: {', '.join(unknown)}. If you know them and "
            f"where the file is from, call load_model(path, trusted={unknown})."
        )
    if differences:
        warnings.warn(f"{path} was written with {differences}.", stacklevel=2)
    return model


def _make(content: bytes, trusted: list[str]) -> BaseEstimator:
    """The estimator that a file describes."""
    model = skops.io.loads(content, trusted=trusted)
    if not isinstance(model, BaseEstimator):
        raise TypeError(f"it holds no estimator, but an object of {type(model)}")
    model.get_params()  # or else it would be one that can't even be shown
    return model


def _say(error: Exception) -> str:
    try:
        return repr(error)
    except Exception:  # what it is about can't be shown
        return type(error).__name__


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
