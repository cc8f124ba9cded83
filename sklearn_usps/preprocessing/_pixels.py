"""The pixels of a picture: from a file, a Pillow image or an array, in any layout."""

import functools
import os
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from PIL import Image, ImageOps
from scipy.sparse import issparse
from sklearn.utils import gen_batches

from .._utils._arrays import as_numbers
from .._utils._pictures import MAX_FRAMES, check_number_of_pixels, open_picture

#: Least side of a picture, in pixels.
MIN_SIDE = 8
#: Larger pictures are first reduced: strokes of a digit that fills them stay many pixels wide.
_MAX_SIDE = 1024
#: Approximate number of pixels to convert to floats at once.
_STRIP_PIXELS = 2**18
#: Floats in [0, 1] may exceed it by so much, by rounding or by sharp resampling.
_ROUNDING = 0.1
#: Numbers of channels: gray, gray and opacity, colors, colors and opacity.
_CHANNELS = (1, 2, 3, 4)
#: A frame is blank if its values differ by less than this, of 255.
_MIN_RANGE = 12


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

    The pixels are (height, width, n_channels) in [0, 1]; with opacity, the last of two or four
    channels, the others are multiplied by it. No more than some rows of blocks are held in floats
    at a time.
    """
    if isinstance(image, (str, os.PathLike, Image.Image)) or hasattr(image, "read"):
        picture = _open(image)
        width, height = picture.size
        cut: Callable[[slice], np.ndarray] = functools.partial(_cut, picture)
        low, high = _value_range(picture)
    else:
        pixels = _as_channels_last(image)
        (height, width), cut = pixels.shape[:2], pixels.__getitem__
        low, high = _range_of_values(pixels)
    step = max(1, -(-max(height, width) // _MAX_SIDE))
    n_rows, n_columns = height // step, width // step
    if not n_rows * n_columns:
        raise ValueError(f"image has {height} × {width} pixels, too narrow to show a digit.")
    strips = []
    for rows in gen_batches(n_rows, max(1, _STRIP_PIXELS // (step * width))):
        strip = cut(slice(step * rows.start, step * rows.stop))[:, : n_columns * step]
        floats = _premultiply(strip, low, high)
        blocks = floats.reshape(rows.stop - rows.start, step, n_columns, step, -1)
        strips.append(blocks.mean(axis=(1, 3)))
    return (height, width), np.concatenate(strips)


# Files and Pillow images


def _open(image) -> Image.Image:
    """Return the picture in the orientation noted by the camera."""
    if isinstance(image, Image.Image):
        picture = _frame_of(image)
    else:
        picture = open_picture(image, is_wanted=_shows_something)
    check_number_of_pixels(picture.height, picture.width)
    if picture.mode == "La":  # which Pillow converts to no other mode
        picture = picture.convert("LA")
    elif picture.mode == "LAB":  # slowly
        picture = picture.convert("RGB")
    with suppress(Exception):  # the pixels may be fine where the note on the orientation is damaged
        return ImageOps.exif_transpose(picture)
    return picture


def _frame_of(picture: Image.Image) -> Image.Image:
    """Return the frame at which the picture is, or if it is blank, the first one that is not."""
    n_frames = min(getattr(picture, "n_frames", 1), MAX_FRAMES)
    if n_frames < 2 or _shows_something(picture):
        return picture
    at = picture.tell()
    try:
        for frame in range(n_frames):
            picture.seek(frame)
            if _shows_something(picture):
                return picture.copy()
    finally:
        picture.seek(at)
    return picture


def _shows_something(picture: Image.Image) -> bool:
    """Return False if the picture has one color, or is transparent."""
    if _has_deep_pixels(picture):
        deep = np.asarray(picture)
        return bool(deep.min() < deep.max())
    pixels = np.asarray(picture.convert("RGBA"))
    opacity = pixels[:, :, 3]
    ranges = np.ptp(pixels, axis=(0, 1))
    return bool(opacity.any() and ranges.max() >= _MIN_RANGE)


def _has_deep_pixels(picture: Image.Image) -> bool:
    """Return True for floats and integers of more than 8 bits."""
    return picture.mode == "F" or picture.mode.startswith("I")


def _cut(picture: Image.Image, rows: slice) -> np.ndarray:
    """Return some rows of a picture."""
    strip = picture.crop((0, rows.start, picture.width, rows.stop))
    if picture.has_transparency_data:
        return np.asarray(strip.convert("RGBA"))
    if _has_deep_pixels(picture) or picture.mode == "L":
        return np.asarray(strip)[:, :, np.newaxis]
    return np.asarray(strip.convert("RGB"))


def _value_range(picture: Image.Image) -> tuple[float, float]:
    """Return the values of black and white in `_cut`."""
    if _has_deep_pixels(picture):
        return _range_of_values(np.asarray(picture)[:, :, np.newaxis])
    return 0, 255


# Arrays


def _as_channels_last(image) -> np.ndarray:
    """Return an array-like of any usual layout as an array (height, width, channels), checked."""
    _check_one_picture(image)
    pixels = np.asarray(as_numbers(image, "image"))
    if pixels.ndim == 2:
        pixels = pixels[:, :, np.newaxis]
    elif pixels.ndim == 3 and pixels.shape[2] not in _CHANNELS:
        pixels = np.moveaxis(pixels, 0, 2) if pixels.shape[0] in _CHANNELS else pixels
    if pixels.ndim != 3 or pixels.shape[2] not in _CHANNELS or pixels.size == 0:
        shape = pixels.shape
        hint = ""
        if len(shape) == 1 and shape[0] and round(shape[0] ** 0.5) ** 2 == shape[0]:
            side = round(shape[0] ** 0.5)
            hint = f" Pass image.reshape({side}, {side}) if it is square."
        elif pixels.size and len(shape) in (3, 4):
            hint = " Pass one picture at a time, such as image[0]."
        raise ValueError(
            "image must have the shape (height, width), (height, width, 1 to 4) or (1 to 4, "
            f"height, width), none of them 0. Got the shape {shape} instead.{hint}"
        )
    check_number_of_pixels(*pixels.shape[:2])
    return pixels


def _check_one_picture(image) -> None:
    """Raise an error for what numpy would read as an array of another meaning."""
    if isinstance(image, (bytes, bytearray, memoryview)):
        got = "bytes: of a file, pass io.BytesIO(image)"
    elif image is None or issparse(image) or isinstance(image, (dict, set)):
        got = f"{type(image).__name__} instead"
    elif isinstance(image, (list, tuple)) and len(image) > 1 and _are_pictures(image):
        got = f"a list of {len(image)} pictures: pass one of them at a time"
    else:
        return
    raise TypeError(
        f"image must be a path, a binary file, a Pillow image, or an array of pixels. Got {got}."
    )


def _are_pictures(values) -> bool:
    return all(
        isinstance(value, (Image.Image, str, os.PathLike)) or getattr(value, "ndim", 0) > 1
        for value in values
    )


def _range_of_values(pixels: np.ndarray) -> tuple[float, float]:
    """Return the values of black and white."""
    dtype = pixels.dtype
    if dtype.kind == "b":
        return 0, 1
    has_opacity = pixels.shape[-1] in (2, 4)
    colors = pixels[..., :-1] if has_opacity else pixels
    low, high = colors.min(), colors.max()
    if dtype == np.uint8:
        return 0, 1 if high <= 1 else 255  # 1 in a mask
    if dtype.kind in "iu" and low >= 0:
        if has_opacity:
            return 0, 1 if high <= 1 else 255 if high <= 255 else 65535
        # Cameras and scanners fill a part of 16 bits: only differences matter.
        return float(low), float(max(high, low + 1))
    if dtype.kind == "f" and low >= -_ROUNDING and (high <= 1 + _ROUNDING or 2 <= high <= 255):
        white = 1 if high <= 1 + _ROUNDING else 255
        is_part = low < high <= white / 10 and not has_opacity  # as of 16 bits divided by 65535
        return (float(low), float(high)) if is_part else (0, white)
    if dtype.kind == "f" and not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(
            f"image has values from {low} to {high}: replace what is not finite, for example by "
            "np.nan_to_num(image)."
        )
    hint = "" if dtype.kind == "c" else ": pass (image - image.min()) / (image.max() - image.min())"
    raise ValueError(
        "image must have integers from 0, or floats from 0 to 1 or from 0 to 255. "
        f"Got {dtype} from {low} to {high} instead{hint}."
    )


def _premultiply(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return pixels as floats in [0, 1], colors multiplied by the opacity if there is one."""
    floats = np.clip((pixels.astype(np.float64) - low) / (high - low), 0, 1)
    if floats.shape[2] in (2, 4):
        floats[:, :, :-1] *= floats[:, :, -1:]
    return floats


def _as_opaque(pixels: np.ndarray) -> np.ndarray:
    """Blend pixels with opacity onto white, or onto black if they are light."""
    if pixels.shape[2] not in (2, 4):
        return pixels
    colors, opacity = pixels[:, :, :-1], pixels[:, :, -1:]
    is_light = colors.mean() > 0.5 * opacity.mean()
    return colors + (1 - opacity) * (0 if is_light else 1)


def shrink(pixels: np.ndarray, step: int) -> np.ndarray:
    """Return the means of blocks of `step` by `step` pixels; what is left over is cut off."""
    height, width = (length // step for length in pixels.shape[:2])
    blocks = pixels[: step * height, : step * width].reshape(height, step, width, step, -1)
    return blocks.mean(axis=(1, 3)) if step > 1 else pixels


def color_difference(pixels: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the difference in the channel that differs most: red ink on green is ink."""
    # Without a reduction along the short last axis, it takes less than a third of the time.
    return functools.reduce(np.maximum, np.moveaxis(np.abs(pixels - others), -1, 0))
