"""The shape of ink: that of one digit, or of a block, a page, a text or noise."""

import itertools

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull

from ._boxes import box_of

#: Longer side of the ink of which the shape is judged, in pixels.
_SIDE = 64
#: Pieces of ink smaller than this part of the largest one are specks.
_MIN_PIECE = 0.03
#: Limits of the shape. In the brackets: the extreme among the 17,291 training images of Roweis's
#: USPS and of zip, and the 1,797 of load_digits, enlarged.
_MAX_PIECES = 8  # (7)
_MAX_STROKE = 0.78  # width of the widest stroke, in lengths of the longer side (0.70)
_MAX_QUADRILATERAL = 0.85  # (0.76)
_MIN_BLOCK = 0.88  # some ones of alphadigits are blocks with a serif
_BAR = 0.5, 0.3  # narrower ones, upright and lying, may be strokes, in lengths of the longer side
_MAX_DISTANCE = 0.4  # between pieces, in lengths of the longer side; larger ones are apart
_MAX_RUNS = 3.3, 4.0  # strokes across a row and a column, on average (2.3 and 3.1)
_MAX_WIDTH = 8  # in heights (5.3, of a 5 in zip; others to 3.8)
_MAX_ENCLOSED = 0.3  # length of what a piece surrounds, in those of the longer side (0)
_TALL, _MAX_GAP = 0.5, 0.03  # of pieces side by side, in heights of the digit (0.6: 0.01)
_MAX_JOINED_GAP = 0.1  # of pieces that faint ink joins, if both are no wider than high
#: A page has at least this part of its area inside pixels with this part of its median contrast.
_MIN_INSIDE, _STRONG = 0.004, 0.75
#: Ink with a stroke of more lengths of its longer side, or with more of its box, may be a page.
_COMPACT, _FULL = 0.28, 0.55


def pieces_of(is_ink: np.ndarray) -> np.ndarray:
    """Return the pieces of ink without specks, numbered from 1."""
    pieces, n_pieces = ndimage.label(is_ink, np.ones((3, 3)))
    if n_pieces < 2:
        return pieces
    areas = np.bincount(pieces.ravel(), minlength=n_pieces + 1)
    areas[0] = 0
    numbers = np.cumsum(areas >= _MIN_PIECE * areas.max())
    return np.where(areas >= _MIN_PIECE * areas.max(), numbers, 0)[pieces]


def page_in(is_ink: np.ndarray, contrast: np.ndarray) -> str | None:
    """Return a name for ink, cropped, that fills a block or a spot, or surrounds a page."""
    filled = filled_ink(is_ink)
    reduced = _reduced(filled)
    width, side = _stroke_width(reduced), max(reduced.shape) - 2
    likeness = _quadrilateral(reduced)
    if likeness > _MAX_QUADRILATERAL:
        strong = is_ink & (contrast > _STRONG * np.median(contrast[is_ink]))
        if (filled_ink(strong) > strong).sum() > _MIN_INSIDE * filled.sum():
            return "a page or a frame"
        is_lying = filled.shape[0] < filled.shape[1]
        if likeness > _MIN_BLOCK and width > _BAR[is_lying] * side:
            return "a solid block"
    reduced = _reduced(is_ink)
    return "a solid spot" if _stroke_width(reduced) > _MAX_STROKE * side else None


def is_compact(is_ink: np.ndarray) -> bool:
    """Return True if strokes are as wide as a part of a page, in the light or in the shadow."""
    is_ink = _reduced(is_ink)
    return _stroke_width(is_ink) > _COMPACT * max(is_ink.shape) or is_ink.mean() > _FULL


def filled_ink(is_ink: np.ndarray) -> np.ndarray:
    """Return ink with what it surrounds."""
    outside = ndimage.label(np.pad(~is_ink, 1, constant_values=True))[0]
    return (outside != outside[0, 0])[1:-1, 1:-1]


def _reduced(is_ink: np.ndarray) -> np.ndarray:
    """Return ink with sides of about 64 pixels, with a margin of one."""
    step = max(1, round(max(is_ink.shape) / _SIDE))
    return np.pad(is_ink[step // 2 :: step, step // 2 :: step], 1)


def no_digit_in(is_ink: np.ndarray, is_faint_ink: np.ndarray) -> str | None:
    """Return the reason why cropped ink has not the shape of a digit, None if it has.

    Fainter ink may join parts of it.
    """
    whole, is_ink, is_faint_ink = is_ink, _reduced(is_ink), _reduced(is_faint_ink)
    height, width = (n - 2 for n in is_ink.shape)
    if width > _MAX_WIDTH * height:
        return "something wide, such as a line or a word"
    pieces = pieces_of(is_ink)
    if pieces.max() > _MAX_PIECES:
        return f"{pieces.max()} pieces, such as noise or a text"
    if any(_strokes_across(is_ink, axis) > _MAX_RUNS[axis] for axis in (0, 1)):
        return "many strokes, such as noise or a text"
    joined = _joined_pieces(pieces > 0, is_faint_ink)
    n_characters, gap = _tall_pieces(pieces)
    is_joined = width <= height and _tall_pieces(joined * (pieces > 0))[1] <= _MAX_GAP * height
    if gap > (_MAX_JOINED_GAP if is_joined else _MAX_GAP) * height:
        return f"{n_characters} characters side by side"
    if joined.max() > 1 and _largest_gap(joined) > _MAX_DISTANCE * max(height, width):
        return "ink in several places"
    # In the reduced ink, a thin circle has gaps.
    if _enclosed_length(pieces_of(whole)) > _MAX_ENCLOSED * max(whole.shape):
        return "ink inside other ink, such as a digit in a circle"
    return None


def _joined_pieces(is_ink: np.ndarray, is_faint_ink: np.ndarray) -> np.ndarray:
    """Return the pieces of fainter ink that contain ink, numbered from 1."""
    pieces, _ = ndimage.label(is_faint_ink | is_ink, np.ones((3, 3)))
    return ndimage.label(np.isin(pieces, pieces[is_ink]), np.ones((3, 3)))[0]


def _strokes_across(is_ink: np.ndarray, axis: int) -> float:
    """Return the mean number of strokes across the rows (axis 0) or columns (1) of padded ink."""
    starts = np.diff(1 * is_ink, axis=1 - axis) == 1
    return starts.sum(axis=1 - axis)[1:-1].mean()


def _tall_pieces(pieces: np.ndarray) -> tuple[int, int]:
    """Return the number of tall pieces of padded ink, and the widest gap between two of them."""
    height = len(pieces) - 2
    boxes = ndimage.find_objects(pieces)
    tall = [columns for rows, columns in boxes if rows.stop - rows.start > _TALL * height]
    tall.sort(key=lambda columns: columns.start)
    gaps = [right.start - left.stop for left, right in itertools.pairwise(tall)]
    return len(tall), max(gaps, default=0)


def _enclosed_length(pieces: np.ndarray) -> int:
    """Return the longer side of the ink that a piece of ink surrounds, 0 if none does."""
    longest, n_pieces = 0, pieces.max()
    if n_pieces == 1:
        return 0
    for number in range(1, n_pieces + 1):
        enclosed = filled_ink(pieces == number) & (pieces > 0) & (pieces != number)
        if enclosed.any():
            longest = max(longest, box_of(enclosed).longer_side)
    return longest


def mean_thickness(distances: np.ndarray) -> float:
    """Return the mean thickness of strokes from the distances of all pixels to the background.

    Along a bar, the mean distance to its edges is a quarter of its thickness.
    """
    return 4 * distances[distances > 0].mean()


def _stroke_width(is_ink: np.ndarray) -> float:
    """Return the width of the widest stroke: twice the largest distance to the background."""
    return 2 * ndimage.distance_transform_edt(is_ink).max() - 1


def _quadrilateral(filled: np.ndarray) -> float:
    """Return the share of a shape in its hull, times the share of four corners of it in the hull.

    It is 1 for a page in any perspective, and 0.64 for a disk.
    """
    if not filled.any():  # too thin to be seen in the reduced picture
        return 0.0
    corners = np.argwhere(filled & ~ndimage.binary_erosion(filled))
    corners = np.concatenate([corners + offset for offset in [(0, 0), (0, 1), (1, 0), (1, 1)]])
    hull = ConvexHull(corners)
    vertices = corners[hull.vertices].astype(float)
    while len(vertices) > 4:  # without the corners that matter least
        before = vertices - np.roll(vertices, 1, axis=0)
        after = np.roll(vertices, -1, axis=0) - vertices
        matter = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0])
        vertices = np.delete(vertices, matter.argmin(), axis=0)
    x, y = vertices.T
    area = 0.5 * abs(x @ np.roll(y, -1) - y @ np.roll(x, -1))
    return filled.sum() * area / hull.volume**2  # in two dimensions, the volume is the area


def _largest_gap(pieces: np.ndarray) -> float:
    """Return the longest of the shortest jumps that lead to all pieces."""
    reached, gap = pieces == 1, 0.0
    while (missing := (pieces > 0) & ~reached).any():
        distances = np.where(missing, ndimage.distance_transform_edt(~reached), np.inf)
        gap = max(gap, distances.min())
        reached |= pieces == pieces.ravel()[distances.argmin()]
    return gap
