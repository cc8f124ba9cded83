"""Images of letters drawn from fonts, which need no download."""

from __future__ import annotations

import math
import os
import string
from collections.abc import Sequence
from contextlib import contextmanager
from numbers import Integral, Real

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from sklearn.utils import check_random_state

from .._utils._images import check_two_sizes
from .._utils._sklearn import Interval, validate_params

#: Font size in pixels. A letter is drawn on a square three times as wide.
_SIZE = 64
#: Maximum width, in these pixels, of the outline that thickens the strokes of a letter.
_MAX_STROKE = 3


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "classes": [str, list, tuple],
        "image_shape": [tuple, list],
        "fonts": [list, tuple, None],
        "rotation": [Interval(Real, 0, None, closed="left")],
        "shear": [Interval(Real, 0, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_letters(
    n_samples: int = 2600,
    *,
    classes: str | Sequence[str] = string.ascii_uppercase,
    image_shape: tuple[int, int] = (16, 16),
    fonts: Sequence[str | os.PathLike] | None = None,
    rotation: float = 10.0,
    shear: float = 0.2,
    shuffle: bool = True,
    random_state=None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw letters from fonts, with random rotation, shear and stroke width.

    Each letter is centered and as large as the image allows without changing its proportions.

    Parameters
    ----------
    n_samples : int, default=2600
        Number of images. The sizes of the classes differ by one at most.

    classes : str or sequence of str, default="ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        The characters to draw, at least two. Since each letter fills its image, lowercase and
        uppercase letters of one form, such as "c" and "C", give the same images.

    image_shape : tuple of int (height, width), default=(16, 16)
        Shape of the images.

    fonts : sequence of str or path-like, default=None
        Files of TrueType or OpenType fonts. Each letter is drawn from one of them, chosen at
        random. By default the font included in Pillow, Aileron.

    rotation : float in [0, inf), default=10.0
        Each letter is rotated by an angle drawn uniformly from [-rotation, rotation] degrees.

    shear : float in [0, inf), default=0.2
        Each row moves right by its height times a factor drawn uniformly from [-shear, shear].

    shuffle : bool, default=True
        Whether to shuffle the images. If False, the labels cycle through `classes`.

    random_state : int, RandomState instance or None, default=None
        Pass an int for reproducible output across multiple function calls, with the same version
        of Pillow. See :term:`Glossary <random_state>`.

    Returns
    -------
    X : ndarray of shape (n_samples, height * width), dtype float32
        Each row is an image in row-major order; 0 is background, 1 is full ink.

    y : ndarray of shape (n_samples,), dtype str
        The characters.

    Raises
    ------
    ValueError
        If a parameter is outside its range, or a font lacks one of the characters.
    OSError
        If a font cannot be read.

    See Also
    --------
    fetch_alphadigits : Load handwritten digits and capital letters.
    fetch_usps : Load the USPS handwritten digits.

    Examples
    --------
    >>> from sklearn_usps import make_letters
    >>> X, y = make_letters(n_samples=100, classes="LT", random_state=0)
    >>> X.shape
    (100, 256)
    >>> y[:6].tolist()
    ['L', 'L', 'L', 'T', 'T', 'T']
    """
    height, width = check_two_sizes(image_shape, "image_shape", "(height, width)")
    are_characters = all(isinstance(one, str) and len(one) == 1 for one in classes)
    if not are_characters or len(set(classes)) < 2:
        raise ValueError(
            f"classes must be at least two different single characters. Got {classes!r} instead."
        )
    rng = check_random_state(random_state)
    loaded = _load_fonts(fonts)
    labels = np.array(list(dict.fromkeys(classes)))
    for font in loaded:
        _check_characters(font, labels.tolist())
    y = labels[np.arange(n_samples) % len(labels)]
    if shuffle:
        y = y[rng.permutation(n_samples)]
    pictures = (_draw(character, loaded, rotation, shear, rng) for character in y.tolist())
    images = [_fit_into(picture, height, width) for picture in pictures]
    return np.stack(images).reshape(n_samples, height * width), y


def _load_fonts(fonts) -> list:
    if fonts is None:
        return [ImageFont.load_default(size=_SIZE)]
    if not fonts:
        raise ValueError(f"fonts must be None or have at least one path. Got {fonts!r} instead.")
    loaded = []
    for font in fonts:
        with _font_errors(font):
            loaded.append(ImageFont.truetype(os.fspath(font), size=_SIZE))
    return loaded


@contextmanager
def _font_errors(path):
    """Turn the errors of FreeType and Pillow, which do not name the file, into OSErrors."""
    try:
        yield
    except Exception as error:
        raise OSError(f"{path} is not a readable font, or is damaged: {error}") from error


def _check_characters(font, characters) -> None:
    """Raise a ValueError if a font has no glyph of one of the characters."""
    with _font_errors(font.path):
        # Not a character, so this is the font's glyph for unknown ones.
        missing = font.getmask("\uffff")
        masks = [font.getmask(character) for character in characters]
    for character, mask in zip(characters, masks, strict=True):
        if mask.getbbox() is None or (mask.size, bytes(mask)) == (missing.size, bytes(missing)):
            raise ValueError(
                f"classes must be characters of every font. {font.getname()[0]} has no glyph of "
                f"{character!r}."
            )


def _draw(character, fonts, rotation, shear, rng) -> Image.Image:
    """Draw one letter, bright on dark, with a margin on all sides."""
    font = fonts[rng.randint(len(fonts))]
    side = 3 * _SIZE
    middle = side / 2
    picture = Image.new("L", (side, side))
    options = {"font": font, "anchor": "mm", "stroke_width": rng.randint(_MAX_STROKE + 1)}
    with _font_errors(font.path):
        ImageDraw.Draw(picture).text((middle, middle), character, fill=255, **options)
    angle = math.radians(rng.uniform(-rotation, rotation))
    slant = rng.uniform(-shear, shear)
    # The transform maps output to input pixels: it undoes the rotation around the middle, then
    # the shear.
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = np.array([[1, slant], [0, 1]]) @ [[cos, -sin], [sin, cos]]
    offset = middle - matrix[:, 0] * middle - matrix[:, 1] * middle
    affine = np.column_stack([matrix, offset]).ravel().tolist()
    return picture.transform(
        picture.size, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR
    )


def _fit_into(picture, height, width) -> np.ndarray:
    """Return the letter, as large as its proportions allow, as (height, width) in [0, 1]."""
    box = picture.getbbox()
    if box is None:
        raise ValueError("rotation and shear leave nothing of a letter: decrease them.")
    letter = picture.crop(box)
    scale = min(height / letter.height, width / letter.width)
    size = tuple(max(1, round(scale * length)) for length in letter.size)
    corner = ((width - size[0]) // 2, (height - size[1]) // 2)
    image = Image.new("L", (width, height))
    image.paste(letter.resize(size, Image.Resampling.BOX), corner)
    return np.asarray(image, dtype=np.float32) / 255
