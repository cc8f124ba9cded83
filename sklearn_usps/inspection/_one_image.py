"""One image to explain, and the model that takes it."""

import importlib.util
import math

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import check_is_fitted

from .._utils._arrays import as_numbers
from .._utils._models import describe, input_image_shape, open_model
from .._utils._tables import is_instance


def select_task(estimator, task):
    """Return the model of one task of a multi-task classifier, else the estimator itself.

    With one task, `task` may be None. Transformers before the classifier stay before it.
    """
    transformers, last = open_model(estimator)
    if task is not None and isinstance(last, BaseEstimator):
        check_is_fitted(last)
    if not hasattr(last, "tasks_"):
        if task is not None:
            raise ValueError(
                f"{describe(estimator)} has no tasks. Got task={task!r}: leave it out."
            )
        return estimator
    classifiers = last.estimators_
    names = list(classifiers)
    if task is None and len(names) == 1:
        task = names[0]
    if task not in names:
        raise ValueError(f"task must be one of {names}. Got {task!r} instead.")
    if not transformers:
        return classifiers[task]
    if last.task_column is not None:
        raise ValueError(
            "The steps before the classifier also take its task_column. Pass the last step alone, "
            "and the image as these steps transform it."
        )
    return Pipeline([*transformers, ("classifier", classifiers[task])])


def check_image(image, model) -> tuple[np.ndarray, tuple[int, int]]:
    """Return one image for a fitted model as a row, (1, n_pixels), and its (height, width)."""
    if is_instance(image, "PIL.Image.Image"):
        image = [image]
    pixels = np.asarray(as_numbers(image, "image"))
    n_pixels = getattr(model, "n_features_in_", pixels.size)
    shape = _image_shape(pixels, model, n_pixels)
    if pixels.shape not in [(n_pixels,), (1, n_pixels), shape, (1, *shape)]:
        raise ValueError(
            f"image must be one image of shape {shape}, or a row of its {n_pixels} pixels. Got an "
            f"array of shape {pixels.shape} instead."
        )
    assert_all_finite(pixels, input_name="image")
    return pixels.reshape(1, n_pixels), shape


def _image_shape(pixels, model, n_pixels) -> tuple[int, int]:
    """Return the shape that the model knows, else that of a two-dimensional image, or a square."""
    if (shape := input_image_shape(model, n_pixels)) is not None:
        return shape
    height, width = (1, 1, *pixels.shape)[-2:]
    if height > 1 and height * width == n_pixels:
        return height, width
    side = math.isqrt(n_pixels)
    if side * side != n_pixels:
        raise ValueError(
            f"The model takes images of {n_pixels} pixels, which is not a perfect square: pass "
            "the image as an array of shape (height, width)."
        )
    return side, side


def as_fitted(rows: np.ndarray, model):
    """Return rows of pixels as a data frame if the model was fitted on one with column names.

    scikit-learn warns of an array, and a ColumnTransformer may refuse it.
    """
    names = getattr(model, "feature_names_in_", None)
    if names is None or importlib.util.find_spec("pandas") is None:
        return rows
    import pandas

    return pandas.DataFrame(rows, columns=names)
