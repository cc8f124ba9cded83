"""Conversion of a picture of one digit to an image like those of USPS."""

import os
from contextlib import suppress
from functools import partial
from typing import IO

import numpy as np
from PIL import Image, ImageOps
from scipy import ndimage

from .._utils._arrays import as_array
from .._utils._images import check_two_sizes
from .._utils._pictures import check_number_of_pixels, check_pixels, open_picture
from .._utils._sklearn import HasMethods, validate_params

#: Least side of a picture and least longer side of a digit, in pixels.
_MIN_SIDE = 8
#: Larger pictures are first reduced: strokes of a digit that fills them stay many pixels wide.
_MAX_SIDE = 1024
#: Least difference between ink and background; that of black and white is 1.
_MIN_CONTRAST = 0.05
#: Plain background covers at least this part of the border. Its lightness varies by at most the
#: second value along the border, and its noise is at most the third; black to white is 1.
_MIN_PLAIN_BORDER, _MAX_SHADE, _MAX_NOISE = 0.6, 0.5, 0.1
#: Pieces of ink smaller than this part of the largest one are specks.
_MIN_PIECE = 0.03
#: Limits of the stroke thickness, in heights or widths of the digit: the quartiles of the training
#: images of Roweis's USPS, 1.6 and 2.5 of 16 pixels.
_THINNEST, _THICKEST = 0.1, 0.156
#: Strokes are measured and stretched on a grid this many times finer than the image.
_FINE = 8


@validate_params(
    {
        "image": [str, os.PathLike, HasMethods("read"), Image.Image, np.ndarray],
        "image_shape": [tuple, list],
    },
    prefer_skip_nested_validation=True,
)
def prepare_image(
    image: str | os.PathLike | IO[bytes] | Image.Image | np.ndarray,
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
    image : str, path-like, binary file, PIL.Image.Image or ndarray
        The picture, with some background around the digit. A file is PNG, BMP, GIF, JPEG, PPM,
        TIFF or WEBP; the orientation noted by a camera is applied. An array has the shape
        (height, width) or (height, width, 1, 3 or 4), the fourth channel being opacity, and is
        uint8, or floating with values in [0, 1]. Transparent parts become white, or black where
        the opaque parts are light.

    image_shape : tuple of int (height, width), default=(16, 16)
        Shape of the result.

    Returns
    -------
    prepared : ndarray of shape (height, width), dtype float32
        The digit, bright on dark, in [0, 1].

    Raises
    ------
    ValueError
        If the picture is too small, shows no ink, has no plain border, or is larger than
        `PIL.Image.MAX_IMAGE_PIXELS`; if an array has another shape, dtype or range.
    OSError
        If a file can't be read, is not a picture or is damaged.

    Notes
    -----
    The picture must show one digit and nothing else: lined paper, shadows with an edge and
    neighboring digits count as ink. The images of the version "zip" keep the proportions of the
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
    shape, channels = _reduce(image)
    reduced = _as_opaque(channels)
    if min(reduced.shape[:2]) < _MIN_SIDE:
        raise ValueError(
            f"The picture must have at least {_MIN_SIDE} rows and columns of pixels, after a "
            f"reduction to at most {_MAX_SIDE} of each. Got the shape {shape} instead."
        )
    ink = _find_ink(reduced)
    scale = _FINE * max(height, width) / max(ink.shape)
    if scale > 1:
        ink = _resize(ink, *(max(1, round(scale * length)) for length in ink.shape))
    strokes = _adjust_thickness(ink > 0.5)
    stretched = _resize(strokes, _FINE * height, _FINE * width)
    prepared = stretched.reshape(height, _FINE, width, _FINE).mean(axis=(1, 3))
    return (prepared / prepared.max()).astype(np.float32)


def _reduce(image) -> tuple[tuple[int, int], np.ndarray]:
    """Return the shape of the picture, and its pixels, in a large picture averaged over blocks.

    The pixels are (height, width, n_channels) in [0, 1]; with opacity, the last of four channels,
    the others are multiplied by it. No more than a row of blocks is held in floats at a time.
    """
    if isinstance(image, np.ndarray):
        pixels = _check_array(image)
        (height, width), cut = pixels.shape[:2], pixels.__getitem__
    else:
        picture = _open(image)
        (width, height), cut = picture.size, partial(_cut, picture)
    step = max(1, -(-max(height, width) // _MAX_SIDE))
    n_rows, n_columns = height // step, width // step
    if not n_rows * n_columns:
        raise ValueError(f"image has {height} × {width} pixels, too narrow to show a digit.")
    strips = []
    for row in range(n_rows):
        strip = _premultiply(cut(slice(row * step, (row + 1) * step))[:, : n_columns * step])
        strips.append(strip.reshape(step, n_columns, step, -1).mean(axis=(0, 2)))
    return (height, width), np.array(strips).reshape(n_rows, n_columns, -1)


def _open(image) -> Image.Image:
    """Return the picture in the orientation noted by the camera."""
    picture = image if isinstance(image, Image.Image) else open_picture(image)
    check_number_of_pixels(picture.height, picture.width)
    with suppress(Exception):  # the pixels may be fine where the note on the orientation is damaged
        return ImageOps.exif_transpose(picture)
    return picture


def _cut(picture: Image.Image, rows: slice) -> np.ndarray:
    """Return some rows of a picture."""
    strip = picture.crop((0, rows.start, picture.width, rows.stop))
    if picture.mode == "F":
        return _check_array(np.asarray(strip))
    if picture.mode.startswith("I"):  # 16 bits, which older Pillow releases store in 32
        return _check_array(np.asarray(strip) / 65535)
    return np.asarray(strip.convert("RGBA" if picture.has_transparency_data else "RGB"))


def _check_array(image: np.ndarray) -> np.ndarray:
    """Return the pixels of an array with an axis for channels, after checks."""
    pixels = image[:, :, np.newaxis] if image.ndim == 2 else image
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or pixels.size == 0:
        raise ValueError(
            "image must have the shape (height, width) or (height, width, 1, 3 or 4), none of them "
            f"0. Got the shape {image.shape} instead."
        )
    check_number_of_pixels(*pixels.shape[:2])
    pixels = as_array(pixels, "image")
    check_pixels(pixels, "image")
    return pixels


def _premultiply(pixels: np.ndarray) -> np.ndarray:
    """Return pixels as floats in [0, 1], colors multiplied by the opacity if there is one."""
    floats = np.divide(pixels, 255 if pixels.dtype == np.uint8 else 1, dtype=np.float64)
    if floats.shape[2] == 4:
        floats[:, :, :3] *= floats[:, :, 3:]
    return floats


def _as_opaque(pixels: np.ndarray) -> np.ndarray:
    """Blend pixels with opacity onto white, or onto black if they are light."""
    if pixels.shape[2] != 4:
        return pixels
    colors, opacity = pixels[:, :, :3], pixels[:, :, 3:]
    is_light = colors.sum() > 0.5 * 3 * opacity.sum()
    return colors + (1 - opacity) * (0 if is_light else 1)


def _find_ink(pixels: np.ndarray) -> np.ndarray:
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
    if max(ink.shape) < _MIN_SIDE:
        raise ValueError(
            f"The digit must be at least {_MIN_SIDE} pixels high or wide. Found {ink.shape[0]} "
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
