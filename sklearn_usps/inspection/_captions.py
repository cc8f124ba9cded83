"""Titles and legends that fit narrow axes and hide nothing."""

from itertools import product

#: How much smaller a title may become before it is broken into lines, which are of that size.
_SMALLER = 0.7
#: Sizes of the texts of a legend, the next where one leaves too little of the axes for the curves.
_LEGEND_SIZES, _LARGEST_SHARE = ("small", "x-small", "xx-small"), 0.45


def set_title(ax, parts):
    """Set the title of an axes, made smaller or broken between its parts where it is too wide."""
    width = ax.get_position(original=True).width * ax.figure.bbox.width
    for breaks in sorted(product(" \n", repeat=len(parts) - 1), key=lambda b: b.count("\n")):
        text = "".join(map("".join, zip(parts, [*breaks, ""], strict=True)))
        title = ax.set_title(text, parse_math=False)
        largest = _SMALLER if "\n" in text else 1
        scale = min(largest, width / title.get_window_extent().width)
        if scale >= _SMALLER:
            break
    title.set_fontsize(scale * title.get_fontsize())


def add_legend(ax, lines, labels, title):
    """Add a legend above the curves, as wide and large as the axes allow, and make room for it."""
    ax.figure.draw_without_rendering()  # or else a layout would give the axes their size later
    for size, n_columns in product(_LEGEND_SIZES, range(len(lines), 0, -1)):
        legend = ax.legend(
            lines, labels, title=title, ncols=n_columns, loc="upper center", fontsize=size
        )
        legend.get_title().set_fontsize(size)
        for text in (*legend.get_texts(), legend.get_title()):
            text.set_parse_math(False)  # a name may have a dollar sign
        box = legend.get_window_extent()
        share = 1.1 * box.height / ax.bbox.height + 0.03
        if box.width <= 0.95 * ax.bbox.width and share <= _LARGEST_SHARE:
            break
    low, high = ax.get_ylim()
    ax.set_ylim(low, low + (high - low) / (1 - min(share, 0.8)))


def shrink_labels(ax, distance):
    """Make the labels of two ticks smaller where they are too long for their distance in pixels."""
    labels = ax.get_xticklabels()
    length = sum(label.get_window_extent().width for label in labels) / 2
    ax.tick_params(axis="x", labelsize=min(1, distance / length) * labels[0].get_fontsize())
