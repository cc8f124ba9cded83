"""Images as rows of pixels, and their shape."""

from __future__ import annotations

import math
import warnings

import numpy as np

from .._utils._sklearn import _check_n_features
from ._arrays import as_numbers


def flatten_images(X):
    """Turn images (n_samples, height, width) into rows of pixels.

    Returns X as (n_samples, height * width) and (height, width); anything that has no three
    dimensions comes back as numbers in their shape, with None for the shape of the images.
    """
    X = as_numbers(X, "X")
    if getattr(X, "ndim", None) != 3:
        return X, None
    n_samples, height, width = X.shape
    return X.reshape(n_samples, height * width), (height, width)


def check_width(estimator, X) -> None:
    """Check the number of pixels of an image for a fitted estimator, before X is read.

    scikit-learn looks at all values first, which in a view may be more than any memory has.
    """
    if isinstance(X, np.ndarray) and X.ndim == 2:
        _check_n_features(estimator, X, reset=False)


def resolve_image_shape(image_shape, given_shape, n_features: int) -> tuple[int, int]:
    """Find the height and width of images that are rows of `n_features` pixels.

    `image_shape` is the user's parameter and must fit; with None, `given_shape` is taken, the
    shape of the images as they were given to `flatten_images`; with None as well, a square or,
    with a warning, one row of pixels.
    """
    if image_shape is not None:
        height, width = check_two_sizes(image_shape, "image_shape", "(height, width)")
        if height * width != n_features or given_shape not in (None, (height, width)):
            got = f"{n_features} features" if given_shape is None else f"images of {given_shape}"
            raise ValueError(f"X has {got}, but image_shape={image_shape!r} was given.")
        return height, width
    if given_shape is not None:
        return given_shape
    side = math.isqrt(n_features)
    if side * side == n_features:
        return side, side
    warnings.warn(
        f"X has {n_features} features, which is no square: each sample is taken as an image of one "
        "row of pixels. Set image_shape=(height, width) if it has more.",
        UserWarning,
        stacklevel=2,
    )
    return 1, n_features


def fitted_image_shape(estimator) -> tuple[int, int] | None:
    """Find the `image_shape_` of a fitted estimator, search or pipeline, None if it has none."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    return getattr(estimator, "image_shape_", None)


def check_two_sizes(sizes, name: str, meaning: str) -> tuple[int, int]:
    """Return the two positive integers that the parameter `name` must have."""
    if len(sizes) == 2 and all(isinstance(size, (int, np.integer)) and size >= 1 for size in sizes):
        return int(sizes[0]), int(sizes[1])
    raise ValueError(f"{name} must be two positive integers {meaning}. Got {sizes!r} instead.")
