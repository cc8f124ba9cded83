"""Conversion of a picture of one digit to an image like those of USPS."""

import os
from typing import IO

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image
from scipy import ndimage

from .._utils._images import check_two_sizes
from .._utils._sklearn import validate_params
from ._ink import find_ink
from ._pixels import read_pixels

#: Limits of the stroke thickness, in heights or widths of the digit: the quartiles of the training
#: images of Roweis's USPS, 1.6 and 2.5 of 16 pixels.
_THINNEST, _THICKEST = 0.1, 0.156
#: Strokes are measured and stretched on a grid this many times finer than the image.
_FINE = 8


@validate_params(
    {
        "image": "no_validation",  # read_pixels
        "image_shape": [tuple, list],
    },
    prefer_skip_nested_validation=True,
)
def prepare_image(
    image: str | os.PathLike | IO[bytes] | Image.Image | ArrayLike,
    *,
    image_shape: tuple[int, int] = (16, 16),
) -> np.ndarray:
    """Convert a picture of one digit to an image like those of USPS.

    The digit may be dark on light or light on dark, gray or colored, anywhere in the picture and of
    any size. The border of the picture shows the background, which may get evenly lighter to one
    side; what differs from it is ink. As in the version "roweis" of USPS [1]_, the digit then fills
    the image in both directions, whatever its proportions. Strokes thinner or thicker than usual
    there are brought to a usual thickness.

    Parameters
    ----------
    image : str, path-like, binary file, PIL.Image.Image or array-like
        The picture, with some background around the digit. A file is PNG, BMP, GIF, JPEG, PPM,
        TIFF or WEBP; the orientation noted by a camera is applied, and of several frames, the first
        that shows something is taken. An array or a tensor has the shape (height, width),
        (height, width, n_channels) or (n_channels, height, width): 1 channel is gray, 3 are colors,
        and the last of 2 or 4 is opacity; if both the first and the last axis may be channels, the
        last one is. It has booleans, integers from 0 or floats from 0 to 1 or to 255. Of integers
        beyond 255, as in 16-bit pictures, only differences matter. Transparent parts become white,
        or black where the opaque parts are light.

    image_shape : tuple of int (height, width), default=(16, 16)
        Shape of the result.

    Returns
    -------
    prepared : ndarray of shape (height, width), dtype float32
        The digit, bright on dark, in [0, 1].

    Raises
    ------
    ValueError
        If the picture is too small or larger than `PIL.Image.MAX_IMAGE_PIXELS`; if it shows no
        digit but a blank page, a block, a text, noise or ink that is cut off by the border, which
        the message says; if an array has another shape, dtype or range.
    OSError
        If a file can't be read, is not a picture or is damaged.

    Notes
    -----
    The digit is also found on a page on a desk, in a frame, on lined or squared paper, beside the
    edges of a scan and among shadows. Of other ink beside it, it must be the only character.
    The images of the version "zip" keep the proportions of the
    digit, so a classifier trained on them misreads a stretched 1.

    References
    ----------
    .. [1] S. Roweis, "Data for MATLAB hackers: USPS Handwritten Digits",
       https://cs.nyu.edu/~roweis/data.html.

    Examples
    --------
    >>> from PIL import Image, ImageDraw
    >>> from sklearn_usps import prepare_image
    >>> picture = Image.new("RGB", (120, 200), "white")
    >>> ImageDraw.Draw(picture).ellipse((30, 40, 80, 150), outline="navy", width=12)
    >>> zero = prepare_image(picture)
    >>> zero.shape
    (16, 16)
    >>> for row in zero[::3]:
    ...     print("".join("-#"[int(pixel > 0.5)] for pixel in row))
    -----######-----
    -####------####-
    ####--------####
    ####--------####
    -####------####-
    -----######-----

    To predict its label, pass it as one row: ``classifier.predict(zero.reshape(1, -1))``.
    """
    height, width = check_two_sizes(image_shape, "image_shape", "(height, width)")
    ink = find_ink(read_pixels(image))
    scale = _FINE * max(height, width) / max(ink.shape)
    if scale > 1:
        ink = _resize(ink, *(max(1, round(scale * length)) for length in ink.shape))
    strokes = _adjust_thickness(ink > 0.5)
    stretched = _resize(strokes, _FINE * height, _FINE * width)
    prepared = stretched.reshape(height, _FINE, width, _FINE).mean(axis=(1, 3))
    return (prepared / prepared.max()).astype(np.float32)


def _adjust_thickness(is_ink: np.ndarray) -> np.ndarray:
    """Return the ink, from 0 to 1, with strokes within the limits of thickness."""
    side = max(is_ink.shape)
    is_ink = np.pad(is_ink, side // 8)
    inside = ndimage.distance_transform_edt(is_ink)
    outside = ndimage.distance_transform_edt(~is_ink)
    # Along a bar, the mean distance to its edges is a quarter of its thickness.
    thickness = 4 * inside[is_ink].mean()
    growth = (np.clip(thickness, _THINNEST * side, _THICKEST * side) - thickness) / 2
    # Both distances are at least 1 next to the edge, which lies between the two pixels.
    edge = np.where(is_ink, inside - 0.5, 0.5 - outside)
    ink = np.clip(edge + growth + 0.5, 0, 1)
    return ink[ndimage.find_objects(1 * (ink >= 0.5))[0]]


def _resize(ink: np.ndarray, height: int, width: int) -> np.ndarray:
    # Pillow's bilinear filter widens when it reduces, so that it averages and never rings.
    picture = Image.fromarray(ink.astype(np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
