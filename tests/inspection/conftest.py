"""What holds for every picture."""

import pytest


@pytest.fixture
def assert_fits():
    """Checks that nothing of a figure is cut off, and that no title lies on a title or an image."""

    def assert_fits(figure):
        figure.draw_without_rendering()
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert box.x0 > -0.01
        assert box.y0 > -0.01
        assert box.x1 < width + 0.01
        assert box.y1 < height + 0.01
        titles = [ax.title.get_window_extent() for ax in figure.axes if ax.get_title()]
        images = [image.get_window_extent() for ax in figure.axes for image in ax.get_images()]
        for at, title in enumerate(titles):
            assert not any(map(title.padded(-1).overlaps, [*titles[at + 1 :], *images]))

    return assert_fits
