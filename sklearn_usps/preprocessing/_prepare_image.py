"""Conversion of a picture of one digit to an image like those of USPS."""

import os
from typing import IO

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image
from scipy import ndimage

from .._utils._images import check_two_sizes
from .._utils._sklearn import StrOptions, validate_params
from ._boxes import crop
from ._ink import find_ink
from ._pixels import read_pixels
from ._shape import mean_thickness

#: Strokes are measured and moved on a grid this many times finer than the image.
_FINE = 8
#: Limits of the stroke thickness, in heights or widths of the digit, whichever is larger. In
#: Roweis's USPS: the quartiles of the training images, 1.6 and 2.5 of 16 pixels. In "zip": the
#: percentiles 10 and 90 of its training images, drawn as pictures.
_STRETCHED_LIMITS, _DESLANTED_LIMITS = (0.1, 0.156), (0.12, 0.2)
#: The slant is removed up to 45 degrees: the estimate for flat ink, such as a dash, is noise.
_MAX_SLANT = 1.0
#: Blur in pixels of the image, as a standard deviation. Of 0, 0.2, 0.3, 0.4 and 0.5, training
#: images of "zip" drawn as pictures are closest to the originals (root mean square 0.052) with 0.2.
_BLUR = 0.2


@validate_params(
    {
        "image": "no_validation",  # read_pixels
        "version": [StrOptions({"roweis", "luacnn", "zip"})],
        "image_shape": [tuple, list],
    },
    prefer_skip_nested_validation=True,
)
def prepare_image(
    image: str | os.PathLike | IO[bytes] | Image.Image | ArrayLike,
    *,
    version: str = "roweis",
    image_shape: tuple[int, int] = (16, 16),
) -> np.ndarray:
    """Convert a picture of one digit to an image like those of a version of USPS.

    The digit may be dark on light or light on dark, gray or colored, anywhere in the picture and of
    any size. The border of the picture shows the background, which may get evenly lighter to one
    side; what differs from it is ink. Strokes thinner or thicker than usual in the version are
    brought to a usual thickness.

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

    version : {"roweis", "luacnn", "zip"}, default="roweis"
        The version of USPS that the classifier was trained on, as in :func:`fetch_usps`. A
        classifier trained on one form misreads images of the other, the digit 1 above all.

        - "roweis" and "luacnn": the digit fills the image in both directions, whatever its
          proportions, and keeps its slant [1]_.
        - "zip": the digit is deslanted and keeps its proportions [2]_. Its longer side fills the
          image, and its bounding box is centered. For pictures, such images are the better
          choice: :func:`~sklearn_usps.recipes.make_picture_digits` trains for them.

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
        digit but a blank page, a block, a text, noise, a circled digit or one that is cut off,
        which the message says; if an array has another shape, dtype or range.
    TypeError
        If image is of another type, such as a list of pictures.
    OSError
        If a file can't be read, is not a picture or is damaged.

    Notes
    -----
    The digit is also found on a page on a desk, in a frame, on lined or squared paper, beside the
    edges of a scan and among shadows. Of other ink beside it, it must be the only character.

    The slant of "zip" is that of the moments of the ink: each row moves by its height above the
    center of mass times their covariance over the vertical variance, at most 45 degrees. In the
    images of "zip" this slant is zero, and the center of the bounding box that of the image.

    References
    ----------
    .. [1] S. Roweis, "Data for MATLAB hackers: USPS Handwritten Digits",
       https://cs.nyu.edu/~roweis/data.html.
    .. [2] Y. LeCun, B. Boser, J. S. Denker, D. Henderson, R. E. Howard, W. Hubbard and L. D.
       Jackel, "Handwritten digit recognition with a back-propagation network", Advances in Neural
       Information Processing Systems 2, 396-404, 1990.

    Examples
    --------
    >>> from PIL import Image, ImageDraw
    >>> from sklearn_usps import prepare_image
    >>> picture = Image.new("RGB", (120, 200), "white")
    >>> ImageDraw.Draw(picture).ellipse((30, 40, 80, 150), outline="navy", width=12)
    >>> zero = prepare_image(picture, version="zip")
    >>> zero.shape
    (16, 16)
    >>> for row in zero[::3]:
    ...     print("".join("-#"[int(pixel > 0.5)] for pixel in row))
    -------##-------
    -----##--##-----
    ----##----##----
    ----##----##----
    -----##--##-----
    -------##-------

    To predict its label, pass it as one row: ``classifier.predict(zero.reshape(1, -1))``.
    """
    image_shape = check_two_sizes(image_shape, "image_shape", "(height, width)")
    return form_image(find_ink(read_pixels(image)), version, image_shape)


def form_image(ink: np.ndarray, version: str, image_shape, *, fine: int = _FINE) -> np.ndarray:
    """Return the image of the ink of one digit, from 0 to 1, in the form of a version of USPS.

    The strokes are computed on a grid `fine` times finer than the image.
    """
    height, width = (fine * length for length in image_shape)
    scale = max(height, width) / max(ink.shape)
    if scale > 1:
        ink = _resize(ink, *(max(1, round(scale * length)) for length in ink.shape))
    if version == "zip":
        strokes = _adjust_thickness(_deslant(ink), *_DESLANTED_LIMITS)
        canvas = ndimage.gaussian_filter(_center(strokes, height, width), _BLUR * fine)
    else:
        canvas = _resize(_adjust_thickness(1.0 * (ink > 0.5), *_STRETCHED_LIMITS), height, width)
    image = canvas.reshape(image_shape[0], fine, image_shape[1], fine).mean(axis=(1, 3))
    return (image / image.max()).astype(np.float32)


def _deslant(ink: np.ndarray) -> np.ndarray:
    """Return the ink with its rows shifted so that the covariance of x and y is zero."""
    y, x = (np.arange(length) - (length - 1) / 2 for length in ink.shape)
    of_rows, mass = ink.sum(axis=1), ink.sum()
    y_mean, x_mean = of_rows @ y / mass, ink.sum(axis=0) @ x / mass
    # The variance within a row, 1 / 12, keeps a single row from a division by zero.
    y_variance = of_rows @ (y - y_mean) ** 2 / mass + 1 / 12
    slant = (y - y_mean) @ ink @ (x - x_mean) / mass / y_variance
    slant = np.clip(slant, -_MAX_SLANT, _MAX_SLANT)
    room = 1 + int(np.ceil(abs(slant) * len(ink) / 2))
    padded = np.pad(ink, ((1, 1), (room, room)))
    origin = [0, -slant * (len(padded) - 1) / 2]
    upright = ndimage.affine_transform(padded, [[1, 0], [slant, 1]], origin, order=1)
    return crop(upright / upright.max(), 0.5)  # interpolation makes thin strokes pale


def _center(ink: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return an array with the ink in the middle, as large as its proportions allow."""
    scale = min(height / ink.shape[0], width / ink.shape[1])
    rows, columns = (max(1, round(scale * length)) for length in ink.shape)
    top, left = (height - rows) // 2, (width - columns) // 2
    around = (top, height - rows - top), (left, width - columns - left)
    return np.pad(_resize(ink, rows, columns), around)


def _adjust_thickness(ink: np.ndarray, thinnest: float, thickest: float) -> np.ndarray:
    """Return the ink with strokes within limits of thickness, in parts of its longer side."""
    side = max(ink.shape)
    ink = np.pad(ink, side // 8)
    is_ink = ink > 0.5
    inside = ndimage.distance_transform_edt(is_ink)
    thickness = mean_thickness(inside)
    growth = (np.clip(thickness, thinnest * side, thickest * side) - thickness) / 2
    # Distances are at least 1 next to the edge, which lies between two pixels.
    if growth > 0:
        outside = ndimage.distance_transform_edt(~is_ink)
        ink = np.maximum(ink, np.clip(1 + growth - outside, 0, 1))
    elif growth < 0:
        growth = max(growth, 1 - inside.max())  # leaves the middle of the thickest stroke
        ink = ink * np.clip(inside + growth, 0, 1)
    return crop(ink, 0.5)


def _resize(ink: np.ndarray, height: int, width: int) -> np.ndarray:
    # Pillow's bilinear filter widens when it reduces, so that it averages and never rings.
    picture = Image.fromarray(ink.astype(np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
