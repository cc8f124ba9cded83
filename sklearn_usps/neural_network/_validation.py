"""Checks of images, labels and weights, as given to the methods of a classifier."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import accuracy_score
from sklearn.utils import assert_all_finite, check_consistent_length
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import validate_data

from .._utils._arrays import as_numbers, check_labels
from .._utils._images import (
    advise_samples_first,
    check_width,
    flatten_images,
    resolve_image_shape,
)
from .._utils._sklearn import _check_sample_weight, _num_samples
from .._utils._warnings import warn_user
from ..training._data import scale_weights
from ._pixel_values import describe_values, find_difference, value_range

#: Largest number of pixels of an image, 1024 × 1024. A row with more is likely no image, and the
#: layers would take all memory.
MAX_PIXELS = 2**20


def check_training_images(classifier, X, y, *, reset: bool):
    """Check X and y, and set `image_shape_`, or if not `reset` check that X has that shape.

    Return X, y and the values of X, to be merged into `_pixel_values` once all else is checked.
    """
    X, given_shape = flatten_images(X)
    y = check_labels(y, "y")
    _check_sizes(classifier, X, y, given_shape)
    if not reset:
        check_width(classifier, X, given_shape)
    X, y = validate_data(classifier, X, y, reset=reset, ensure_all_finite=False)
    if X.flags.f_contiguous and not _is_memory_map(X):
        X = np.ascontiguousarray(X)  # batches are rows, and data frames have columns in memory
    values = value_range(X, name="X", estimator_name=type(classifier).__name__)
    pixel_values = describe_values(X, values)
    check_classification_targets(y)
    if reset:
        shape = resolve_image_shape(classifier.image_shape, given_shape, X.shape[1])
        classifier.image_shape_ = shape
        classifier._pixel_values = pixel_values
    else:
        _check_shape(classifier, given_shape)
        _warn_of_other_values(classifier, X, values)
    return X, y, pixel_values


def check_images(classifier, X, *, name: str = "X", advice: str = "") -> np.ndarray:
    """Check images for a fitted classifier; warn if their values are far from those of fit."""
    X, given_shape = flatten_images(X, name)
    check_width(classifier, X, given_shape, name, advice and f" {advice}")
    X = validate_data(classifier, X, reset=False, ensure_all_finite=False)
    values = value_range(X, name=name, estimator_name=type(classifier).__name__)
    _check_shape(classifier, given_shape, name)
    _warn_of_other_values(classifier, X, values, name, advice)
    return X


def _warn_of_other_values(classifier, X, values, name="X", advice="") -> None:
    """Warn if the values of images X, whose range is `values`, are far from those of fit."""
    if difference := find_difference(classifier._pixel_values, X, values):
        found, fitted = difference
        advice = advice or f"Scale {name} as in fit."
        warn_user(
            f"{name} has {found}, but {type(classifier).__name__} was fitted on {fitted}. {advice}"
        )


def _check_sizes(classifier, X, y, given_shape) -> None:
    """Check the sizes of X and y before reading any of their values, which may be very many."""
    if not isinstance(X, np.ndarray) or X.ndim != 2:
        return  # scikit-learn checks the others
    if X.shape[1] > MAX_PIXELS:
        raise ValueError(
            f"X has images of {X.shape[1]} pixels, but {type(classifier).__name__} is for images "
            f"of at most {MAX_PIXELS}. Make them smaller; or is X to be transposed?"
        )
    if np.ndim(y):
        try:
            check_consistent_length(X, y)
        except ValueError as error:
            shape = X.shape if given_shape is None else (len(X), *given_shape)
            is_last = shape[-1] == _num_samples(y)
            advice = "." + advise_samples_first(len(shape)) if is_last else ""
            raise ValueError(f"{error}{advice}") from None


def _is_memory_map(X) -> bool:
    """Return True if an array is a memory map or a view of one, which must not be copied whole."""
    return X is not None and (isinstance(X, np.memmap) or _is_memory_map(getattr(X, "base", None)))


def _check_shape(classifier, given_shape, name: str = "X") -> None:
    if given_shape not in (None, classifier.image_shape_):
        advice = "" if 1 not in given_shape else f" Rows are {name}.reshape(len({name}), -1)."
        raise ValueError(
            f"{name} has images of shape {given_shape}, but {type(classifier).__name__} is "
            f"expecting images of shape {classifier.image_shape_} as input.{advice}"
        )


def check_weights(sample_weight, X: np.ndarray) -> np.ndarray | None:
    """Check that no sample weight is negative and not all are zero."""
    if sample_weight is None:
        return None
    sample_weight = as_numbers(sample_weight, "sample_weight")
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not np.any(weights):
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights


def check_groups(groups, X: np.ndarray) -> np.ndarray | None:
    """Check the group of each sample, of which none may be missing."""
    if groups is None:
        return None
    groups = np.asarray(check_labels(groups, "groups"))
    if groups.ndim != 1:
        raise ValueError(
            f"groups must be an array-like of shape (n_samples,). Got the shape {groups.shape}."
        )
    check_consistent_length(X, groups)
    assert_all_finite(groups, input_name="groups")
    return groups


def check_partial_fit_params(classifier) -> None:
    """Raise a ValueError for parameters that `partial_fit` can't have, as in scikit-learn."""
    if classifier.early_stopping:
        raise ValueError("partial_fit does not support early_stopping=True")
    if classifier.class_weight == "balanced":
        raise ValueError(
            "class_weight 'balanced' is not supported for partial_fit. In order to use "
            "'balanced' weights, use compute_class_weight('balanced', classes=classes, y=y) "
            "and pass them as a dict."
        )


def encode(
    classes: np.ndarray, y: np.ndarray, name: str = "y", known: str = "classes_"
) -> np.ndarray:
    """Return the index of each label in `classes`, a sorted array that is an attribute `known`."""
    try:
        unknown = len(np.setdiff1d(y, classes))
    except TypeError:  # they can't be compared
        unknown = True
    if unknown:
        raise ValueError(
            f"`{name}` has classes not in `self.{known}`. `self.{known}` has {classes}. "
            f"'{name}' has {np.unique(y)}."
        )
    return np.searchsorted(classes, y)


def check_classes(classes):
    """Check the labels that `partial_fit` is told to expect."""
    classes = check_labels(classes, "classes")
    if np.ndim(classes) != 1:
        raise ValueError(
            "`classes` must be the labels of all calls, an array-like of shape (n_classes,). Got "
            f"{classes!r} instead."
        )
    unique_labels(classes)  # they are of a type for classes
    return classes


def accuracy(y, predicted: np.ndarray, sample_weight) -> float:
    """Return the accuracy of predicted labels, after a check of the arguments.

    As in scikit-learn, weights may be negative here, but not in training.
    """
    y = check_labels(y, "y")
    if sample_weight is not None:
        sample_weight = as_numbers(sample_weight, "sample_weight")
        sample_weight = _check_sample_weight(sample_weight, predicted, dtype=np.float64)
        sample_weight = scale_weights(sample_weight)
        if sample_weight.sum() == 0:  # for which scikit-learn raises a ZeroDivisionError
            raise ValueError(
                "Sample weights must not sum to zero: the score is divided by the sum."
            )
    try:
        return accuracy_score(y, predicted, sample_weight=sample_weight)
    except TypeError as error:
        raise TypeError(
            f"y can't be compared with the labels of fit, of dtype {predicted.dtype}: {error}"
        ) from error
