"""Checks and cleanup for all displays."""

import matplotlib
import pytest
from matplotlib import pyplot as plt

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def assert_fits():
    """Assert that nothing of a figure is cut off and that no title overlaps a title or image."""

    def assert_fits(figure):
        figure.draw_without_rendering()
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        pixel = 1.1 / figure.dpi  # to which matplotlib rounds texts
        assert box.x0 > -pixel
        assert box.y0 > -pixel
        assert box.x1 < width + pixel
        assert box.y1 < height + pixel
        titles = [ax.title.get_window_extent() for ax in figure.axes if ax.get_title()]
        images = [image.get_window_extent() for ax in figure.axes for image in ax.get_images()]
        for at, title in enumerate(titles):
            assert not any(map(title.padded(-1).overlaps, [*titles[at + 1 :], *images]))

    return assert_fits
