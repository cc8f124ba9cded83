"""The rows and columns of a part of a picture."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage


class Box(NamedTuple):
    """Rows and columns: `picture[box]` is the part."""

    rows: slice
    columns: slice

    @property
    def longer_side(self) -> int:
        return max(part.stop - part.start for part in self)

    def with_surroundings(self, width: float, shape: tuple[int, ...]) -> "Box":
        """Return the box and `width` of its longer side around it, as far as the picture goes."""
        more = max(2, round(width * self.longer_side))
        ends = zip(self, shape, strict=False)
        return Box(*(slice(max(0, a.start - more), min(n, a.stop + more)) for a, n in ends))

    def scaled(self, factor: int) -> "Box":
        """Return the box of the same part of a picture with `factor` times as many rows."""
        return Box(*(slice(factor * a.start, factor * a.stop) for a in self))

    def inside(self, part: "Box") -> "Box":
        """Return the box in the coordinates of a part of the picture."""
        return Box(*(slice(a.start - b.start, a.stop - b.start) for a, b in _pairs(self, part)))

    def outside(self, part: "Box") -> "Box":
        """Return the box, in the coordinates of a part, in those of the picture."""
        return Box(*(slice(a.start + b.start, a.stop + b.start) for a, b in _pairs(self, part)))

    def union(self, other: "Box") -> "Box":
        """Return the smallest box with both."""
        pairs = _pairs(self, other)
        return Box(*(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in pairs))

    def contains(self, other: "Box") -> bool:
        return self.union(other) == self

    def gap(self, other: "Box") -> int:
        """Return the pixels between boxes along the axis with more of them, negative in overlap."""
        pairs = _pairs(self, other)
        return max(max(a.start, b.start) - min(a.stop, b.stop) for a, b in pairs)


def _pairs(first: Box, second: Box):
    return zip(first, second, strict=True)


def box_of(is_ink: np.ndarray) -> Box:
    """Return the smallest box with all ink."""
    return Box(*ndimage.find_objects(1 * is_ink)[0])


def crop(ink: np.ndarray, level: float) -> np.ndarray:
    """Return the rows and columns from the first to the last with ink of at least `level`."""
    return ink[box_of(ink >= level)]
