"""Ways to write digits that are rare in USPS, whose writers learned to write in the USA.

Other writers cross the 7, begin the 1 with a stroke up to its top and stand it on a base, end the 9
in a hook, and shorten the stem of the 4 above or below its bar. In USPS a 1 is a bare stroke, so
that a classifier takes one of these for a 7. Each function takes ink from 0 to 1, cropped to the
digit.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from ..preprocessing._boxes import crop
from ..preprocessing._shape import mean_thickness

Line = Sequence[tuple[float, float]]

#: Probabilities of the changes. Writers in USPS's own style must remain frequent.
_FLAG, _BASE, _SHORT_STEM, _CROSS, _HOOK = 0.5, 0.3, 0.5, 0.4, 0.3


def vary_style(ink: np.ndarray, digit: int, rng: np.random.Generator) -> np.ndarray:
    """Return the ink of a digit as another writer may have written it."""
    if digit == 1 and rng.random() < _FLAG:
        lines = [_flag(ink, rng), *([_base(ink, rng)] if rng.random() < _BASE else [])]
        return _draw(ink, lines, rng)
    if digit == 4 and rng.random() < _SHORT_STEM:
        return _shorten_stem(ink, rng)
    if digit == 7 and rng.random() < _CROSS:
        return _draw(ink, [_cross(ink, rng)], rng)
    if digit == 9 and rng.random() < _HOOK:
        return _draw(ink, [_hook(ink, rng)], rng)
    return ink


def _flag(ink: np.ndarray, rng: np.random.Generator) -> Line:
    """Return the stroke from the left up to the top of a 1."""
    height = len(ink)
    x, y = _middle_of_row(ink, 0.06), 0.06 * height
    angle = np.radians(rng.uniform(25, 70))  # from the vertical
    length = height * rng.uniform(0.15, 0.42)
    return [(x, y), (x - length * np.sin(angle), y + length * np.cos(angle))]


def _base(ink: np.ndarray, rng: np.random.Generator) -> Line:
    """Return the stroke on which a 1 stands."""
    height = len(ink)
    x, y = _middle_of_row(ink, 0.96), 0.96 * height
    half = height * rng.uniform(0.15, 0.32)
    return [(x - half, y), (x + half, y)]


def _cross(ink: np.ndarray, rng: np.random.Generator) -> Line:
    """Return the stroke through the stem of a 7."""
    height = len(ink)
    level = rng.uniform(0.48, 0.68)
    half, rise, aside = height * rng.uniform([0.15, -0.08, -0.06], [0.32, 0.08, 0.06])
    x, y = _middle_of_row(ink, level) + aside, level * height
    return [(x - half, y + rise), (x + half, y - rise)]


def _hook(ink: np.ndarray, rng: np.random.Generator) -> Line:
    """Return the curve to the left, a parabola, in which a 9 ends."""
    height = len(ink)
    x, y = _middle_of_row(ink, 0.94), 0.94 * height
    reach, depth = height * rng.uniform([0.2, 0.05], [0.45, 0.15])
    rise = depth * rng.uniform(-0.5, 1.0)
    points = [(x, y), (x - 0.1 * reach, y + 2 * depth), (x - reach, y + rise)]
    t = np.linspace(0, 1, 8)
    weights = np.stack([(1 - t) ** 2, 2 * t * (1 - t), t**2], axis=1)
    return [(x, y) for x, y in weights @ points]


def _shorten_stem(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a 4 without a part of its stem, either below the bar or, in an open 4, above it."""
    height = len(ink)
    from_row, to_row = int(0.25 * height), int(0.9 * height)
    bar = from_row + int((ink[from_row:to_row] > 0.5).sum(axis=1).argmax())
    if rng.random() < 0.5:
        return crop(ink[: bar + round(height * rng.uniform(0.12, 0.25))], 0.4)
    shortened, gap = ink.copy(), None
    for row in range(bar - round(height * rng.uniform(0.1, 0.25)), -1, -1):
        edges = np.flatnonzero(np.diff(ink[row] > 0.5, prepend=False, append=False))
        if len(edges) >= 4:  # two strokes: the arm on the left, the stem on the right
            gap = int(np.ceil((edges[-3] + edges[-2]) / 2))
        if gap is not None:
            shortened[row, gap:] = 0
    cropped = crop(shortened, 0.4)
    # Where the stem was the taller stroke, little of the digit may be left.
    return cropped if len(cropped) > 0.75 * height else ink


def _middle_of_row(ink: np.ndarray, level: float) -> float:
    """Return the middle of the ink in the row at `level`, 0 at the top and 1 at the bottom."""
    columns = np.flatnonzero(ink[int(level * len(ink))] > 0.5)
    return columns.mean() if len(columns) else ink.shape[1] / 2


def _draw(ink: np.ndarray, lines: Sequence[Line], rng: np.random.Generator) -> np.ndarray:
    """Return the ink with further strokes, about as thick as those that it has."""
    room = len(ink) // 2
    padded = np.pad(ink, room)
    inside = ndimage.distance_transform_edt(padded > 0.5)
    thickness = rng.uniform(0.75, 1.0) * mean_thickness(inside)
    picture = Image.fromarray(np.uint8(255 * padded))
    pen = ImageDraw.Draw(picture)
    for line in lines:
        points = [(x + room, y + room) for x, y in line]
        pen.line(points, fill=255, width=max(1, round(thickness)))
        for x, y in points:  # round ends and corners
            half = thickness / 2
            pen.ellipse((x - half, y - half, x + half, y + half), fill=255)
    return crop(np.asarray(picture) / 255, 0.4)
