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

from ._pixels import MIN_SIDE, color_difference, shrink
from ._plain_ink import Ink, NoDigitError, Seen, ink_before, ink_on_plain, smoothed
from ._strokes import Strokes, find_strokes, without_ruled_lines

#: Longer side of the picture in which the digit is looked for, in pixels.
_COARSE = 512
#: A digit with a longer side of fewer pixels there is cut from the picture with all pixels.
_SMALL = 160
#: Width of the surroundings of strokes, in lengths of their longer side, the first that succeeds.
_SURROUNDINGS = (0.3, 0.12)
#: Width of the edge of a page or a frame, in its largest distances from the edge.
_EDGES = (0.05, 0.15)
#: Pages in pages that are looked at: a page on a desk, in a frame, with a margin.
_MAX_DEPTH = 3
#: Least length of a digit, in those of ink that seems to be its page. From the second on, they are
#: the same ink.
_MIN_LENGTH_ON_PAGE, _SAME_LENGTH = 0.08, 0.8
#: Least contrast of ink on a page, in contrasts of the page. The darkest spots of blurred digits of
#: load_digits have up to 0.35 of the contrast of the digit.
_MIN_INK_ON_PAGE = 0.5
#: Colors that differ by less may be the same.
_MAX_SAME_COLOR = 0.15
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
    is_small = step > 1 and max(ink.levels.shape) < _SMALL
    levels = _with_all_pixels(pixels, ink, step) if is_small else ink.levels
    if max(levels.shape) < MIN_SIDE:
        raise ValueError(
            f"The digit must be at least {MIN_SIDE} pixels high or wide. Found {levels.shape[0]} "
            f"rows and {levels.shape[1]} columns of ink: use a larger picture."
        )
    return levels


def _with_all_pixels(pixels: np.ndarray, ink: Ink, step: int) -> np.ndarray:
    """Return the levels of ink that was found in the picture reduced by `step`."""
    box = ink.box.scaled(step)
    part = box.with_surroundings(min(_SURROUNDINGS), pixels.shape)
    try:
        return ink_on_plain(smoothed(pixels[part]), strokes=box.inside(part)).levels
    except NoDigitError:  # at the edge of a page, the surroundings have more than the digit
        return ink.levels


def _find(pixels: np.ndarray) -> Ink:
    """Return the ink of the digit, found in the first of these ways that succeeds.

    1. On a plain background, or on a page or in a frame on it.
    2. The same, with the lines of lined or squared paper filled.
    3. Among all strokes in the picture, each in front of plain surroundings.

    If the ink of the first way may be a page, or its background is only mostly plain, a digit
    among the strokes on it is preferred.
    """
    try:
        ink = _find_on_plain(smoothed(pixels))
    except NoDigitError as error:
        return _find_without_lines(pixels, error)
    may_be_page = ink.inside is not None
    return _find_on_page(pixels, ink) if may_be_page or not ink.is_plain else ink


def _find_without_lines(pixels: np.ndarray, reason: NoDigitError) -> Ink:
    """Return the ink of the digit in a picture without its ruled lines, or among all strokes.

    `reason` is the one for which the picture as it is shows none on plain background.
    """
    unruled = without_ruled_lines(pixels)
    if unruled is not pixels:
        try:
            return _find_on_plain(smoothed(unruled))
        except NoDigitError as error:
            reason = error
    if not reason.is_final and (inks := _inks_of_strokes(unruled)):
        return _only_character(inks, pixels.shape)
    raise reason


def _find_on_page(pixels: np.ndarray, page: Ink) -> Ink:
    """Return the ink of the digit among strokes on ink that may be a page, or else that ink."""
    inks = _inks_of_strokes(without_ruled_lines(pixels))
    min_length = _MIN_LENGTH_ON_PAGE * page.box.longer_side
    on_page = [ink for ink in inks if ink.box.longer_side >= min_length and _is_on(ink, page)]
    if on_page:
        return _only_character(on_page, pixels.shape)
    # Neither a shadow nor a page is as long as one group of strokes.
    is_stroke = any(ink.box.longer_side > _SAME_LENGTH * page.box.longer_side for ink in inks)
    if page.is_plain or is_stroke:
        return page
    raise NoDigitError("no plain background along its border")


# The first way


def _find_on_plain(smooth: np.ndarray, region: np.ndarray | None = None, depth: int = 0) -> Ink:
    """Return the ink on a plain background, or on a page or in a frame on it."""
    try:
        ink = ink_on_plain(smooth, region)
    except NoDigitError as error:
        if error.inside is None or depth == _MAX_DEPTH:
            raise
        return _find_inside(smooth, error, depth)
    if depth and not ink.is_plain:
        raise NoDigitError("no plain background around ink")
    if ink.inside is not None and depth < _MAX_DEPTH:
        for interior in _interiors(ink.inside):
            with suppress(NoDigitError):
                inner = _find_on_plain(smooth, interior, depth + 1)
                if _is_on(inner, ink):
                    return inner
    return ink


def _find_inside(smooth: np.ndarray, error: NoDigitError, depth: int) -> Ink:
    """Return the ink on the page, in the frame or in the other large thing of an error."""
    reasons = []
    for interior in _interiors(error.inside):
        try:
            return _find_on_plain(smooth, interior, depth + 1)
        except NoDigitError as inner:
            reasons.append(_combined_reason(error, inner))
            if reasons[-1].is_final:
                break
    # Inside a narrow edge, a rest of it may look like ink; a wide edge may cut the digit.
    empty = (reason for reason in reasons if reason.seen is Seen.EMPTY_PAGE)
    raise next(empty, reasons[0] if reasons else error) from None


def _interiors(page: np.ndarray) -> Iterator[np.ndarray]:
    """Yield a page without its edge, narrow and wide."""
    distances = ndimage.distance_transform_edt(page)
    for edge in _EDGES:
        interior = distances > max(2, edge * distances.max())
        if interior.any():
            yield interior


def _combined_reason(error: NoDigitError, inner: NoDigitError) -> NoDigitError:
    """Return the reason why neither the picture nor the page in it shows a digit."""
    if error.seen is not Seen.PAGE:  # perhaps a shadow
        return error
    if inner.seen is Seen.NO_INK:
        return NoDigitError(f"{error}, in it no ink", Seen.EMPTY_PAGE)
    seen = Seen.OTHER_INK if inner.is_final else Seen.UNCLEAR
    return NoDigitError(f"{error}, in it {inner}", seen)


def _is_on(ink: Ink, page: Ink) -> bool:
    """Return True if ink may be that of a digit on other ink, which then is a page.

    The paper in the loop of a thick zero and a part of a faint digit have its color, that of its
    background or one between them. The darkest spot of a blurred digit differs, but little.
    """
    way = page.around - page.color
    share = np.clip((ink.color - page.color) @ way / (way @ way), 0, 1)
    is_between = _is_same_color(ink.color - page.color, share * way)
    return not is_between and _contrast(ink) > _MIN_INK_ON_PAGE * _contrast(page)


def _contrast(ink: Ink) -> float:
    return float(color_difference(ink.color, ink.around))


def _is_same_color(color: np.ndarray, other: np.ndarray) -> bool:
    return bool(color_difference(color, other) < _MAX_SAME_COLOR)


# The third way


def _inks_of_strokes(pixels: np.ndarray) -> list[Ink]:
    """Return the ink of strokes, the largest first, but no paper between the strokes of other ink.

    The edge of a shadow leads across the surroundings of strokes. If those of all are not plain,
    ink is what differs from the picture with the strokes filled.
    """
    groups = find_strokes(pixels)
    inks = [*_inks_on_plain(pixels, groups)] or [*_inks_on_filled(pixels, groups)]
    return [ink for ink in inks if not any(_is_loop(ink, other) for other in inks)]


def _inks_on_plain(pixels: np.ndarray, groups: list[Strokes]) -> Iterator[Ink]:
    for strokes in groups:
        for width in _SURROUNDINGS:
            part = strokes.box.with_surroundings(width, pixels.shape)
            with suppress(NoDigitError):
                ink = ink_on_plain(smoothed(pixels[part]), strokes=strokes.box.inside(part))
                yield replace(ink, box=ink.box.outside(part))
                break


def _inks_on_filled(pixels: np.ndarray, groups: list[Strokes]) -> Iterator[Ink]:
    for strokes in groups:
        part = strokes.box.with_surroundings(min(_SURROUNDINGS), pixels.shape)
        with suppress(NoDigitError):
            ink = ink_before(smoothed(pixels[part]), strokes.background[part])
            yield replace(ink, box=ink.box.outside(part))


def _is_loop(ink: Ink, other: Ink) -> bool:
    """Return True for the paper between the strokes of other ink, which is no page."""
    return (
        other.inside is None
        and other.box.contains(ink.box)
        and _is_same_color(ink.around, other.color)
    )


def _only_character(inks: list[Ink], shape: tuple[int, ...]) -> Ink:
    """Return the likeliest ink of a digit, of which there must not be two."""
    likeliest, *rest = sorted(inks, key=lambda ink: _likelihood(ink, shape), reverse=True)
    if any(_are_alike(likeliest, ink) for ink in rest):
        raise NoDigitError("several characters")
    return likeliest


def _likelihood(ink: Ink, shape: tuple[int, ...]) -> float:
    """Return a number by which to prefer long strong strokes, and strokes to parts of pages."""
    width = 2 * ndimage.distance_transform_edt(np.pad(ink.levels > 0.5, 1)).max()
    share = 1 if width < _MAX_STROKE * max(shape) else _WIDE
    return share * _contrast(ink) * ink.box.longer_side**0.5


def _are_alike(ink: Ink, other: Ink) -> bool:
    """Return True for two characters side by side: plausible ink of similar size and color."""
    shorter, longer = sorted([ink.box.longer_side, other.box.longer_side])
    return (
        ink.box.gap(other.box) >= 0
        and longer < 2 * shorter
        and other.is_plain
        and other.inside is None
        and _is_same_color(ink.color, other.color)
    )
