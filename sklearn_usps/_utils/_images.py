"""Shapes of images: as rows of pixels, as parameters, and guessed."""

import math

import numpy as np

from ._arrays import as_numbers
from ._sklearn import _check_n_features
from ._warnings import warn_user


def flatten_images(X, name: str = "X"):
    """Turn images into rows of pixels.

    Images may be (n_samples, height, width), or have an axis of one channel: the second axis if its
    length is 1, else the last. Returns X as numbers of shape (n_samples, height * width), and
    (height, width). An X of one or two dimensions keeps its shape, and the second value is None.
    """
    X = as_numbers(X, name)
    if not isinstance(X, np.ndarray) or X.ndim < 3:
        return X, None
    X = drop_channels(X, name)
    n_samples, height, width = X.shape
    return X.reshape(n_samples, height * width), (height, width)


def drop_channels(images: np.ndarray, name: str) -> np.ndarray:
    """Return images without an axis of one channel; refuse colors and other shapes."""
    if images.ndim == 3:
        return images
    if images.ndim == 4 and 1 in (images.shape[1], images.shape[3]):
        return images[:, 0] if images.shape[1] == 1 else images[..., 0]
    for axis, first in ((3, "[..., :{}]"), (1, "[:, :{}]")):
        n_colors = {2: 1, 3: 3, 4: 3}.get(images.shape[axis]) if images.ndim == 4 else None
        if n_colors is not None:
            colors = name if images.shape[axis] == 3 else name + first.format(n_colors)
            raise ValueError(
                f"`{name}` has images of {images.shape[axis]} channels, its shape is "
                f"{images.shape}: make them gray, for example by {colors}.mean(axis={axis})."
            )
    raise ValueError(
        f"`{name}` must have the shape (n_samples, height, width). Got the shape {images.shape}."
    )


def check_width(estimator, X, given_shape=None, name: str = "X", advice: str = "") -> None:
    """Check that X has the number of pixels of a fitted estimator, before its values are read.

    scikit-learn reads all values first: minutes for a large memory map of the wrong shape.
    `given_shape` is the second value of `flatten_images`. The error ends with `advice` where the
    shape of X suggests none.
    """
    if not isinstance(X, np.ndarray) or X.ndim != 2:
        return
    try:
        _check_n_features(estimator, X, reset=False)
    except ValueError as error:
        text = str(error).replace("X has", f"{name} has", 1)
        advice = _advise(X, given_shape, _fitted_shape(estimator), name) or advice
        raise ValueError(text + advice) from None


def _fitted_shape(estimator) -> tuple[int, int]:
    if hasattr(estimator, "image_shape_"):
        return estimator.image_shape_
    side = math.isqrt(estimator.n_features_in_)
    return (side, side) if side**2 == estimator.n_features_in_ else (1, estimator.n_features_in_)


def _advise(X, given_shape, image_shape, name: str) -> str:
    """Return a sentence about the shape of X where images of `image_shape` are expected."""
    n_pixels = math.prod(image_shape)
    shape = X.shape if given_shape is None else (len(X), *given_shape)
    if shape == image_shape:
        return f" For one image pass {name}[None], of a list [{name}]."
    if X.size == n_pixels:
        return f" For one image pass {name}.reshape(1, -1)."
    if shape[:2] == image_shape and shape[2:] in ((2,), (3,), (4,)):
        return f" For one image with colors pass {name}.mean(axis=-1)[None]."
    if shape[:-1] in (image_shape, (n_pixels,)):
        return advise_samples_first(len(shape), name)
    if given_shape is not None:
        return f" {name} has images of shape {given_shape}, and those of fit had {image_shape}."
    return ""


def advise_samples_first(n_dimensions: int, name: str = "X") -> str:
    """Return a sentence about images whose last axis is that of the samples."""
    move = f"{name}.T" if n_dimensions == 2 else f"np.moveaxis({name}, -1, 0)"
    return f" {name} has the samples along its last axis: pass {move}."


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
    warn_user(
        f"X has {n_features} features, which is not a perfect square: each sample becomes an image "
        "with one row of pixels. Set image_shape=(height, width) if it has more rows."
    )
    return 1, n_features


def check_two_sizes(sizes, name: str, meaning: str) -> tuple[int, int]:
    """Return the two positive integers of the parameter `name`, or raise a ValueError."""
    if len(sizes) == 2 and all(isinstance(size, (int, np.integer)) and size >= 1 for size in sizes):
        return int(sizes[0]), int(sizes[1])
    raise ValueError(f"{name} must be two positive integers {meaning}. Got {sizes!r} instead.")
