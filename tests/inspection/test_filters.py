"""The grid of filters."""

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from sklearn.linear_model import LogisticRegression
from torch import nn

from sklearn_usps import ConvNetClassifier, FilterDisplay, MultiTaskConvNetClassifier

FIRST = {
    "convnet": "convolutions.1",
    "luacnn": "convolution",
    "lecun1989": "h1.1",
    "lenet5": "layers.1",
}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.random((40, 12 * 10)), np.arange(40) % 2


def fit(data, **params):
    params = {"network": "luacnn", "image_shape": (12, 10), "max_epochs": 1, "lr": 0.01, **params}
    return ConvNetClassifier(random_state=0, **params).fit(*data)


@pytest.mark.parametrize("network", sorted(FIRST))
def test_draws_each_filter_on_one_scale(data, network):
    classifier = fit(data, network=network)
    weights = classifier.net_.module_.get_submodule(FIRST[network]).weight.detach().numpy()
    display = FilterDisplay.from_estimator(classifier)
    np.testing.assert_array_equal(display.filters, weights[:, 0])
    assert len(display.images_) == len(weights)
    limit = np.abs(weights).max()
    for image, weight in zip(display.images_, weights, strict=True):
        np.testing.assert_array_equal(image.get_array(), weight[0])
        assert image.get_clim() == pytest.approx((-limit, limit))
    height, width = weights.shape[2:]
    assert display.ax_.get_title() == f"{len(weights)} filters {height} × {width}"
    assert [ax.get_ylabel() for ax in display.figure_.axes] == ["", "Weight"]


def test_shared_filters_are_drawn_once(data):
    X, y = data
    classifier = ConvNetClassifier(
        network="luacnn", image_shape=(12, 10), max_epochs=1, random_state=0
    )
    model = MultiTaskConvNetClassifier(classifier)
    model.fit(X, y, task=np.repeat(["digits", "letters"], 20))
    display = FilterDisplay.from_estimator(model)
    assert display.ax_.get_title() == "6 filters 5 × 5, shared by digits and letters"
    shared = model.net_.module_.networks[1].convolution.weight.detach().numpy()
    np.testing.assert_array_equal(display.filters, shared[:, 0])
    frame = display.frame()
    assert frame.shape == (6 * 25, 4)
    row = frame[(frame["filter"] == 4) & (frame["row"] == 3) & (frame["column"] == 1)]
    assert row["weight"].item() == shared[4, 0, 3, 1]


class Dense(nn.Sequential):
    def __init__(self, image_shape, n_classes):
        n_pixels = image_shape[0] * image_shape[1]
        super().__init__(nn.Flatten(), nn.Linear(n_pixels, n_classes))


def test_models_without_filters(data):
    with pytest.raises(ValueError, match="The network Dense does not begin with a torch"):
        FilterDisplay.from_estimator(fit(data, network=Dense))
    with pytest.raises(ValueError, match="Got LogisticRegression instead"):
        FilterDisplay.from_estimator(LogisticRegression().fit(*data))


def corner(image):
    """Return row and column of the corner of an image, which sort in reading order."""
    left, _, bottom, top = image.get_extent()
    assert bottom > top
    return top, left


@pytest.mark.parametrize("own_axes", [True, False])
def test_filters_are_in_order_around_gray(own_axes):
    filters = np.random.default_rng(0).normal(size=(8, 3, 3))
    ax = None if own_axes else plt.subplots()[1]
    display = FilterDisplay(filters).plot(ax=ax)
    assert own_axes or display.ax_ is ax
    corners = [corner(image) for image in display.images_]
    assert corners == sorted(corners)
    assert len(set(corners)) == 8
    limit = np.abs(filters).max()
    for image, weights in zip(display.images_, filters, strict=True):
        np.testing.assert_array_equal(image.get_array(), weights)
        assert image.get_clim() == pytest.approx((-limit, limit))
        assert image.get_cmap().name == "gray"
        assert image.to_rgba(np.zeros((1, 1)))[0, 0, 0] == pytest.approx(0.5, abs=0.01)
    # All images lie within the limits of the axes.
    (left, right), (bottom, top) = display.ax_.get_xlim(), display.ax_.get_ylim()
    extents = np.array([image.get_extent() for image in display.images_])
    assert left <= extents[:, 0].min() < extents[:, 1].max() <= right
    assert top <= extents[:, 3].min() < extents[:, 2].max() <= bottom
    _, scale = display.figure_.axes
    assert scale.get_ylabel() == "Weight"
    assert scale.get_ylim() == pytest.approx((-limit, limit))


def test_filters_that_are_all_zero_are_gray():
    display = FilterDisplay(np.zeros((1, 3, 3)), tasks=list("abcd")).plot()
    assert display.images_[0].get_clim() == (-1, 1)
    assert display.ax_.get_title() == "1 filter 3 × 3, shared by 4 tasks"


@pytest.mark.parametrize("layout", ["own", None, "constrained"])
def test_titles_are_not_cut_off(layout, assert_fits):
    display = FilterDisplay(np.ones((6, 5, 5)), tasks=["digits", "letters"])
    if layout == "own":
        axes = [display.plot().ax_]
    else:
        _, axes = plt.subplots(1, 3, layout=layout, figsize=(9, 4))
        for ax in axes:
            display.plot(ax=ax)
    for ax in axes:
        words = "6 filters 5 × 5, shared by digits and letters"
        assert ax.get_title().replace("\n", " ") == words
    assert_fits(ax.figure)


def test_filters_are_copies(data):
    classifier = fit(data)
    weights = classifier.net_.module_.convolution.weight
    before = weights.detach().clone()
    FilterDisplay.from_estimator(classifier).filters[:] = 0
    assert torch.equal(weights, before)
