"""The ink of one digit in a picture: where it is, and how much of it each pixel has.

On a plain background, whatever differs from the border of the picture is ink. Where the border is
not plain, or what differs is no digit but a page, a frame or a shadow, the digit is looked for among
the strokes in the picture, and its surroundings are taken as the picture.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ._pixels import MIN_SIDE, shrink
from ._shape import (
    Box,
    NoDigitError,
    check_digit,
    check_page,
    enlarged,
    is_compact,
    moved,
    pieces_of,
    scaled,
)
from ._strokes import find_strokes, without_ruled_lines

#: Longer side of the picture in which the digit is looked for, in pixels.
_COARSE = 512
#: A digit with a longer side of fewer pixels is cut from the picture with all pixels.
_FINE = 160
#: Least difference between ink and background; that of black and white is 1.
_MIN_CONTRAST = 0.05
#: Plain background covers at least this part of the border. Its lightness varies by at most the
#: second value along the border, and its noise is at most the third; black to white is 1.
_MIN_PLAIN_BORDER, _MAX_SHADE, _MAX_NOISE = 0.6, 0.5, 0.1
#: Width of the surroundings of strokes, in lengths of their longer side, the first that succeeds.
_SURROUNDINGS = (0.3, 0.12)

_HINT = "Photograph or crop one digit, in ink, with some plain background on all sides of it."


@dataclass
class _Ink:
    """Ink on a plain background."""

    box: Box
    levels: np.ndarray  # in the box, from 0 (background) to 1 (full ink)
    color: np.ndarray
    around: np.ndarray  # color of the background
    is_doubtful: bool  # it may be a part of a page


def find_ink(pixels: np.ndarray) -> np.ndarray:
    """Return the part of the picture with the digit, from 0 (background) to 1 (full ink)."""
    step = -(-max(pixels.shape) // _COARSE)
    found = _find(shrink(pixels, step))
    levels = found.levels
    if step > 1 and max(levels.shape) < _FINE:
        box = scaled(found.box, step)
        around = enlarged(box, min(_SURROUNDINGS), pixels.shape)
        # The surroundings may have more than the digit, at the edge of a page.
        with suppress(NoDigitError):
            levels = _ink_on_plain(pixels[around], moved(box, around)).levels
    if max(levels.shape) < MIN_SIDE:
        raise ValueError(
            f"The digit must be at least {MIN_SIDE} pixels high or wide. Found {levels.shape[0]} "
            f"rows and {levels.shape[1]} columns of ink: use a larger picture."
        )
    return levels


def _find(pixels: np.ndarray) -> _Ink:
    whole, reason = None, ""
    try:
        whole = _ink_on_plain(pixels)
        if not whole.is_doubtful:
            return whole
    except NoDigitError as error:
        reason = str(error)
    for ink in _inks_of_strokes(pixels):
        if whole is None or not _is_blend(ink.color, whole.color, whole.around):
            return ink
    if whole is None:
        raise ValueError(f"{reason} {_HINT}")
    return whole


def _is_blend(color: np.ndarray, first: np.ndarray, second: np.ndarray) -> bool:
    """Return True if the color is one of the others or between them.

    So is the background in the loop of a thick zero, and a part of a faint digit.
    """
    way = second - first
    share = np.clip((color - first) @ way / (way @ way), 0, 1)
    return np.abs(color - first - share * way).max() < 0.15


def _inks_of_strokes(pixels: np.ndarray) -> Iterator[_Ink]:
    """Yield the ink of strokes in front of plain surroundings, the largest first."""
    clean = without_ruled_lines(pixels)
    if clean is not pixels:
        with suppress(NoDigitError):
            yield _ink_on_plain(clean)
    groups = find_strokes(clean)
    for strokes in groups:
        for width in _SURROUNDINGS:
            part = enlarged(strokes.box, width, pixels.shape)
            with suppress(NoDigitError):
                ink = _ink_on_plain(clean[part], moved(strokes.box, part))
                yield replace(ink, box=moved(ink.box, part, -1))
                break
    # The edge of a shadow leads across the surroundings.
    for strokes in groups:
        part = enlarged(strokes.box, min(_SURROUNDINGS), pixels.shape)
        with suppress(NoDigitError):
            ink = _ink(_smoothed(clean[part]), strokes.background[part])
            yield replace(ink, box=moved(ink.box, part, -1))


def _ink_on_plain(pixels: np.ndarray, strokes: Box | None = None) -> _Ink:
    """Return the ink in a picture with a plain border."""
    smooth = _smoothed(pixels)
    background, noise, share = _background(smooth)
    ink = _ink(smooth, background, strokes, noise)
    ink.is_doubtful |= share < 0.97
    return ink


def _smoothed(pixels: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(pixels, 0.5 + max(pixels.shape) / 800, axes=(0, 1))


def _ink(
    pixels: np.ndarray, background: np.ndarray, strokes: Box | None = None, noise: float = 0
) -> _Ink:
    """Return what differs from the background.

    If the box of its strokes is known, ink apart from it is left out.
    """
    # Differences in color count as much as those in lightness: red ink on green is ink.
    contrast = np.abs(pixels - background).max(axis=2)
    highest = contrast[strokes or ...].max()
    if highest < max(_MIN_CONTRAST, 6 * noise):
        raise NoDigitError("The picture shows no ink: nothing in it differs from its border.")
    is_ink = contrast > 0.4 * highest
    if strokes:
        pieces = ndimage.label(is_ink, np.ones((3, 3)))[0]
        is_ink = np.isin(pieces, np.setdiff1d(pieces[strokes], 0))
    digit = pieces_of(is_ink) > 0
    if any(side.any() for side in (digit[0], digit[-1], digit[:, 0], digit[:, -1])):
        raise NoDigitError("The ink touches the border of the picture.")
    box = ndimage.find_objects(1 * digit)[0]
    check_digit(digit[box], contrast[box])
    faint = pieces_of(contrast > max(0.2 * highest, 6 * noise)) > 0
    faint_box = ndimage.find_objects(1 * faint)[0]
    check_page(faint[faint_box], contrast[faint_box])
    levels = np.minimum(contrast / np.median(contrast[digit]), 1)
    levels[~ndimage.binary_dilation(digit, iterations=2)] = 0
    color, around = (np.median(part[digit], axis=0) for part in (pixels, background))
    is_doubtful = is_compact(digit[box])
    box = ndimage.find_objects(1 * (levels > 0.5))[0]
    return _Ink(box, levels[box], color, around, is_doubtful)


def _background(pixels: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Return the background, a surface fitted to the border, its noise and its share there."""
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
        raise NoDigitError("The border of the picture is not plain.")
    return terms @ surface, noise, is_plain.mean()
