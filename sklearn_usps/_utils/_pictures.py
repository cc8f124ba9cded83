"""Pictures from outside: files that may be damaged, hostile or no pictures at all."""

import os
import warnings
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

#: Raster formats only: Pillow's openers of PostScript and the like run other programs.
READABLE_FORMATS = ("PNG", "BMP", "GIF", "JPEG", "PPM", "TIFF", "WEBP")


def open_picture(source: str | os.PathLike | IO[bytes]) -> Image.Image:
    """Open and decode a picture, whose size is checked before its pixels are.

    Parameters
    ----------
    source : str, path-like or binary file
        Where the picture is; a file is read from its beginning and stays open.

    Returns
    -------
    picture : PIL.Image.Image
        The decoded picture (the first, where the file has several), whose file is closed.

    Raises
    ------
    ValueError
        If the picture has more than `PIL.Image.MAX_IMAGE_PIXELS` pixels, a WEBP half of them.
    OSError
        If the file can't be read, is no picture or is damaged.
    """
    if isinstance(source, (str, os.PathLike)):
        with Path(source).open("rb") as file:
            return _open_file(file)
    return _open_file(source)


def _open_file(file: IO[bytes]) -> Image.Image:
    name = getattr(file, "name", "the file object")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(file, formats=READABLE_FORMATS)
            limit = Image.MAX_IMAGE_PIXELS
            # A WEBP is decoded in twice the memory of the others.
            if picture.format == "WEBP" and limit and 2 * picture.width * picture.height > limit:
                raise Image.DecompressionBombError
            picture.load()
        return picture
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(_too_large(name)) from error
    except Image.UnidentifiedImageError as error:
        raise OSError(
            f"{name} is not a picture of a format read here: {', '.join(READABLE_FORMATS)}."
        ) from error
    except MemoryError:
        raise
    # What Pillow raises on damaged files is anything: SyntaxError, struct.error, EOFError, ...
    except Exception as error:
        raise OSError(f"{name} is damaged or truncated: {error}") from error


def check_number_of_pixels(height: int, width: int) -> None:
    """Refuse a picture opened elsewhere, or an array, by its size as :func:`open_picture` does."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and height * width > limit:
        raise ValueError(_too_large("The picture"))


def _too_large(name: str) -> str:
    return (
        f"{name} has more pixels than PIL.Image.MAX_IMAGE_PIXELS={Image.MAX_IMAGE_PIXELS}, of "
        "which a WEBP may have half. Raise this limit if you trust the picture."
    )


def check_pixels(pixels: np.ndarray, name: str) -> None:
    """Refuse pixels of the parameter `name` that are neither uint8 nor floats in [0, 1]."""
    if pixels.dtype == np.uint8:
        return
    if pixels.dtype.kind != "f":
        raise ValueError(
            f"{name} must be uint8, or floats in [0, 1]. Got dtype {pixels.dtype} instead."
        )
    low, high = pixels.min(), pixels.max()
    if not (low >= 0 and high <= 1):  # written so that NaN fails
        raise ValueError(
            f"{name} of floats must be in [0, 1]. Got values from {low} to {high} instead."
        )
