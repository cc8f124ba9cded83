"""Grids of images with texts, and titles that fit narrow axes."""

import math

import numpy as np

from ._sklearn import check_matplotlib_support

#: Part of a tile's width that the image fills; space under the image and under its text.
_IMAGE_WIDTH, _GAP = 0.86, 0.08
#: Width of a character and height of a line in font sizes, a little above those of the usual fonts.
_CHARACTER, LINE = 0.68, 1.2
#: Font size of the labels, relative to that of the details under them.
_LABELS = 1.5
#: Fewest characters of the details for which there is room, so that no text becomes huge.
_MIN_CHARACTERS = 12
#: Font sizes of the details in points: that of a new figure, and the largest in given axes.
_FONT_SIZE, _MAX_FONT_SIZE = 8, 10
#: Least width of a new figure in inches, for its title.
_MIN_WIDTH = 6.5
#: Least scale of a title on one line, and the scale of a title on several.
_SMALL_TITLE = 0.7


class TileGrid:
    """Positions of images with two lines of text each: a tile is 1 wide, y grows downwards.

    `aspect` is the wanted ratio of the grid's width to its height.
    """

    def __init__(self, image_shape, texts, aspect):
        longest = [max([1, *map(len, lines)]) for lines in zip(*texts, strict=True)] or [1, 1]
        details_size = 1 / (_CHARACTER * max(_MIN_CHARACTERS, longest[1]))
        labels_size = min(_LABELS * details_size, 1 / (_CHARACTER * longest[0]))
        self.sizes = np.array([labels_size, min(details_size, labels_size)])
        self.image_height = _IMAGE_WIDTH * image_shape[0] / image_shape[1]
        self.tile_height = self.image_height + LINE * self.sizes.sum() + 2 * _GAP
        n_columns = max(1, round(math.sqrt(len(texts) * aspect * self.tile_height)))
        self.n_rows = max(1, math.ceil(len(texts) / n_columns))
        self.n_columns = max(1, math.ceil(len(texts) / self.n_rows))  # fills the last row
        self.height = self.n_rows * self.tile_height

    def place(self, index):
        """Return left, right, bottom and top of an image, the `extent` of matplotlib."""
        row, column = divmod(index, self.n_columns)
        left, top = column + (1 - _IMAGE_WIDTH) / 2, row * self.tile_height
        return left, left + _IMAGE_WIDTH, top + self.image_height, top

    def size_in_inches(self):
        """Return the size at which the details have the font size of a new figure."""
        tile = _FONT_SIZE / 72 / self.sizes[1]
        return max(_MIN_WIDTH, tile * self.n_columns), tile * self.height

    def font_sizes(self, ax):
        """Return font sizes of labels and details, in points: no text is wider than its tile."""
        tile = min(ax.bbox.width / self.n_columns, ax.bbox.height / self.height)
        sizes = 72 * tile / ax.figure.dpi * self.sizes
        return sizes * min(1, _MAX_FONT_SIZE / sizes[1])


def get_axes(display, ax, **options):
    """Return the axes for a display: `ax` or, if it is None, those of a figure with `options`."""
    check_matplotlib_support(f"{type(display).__name__}.plot")
    import matplotlib.pyplot as plt

    return plt.subplots(**options)[1] if ax is None else ax


def set_title(ax, parts):
    """Set the title of axes: on one line, or smaller with one line for each part if it is too wide.

    The `wrap` of matplotlib would use the width of the figure, which may have several axes.
    """
    title = ax.set_title(" ".join(parts), parse_math=False)
    size = title.get_fontsize()
    width = ax.get_position(original=True).width * ax.figure.bbox.width
    scale = min(1, width / title.get_window_extent().width)
    if scale < _SMALL_TITLE:
        title.set_text("\n".join(parts))
        scale = min(_SMALL_TITLE, width / title.get_window_extent().width)
    title.set_fontsize(scale * size)
