"""Checks of images, labels and weights, with what fit learns from them before it trains."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.metrics import accuracy_score
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import validate_data

from .._utils._arrays import as_numbers, check_labels
from .._utils._images import check_width, flatten_images, resolve_image_shape
from .._utils._sklearn import _check_sample_weight
from ..training._data import scale

#: The most pixels of an image, 1024 × 1024: where there are more, X is likely something else, and
#: the layers would take all memory.
MAX_PIXELS = 2**20


def check_training_images(classifier, X, y, *, reset: bool) -> tuple[np.ndarray, np.ndarray]:
    """Check X and y, and set `image_shape_`, or if not `reset` check that X has it.

    Where the classifier is then trained further, `update_value_range` is to be called.
    """
    X, given_shape = flatten_images(X)
    y = check_labels(y, "y")
    _check_sizes(classifier, X, y)
    if not reset:
        check_width(classifier, X)
    X, y = validate_data(classifier, X, y, reset=reset)
    check_classification_targets(y)
    value_range = _value_range(X)
    if reset:
        shape = resolve_image_shape(classifier.image_shape, given_shape, X.shape[1])
        classifier.image_shape_ = shape
        classifier._value_range = value_range
    else:
        _check_shape(classifier, given_shape)
    return X, y


def update_value_range(classifier, X: np.ndarray) -> None:
    """Widen the range of values that the classifier was trained on, once all else is checked."""
    low, high = _value_range(X)
    fitted_low, fitted_high = classifier._value_range
    classifier._value_range = min(low, fitted_low), max(high, fitted_high)


def check_images(classifier, X) -> np.ndarray:
    """Check images for a fitted classifier; warn where their values are far from those of fit."""
    X, given_shape = flatten_images(X)
    check_width(classifier, X)
    X = validate_data(classifier, X, reset=False)
    _check_shape(classifier, given_shape)
    low, high = _value_range(X)
    fitted_low, fitted_high = classifier._value_range
    span = fitted_high - fitted_low
    if span > 0 and (low < fitted_low - span or high > fitted_high + span):
        warnings.warn(
            f"X has values in [{low:g}, {high:g}], but {type(classifier).__name__} was fitted on "
            f"values in [{fitted_low:g}, {fitted_high:g}]: scale X as in fit.",
            UserWarning,
            stacklevel=4,
        )
    return X


def _check_sizes(classifier, X, y) -> None:
    """Check the sizes of X and y, before any of their values, which may be very many, are read."""
    if not isinstance(X, np.ndarray) or X.ndim != 2:
        return  # scikit-learn's to check
    if X.shape[1] > MAX_PIXELS:
        raise ValueError(
            f"X has images of {X.shape[1]} pixels, but {type(classifier).__name__} is for images "
            f"of at most {MAX_PIXELS}. Make them smaller; or is X to be transposed?"
        )
    if np.ndim(y):
        check_consistent_length(X, y)


def _value_range(X: np.ndarray) -> tuple[float, float]:
    """Smallest and largest value, after a check that networks can take them: they are 32-bit."""
    low, high = float(X.min()), float(X.max())
    if max(-low, high) > float(np.finfo(np.float32).max):
        raise ValueError("Input X contains infinity or a value too large for dtype('float32').")
    return low, high


def _check_shape(classifier, given_shape) -> None:
    if given_shape not in (None, classifier.image_shape_):
        raise ValueError(
            f"X has images of shape {given_shape}, but {type(classifier).__name__} is expecting "
            f"images of shape {classifier.image_shape_} as input."
        )


def check_validation_set(
    classifier, X_val, y_val, sample_weight_val, encode
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None] | None:
    """Check a validation set and encode its labels by a function; None if there is none."""
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val is provided, but X_val was not provided.")
        return None
    if y_val is None:
        raise ValueError("X_val is provided, but y_val was not provided.")
    if X_val is None:
        raise ValueError("y_val is provided, but X_val was not provided.")
    X_val = check_images(classifier, X_val)
    y_val = column_or_1d(check_labels(y_val, "y_val"), warn=True)
    check_consistent_length(X_val, y_val)
    return X_val, encode(y_val), check_weights(sample_weight_val, X_val)


def check_weights(sample_weight, X: np.ndarray) -> np.ndarray | None:
    """Check sample weights, of which none is negative and not all are zero."""
    if sample_weight is None:
        return None
    sample_weight = as_numbers(sample_weight, "sample_weight")
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    _check_not_all_zero(weights)
    return weights


def _check_not_all_zero(weights) -> None:
    if not np.any(weights):
        raise ValueError("Sample weights must contain at least one non-zero number.")


def encode(
    classes: np.ndarray, y: np.ndarray, name: str = "y", known: str = "classes_"
) -> np.ndarray:
    """The index of each label in `classes`, which are sorted and known as an attribute."""
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


def accuracy(y, predicted: np.ndarray, sample_weight) -> float:
    """The share of labels that were predicted, after a check of what the user gave.

    As in scikit-learn, weights may be negative here, but not in training.
    """
    y = check_labels(y, "y")
    if sample_weight is not None:
        sample_weight = as_numbers(sample_weight, "sample_weight")
        sample_weight = _check_sample_weight(sample_weight, predicted, dtype=np.float64)
        _check_not_all_zero(sample_weight)
        sample_weight = scale(sample_weight)
        if sample_weight.sum() == 0:  # of which scikit-learn makes a ZeroDivisionError
            raise ValueError("Sample weights must not sum to zero, by which the score is divided.")
    try:
        return accuracy_score(y, predicted, sample_weight=sample_weight)
    except TypeError as error:
        raise TypeError(
            f"y can't be compared with the labels of fit, of dtype {predicted.dtype}: {error}"
        ) from error


def check_classes(classes):
    """Check the labels that partial_fit is told to expect."""
    classes = check_labels(classes, "classes")
    if np.ndim(classes) != 1:
        raise ValueError(
            "`classes` must be the labels of all calls, an array-like of shape (n_classes,). Got "
            f"{classes!r} instead."
        )
    unique_labels(classes)  # they are of a type for classes
    return classes
