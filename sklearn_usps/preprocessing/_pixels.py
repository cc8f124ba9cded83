"""The pixels of a picture: from a file, a Pillow image or an array, in any layout."""

from contextlib import suppress
from functools import partial

import numpy as np
from PIL import Image, ImageOps

from .._utils._arrays import as_array
from .._utils._pictures import check_number_of_pixels, check_pixels, open_picture

#: Least side of a picture, in pixels.
MIN_SIDE = 8
#: Larger pictures are first reduced: strokes of a digit that fills them stay many pixels wide.
_MAX_SIDE = 1024


def read_pixels(image) -> np.ndarray:
    """Return the opaque pixels (height, width, 1 or 3) of a picture in [0, 1], reduced if large.

    Transparent parts become white, or black where the opaque parts are light.
    """
    shape, channels = _reduce(image)
    reduced = _as_opaque(channels)
    if min(reduced.shape[:2]) < MIN_SIDE:
        raise ValueError(
            f"The picture must have at least {MIN_SIDE} rows and columns of pixels, after a "
            f"reduction to at most {_MAX_SIDE} of each. Got the shape {shape} instead."
        )
    return reduced


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


def shrink(pixels: np.ndarray, step: int) -> np.ndarray:
    """Return the means of blocks of `step` by `step` pixels; what is left over is cut off."""
    height, width = (length // step for length in pixels.shape[:2])
    blocks = pixels[: step * height, : step * width].reshape(height, step, width, step, -1)
    return blocks.mean(axis=(1, 3)) if step > 1 else pixels
