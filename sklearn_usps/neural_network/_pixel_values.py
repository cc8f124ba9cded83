"""The pixel values seen in fit, and a warning where those of other images are far from them.

For images at another scale than in training, a network returns wrong labels with high probability.
"""

from __future__ import annotations

import numpy as np
from sklearn.utils import assert_all_finite, gen_batches

#: Bytes of X to scan at once, which fit into the cache of a processor.
_SCAN_SIZE = 2**18
#: Number of images, evenly spread over X, of which the minimum, maximum and mean are compared.
_N_COMPARED = 1024
#: Quantiles of these over the images of fit, between which they are usual.
_USUAL = (0.005, 0.995)
#: Limits, in ranges of the values in fit: of values beyond these, and of the medians over images
#: beyond usual ones. Values in [-1, 1] instead of [0, 1] are beyond by 1, inverted USPS images have
#: a mean beyond by 0.26.
_MAX_BEYOND, _MAX_SHIFT, _MAX_MEAN_SHIFT = 0.75, 0.2, 0.1

#: The figures of an image that are compared.
_DESCRIPTION = ("minimum", "maximum", "mean")
#: Intervals (low, high): of all "values" in fit, and of the usual figures of an image.
PixelValues = dict[str, tuple[float, float]]


def value_range(X: np.ndarray, *, name: str, estimator_name: str) -> tuple[float, float]:
    """Return the range of X, in which NaN and infinity show up, if 32-bit floats can hold it."""
    parts = [X[rows] for rows in gen_batches(len(X), max(1, _SCAN_SIZE // max(1, X[0].nbytes)))]
    bounds = np.array([(part.min(), part.max()) for part in parts], dtype=np.float64)
    low, high = float(bounds[:, 0].min()), float(bounds[:, 1].max())
    if not max(-low, high) <= float(np.finfo(np.float32).max):
        assert_all_finite(X, estimator_name=estimator_name, input_name=name)
        raise ValueError(f"{name} has NaN, infinity or a value too large for dtype('float32').")
    return low, high


def describe_values(X: np.ndarray, values: tuple[float, float]) -> PixelValues:
    """Return the intervals of the training images X, whose range is `values`."""
    lows, highs = np.quantile(_describe_images(X), _USUAL, axis=1).tolist()
    usual = zip(_DESCRIPTION, zip(lows, highs, strict=True), strict=True)
    return {"values": values, **dict(usual)}


def merge_values(fitted: PixelValues, other: PixelValues) -> PixelValues:
    """Return the intervals that include those of two fits."""
    return {
        key: (min(low, other[key][0]), max(high, other[key][1]))
        for key, (low, high) in fitted.items()
    }


def find_difference(
    fitted: PixelValues, X: np.ndarray, values: tuple[float, float]
) -> tuple[str, str] | None:
    """Return in words the values of X, whose range is `values`, and those of fit, if they differ.

    The images are judged together, since one may be pale. Blank images match any scale.
    """
    (low, high), (fitted_low, fitted_high) = values, fitted["values"]
    span = fitted_high - fitted_low
    if span == 0:
        return None
    expected = f"values in [{fitted_low:g}, {fitted_high:g}]"
    if max(fitted_low - low, high - fitted_high) > _MAX_BEYOND * span:
        return f"values in [{low:g}, {high:g}]", expected
    images = _describe_images(X)
    images = images[:, images[0] < images[1]]
    if images.size == 0:
        return None
    # Sorted, since np.median takes ten times as long for one image.
    minimum, maximum, mean = np.sort(images, axis=1)[:, images.shape[1] // 2].tolist()
    # The usual range: a single image of fit may have other values.
    span = fitted["maximum"][1] - fitted["minimum"][0]
    inwards = max(minimum - fitted["minimum"][1], fitted["maximum"][0] - maximum)
    if inwards > _MAX_SHIFT * span:
        return f"values in [{minimum:g}, {maximum:g}]", expected
    lowest, highest = fitted["mean"]
    if max(lowest - mean, mean - highest) > _MAX_MEAN_SHIFT * span:
        return f"images of mean {mean:g}", f"images of means in [{lowest:g}, {highest:g}]"
    return None


def _describe_images(X: np.ndarray) -> np.ndarray:
    """Return the minimum, the maximum and the mean of some images: (3, n_images)."""
    images = X[:: -(-len(X) // _N_COMPARED)]
    return np.array([images.min(axis=1), images.max(axis=1), images.mean(axis=1, dtype=np.float64)])
