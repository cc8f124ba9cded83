"""Pictures from untrusted files, which may be damaged or no pictures at all."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

#: Raster formats only: to read PostScript, Pillow runs another program.
READABLE_FORMATS = ("PNG", "BMP", "GIF", "JPEG", "PPM", "TIFF", "WEBP")
#: Frames of a file that are looked at.
MAX_FRAMES = 100


def open_picture(
    source: str | os.PathLike | IO[bytes],
    is_wanted: Callable[[Image.Image], bool] | None = None,
) -> Image.Image:
    """Open a picture and decode it, of several frames the first one, or the first that is wanted.

    A binary file is read from its beginning and stays open. A ValueError says that the picture has
    more than `PIL.Image.MAX_IMAGE_PIXELS` pixels (for WEBP half as many), an OSError that the file
    cannot be read, is not a picture or is damaged.
    """
    if isinstance(source, (str, os.PathLike)):
        with Path(source).open("rb") as file:
            return open_picture(file, is_wanted)
    name = getattr(source, "name", "the file object")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(source, formats=READABLE_FORMATS)
            limit = Image.MAX_IMAGE_PIXELS
            # Pillow decodes WEBP in twice the memory of the other formats.
            if picture.format == "WEBP" and limit and 2 * picture.width * picture.height > limit:
                raise Image.DecompressionBombError
            picture.load()
            if is_wanted is not None:
                _seek_frame(picture, is_wanted)
        return picture
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(_too_large(name)) from error
    except Image.UnidentifiedImageError as error:
        raise OSError(
            f"{name} is not a picture in a supported format ({', '.join(READABLE_FORMATS)})."
        ) from error
    except MemoryError:
        raise
    # Pillow raises many types of errors on damaged files: SyntaxError, struct.error, EOFError, ...
    except Exception as error:
        raise OSError(f"{name} is damaged or truncated: {error}") from error


def _seek_frame(picture: Image.Image, is_wanted: Callable[[Image.Image], bool]) -> None:
    """Go to the first frame that is wanted, or stay at the first one if none is."""
    n_frames = min(getattr(picture, "n_frames", 1), MAX_FRAMES)
    for frame in range(1, n_frames):
        if is_wanted(picture):
            return
        picture.seek(frame)
        if Image.MAX_IMAGE_PIXELS and picture.width * picture.height > Image.MAX_IMAGE_PIXELS:
            raise Image.DecompressionBombError
        picture.load()
    if n_frames > 1 and not is_wanted(picture):
        picture.seek(0)
        picture.load()


def check_number_of_pixels(height: int, width: int) -> None:
    """Raise a ValueError if a picture or an array exceeds the limit of `open_picture`."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and height * width > limit:
        raise ValueError(_too_large("The picture"))


def _too_large(name: str) -> str:
    return (
        f"{name} has more pixels than PIL.Image.MAX_IMAGE_PIXELS={Image.MAX_IMAGE_PIXELS} (half as "
        "many for WEBP). Increase this limit if you trust the picture."
    )


def check_pixels(pixels: np.ndarray, name: str) -> None:
    """Raise a ValueError unless the pixels are uint8 or floats in [0, 1]."""
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
