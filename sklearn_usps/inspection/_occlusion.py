"""Attributions of the pixels of an image by occlusion, without matplotlib."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import assert_all_finite, check_scalar
from sklearn.utils.validation import check_is_fitted

from .._utils._models import describe, which_part
from ._one_image import as_fitted, check_image, select_task

#: The methods of classifiers that return scores, the preferred one first.
_SCORE_NAMES = {"predict_proba": "probability", "decision_function": "decision function"}
#: Most pixels of covered images that are predicted at once: 2,048 images of 16 × 16.
_BLOCK_PIXELS = 2**19


class Occlusion(NamedTuple):
    """The image and the attributions, both (height, width), of one class.

    `score` is the score of the class `target` for the image as it is, and `score_name` is
    "probability" or "decision function".
    """

    image: np.ndarray
    attributions: np.ndarray
    target: Any
    score: float
    score_name: str


def occlude(estimator, image, *, target=None, patch_size=3, fill=None, task=None) -> Occlusion:
    """Return how far a class's score falls when a square around each pixel is covered.

    Parameters and errors are those of :meth:`AttributionDisplay.from_estimator`.

    The model is not changed, and threads may call this at once: 5 to 30 ms for the networks by name
    and images of 16 × 16 pixels on one core.
    """
    check_scalar(patch_size, "patch_size", Integral, min_val=1)
    if patch_size % 2 == 0:
        raise ValueError(f"patch_size must be odd. Got {patch_size!r} instead.")
    method = _check_classifier(estimator)
    model = select_task(estimator, task)
    pixels, shape = check_image(image, model)
    if pixels.dtype.kind != "f":
        pixels = pixels.astype(np.float64)  # the gray between two integers may be none
    if fill is None:
        fill = (pixels.min() + pixels.max()) / 2
    check_scalar(fill, "fill", (Real, np.number))
    assert_all_finite(fill, input_name="fill")

    if target is None:
        target = model.predict(as_fitted(pixels, model))[0]
    column = _find_class(model, target)

    def scores(images):
        inputs = as_fitted(images.reshape(-1, pixels.size), model)
        return _class_scores(model, method, inputs)[:, column]

    score = scores(pixels)[0]
    n_images = max(1, _BLOCK_PIXELS // pixels.size)
    parts = np.array_split(np.arange(pixels.size), -(-pixels.size // n_images))
    picture = pixels.reshape(shape)
    covered = [scores(_cover(picture, part, patch_size, fill)) for part in parts]
    attributions = score - np.concatenate(covered).reshape(shape)
    return Occlusion(picture, attributions, target, float(score), _SCORE_NAMES[method])


def _check_classifier(estimator) -> str:
    """Return the name of the method with the scores of a fitted classifier."""
    is_instance = hasattr(estimator, "__sklearn_tags__") and not isinstance(estimator, type)
    if not is_instance or not is_classifier(estimator) or not hasattr(estimator, "predict"):
        raise ValueError(
            f"AttributionDisplay only supports classifiers. Got {describe(estimator)} instead."
            + which_part(estimator, "classes_", "estimator")
        )
    check_is_fitted(estimator)
    for method in _SCORE_NAMES:
        if hasattr(estimator, method):
            return method
    raise ValueError(
        f"{describe(estimator)} has neither predict_proba nor decision_function, so covered pixels "
        "change nothing that can be measured. Calibrate it with CalibratedClassifierCV."
    )


def _find_class(model, target) -> int:
    """Return the index of a class."""
    for index, label in enumerate(model.classes_):
        if np.ndim(target) == 0 and label == target:
            return index
    raise ValueError(f"target must be one of {model.classes_.tolist()}. Got {target!r} instead.")


def _class_scores(model, method, images) -> np.ndarray:
    """Return the scores of each class: (n_images, n_classes)."""
    scores = getattr(model, method)(images)
    if scores.ndim == 1:  # of two classes, decision functions return that of the second
        return np.column_stack([-scores, scores])
    if scores.shape[1] != len(model.classes_):
        raise ValueError(
            f"{method} of {describe(model)} returns {scores.shape[1]} values for "
            f"{len(model.classes_)} classes: set decision_function_shape='ovr'."
        )
    return scores


def _cover(picture, centers, size, fill) -> np.ndarray:
    """Return copies of a picture, each with a square around one pixel filled."""
    rows, columns = (at[:, np.newaxis] for at in np.unravel_index(centers, picture.shape))
    is_near_row = abs(np.arange(picture.shape[0]) - rows) <= size // 2
    is_near_column = abs(np.arange(picture.shape[1]) - columns) <= size // 2
    is_covered = is_near_row[:, :, np.newaxis] & is_near_column[:, np.newaxis]
    return np.where(is_covered, picture.dtype.type(fill), picture)
