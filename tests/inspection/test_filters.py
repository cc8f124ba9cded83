"""The sheet of filters and feature maps."""

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import nn

from sklearn_usps import ConvNetClassifier, FilterDisplay, ImageNormalizer, JointConvNetClassifier

matplotlib.use("Agg")
FIRST = {
    "convnet": "convolutions.1",
    "torch7": "convolution",
    "lecun1989": "h1.1",
    "lenet5": "layers.1",
}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.random((40, 12 * 10)), np.arange(40) % 2


def fit(data, **params):
    params = {"network": "torch7", "image_shape": (12, 10), "max_epochs": 1, "lr": 0.01, **params}
    return ConvNetClassifier(random_state=0, **params).fit(*data)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


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


def test_image_goes_through_the_steps_before(data):
    X, y = data
    model = make_pipeline(
        ImageNormalizer(), ConvNetClassifier(image_shape=(12, 10), max_epochs=1, random_state=0)
    ).fit(X, y)
    _, ax = plt.subplots()
    display = FilterDisplay.from_estimator(model, X[0].reshape(12, 10), ax=ax)
    alone = FilterDisplay.from_estimator(model[-1], model[:-1].transform(X[:1]))
    np.testing.assert_array_equal(display.maps, alone.maps)
    assert display.ax_ is ax


def test_shared_filters_are_drawn_once(data):
    X, y = data
    joint = JointConvNetClassifier(
        network="torch7", image_shape=(12, 10), max_epochs=1, random_state=0
    ).fit(X, y, task=np.repeat(["digits", "letters"], 20))
    display = FilterDisplay.from_estimator(joint)
    assert display.ax_.get_title() == "6 filters 5 × 5, shared by digits and letters"
    shared = joint.net_.module_.networks[1].convolution.weight.detach().numpy()
    np.testing.assert_array_equal(display.filters, shared[:, 0])
    frame = display.frame()
    assert frame.shape == (6 * 25, 4)
    row = frame[(frame["filter"] == 4) & (frame["row"] == 3) & (frame["column"] == 1)]
    assert row["weight"].item() == shared[4, 0, 3, 1]


class Dense(nn.Module):
    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.output = nn.Linear(image_shape[0] * image_shape[1], n_classes)

    def forward(self, images):
        return self.output(images.flatten(1))


def test_what_has_no_filters(data):
    with pytest.raises(ValueError, match="The network Dense does not begin with a convolution"):
        FilterDisplay.from_estimator(fit(data, network=Dense))
    with pytest.raises(ValueError, match="LogisticRegression has no `net_`"):
        FilterDisplay.from_estimator(LogisticRegression().fit(*data))
    with pytest.raises(ValueError, match=r"X must be one image of 120 pixels. Got .* \(2, 120\)"):
        FilterDisplay.from_estimator(fit(data), data[0][:2])


def test_drawing_changes_nothing(data):
    classifier = fit(data, network="convnet")
    before = {name: value.clone() for name, value in classifier.net_.module_.state_dict().items()}
    display = FilterDisplay.from_estimator(classifier, data[0][0])
    display.filters[:] = 0
    for name, value in classifier.net_.module_.state_dict().items():
        assert torch.equal(value, before[name])
