"""The grid of filters and feature maps."""

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from sklearn_usps import (
    ConvNetClassifier,
    FilterDisplay,
    ImageNormalizer,
    MultiTaskConvNetClassifier,
)

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
    assert display.maps_ is None
    assert [ax.get_ylabel() for ax in display.figure_.axes] == ["", "Weight"]


def test_feature_maps_are_those_of_the_network(data):
    """The first filter of "convnet" on the image with its border repeated, by hand."""
    classifier = fit(data, network="convnet")
    image = data[0][0].astype(np.float32)
    display = FilterDisplay.from_estimator(classifier, image)
    padded = np.pad(image.reshape(12, 10), 1, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    by_hand = np.einsum("ijkl,nkl->nij", windows, display.filters)
    np.testing.assert_allclose(display.maps, by_hand, rtol=1e-4, atol=1e-5)
    for drawn, expected in zip(display.maps_, display.maps, strict=True):
        np.testing.assert_array_equal(drawn.get_array(), expected)
    assert display.ax_.get_title() == "16 filters 3 × 3, with their feature maps"


def test_feature_maps_where_convolution_and_subsampling_are_one(data):
    classifier = fit(data)
    display = FilterDisplay.from_estimator(classifier, data[0][:1])
    image = data[0][0].astype(np.float32).reshape(12, 10)
    windows = np.lib.stride_tricks.sliding_window_view(image, (5, 5))
    bias = classifier.net_.module_.convolution.bias.detach().numpy()
    by_hand = np.einsum("ijkl,nkl->nij", windows, display.filters) + bias[:, None, None]
    np.testing.assert_allclose(display.maps, by_hand, rtol=1e-4, atol=1e-5)


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


def upsample(rows):
    """Images 6 × 6 as images 12 × 12."""
    return np.kron(np.asarray(rows).reshape(-1, 6, 6), np.ones((2, 2))).reshape(-1, 144)


def test_shapes_of_the_image(data):
    X = data[0]
    classifier = fit(data)
    maps = FilterDisplay.from_estimator(classifier, X[0]).maps
    for shape in [(1, 120), (12, 10), (1, 12, 10)]:
        display = FilterDisplay.from_estimator(classifier, X[0].reshape(shape))
        np.testing.assert_array_equal(display.maps, maps)
    for shape in [(10, 12), (6, 20), (120, 1), (1, 1, 12, 10), (10, 12, 1), (12, 1, 10)]:
        message = rf"X must be one image of shape \(12, 10\).*Got an array of shape \({shape[0]}, "
        with pytest.raises(ValueError, match=message):
            FilterDisplay.from_estimator(classifier, X[0].reshape(shape))
    with pytest.raises(ValueError, match=r"or a row of its 120 pixels. Got .* \(2, 120\)"):
        FilterDisplay.from_estimator(classifier, X[:2])


def test_shapes_of_the_image_where_a_step_changes_it():
    rng = np.random.default_rng(0)
    X, y = rng.random((20, 36)), np.arange(20) % 2
    model = make_pipeline(
        FunctionTransformer(upsample),
        ImageNormalizer(),
        ConvNetClassifier(network="luacnn", max_epochs=1, random_state=0),
    ).fit(X, y)
    expected = FilterDisplay.from_estimator(model[-1], model[:-1].transform(X[:1])).maps
    _, ax = plt.subplots()
    for shape in [(36,), (1, 36), (6, 6), (1, 6, 6)]:
        display = FilterDisplay.from_estimator(model, X[0].reshape(shape), ax=ax)
        np.testing.assert_array_equal(display.maps, expected)
        assert display.ax_ is ax
    with pytest.raises(ValueError, match=r"X must be one image of shape \(6, 6\)"):
        FilterDisplay.from_estimator(model, X[0].reshape(4, 9))


class InPlace(nn.Module):
    """A network whose second layer changes the output of the convolution in place."""

    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.convolution = nn.Conv2d(1, 3, 3)
        self.layers = nn.Sequential(self.convolution, nn.ReLU(inplace=True))
        self.output = nn.LazyLinear(n_classes)
        self(torch.zeros(1, 1, *image_shape))

    def forward(self, images):
        return self.output(self.layers(images).flatten(1))


def test_feature_maps_are_those_before_a_relu_in_place(data):
    classifier = fit(data, network=InPlace)
    display = FilterDisplay.from_estimator(classifier, data[0][0])
    image = torch.tensor(data[0][0], dtype=torch.float32).view(1, 1, 12, 10)
    expected = classifier.net_.module_.convolution(image)[0].detach().numpy()
    assert expected.min() < 0
    np.testing.assert_allclose(display.maps, expected, rtol=1e-5, atol=1e-6)


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
def test_filters_are_in_order_with_their_maps_below(own_axes):
    rng = np.random.default_rng(0)
    filters, maps = rng.normal(size=(8, 3, 3)), rng.normal(size=(8, 5, 5)) - 3
    ax = None if own_axes else plt.subplots()[1]
    display = FilterDisplay(filters, maps=maps).plot(ax=ax)
    corners = [corner(image) for image in display.images_]
    assert corners == sorted(corners)
    assert len(set(corners)) == 8
    for image, below in zip(display.images_, display.maps_, strict=True):
        (top, left), (map_top, map_left) = corner(image), corner(below)
        assert map_left == left
        assert 1 <= map_top - top < 1.1
    for drawn, values in [(display.images_, filters), (display.maps_, maps)]:
        limit = np.abs(values).max()
        for image, value in zip(drawn, values, strict=True):
            np.testing.assert_array_equal(image.get_array(), value)
            assert image.get_clim() == pytest.approx((-limit, limit))
            assert image.get_cmap().name == "gray"
            assert image.to_rgba(np.zeros((1, 1)))[0, 0, 0] == pytest.approx(0.5, abs=0.01)
    # All images lie within the limits of the axes.
    (left, right), (bottom, top) = display.ax_.get_xlim(), display.ax_.get_ylim()
    extents = np.array([image.get_extent() for image in [*display.images_, *display.maps_]])
    assert left <= extents[:, 0].min() < extents[:, 1].max() <= right
    assert top <= extents[:, 3].min() < extents[:, 2].max() <= bottom
    scales = {ax.get_xlabel() + ax.get_ylabel(): ax for ax in display.figure_.axes[1:]}
    assert scales["Weight"].get_ylim() == pytest.approx(display.images_[0].get_clim())
    assert scales["Feature map"].get_xlim() == pytest.approx(display.maps_[0].get_clim())


def test_filters_that_are_all_zero_are_gray():
    display = FilterDisplay(np.zeros((1, 3, 3)), tasks=list("abcd")).plot()
    assert display.images_[0].get_clim() == (-1, 1)
    assert display.ax_.get_title() == "1 filter 3 × 3, shared by 4 tasks"


@pytest.mark.parametrize("layout", ["own", None, "constrained"])
def test_titles_are_not_cut_off(layout, assert_fits):
    display = FilterDisplay(
        np.ones((6, 5, 5)), maps=np.ones((6, 8, 8)), tasks=["digits", "letters"]
    )
    if layout == "own":
        axes = [display.plot().ax_]
    else:
        _, axes = plt.subplots(1, 3, layout=layout, figsize=(9, 4))
        for ax in axes:
            display.plot(ax=ax)
    for ax in axes:
        words = "6 filters 5 × 5, shared by digits and letters, with their feature maps"
        assert ax.get_title().replace("\n", " ") == words
    assert_fits(ax.figure)


def test_drawing_changes_nothing(data):
    classifier = fit(data, network="convnet")
    classifier.net_.module_.train()  # in this mode a forward pass updates batch normalization
    before = {name: value.clone() for name, value in classifier.net_.module_.state_dict().items()}
    display = FilterDisplay.from_estimator(classifier, data[0][0])
    display.filters[:] = 0
    for name, value in classifier.net_.module_.state_dict().items():
        assert torch.equal(value, before[name])
    assert not any(module._forward_hooks for module in classifier.net_.module_.modules())
