"""The ink of one digit in a picture."""

import numpy as np
from scipy import ndimage

from ._pixels import MIN_SIDE

#: Least difference between ink and background; that of black and white is 1.
_MIN_CONTRAST = 0.05
#: Plain background covers at least this part of the border. Its lightness varies by at most the
#: second value along the border, and its noise is at most the third; black to white is 1.
_MIN_PLAIN_BORDER, _MAX_SHADE, _MAX_NOISE = 0.6, 0.5, 0.1
#: Pieces of ink smaller than this part of the largest one are specks.
_MIN_PIECE = 0.03


def find_ink(pixels: np.ndarray) -> np.ndarray:
    """Return the part of the picture with the digit, from 0 (background) to 1 (full ink)."""
    # Differences in color count as much as those in lightness: red ink on green is ink.
    smooth = ndimage.gaussian_filter(pixels, 0.5 + max(pixels.shape) / 800, axes=(0, 1))
    background, noise = _background(smooth)
    contrast = np.abs(smooth - background).max(axis=2)
    if contrast.max() < max(_MIN_CONTRAST, 6 * noise):
        raise ValueError("The picture shows no ink: nothing in it differs from its border.")
    pieces, n_pieces = ndimage.label(contrast > 0.4 * contrast.max(), np.ones((3, 3)))
    areas = ndimage.sum_labels(np.ones_like(pieces), pieces, np.arange(1, n_pieces + 1))
    digit = np.isin(pieces, 1 + np.flatnonzero(areas >= _MIN_PIECE * areas.max()))
    ink = np.minimum(contrast / np.median(contrast[digit]), 1)
    ink[~ndimage.binary_dilation(digit, iterations=2)] = 0
    ink = ink[ndimage.find_objects(1 * (ink > 0.5))[0]]
    if max(ink.shape) < MIN_SIDE:
        raise ValueError(
            f"The digit must be at least {MIN_SIDE} pixels high or wide. Found {ink.shape[0]} "
            f"rows and {ink.shape[1]} columns of ink: use a larger picture."
        )
    return ink


def _background(pixels: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the background, a surface fitted to the border of the picture, and its noise."""
    height, width = pixels.shape[:2]
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    # Light from one side is linear; the corners of a photograph are darker, which is quadratic.
    terms = np.stack([np.ones_like(x), x, y, x * y, x**2, y**2], axis=2)
    is_border = np.ones((height, width), dtype=bool)
    ring = max(1, min(height, width) // 50)
    is_border[ring:-ring, ring:-ring] = False
    border, border_terms = pixels[is_border], terms[is_border]
    distances = np.abs(border - np.median(border, axis=0)).max(axis=1)
    for _ in range(5):  # each fit leaves out the outliers of the last one, which may be ink
        is_plain = distances <= 4 * np.median(distances) + 0.02
        surface = np.linalg.lstsq(border_terms[is_plain], border[is_plain], rcond=None)[0]
        distances = np.abs(border - border_terms @ surface).max(axis=1)
    shade = np.ptp(border_terms @ surface, axis=0).max()
    noise = np.sqrt(np.mean(distances[is_plain] ** 2))
    if is_plain.mean() < _MIN_PLAIN_BORDER or shade > _MAX_SHADE or noise > _MAX_NOISE:
        raise ValueError(
            "The border of the picture is not plain, so ink and background look alike. Leave some "
            "background on all sides of the digit."
        )
    return terms @ surface, noise
