"""Ink in front of a plain background: whatever differs from the border."""

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from scipy import ndimage

from ._boxes import Box, box_of
from ._pixels import color_difference
from ._shape import filled_ink, is_compact, no_digit_in, page_in, pieces_of

#: Least difference between ink and background; that of black and white is 1.
_MIN_CONTRAST = 0.05
#: It is also at least so many times the noise of the background.
_MIN_SIGNAL = 6
#: Levels from which on pixels are ink, in parts of the highest difference. Frames and the edges of
#: pages are also looked for at the second.
_INK, _FAINT_INK = 0.4, 0.2
#: Plain background covers at least this part of the border. Its lightness varies by at most the
#: second value along the border, and its noise is at most the third; black to white is 1.
_MIN_PLAIN_BORDER, _MAX_SHADE, _MAX_NOISE = 0.6, 0.5, 0.1
#: A border is all plain, but for some spots, from this part on.
_MIN_ALL_PLAIN = 0.97
#: Ink at the border no deeper than this part of the picture is the edge of a scan or a shadow.
_MAX_STRIP = 0.12
#: A digit that is cut off touches the border at most so often, and with at most this part of the
#: perimeter of its box. Ruled lines do more often, shadows with more.
_MAX_CONTACTS, _MAX_CONTACT = 5, 0.25


class Seen(Enum):
    """Kinds of things that a picture or a region shows in place of a digit."""

    NO_INK = "nothing that differs from the background"
    PAGE = "a page, a frame or a block, in which a digit may be"
    EMPTY_PAGE = "a page, a frame or a block with nothing in it"
    OTHER_INK = "ink that is plainly no whole digit, such as a text or a part of a digit"
    UNCLEAR = "anything else"


class NoDigitError(ValueError):
    """The ink in a picture is no digit.

    Attributes
    ----------
    seen : Seen
        The kind of thing that the picture shows.

    inside : array of bool or None
        Where the digit may be, if a page, a frame or another large thing was found.
    """

    def __init__(self, message, seen=Seen.UNCLEAR, *, inside=None):
        super().__init__(message)
        self.seen, self.inside = seen, inside

    @property
    def is_final(self) -> bool:
        """True if nothing else in the picture should be taken for the digit."""
        return self.seen in (Seen.EMPTY_PAGE, Seen.OTHER_INK)


@dataclass
class Ink:
    """Ink that may be that of a digit."""

    box: Box
    levels: np.ndarray  # in the box, from 0 (background) to 1 (full ink)
    color: np.ndarray
    around: np.ndarray  # color of the background
    inside: np.ndarray | None  # of ink so compact that it may be a part of a page
    is_plain: bool = True  # the border, but for some spots


def smoothed(pixels: np.ndarray) -> np.ndarray:
    """Return a picture with less noise, as the functions below take it."""
    return ndimage.gaussian_filter(pixels, 0.5 + max(pixels.shape) / 800, axes=(0, 1))


def ink_on_plain(
    smooth: np.ndarray, region: np.ndarray | None = None, strokes: Box | None = None
) -> Ink:
    """Return the ink in a picture, or in a region of it, with a plain border."""
    background, noise, share = _background(smooth, region)
    ink = ink_before(smooth, background, region, strokes, noise)
    return replace(ink, is_plain=share >= _MIN_ALL_PLAIN)


def ink_before(
    smooth: np.ndarray,
    background: np.ndarray,
    region: np.ndarray | None = None,
    strokes: Box | None = None,
    noise: float = 0,
) -> Ink:
    """Return what differs from the background.

    If the box of its strokes is known, ink apart from it is left out.
    """
    contrast = color_difference(smooth, background)
    if region is not None:
        contrast *= region
    highest = contrast[strokes or ...].max()
    if highest < max(_MIN_CONTRAST, _MIN_SIGNAL * noise):
        raise NoDigitError("no ink: nothing in it differs from its border", Seen.NO_INK)
    is_ink = contrast > _INK * highest
    digit = _without_strips(is_ink) if strokes is None else _pieces_in(is_ink, strokes)
    _refuse_page(digit, contrast)
    faint = contrast > max(_FAINT_INK * highest, _MIN_SIGNAL * noise)
    _refuse_page(pieces_of(faint) > 0, contrast)
    _refuse_contact(digit, region)
    box = box_of(digit)
    if reason := no_digit_in(digit[box], faint[box]):
        raise NoDigitError(reason, Seen.OTHER_INK)
    # Relative to the median, strokes become thicker and small holes close: of `load_digits`
    # drawn as pictures for "zip", 5.5 % are misread, and 4.5 % relative to this quantile.
    levels = np.minimum(contrast / np.quantile(contrast[digit], 0.7), 1)
    levels[~ndimage.binary_dilation(digit, iterations=2)] = 0
    box = box_of(levels > 0.5)
    color, around = (np.median(colors[digit], axis=0) for colors in (smooth, background))
    return Ink(box, levels[box], color, around, inside=_inside(digit))


def _refuse_page(is_ink: np.ndarray, contrast: np.ndarray) -> None:
    box = box_of(is_ink)
    if page := page_in(is_ink[box], contrast[box]):
        raise NoDigitError(page, Seen.PAGE, inside=filled_ink(is_ink))


def _refuse_contact(is_ink: np.ndarray, region: np.ndarray | None) -> None:
    """Raise an error for ink that touches the border: a cut digit, a page, lines or a shadow."""
    contacts = is_ink & _edge(is_ink.shape, region)
    if contacts.any():
        pieces = pieces_of(is_ink)
        cut = np.isin(pieces, pieces[contacts])
        seen = Seen.OTHER_INK if _is_cut_digit(cut, contacts) else Seen.UNCLEAR
        raise NoDigitError("ink that touches the border", seen, inside=_inside(cut))


def _is_cut_digit(is_ink: np.ndarray, contacts: np.ndarray) -> bool:
    """Return True if strokes lead across the border: a few, and none along it as shadows do."""
    rows, columns = box_of(is_ink)
    _, n_contacts = ndimage.label(contacts, np.ones((3, 3)))
    perimeter = 2 * (rows.stop - rows.start + columns.stop - columns.start)
    return n_contacts <= _MAX_CONTACTS and contacts.sum() < _MAX_CONTACT * perimeter


def _inside(is_ink: np.ndarray) -> np.ndarray | None:
    """Return ink with what it surrounds if it is so compact that it may be a part of a page."""
    return filled_ink(is_ink) if is_compact(is_ink[box_of(is_ink)]) else None


def _edge(shape: tuple[int, ...], region: np.ndarray | None, depth: int = 1) -> np.ndarray:
    """Return the pixels at the border of a picture or a region."""
    if region is not None:
        return region & ~ndimage.binary_erosion(region, iterations=depth)
    edge = np.ones(shape, dtype=bool)
    edge[depth:-depth, depth:-depth] = False
    return edge


def _pieces_in(is_ink: np.ndarray, box: Box) -> np.ndarray:
    """Return the pieces of ink that are in the box at least in part, without specks."""
    pieces, _ = ndimage.label(is_ink, np.ones((3, 3)))
    return pieces_of(np.isin(pieces, np.setdiff1d(pieces[box], 0))) > 0


def _without_strips(is_ink: np.ndarray) -> np.ndarray:
    """Return ink without specks and without what lies along the border of the picture."""
    pieces, n_pieces = ndimage.label(is_ink, np.ones((3, 3)))
    is_strip = np.zeros(n_pieces + 1, dtype=bool)
    for number, box in enumerate(ndimage.find_objects(pieces), 1):
        is_strip[number] = any(
            _depth(part, n) < _MAX_STRIP * n for part, n in zip(box, is_ink.shape, strict=True)
        )
    rest = is_ink & ~is_strip[pieces]
    return pieces_of(rest if rest.any() else is_ink) > 0


def _depth(part: slice, n: int) -> int:
    """Return how far rows or columns reach into a picture of `n`, all if they do not touch it."""
    if part.start == 0:
        return part.stop
    return n - part.start if part.stop == n else n


def _background(smooth: np.ndarray, region: np.ndarray | None) -> tuple[np.ndarray, float, float]:
    """Return the background, a surface fitted to the border, its noise and its share there."""
    height, width = smooth.shape[:2]
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    # Light from one side is linear; the corners of a photograph are darker, which is quadratic.
    terms = np.stack([np.ones_like(x), x, y, x * y, x**2, y**2], axis=2)
    depth = min(height, width) // (50 if region is None else 150)
    is_border = _edge((height, width), region, max(1, depth))
    border, border_terms = smooth[is_border], terms[is_border]
    distances = color_difference(border, np.median(border, axis=0))
    for _ in range(5):  # each fit leaves out the outliers of the last one, which may be ink
        is_plain = distances <= 4 * np.median(distances) + 0.02
        surface = np.linalg.lstsq(border_terms[is_plain], border[is_plain], rcond=None)[0]
        distances = color_difference(border, border_terms @ surface)
    shade = np.ptp(border_terms @ surface, axis=0).max()
    noise = np.sqrt(np.mean(distances[is_plain] ** 2))
    if is_plain.mean() < _MIN_PLAIN_BORDER or shade > _MAX_SHADE or noise > _MAX_NOISE:
        raise NoDigitError("no plain background along its border")
    return terms @ surface, noise, is_plain.mean()
