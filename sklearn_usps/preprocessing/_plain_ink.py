"""Ink in front of a plain background: whatever differs from the border."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ._shape import Box, filled_ink, is_compact, no_digit_in, page_in, pieces_of

#: Least difference between ink and background; that of black and white is 1.
_MIN_CONTRAST = 0.05
#: Plain background covers at least this part of the border. Its lightness varies by at most the
#: second value along the border, and its noise is at most the third; black to white is 1.
_MIN_PLAIN_BORDER, _MAX_SHADE, _MAX_NOISE = 0.6, 0.5, 0.1
#: Ink at the border no deeper than this part of the picture is the edge of a scan or a shadow.
_MAX_STRIP = 0.12
#: A digit that is cut off touches the border at most so often, and with at most this part of the
#: perimeter of its box. Ruled lines do more often, shadows with more.
_MAX_CONTACTS, _MAX_CONTACT = 5, 0.25


class NoDigitError(ValueError):
    """The ink in a picture is no digit.

    Attributes
    ----------
    inside : array of bool or None
        Where the digit may be, if a page, a frame or another large thing was found.

    is_page, is_blank : bool
        True if a whole page, frame or block was found, or nothing at all.

    is_final : bool
        True if it is plain to see, so that nothing else in the picture should be taken for one.
    """

    def __init__(self, message, *, inside=None, is_page=False, is_blank=False, is_final=False):
        super().__init__(message)
        self.inside, self.is_page, self.is_blank = inside, is_page, is_blank
        self.is_final = is_final


@dataclass
class Ink:
    """Ink that may be that of a digit."""

    box: Box
    levels: np.ndarray  # in the box, from 0 (background) to 1 (full ink)
    color: np.ndarray
    around: np.ndarray  # color of the background
    inside: np.ndarray | None  # of ink so compact that it may be a part of a page
    is_plain: bool = True  # the border, but for some spots


def ink_on_plain(
    pixels: np.ndarray, region: np.ndarray | None = None, strokes: Box | None = None
) -> Ink:
    """Return the ink in a picture, or in a region of it, with a plain border."""
    smooth = smoothed(pixels)
    background, noise, share = _background(smooth, region)
    ink = ink_before(smooth, background, region, strokes, noise)
    return replace(ink, is_plain=share >= 0.97)


def smoothed(pixels: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(pixels, 0.5 + max(pixels.shape) / 800, axes=(0, 1))


def ink_before(
    pixels: np.ndarray,
    background: np.ndarray,
    region: np.ndarray | None = None,
    strokes: Box | None = None,
    noise: float = 0,
) -> Ink:
    """Return what differs from the background.

    If the box of its strokes is known, ink apart from it is left out.
    """
    # Differences in color count as much as those in lightness: red ink on green is ink.
    contrast = np.abs(pixels - background).max(axis=2)
    if region is not None:
        contrast *= region
    highest = contrast[strokes or ...].max()
    if highest < max(_MIN_CONTRAST, 6 * noise):
        raise NoDigitError("no ink: nothing in it differs from its border", is_blank=True)
    is_ink = contrast > 0.4 * highest
    if strokes:
        pieces = ndimage.label(is_ink, np.ones((3, 3)))[0]
        is_ink = np.isin(pieces, np.setdiff1d(pieces[strokes], 0))
    digit = _without_strips(is_ink, region) if strokes is None else pieces_of(is_ink) > 0
    box = ndimage.find_objects(1 * digit)[0]
    faint = pieces_of(contrast > max(0.2 * highest, 6 * noise)) > 0
    faint_box = ndimage.find_objects(1 * faint)[0]
    for ink, part in ((digit, box), (faint, faint_box)):
        if page := page_in(ink[part], contrast[part]):
            raise NoDigitError(page, inside=filled_ink(ink), is_page=True)
    contacts = digit & _edge(digit.shape, region)
    if contacts.any():
        pieces = pieces_of(digit)
        cut = np.isin(pieces, pieces[contacts])
        raise NoDigitError(
            "ink that touches the border",
            inside=_inside(cut),
            is_final=_is_cut_digit(cut, contacts),
        )
    if reason := no_digit_in(digit[box]):
        raise NoDigitError(reason, is_final=True)
    # Relative to the median, strokes become thicker and small holes close: of `load_digits`
    # drawn as pictures for "zip", 5.5 % are misread, and 4.5 % relative to this quantile.
    levels = np.minimum(contrast / np.quantile(contrast[digit], 0.7), 1)
    levels[~ndimage.binary_dilation(digit, iterations=2)] = 0
    color, around = (np.median(part[digit], axis=0) for part in (pixels, background))
    inked = ndimage.find_objects(1 * (levels > 0.5))[0]
    return Ink(inked, levels[inked], color, around, _inside(digit))


def _is_cut_digit(is_ink: np.ndarray, contacts: np.ndarray) -> bool:
    """Return True if strokes lead across the border: a few, and none along it as shadows do."""
    rows, columns = ndimage.find_objects(1 * is_ink)[0]
    _, n_contacts = ndimage.label(contacts, np.ones((3, 3)))
    perimeter = 2 * (rows.stop - rows.start + columns.stop - columns.start)
    return n_contacts <= _MAX_CONTACTS and contacts.sum() < _MAX_CONTACT * perimeter


def _inside(is_ink: np.ndarray) -> np.ndarray | None:
    """Return ink with what it surrounds if it is so compact that it may be a part of a page."""
    box = ndimage.find_objects(1 * is_ink)[0]
    return filled_ink(is_ink) if is_compact(is_ink[box]) else None


def _edge(shape: tuple[int, ...], region: np.ndarray | None) -> np.ndarray:
    """Return the pixels at the border of a picture or a region."""
    if region is not None:
        return region & ~ndimage.binary_erosion(region)
    edge = np.ones(shape, dtype=bool)
    edge[1:-1, 1:-1] = False
    return edge


def _without_strips(is_ink: np.ndarray, region: np.ndarray | None) -> np.ndarray:
    """Return ink without specks and without what lies along the border of the picture."""
    pieces, n_pieces = ndimage.label(is_ink, np.ones((3, 3)))
    kept = np.ones(n_pieces + 1, dtype=bool)
    for number, box in enumerate(ndimage.find_objects(pieces), 1):
        for part, n in zip(box, is_ink.shape, strict=True):
            depth = part.stop if part.start == 0 else n - part.start if part.stop == n else n
            if depth < _MAX_STRIP * n:
                kept[number] = False
    others = is_ink & kept[pieces]
    return pieces_of(others if others.any() else is_ink) > 0


def _background(pixels: np.ndarray, region: np.ndarray | None) -> tuple[np.ndarray, float, float]:
    """Return the background, a surface fitted to the border, its noise and its share there."""
    height, width = pixels.shape[:2]
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    # Light from one side is linear; the corners of a photograph are darker, which is quadratic.
    terms = np.stack([np.ones_like(x), x, y, x * y, x**2, y**2], axis=2)
    ring = max(1, min(height, width) // 50)
    is_border = np.ones((height, width), dtype=bool)
    if region is None:
        is_border[ring:-ring, ring:-ring] = False
    else:
        is_border = region & ~ndimage.binary_erosion(region, iterations=max(1, ring // 3))
    border, border_terms = pixels[is_border], terms[is_border]
    distances = np.abs(border - np.median(border, axis=0)).max(axis=1)
    for _ in range(5):  # each fit leaves out the outliers of the last one, which may be ink
        is_plain = distances <= 4 * np.median(distances) + 0.02
        surface = np.linalg.lstsq(border_terms[is_plain], border[is_plain], rcond=None)[0]
        distances = np.abs(border - border_terms @ surface).max(axis=1)
    shade = np.ptp(border_terms @ surface, axis=0).max()
    noise = np.sqrt(np.mean(distances[is_plain] ** 2))
    if is_plain.mean() < _MIN_PLAIN_BORDER or shade > _MAX_SHADE or noise > _MAX_NOISE:
        raise NoDigitError("no plain background along its border")
    return terms @ surface, noise, is_plain.mean()
