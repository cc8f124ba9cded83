"""Shapes of images: as rows of pixels, as parameters, and guessed."""

import math
import warnings

import numpy as np

from ._arrays import as_numbers
from ._sklearn import _check_n_features


def flatten_images(X):
    """Turn images (n_samples, height, width) into rows of pixels.

    Returns X as numbers of shape (n_samples, height * width), and (height, width). An X that does
    not have three dimensions keeps its shape, and the second value is None.
    """
    X = as_numbers(X, "X")
    if getattr(X, "ndim", None) != 3:
        return X, None
    n_samples, height, width = X.shape
    return X.reshape(n_samples, height * width), (height, width)


def check_width(estimator, X) -> None:
    """Check that X has the number of pixels of a fitted estimator, before its values are read.

    scikit-learn reads all values first: minutes for a large memory map of the wrong shape.
    """
    if isinstance(X, np.ndarray) and X.ndim == 2:
        _check_n_features(estimator, X, reset=False)


def resolve_image_shape(image_shape, given_shape, n_features: int) -> tuple[int, int]:
    """Return the height and width of images that are rows of `n_features` pixels.

    `image_shape` is the user's parameter and must fit. With None, it is `given_shape`, the second
    value of `flatten_images`. With None for both, it is a square or, with a warning, one row.
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
        f"X has {n_features} features, which is not a perfect square: each sample becomes an image "
        "with one row of pixels. Set image_shape=(height, width) if it has more rows.",
        UserWarning,
        stacklevel=2,
    )
    return 1, n_features


def check_two_sizes(sizes, name: str, meaning: str) -> tuple[int, int]:
    """Return the two positive integers of the parameter `name`, or raise a ValueError."""
    if len(sizes) == 2 and all(isinstance(size, (int, np.integer)) and size >= 1 for size in sizes):
        return int(sizes[0]), int(sizes[1])
    raise ValueError(f"{name} must be two positive integers {meaning}. Got {sizes!r} instead.")
