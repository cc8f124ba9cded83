"""Where the images of a sheet and their texts stand."""

import math

import numpy as np

#: Part of a tile's width that the image takes; space under it and under its text.
_IMAGE_WIDTH, _GAP = 0.86, 0.08
#: Width of a character and height of a line, in font sizes; a little above what they are.
_CHARACTER, LINE = 0.68, 1.2
#: Font size of the labels, relative to that of the details under them.
_LABELS = 1.5
#: Details are taken to be at least this long, so that no text becomes huge.
_MIN_CHARACTERS = 12
#: Font sizes of the details in points: that of a new figure, and the largest in axes given.
_FONT_SIZE, _MAX_FONT_SIZE = 8, 10
#: Least width of a new figure in inches, which its title needs.
_MIN_WIDTH = 6.5


class TileGrid:
    """Where images and texts stand, the width of a tile being 1 and y growing downwards."""

    def __init__(self, image_shape, texts):
        longest = [max([1, *map(len, lines)]) for lines in zip(*texts, strict=True)] or [1, 1]
        details_size = 1 / (_CHARACTER * max(_MIN_CHARACTERS, longest[1]))
        labels_size = min(_LABELS * details_size, 1 / (_CHARACTER * longest[0]))
        self.sizes = np.array([labels_size, min(details_size, labels_size)])
        self.n_images = len(texts)
        self.image_height = _IMAGE_WIDTH * image_shape[0] / image_shape[1]
        self.tile_height = self.image_height + LINE * self.sizes.sum() + 2 * _GAP

    def arrange(self, aspect):
        """Choose the number of columns and rows for a sheet of `aspect` times its height."""
        n_columns = max(1, round(math.sqrt(self.n_images * aspect * self.tile_height)))
        self.n_rows = max(1, math.ceil(self.n_images / n_columns))
        self.n_columns = max(1, math.ceil(self.n_images / self.n_rows))  # a full last row

    def place(self, at):
        """Return left, right, top and bottom of an image."""
        row, column = divmod(at, self.n_columns)
        left, top = column + (1 - _IMAGE_WIDTH) / 2, row * self.tile_height
        return left, left + _IMAGE_WIDTH, top, top + self.image_height

    def size_in_inches(self):
        """Return the size at which the details have their usual font size."""
        tile = _FONT_SIZE / 72 / self.sizes[1]
        return max(_MIN_WIDTH, tile * self.n_columns), tile * self.n_rows * self.tile_height

    def font_sizes(self, ax):
        """Return the font sizes, in points, of labels and details: no text leaves its tile."""
        box = ax.get_window_extent()
        tile = min(box.width / self.n_columns, box.height / (self.n_rows * self.tile_height))
        sizes = 72 * tile / ax.figure.dpi * self.sizes
        return sizes * min(1, _MAX_FONT_SIZE / sizes[1])
