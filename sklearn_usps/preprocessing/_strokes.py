"""Groups of strokes in a picture of more than a digit: a page on a desk, lined paper, a shadow.

A stroke is narrow: a closing of the picture fills dark ones, an opening light ones. Both leave
the edges of pages and shadows as they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ._boxes import Box
from ._pixels import color_difference

#: Sides of the squares that no stroke contains, in longer sides of the picture: small for thin
#: strokes close to other things, large for thick ones.
_SQUARES = (0.04, 0.12)
#: Least contrast of a stroke.
_MIN_CONTRAST = 0.06
#: Least longer side of a group of strokes, in pixels and in shorter sides of the picture.
_MIN_LENGTH, _MIN_PART = 7, 0.04
#: Ruled lines are less high than this, in pixels, at least so long, in widths of the picture, and
#: so many, and their slopes are at most the last.
_LINE, _MIN_LINE, _MIN_LINES, _SLOPE = 5, 0.35, 3, 0.25
#: Most pieces that are looked at, the largest ones.
_MAX_PIECES = 60


@dataclass
class Strokes:
    """A group of strokes: its box, and the picture with the strokes filled."""

    box: Box
    background: np.ndarray


def find_strokes(pixels: np.ndarray) -> list[Strokes]:
    """Return the groups of strokes that do not touch the border, largest first."""
    smooth = ndimage.gaussian_filter(pixels, 1, axes=(0, 1))
    min_length = max(_MIN_LENGTH, _MIN_PART * min(pixels.shape[:2]))
    groups = {}  # by their place; of equal ones, the last is kept
    for square in _SQUARES:
        size = max(5, round(square * max(pixels.shape)))
        for sign in (1, -1):  # dark strokes, light strokes
            background = sign * ndimage.grey_closing(sign * smooth, (size, size, 1))
            for box in _groups(_pieces(_contrast(smooth, background))):
                if box.longer_side >= min_length:
                    place = tuple((part.start, part.stop) for part in box)
                    groups[place] = Strokes(box, background)
    return sorted(groups.values(), key=lambda strokes: strokes.box.longer_side, reverse=True)


def _contrast(pixels: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return the difference between both where it is more than noise, which is filled as well."""
    contrast = color_difference(background, pixels)
    usual = np.median(contrast)
    noise = np.median(np.abs(contrast - usual))
    return np.where(contrast > max(_MIN_CONTRAST, usual + 6 * noise), contrast - usual, 0)


def _pieces(contrast: np.ndarray) -> list[Box]:
    """Return the boxes of the largest pieces of strokes that do not touch the border."""
    height, width = contrast.shape
    middle = Box(slice(2, height - 2), slice(2, width - 2))
    pieces = [box for box in _strong_pieces(contrast) if middle.contains(box)]
    pieces = [box for box in pieces if box.longer_side >= 3]
    return sorted(pieces, key=lambda box: box.longer_side, reverse=True)[:_MAX_PIECES]


def _strong_pieces(contrast: np.ndarray) -> Iterator[Box]:
    """Yield the boxes of pieces of strokes without the pale lines that they touch."""
    labels, _ = ndimage.label(contrast, np.ones((3, 3)))
    for number, piece in enumerate(ndimage.find_objects(labels), 1):
        box = Box(*piece)
        if box.longer_side >= _MIN_LENGTH:
            values = np.where(labels[box] == number, contrast[box], 0)
            strong = values > 0.5 * np.percentile(values[values > 0], 95)
            for part in ndimage.find_objects(ndimage.label(strong, np.ones((3, 3)))[0]):
                yield Box(*part).outside(box)


def _groups(boxes: list[Box]) -> list[Box]:
    """Join the boxes of pieces that are close to each other, the first two first."""
    boxes = list(boxes)
    while len(pairs := np.argwhere(_are_close(boxes))):
        first, second = pairs[0]
        boxes[first] = boxes[first].union(boxes.pop(second))
    return boxes


def _are_close(boxes: list[Box]) -> np.ndarray:
    """Return a matrix, True above the diagonal where two boxes are close to each other."""
    ends = np.array([[(part.start, part.stop) for part in box] for box in boxes]).reshape(-1, 2, 2)
    starts, stops = ends[:, :, 0], ends[:, :, 1]
    lengths = (stops - starts).max(axis=1)
    shorter, longer = np.minimum.outer(lengths, lengths), np.maximum.outer(lengths, lengths)
    gaps = np.maximum(starts[:, np.newaxis], starts) - np.minimum(stops[:, np.newaxis], stops)
    gap = gaps.max(axis=2)
    is_frame = (gap < 0) & (longer > 2.5 * shorter)  # of what is in it
    return np.triu((gap <= 0.25 * shorter) & ~is_frame, 1)


def without_ruled_lines(pixels: np.ndarray) -> np.ndarray:
    """Return a picture with the lines of lined or squared paper filled.

    It is the same object if there are none.
    """
    clean = pixels
    for axes in ((0, 1, 2), (1, 0, 2)):  # lines across the picture, then down
        turned = _without_lines_across(clean.transpose(axes))
        clean = clean if turned is None else turned.transpose(axes)
    return clean


def _without_lines_across(pixels: np.ndarray) -> np.ndarray | None:
    """Return a picture with the lines across it filled, or None if there are too few."""
    smooth = ndimage.gaussian_filter(pixels, 0.7, axes=(0, 1))
    background = ndimage.grey_closing(smooth, (_LINE, 1, 1))
    is_thin = _contrast(smooth, background) > 0
    lines = _straight_lines(is_thin)
    if len(lines) < _MIN_LINES:
        return None
    rows, columns = np.ogrid[: is_thin.shape[0], : is_thin.shape[1]]
    is_line = np.zeros_like(is_thin)
    for start, slope in lines:
        is_line |= np.abs(rows - start - slope * columns) <= 2
    is_line &= ndimage.binary_dilation(is_thin, np.ones((3, 1)))
    return np.where(is_line[..., np.newaxis], background, pixels)


def _straight_lines(is_thin: np.ndarray) -> list[tuple[int, float]]:
    """Return the first row and the slope of each long line, by a Hough transform.

    Each pixel counts for the lines of all slopes through it.
    """
    rows, columns = np.nonzero(is_thin)
    height, width = is_thin.shape
    slopes = np.arange(-_SLOPE, _SLOPE, 1.5 / width)
    starts = np.round(rows[:, np.newaxis] - columns[:, np.newaxis] * slopes).astype(int)
    margin = int(_SLOPE * width) + 2  # lines may start above or below the picture
    shape = height + 2 * margin, len(slopes)
    indices = (starts + margin) * len(slopes) + np.arange(len(slopes))
    counts = np.bincount(indices.ravel(), minlength=shape[0] * shape[1]).reshape(shape)
    lines = []
    while counts.max() > _MIN_LINE * width:
        start, slope = np.unravel_index(counts.argmax(), shape)
        lines.append((int(start) - margin, float(slopes[slope])))
        counts[max(0, start - 5) : start + 6] = 0
    return lines
