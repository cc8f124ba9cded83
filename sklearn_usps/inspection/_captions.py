"""Titles and legends that fit narrow axes and hide nothing."""

from itertools import product

#: How much smaller a title may become before it is broken into lines, which are of that size.
_SMALLER = 0.7


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
    """Add a legend above the curves, as wide as the axes allow, and make room for it."""
    for n_columns in range(len(lines), 0, -1):
        legend = ax.legend(
            lines, labels, title=title, ncols=n_columns, loc="upper center", fontsize="small"
        )
        for text in (*legend.get_texts(), legend.get_title()):
            text.set_parse_math(False)  # a name may have a dollar sign
        box = legend.get_window_extent()
        if box.width <= 0.95 * ax.bbox.width:
            break
    low, high = ax.get_ylim()
    share = min(1.1 * box.height / ax.bbox.height + 0.03, 0.7)
    ax.set_ylim(low, low + (high - low) / (1 - share))


def shrink_labels(ax, distance):
    """Make the labels of two ticks smaller where they are too long for their distance in pixels."""
    labels = ax.get_xticklabels()
    length = sum(label.get_window_extent().width for label in labels) / 2
    ax.tick_params(axis="x", labelsize=min(1, distance / length) * labels[0].get_fontsize())
