"""Letters drawn from fonts, for tasks that need letters and have no network to fetch them."""

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

#: Height of a letter in pixels when it is drawn, on a square of pixels three times as wide.
_SIZE = 64
#: Widest line that is drawn around the strokes of a letter, of 64 pixels of its height.
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
    """Draw letters from fonts, each turned, slanted and thickened at random.

    Each letter is as large as the image allows without a change of its proportions, and in its
    middle.

    Parameters
    ----------
    n_samples : int, default=2600
        Number of letters. Each class has as many as any other, or one more.

    classes : str or sequence of str, default="ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        The characters to draw, two or more different ones. Since each fills its image, small and
        capital letters of one form, such as "c" and "C", can't be told apart.

    image_shape : tuple of int (height, width), default=(16, 16)
        Shape of the images.

    fonts : sequence of str or path-like, default=None
        Files of TrueType or OpenType fonts, of which each letter takes one at random. None:
        the one font that Pillow brings along, Aileron.

    rotation : float, default=10.0
        Largest angle in degrees, in [0, inf). Each letter is turned by an angle drawn uniformly
        from [-rotation, rotation].

    shear : float, default=0.2
        Largest slant, in [0, inf). Each row moves to the right by its height times a factor drawn
        uniformly from [-shear, shear].

    shuffle : bool, default=True
        Whether to shuffle the letters. If not, they come in the order of `classes`, over and over.

    random_state : int, RandomState instance or None, default=None
        Determines all random numbers. Pass an int for reproducible letters across multiple calls,
        with the same version of Pillow.

    Returns
    -------
    X : ndarray of shape (n_samples, height * width), dtype float32
        Each row is an image, row by row; 0 is background, 1 is full ink.

    y : ndarray of shape (n_samples,), dtype str
        The characters.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or a font lacks a character.
    OSError
        If a font can't be read.

    See Also
    --------
    fetch_usps : Handwritten digits.

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
            f"classes must be two or more different single characters. Got {classes!r} instead."
        )
    rng = check_random_state(random_state)
    loaded = _load_fonts(fonts)
    labels = np.array(list(dict.fromkeys(classes)))
    for font in loaded:
        _check_characters(font, labels.tolist())
    y = labels[np.arange(n_samples) % len(labels)]
    if shuffle:
        y = y[rng.permutation(n_samples)]
    images = [
        _fit_into(_draw(character, loaded, rotation, shear, rng), height, width)
        for character in y.tolist()
    ]
    return np.stack(images).reshape(n_samples, height * width), y


def _load_fonts(fonts) -> list:
    if fonts is None:
        return [ImageFont.load_default(size=_SIZE)]
    if not fonts:
        raise ValueError("fonts must be None or have at least one file. Got none.")
    return [_load_font(font) for font in fonts]


def _load_font(font) -> ImageFont.FreeTypeFont:
    if not isinstance(font, (str, os.PathLike)):
        raise TypeError(f"fonts must be paths of files. Got {font!r} instead.")
    try:
        return ImageFont.truetype(os.fspath(font), size=_SIZE)
    except Exception as error:  # FreeType's and Pillow's, which name no file
        raise OSError(f"{font} is no font that can be read, or is damaged: {error}") from error


def _check_characters(font, characters) -> None:
    """Raise a ValueError for a character that a font has no drawing of."""
    unknown = _mask(font, "\uffff")  # no character: what is drawn for all that a font lacks
    for character in characters:
        drawn = _mask(font, character)
        if drawn.getbbox() is None or (drawn.size, bytes(drawn)) == (unknown.size, bytes(unknown)):
            raise ValueError(
                "classes must be characters that each of the fonts has a drawing of. "
                f"{font.getname()[0]} has none of {character!r}."
            )


def _mask(font, character):
    """What a font draws for a character."""
    with _errors_of(character):
        _check_size(font, character)
        return font.getmask(character)


@contextmanager
def _errors_of(character):
    """Make OSErrors of what damaged fonts raise, which are read only when they are drawn from."""
    try:
        yield
    except Exception as error:
        raise OSError(f"{character!r} can't be drawn from one of the fonts: {error}") from error


def _check_size(font, character, stroke_width=0) -> None:
    left, top, right, bottom = font.getbbox(character, stroke_width=stroke_width)
    if max(right - left, bottom - top) > 100 * _SIZE:
        raise ValueError("its size is that of no letter")


def _draw(character, fonts, rotation, shear, rng) -> Image.Image:
    """One letter, bright on dark, in a picture with room on all sides."""
    font = fonts[rng.randint(len(fonts))]
    side = 3 * _SIZE
    picture = Image.new("L", (side, side))
    stroke_width = rng.randint(_MAX_STROKE + 1)
    with _errors_of(character):
        _check_size(font, character, stroke_width)
        ImageDraw.Draw(picture).text(
            (side / 2, side / 2),
            character,
            fill=255,
            font=font,
            anchor="mm",
            stroke_width=stroke_width,
        )
    angle = math.radians(rng.uniform(-rotation, rotation))
    slant = rng.uniform(-shear, shear)
    # Where a pixel comes from: turned back around the middle, then slanted back.
    cos, sin = math.cos(angle), math.sin(angle)
    (a, b), (c, d) = np.array([[1, slant], [0, 1]]) @ [[cos, -sin], [sin, cos]]
    middle = side / 2
    origin = (middle - a * middle - b * middle, middle - c * middle - d * middle)
    return picture.transform(
        (side, side),
        Image.Transform.AFFINE,
        (a, b, origin[0], c, d, origin[1]),
        resample=Image.Resampling.BILINEAR,
    )


def _fit_into(picture, height, width) -> np.ndarray:
    """The letter in an image, as large as its proportions allow, in [0, 1]."""
    box = picture.getbbox()
    if box is None:
        raise ValueError("rotation and shear leave nothing of a letter: make them smaller.")
    letter = picture.crop(box)
    scale = min(height / letter.height, width / letter.width)
    size = (max(1, round(scale * letter.width)), max(1, round(scale * letter.height)))
    image = Image.new("L", (width, height))
    image.paste(
        letter.resize(size, Image.Resampling.BOX),
        ((width - size[0]) // 2, (height - size[1]) // 2),
    )
    return np.asarray(image, dtype=np.float32) / 255
