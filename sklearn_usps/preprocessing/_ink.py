"""The ink of one digit in a picture: where it is, and how much of it each pixel has.

On a plain background, whatever differs from the border of the picture is ink. If that is no digit
but a page or a frame, the digit is looked for inside it. Where the border is not plain, it is
looked for among the strokes in the picture, each with its surroundings taken as the picture.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import numpy as np
from scipy import ndimage

from ._pixels import MIN_SIDE, shrink
from ._plain_ink import Ink, NoDigitError, ink_before, ink_on_plain, smoothed
from ._shape import enlarged, length, moved, scaled
from ._strokes import find_strokes, without_ruled_lines

#: Longer side of the picture in which the digit is looked for, in pixels.
_COARSE = 512
#: A digit with a longer side of fewer pixels is cut from the picture with all pixels.
_FINE = 160
#: Width of the surroundings of strokes, in lengths of their longer side, the first that succeeds.
_SURROUNDINGS = (0.3, 0.12)
#: Width of the edge of a page or a frame, in its largest distances from the edge.
_EDGES = (0.05, 0.15)
#: Pages in pages that are looked at: a page on a desk, in a frame, with a margin.
_MAX_DEPTH = 3
#: Least length of a digit, in those of ink that seems to be its page.
_LEAST = 0.08
#: Least contrast of ink on a page, in contrasts of the page. The darkest spots of blurred digits of
#: load_digits have up to 0.35 of the contrast of the digit.
_MIN_INK_ON_PAGE = 0.5
#: Beside shadows and pages, ink wider than this, in longer sides of the picture, is so much less
#: likely a digit.
_MAX_STROKE, _WIDE = 0.1, 0.4


def find_ink(pixels: np.ndarray) -> np.ndarray:
    """Return the part of the picture with the digit, from 0 (background) to 1 (full ink)."""
    step = -(-max(pixels.shape) // _COARSE)
    try:
        ink = _find(shrink(pixels, step))
    except NoDigitError as error:
        raise ValueError(
            f"The picture shows {error}. Photograph or crop one digit with some plain background "
            "on all sides of it."
        ) from None
    levels = ink.levels
    if step > 1 and max(levels.shape) < _FINE:
        box = scaled(ink.box, step)
        part = enlarged(box, min(_SURROUNDINGS), pixels.shape)
        # The surroundings may have more than the digit, at the edge of a page.
        with suppress(NoDigitError):
            levels = ink_on_plain(pixels[part], strokes=moved(box, part)).levels
    if max(levels.shape) < MIN_SIDE:
        raise ValueError(
            f"The digit must be at least {MIN_SIDE} pixels high or wide. Found {levels.shape[0]} "
            f"rows and {levels.shape[1]} columns of ink: use a larger picture."
        )
    return levels


def _find(pixels: np.ndarray) -> Ink:
    found = None
    try:
        found = _find_inside(pixels)
        if found.is_plain and found.inside is None:
            return found
    except NoDigitError as error:
        reason = error
    clean = without_ruled_lines(pixels)
    if found is None and clean is not pixels:
        try:
            return _find_inside(clean)
        except NoDigitError as error:
            reason = error
    if found is None and reason.is_final:
        raise reason
    least = 0 if found is None else _LEAST * length(found.box)
    inks = list(_inks_of_strokes(clean))
    inks = [ink for ink in inks if not any(_is_loop(ink, other) for other in inks)]
    others = [
        ink for ink in inks if length(ink.box) >= least and (found is None or _is_on(ink, found))
    ]
    others.sort(key=lambda ink: _likelihood(ink, pixels.shape), reverse=True)
    if others:
        if any(_are_alike(others[0], other) for other in others[1:]):
            raise NoDigitError("several characters")
        return others[0]
    if found is None:
        raise reason
    if found.is_plain or any(length(ink.box) > 0.8 * length(found.box) for ink in inks):
        return found
    raise NoDigitError("no plain background along its border")


def _likelihood(ink: Ink, shape: tuple[int, ...]) -> float:
    """Return a number by which to prefer long strong strokes, and strokes to parts of pages."""
    width = 2 * ndimage.distance_transform_edt(np.pad(ink.levels > 0.5, 1)).max()
    share = 1 if width < _MAX_STROKE * max(shape) else _WIDE
    return share * _contrast(ink) * length(ink.box) ** 0.5


def _find_inside(pixels: np.ndarray, region: np.ndarray | None = None, depth: int = 0) -> Ink:
    """Return the ink on a plain background, or on a page or in a frame on it."""
    try:
        found = ink_on_plain(pixels, region)
    except NoDigitError as error:
        if error.inside is None or depth == _MAX_DEPTH:
            raise
        reasons = []
        for page in _interiors(error.inside):
            try:
                return _find_inside(pixels, page, depth + 1)
            except NoDigitError as inner:
                reasons.append(_more_telling(error, inner))
                if reasons[0].is_final:
                    break
        # A wide edge may cut the digit.
        raise next(
            (reason for reason in reasons if reason.is_blank), [*reasons, error][0]
        ) from None
    if depth and not found.is_plain:
        raise NoDigitError("no plain background around ink")
    if found.inside is not None and depth < _MAX_DEPTH:
        for page in _interiors(found.inside):
            with suppress(NoDigitError):
                ink = _find_inside(pixels, page, depth + 1)
                if _is_on(ink, found):
                    return ink
    return found


def _interiors(page: np.ndarray) -> Iterator[np.ndarray]:
    """Yield a page without its edge, narrow and wide."""
    distances = ndimage.distance_transform_edt(page)
    for edge in _EDGES:
        interior = distances > max(2, edge * distances.max())
        if interior.any():
            yield interior


def _more_telling(error: NoDigitError, inner: NoDigitError) -> NoDigitError:
    """Return the reason why neither the picture nor the page in it shows a digit."""
    if not error.is_page:  # perhaps a shadow
        return error
    if inner.is_blank and not inner.is_page:
        return NoDigitError(f"{error}, in it no ink", is_page=True, is_blank=True, is_final=True)
    return NoDigitError(f"{error}, in it {inner}", is_final=inner.is_final)


def _is_on(ink: Ink, page: Ink) -> bool:
    """Return True if ink may be that of a digit on other ink, which then is a page.

    The paper in the loop of a thick zero and a part of a faint digit have its color, that of its
    background or one between them. The darkest spot of a blurred digit differs, but little.
    """
    way = page.around - page.color
    share = np.clip((ink.color - page.color) @ way / (way @ way), 0, 1)
    is_between = np.abs(ink.color - page.color - share * way).max() < 0.15
    return not is_between and _contrast(ink) > _MIN_INK_ON_PAGE * _contrast(page)


def _contrast(ink: Ink) -> float:
    return np.abs(ink.color - ink.around).max()


def _is_loop(ink: Ink, other: Ink) -> bool:
    """Return True for the paper between the strokes of other ink, which is no page."""
    return (
        other.inside is None
        and all(
            b.start <= a.start and a.stop <= b.stop for a, b in zip(ink.box, other.box, strict=True)
        )
        and np.abs(ink.around - other.color).max() < 0.15
    )


def _are_alike(ink: Ink, other: Ink) -> bool:
    """Return True for two characters side by side: plausible ink of similar size and color."""
    shorter, longer = sorted([length(ink.box), length(other.box)])
    apart = any(
        a.stop <= b.start or b.stop <= a.start for a, b in zip(ink.box, other.box, strict=True)
    )
    return (
        apart
        and longer < 2 * shorter
        and other.is_plain
        and other.inside is None
        and np.abs(ink.color - other.color).max() < 0.15
    )


def _inks_of_strokes(pixels: np.ndarray) -> Iterator[Ink]:
    """Yield the ink of strokes in front of plain surroundings, the largest first."""
    groups, is_found = find_strokes(pixels), False
    for strokes in groups:
        for width in _SURROUNDINGS:
            part = enlarged(strokes.box, width, pixels.shape)
            with suppress(NoDigitError):
                ink = ink_on_plain(pixels[part], strokes=moved(strokes.box, part))
                yield replace(ink, box=moved(ink.box, part, -1))
                is_found = True
                break
    if is_found:
        return
    # The edge of a shadow leads across the surroundings.
    for strokes in groups:
        part = enlarged(strokes.box, min(_SURROUNDINGS), pixels.shape)
        with suppress(NoDigitError):
            ink = ink_before(smoothed(pixels[part]), strokes.background[part])
            yield replace(ink, box=moved(ink.box, part, -1))
