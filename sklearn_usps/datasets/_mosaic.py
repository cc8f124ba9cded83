"""Mosaics: gray pictures whose tiles are small images of equal size."""

import io
import math
import os
from numbers import Integral
from pathlib import Path
from typing import IO, Literal

import numpy as np
from PIL import Image

from .._utils._arrays import as_array
from .._utils._files import write_atomically
from .._utils._images import check_two_sizes, drop_channels
from .._utils._pictures import check_number_of_pixels, check_pixels, open_picture
from .._utils._sklearn import HasMethods, Interval, StrOptions, validate_params

#: Lossless formats, by the extension of the file.
_LOSSLESS_FORMATS = {".png": "PNG", ".bmp": "BMP", ".pgm": "PPM", ".tif": "TIFF", ".tiff": "TIFF"}
#: By order, the axes of (n_rows, height, n_columns, width) that make a grid of tiles.
_TILE_AXES = {"F": (2, 0, 1, 3), "C": (0, 2, 1, 3)}


@validate_params(
    {
        "path": [str, os.PathLike, HasMethods("read")],
        "tile_shape": [tuple, list],
        "n_tiles": [Interval(Integral, 1, None, closed="left"), None],
        "order": [StrOptions({"F", "C"})],
    },
    prefer_skip_nested_validation=True,
)
def load_mosaic(
    path: str | os.PathLike | IO[bytes],
    *,
    tile_shape: tuple[int, int] = (16, 16),
    n_tiles: int | None = None,
    order: Literal["F", "C"] = "F",
) -> np.ndarray:
    """Load the tiles of a gray picture as images.

    Parameters
    ----------
    path : str, path-like or binary file
        An 8-bit gray picture, whose height and width are multiples of those of a tile. The
        formats are PNG, BMP, GIF, JPEG, PPM, TIFF and WEBP. A file is read from its beginning.

    tile_shape : tuple of int (height, width), default=(16, 16)
        Shape of a tile, in pixels.

    n_tiles : int, default=None
        Number of tiles to return, from the first one. By default all tiles of the picture,
        including blank ones at its end.

    order : {"F", "C"}, default="F"
        "F": column-major order, the tiles run down the columns of the mosaic, as in the mosaics
        of the luacnn demo. "C": row-major order, they run along its rows.

    Returns
    -------
    images : ndarray of shape (n_tiles, height, width), dtype float32
        The tiles, in [0, 1]: the gray levels divided by 255.

    Raises
    ------
    ValueError
        If the picture is not 8-bit gray, does not consist of whole tiles, has fewer than
        `n_tiles` of them, or has more pixels than `PIL.Image.MAX_IMAGE_PIXELS`.
    OSError
        If the file cannot be read, is not a picture or is damaged.

    See Also
    --------
    save_mosaic : Save images as the tiles of an 8-bit gray picture.

    Examples
    --------
    >>> import io
    >>> from PIL import Image
    >>> from sklearn_usps import load_mosaic
    >>> file = io.BytesIO()
    >>> Image.new("L", (48, 32), color=51).save(file, "PNG")
    >>> load_mosaic(file).shape
    (6, 16, 16)
    """
    height, width = check_two_sizes(tile_shape, "tile_shape", "(height, width)")
    picture = open_picture(path)
    if picture.mode != "L":
        raise ValueError(
            f"A mosaic must be an 8-bit gray picture, Pillow's mode 'L'. Got mode {picture.mode!r} "
            "instead: convert it by PIL.Image.open(path).convert('L').save(...)."
        )
    pixels = np.asarray(picture)
    n_rows, n_columns = pixels.shape[0] // height, pixels.shape[1] // width
    if pixels.shape != (n_rows * height, n_columns * width):
        raise ValueError(
            f"The height and width {pixels.shape} of the picture are not multiples of "
            f"tile_shape={(height, width)}."
        )
    if n_tiles is not None and n_tiles > n_rows * n_columns:
        raise ValueError(f"n_tiles={n_tiles}, but the picture has {n_rows * n_columns} tiles.")
    grid = pixels.reshape(n_rows, height, n_columns, width).transpose(_TILE_AXES[order])
    return grid.reshape(-1, height, width)[:n_tiles] / np.float32(255)


@validate_params(
    {
        "images": ["array-like"],
        "path": [str, os.PathLike],
        "grid_shape": [tuple, list, None],
        "order": [StrOptions({"F", "C"})],
    },
    prefer_skip_nested_validation=True,
)
def save_mosaic(
    images,
    path: str | os.PathLike,
    *,
    grid_shape: tuple[int, int] | None = None,
    order: Literal["F", "C"] = "F",
) -> None:
    """Save images as the tiles of an 8-bit gray picture.

    Parameters
    ----------
    images : array-like of shape (n_images, height, width)
        The images: uint8, or floats in [0, 1], which are rounded to 8 bits.

    path : str or path-like
        Path of the picture. Its extension selects a lossless format: `.png`, `.bmp`, `.pgm`,
        `.tif` or `.tiff`. An existing file is replaced completely or, after an error, not at all.

    grid_shape : tuple of int (n_rows, n_columns), default=None
        Number of rows and columns of tiles; tiles without an image are black. By default
        ``floor(sqrt(n_images))`` columns and as many rows as needed: 34 rows and 33 columns for
        the 1,100 images of a digit.

    order : {"F", "C"}, default="F"
        Order of the images in the mosaic, as for :func:`load_mosaic`.

    Raises
    ------
    ValueError
        If `images` has a wrong shape, dtype or range, the grid has too few tiles, the picture
        would have more pixels than `PIL.Image.MAX_IMAGE_PIXELS`, or the extension of `path` is
        not in the list above.

    See Also
    --------
    load_mosaic : Load the tiles of a gray picture as images.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from sklearn_usps import load_mosaic, save_mosaic
    >>> images = np.random.default_rng(0).random((5, 16, 16), dtype=np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mosaic.png"
    ...     save_mosaic(images, path)
    ...     loaded = load_mosaic(path, n_tiles=5)
    >>> bool(abs(loaded - images).max() <= 0.5 / 255 + 1e-6)
    True
    """
    path = Path(path)
    picture_format = _LOSSLESS_FORMATS.get(path.suffix.lower())
    if picture_format is None:
        raise ValueError(
            f"path={str(path)!r} must have the extension of a lossless format: "
            f"{', '.join(_LOSSLESS_FORMATS)}."
        )
    images = np.asarray(as_array(images, "images"))
    images = drop_channels(images, "images") if images.ndim == 4 else images
    if images.ndim != 3 or images.size == 0:
        raise ValueError(
            "images must have the shape (n_images, height, width), without zeros. Got the shape "
            f"{images.shape} instead: use images.reshape(-1, height, width) for rows of pixels."
        )
    check_pixels(images, "images")
    n_images, height, width = images.shape
    if grid_shape is None:
        n_columns = math.isqrt(n_images)
        n_rows = -(-n_images // n_columns)
    else:
        n_rows, n_columns = check_two_sizes(grid_shape, "grid_shape", "(n_rows, n_columns)")
    if n_rows * n_columns < n_images:
        raise ValueError(
            f"grid_shape={(n_rows, n_columns)} has {n_rows * n_columns} tiles, too few for "
            f"{n_images} images."
        )
    check_number_of_pixels(n_rows * height, n_columns * width)
    pixels = np.zeros((n_rows, height, n_columns, width), dtype=np.uint8)
    grid = pixels.transpose(_TILE_AXES[order])
    levels = images if images.dtype == np.uint8 else np.rint(images * 255)
    grid[np.unravel_index(np.arange(n_images), grid.shape[:2])] = levels
    content = io.BytesIO()
    picture = Image.fromarray(pixels.reshape(n_rows * height, n_columns * width))
    picture.save(content, picture_format)
    write_atomically(path, content.getvalue())
