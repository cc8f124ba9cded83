"""Boxes: the rows and the columns of a part of a picture, as slices."""

import numpy as np
from scipy import ndimage

#: Rows and columns, as in `scipy.ndimage.find_objects`: `picture[box]` is the part.
Box = tuple[slice, slice]


def box_of(is_ink: np.ndarray) -> Box:
    """Return the smallest box with all ink."""
    return ndimage.find_objects(1 * is_ink)[0]


def crop(ink: np.ndarray, level: float) -> np.ndarray:
    """Return the rows and columns from the first to the last with ink of at least `level`."""
    return ink[box_of(ink >= level)]


def longer_side(box: Box) -> int:
    return max(part.stop - part.start for part in box)


def with_surroundings(box: Box, width: float, shape: tuple[int, ...]) -> Box:
    """Return a box with surroundings, `width` of its longer side, as far as the picture goes."""
    more = max(2, round(width * longer_side(box)))
    rows, columns = (
        slice(max(0, part.start - more), min(n, part.stop + more))
        for part, n in zip(box, shape, strict=False)
    )
    return rows, columns


def scaled_box(box: Box, factor: int) -> Box:
    """Return the box of the same part of a picture with `factor` times as many pixels a side."""
    rows, columns = (slice(factor * part.start, factor * part.stop) for part in box)
    return rows, columns


def box_in_part(box: Box, part: Box) -> Box:
    """Return a box of a picture as one of a part of it."""
    rows, columns = (
        slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, part, strict=True)
    )
    return rows, columns


def box_in_picture(box: Box, part: Box) -> Box:
    """Return a box of a part of a picture as one of the picture."""
    rows, columns = (
        slice(a.start + b.start, a.stop + b.start) for a, b in zip(box, part, strict=True)
    )
    return rows, columns


def union(first: Box, second: Box) -> Box:
    """Return the smallest box with both."""
    rows, columns = (
        slice(min(a.start, b.start), max(a.stop, b.stop))
        for a, b in zip(first, second, strict=True)
    )
    return rows, columns


def contains(outer: Box, inner: Box) -> bool:
    return union(outer, inner) == outer


def gap_between(first: Box, second: Box) -> int:
    """Return the pixels between two boxes along the axis with more of them, negative in overlap."""
    return max(
        max(a.start, b.start) - min(a.stop, b.stop) for a, b in zip(first, second, strict=True)
    )
