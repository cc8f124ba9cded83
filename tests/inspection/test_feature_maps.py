"""The grid of the feature maps of each convolution."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn
from torch.nn import functional

from sklearn_usps import (
    ConvNetClassifier,
    FeatureMapDisplay,
    ImageNormalizer,
    MultiTaskConvNetClassifier,
)
from sklearn_usps.inspection._map_recorder import feature_maps


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.random((40, 12 * 10)), np.arange(40) % 2


def fit(data, **params):
    params = {"network": "luacnn", "image_shape": (12, 10), "max_epochs": 1, "lr": 0.01, **params}
    return ConvNetClassifier(random_state=0, **params).fit(*data)


def as_tensor(row):
    return torch.tensor(row, dtype=torch.float32).view(1, 1, 12, 10)


def convolve(image, weights):
    """Return the correlation of an image with filters of one input channel."""
    windows = np.lib.stride_tricks.sliding_window_view(image, weights.shape[2:])
    return np.einsum("ijkl,nkl->nij", windows, weights[:, 0])


def assert_close(maps, expected):
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-5)


def test_maps_of_convnet_are_those_after_normalization_and_relu(data):
    """The first convolution by hand: the border is repeated, then 3 × 3 filters."""
    classifier = fit(data, network="convnet")
    image = data[0][0].reshape(12, 10)
    (name, shown), (first_name, first), *others = feature_maps(classifier, image)
    assert (name, first_name) == ("Input", "Convolution 1")
    np.testing.assert_array_equal(shown, image[None].astype(np.float32))
    _, layer, norm, *_ = classifier.net_.module_.convolutions
    weights = layer.weight.numpy(force=True)
    scale, shift, mean, var = (
        value.numpy(force=True)[:, None, None]
        for value in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    filtered = convolve(np.pad(image, 1, mode="edge"), weights)
    normalized = (filtered - mean) / np.sqrt(var + norm.eps) * scale + shift
    assert normalized.min() < 0
    assert_close(first, np.maximum(normalized, 0))
    sizes = [(name, maps.shape) for name, maps in others]
    assert sizes == [
        ("Convolution 2", (32, 6, 5)),
        ("Convolution 3", (32, 6, 5)),
        ("Convolution 4", (64, 3, 3)),
        ("Convolution 5", (64, 3, 3)),
    ]
    # The last maps are what the linear layer gets.
    features = classifier.transform(image[None])
    assert_close(others[-1][1].reshape(1, -1), features)


def test_maps_of_luacnn_are_those_after_subsampling_and_tanh(data):
    classifier = fit(data)
    image = data[0][0].reshape(12, 10)
    _, (_, maps) = feature_maps(classifier, image)
    network = classifier.net_.module_
    weights, bias = (value.numpy(force=True) for value in network.convolution.parameters())
    filtered = convolve(image, weights) + bias[:, None, None]
    sums = filtered.reshape(6, 4, 2, 3, 2).sum((2, 4))
    factors, biases = (p.numpy(force=True)[:, None, None] for p in network.subsampling.parameters())
    assert_close(maps, np.tanh(factors * sums + biases))


def test_maps_of_lecun1989_are_h1_and_h2(data):
    classifier = fit(data, network="lecun1989", lr=0.001)
    _, (_, first), (_, second) = feature_maps(classifier, data[0][0])
    network = classifier.net_.module_
    with torch.no_grad():
        h1 = network.h1(as_tensor(data[0][0]))
        h2 = network.h2(h1)
    np.testing.assert_array_equal(first, h1[0].numpy())
    np.testing.assert_array_equal(second, h2[0].numpy())


def test_maps_of_lenet5_are_c1_c3_and_c5_before_subsampling(data):
    classifier = fit(data, network="lenet5")
    names_and_maps = feature_maps(classifier, data[0][0])
    layers = classifier.net_.module_.layers
    with torch.no_grad():
        for stop, (_, maps) in zip((3, 7, 11), names_and_maps[1:], strict=True):
            expected = layers[:stop](as_tensor(data[0][0]))[0]
            np.testing.assert_array_equal(maps, expected.numpy())


def test_forms_of_the_image(data):
    X = (data[0] * 255).round()
    classifier = fit((X, data[1]))
    expected = feature_maps(classifier, X[0])
    picture = X[0].reshape(12, 10).astype(np.uint8)
    forms = [X[:1], picture, picture[None], picture.tolist(), Image.fromarray(picture)]
    for image in [*forms, torch.from_numpy(picture), pd.Series(X[0])]:
        for (_, maps), (_, others) in zip(feature_maps(classifier, image), expected, strict=True):
            np.testing.assert_array_equal(maps, others)


def test_images_that_are_refused(data):
    X = data[0]
    classifier = fit(data)
    for shape in [(10, 12), (6, 20), (120, 1), (1, 1, 12, 10), (10, 12, 1), (12, 1, 10)]:
        message = rf"image must be one image of shape \(12, 10\).*an array of shape \({shape[0]}, "
        with pytest.raises(ValueError, match=message):
            FeatureMapDisplay.from_estimator(classifier, X[0].reshape(shape))
    with pytest.raises(ValueError, match=r"or a row of its 120 pixels. Got .* \(2, 120\)"):
        FeatureMapDisplay.from_estimator(classifier, X[:2])
    with pytest.raises(ValueError, match="image contains NaN"):
        FeatureMapDisplay.from_estimator(classifier, np.full(120, np.nan))
    with pytest.raises(ValueError, match=r"`image` must have numbers. Got paths"):
        FeatureMapDisplay.from_estimator(classifier, ["three.png"])


def upsample(rows):
    """Images 6 × 6 as images 12 × 12."""
    return np.kron(np.asarray(rows).reshape(-1, 6, 6), np.ones((2, 2))).reshape(-1, 144)


def test_steps_of_a_pipeline_transform_the_image():
    rng = np.random.default_rng(0)
    X, y = rng.random((20, 36)), np.arange(20) % 2
    model = make_pipeline(
        FunctionTransformer(upsample),
        ImageNormalizer(),
        ConvNetClassifier(network="luacnn", max_epochs=1, random_state=0),
    ).fit(X, y)
    transformed = model[:-1].transform(X[:1])
    expected = feature_maps(model[-1], transformed)
    np.testing.assert_array_equal(expected[0][1], transformed.reshape(1, 12, 12).astype("f4"))
    for shape in [(36,), (1, 36), (6, 6), (1, 6, 6)]:
        found = feature_maps(model, X[0].reshape(shape))
        for (_, maps), (_, others) in zip(found, expected, strict=True):
            np.testing.assert_array_equal(maps, others)
    with pytest.raises(ValueError, match=r"image must be one image of shape \(6, 6\)"):
        feature_maps(model, transformed)


def test_models_fitted_on_data_frames(data):
    X = pd.DataFrame(data[0]).add_prefix("pixel")
    classifier = ConvNetClassifier(
        network="luacnn", image_shape=(12, 10), max_epochs=1, random_state=0
    )
    model = make_pipeline(ImageNormalizer(), classifier).fit(X, data[1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        maps = [dict(feature_maps(model, image)) for image in (X.iloc[0], X[:1], data[0][0])]
    for found in maps:
        np.testing.assert_array_equal(found["Convolution 1"], maps[-1]["Convolution 1"])


class Own(nn.Module):
    """A network of functions: relu as a function or in place, a skip connection, and pooling."""

    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.first = nn.Conv2d(1, 3, 3, padding=1)
        self.inside = nn.Conv2d(3, 3, 3, padding=1)
        self.last = nn.Conv2d(3, 2, 1, bias=False)
        self.in_place = nn.ReLU(inplace=True)
        self.output = nn.Linear(2 * (image_shape[0] // 2) * (image_shape[1] // 2), n_classes)

    def maps(self, images):
        images -= 0.5  # changes its input
        first = functional.relu(self.first(images))
        inside = self.in_place(self.inside(first) + first)
        pooled = functional.max_pool2d(inside, 2)
        return first, inside, self.last(pooled).sigmoid()

    def forward(self, images):
        return self.output(self.maps(images)[-1].flatten(1))


def test_maps_of_a_users_network(data):
    classifier = fit(data, network=Own)
    with torch.no_grad():
        expected = classifier.net_.module_.maps(as_tensor(data[0][0]))
    (_, image), *found = feature_maps(classifier, data[0][0])
    np.testing.assert_array_equal(image[0], data[0][0].reshape(12, 10).astype(np.float32))
    assert [maps.shape for _, maps in found] == [(3, 12, 10), (3, 12, 10), (2, 6, 5)]
    for (_, maps), tensor in zip(found, expected, strict=True):
        np.testing.assert_array_equal(maps, tensor[0].numpy())


class Dense(nn.Sequential):
    def __init__(self, image_shape, n_classes):
        n_pixels = image_shape[0] * image_shape[1]
        super().__init__(nn.Flatten(), nn.Linear(n_pixels, n_classes))


def test_models_without_feature_maps(data):
    with pytest.raises(ValueError, match="The network Dense calls no two-dimensional convolution"):
        FeatureMapDisplay.from_estimator(fit(data, network=Dense), data[0][0])
    with pytest.raises(ValueError, match="Got LogisticRegression instead"):
        FeatureMapDisplay.from_estimator(LogisticRegression().fit(*data), data[0][0])


def test_tasks(two_tasks):
    X, y, task = two_tasks
    classifier = ConvNetClassifier(network="lecun1989", lr=1e-3, max_epochs=1, random_state=0)
    model = make_pipeline(ImageNormalizer(), MultiTaskConvNetClassifier(classifier))
    model.fit(X, y, multitaskconvnetclassifier__task=task)
    row = model[:-1].transform(X[:1])
    first, second = (
        dict(FeatureMapDisplay.from_estimator(model, X[0], task=name).maps)
        for name in ("bars", "sides")
    )
    for maps, part in zip((first, second), model[-1].estimators_.values(), strict=True):
        for name, expected in feature_maps(part, row):
            np.testing.assert_array_equal(maps[name], expected)
    np.testing.assert_array_equal(first["Convolution 1"], second["Convolution 1"])  # shared
    assert not np.array_equal(first["Convolution 2"], second["Convolution 2"])
    for wrong in (None, "stripes"):
        message = rf"task must be one of \['bars', 'sides'\]. Got {wrong!r} instead"
        with pytest.raises(ValueError, match=message):
            feature_maps(model, X[0], task=wrong)
    with pytest.raises(ValueError, match=r"ConvNetClassifier has no tasks. Got task='bars'"):
        feature_maps(model[-1].estimators_["bars"], row, task="bars")


def test_the_only_task_needs_no_name(bars):
    X, y = bars
    model = MultiTaskConvNetClassifier(
        ConvNetClassifier(network="luacnn", max_epochs=1, random_state=0)
    ).fit(X, y)
    found, expected = feature_maps(model, X[0]), feature_maps(model.estimators_["all"], X[0])
    np.testing.assert_array_equal(found[1][1], expected[1][1])


def test_nothing_of_the_model_changes(data):
    classifier = fit(data, network="convnet")
    network = classifier.net_.module_
    expected = feature_maps(classifier, data[0][0])
    network.train()  # in this mode a forward pass updates batch normalization and drops units
    network.convolutions[2].eval()
    modes = [module.training for module in network.modules()]
    states = {name: value.clone() for name, value in network.state_dict().items()}
    gradients = [parameter.grad.clone() for parameter in network.parameters()]
    random = torch.get_rng_state(), network.dropout.generator.get_state()
    found = feature_maps(classifier, data[0][0])
    for (_, maps), (_, others) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(maps, others)
        maps[:] = 0  # a copy
    assert [module.training for module in network.modules()] == modes
    for name, value in network.state_dict().items():
        assert torch.equal(value, states[name])
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        assert torch.equal(parameter.grad, gradient)
    assert torch.equal(torch.get_rng_state(), random[0])
    assert torch.equal(network.dropout.generator.get_state(), random[1])


def test_threads_get_the_same_maps(data):
    classifier = fit(data, network="convnet")
    expected = [feature_maps(classifier, image) for image in data[0]]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda image: feature_maps(classifier, image), data[0]))
    for mine, theirs in zip(found, expected, strict=True):
        for (_, maps), (_, others) in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(maps, others)


def corners(images):
    """Return row and column of the corner of each image, which sort in reading order."""
    extents = [image.get_extent() for image in images]
    assert all(bottom > top for _, _, bottom, top in extents)
    return [(top, left) for left, _, _, top in extents]


@pytest.mark.parametrize("n_maps", [1, 6, 20, 130])
def test_maps_are_in_order_below_their_label(n_maps):
    rng = np.random.default_rng(0)
    maps = {
        "Input": rng.random((1, 8, 6)),
        "Convolution 1": rng.normal(size=(n_maps, 4, 3)),
        "Convolution 2": rng.random((2 * n_maps, 2, 2)),
    }
    display = FeatureMapDisplay(maps).plot()
    drawn = [image for images in display.images_.values() for image in images]
    assert corners(drawn) == sorted(corners(drawn))
    assert len(set(corners(drawn))) == 1 + 3 * n_maps
    for name, images in display.images_.items():
        top, left = corners(images)[0]
        x, y = display.text_[name].get_position()
        assert x == left
        assert y < top
        for image, expected in zip(images, maps[name], strict=True):
            np.testing.assert_array_equal(image.get_array(), expected)
            left, right, bottom, top = image.get_extent()
            height, width = expected.shape
            assert (bottom - top) / (right - left) == pytest.approx(height / width)
    (left, right), (bottom, top) = display.ax_.get_xlim(), display.ax_.get_ylim()
    extents = np.array([image.get_extent() for image in drawn])
    assert left <= extents[:, 0].min() < extents[:, 1].max() <= right
    assert top <= extents[:, 3].min() < extents[:, 2].max() <= bottom


def test_scales_and_labels():
    signed = np.array([[[0.5, -2.0]], [[1.0, 0.0]]])
    maps = {"Input": np.ones((1, 2, 2)), "Convolution 1": signed, "Convolution 2": 0 * signed}
    display = FeatureMapDisplay(maps).plot(cmap="viridis")
    assert [image.get_clim() for image in display.images_["Input"]] == [(0, 1)]
    assert [image.get_clim() for image in display.images_["Convolution 1"]] == [(-2, 2)] * 2
    assert [image.get_clim() for image in display.images_["Convolution 2"]] == [(0, 1)] * 2
    assert display.images_["Input"][0].get_cmap().name == "viridis"
    assert [text.get_text() for text in display.text_.values()] == [
        "Input: 2 × 2, from 0 to 1",
        "Convolution 1: 2 maps 1 × 2, from −2 to 2",
        "Convolution 2: 2 maps 1 × 2, from 0 to 1",
    ]
    assert display.ax_.get_title() == "4 feature maps of 2 convolutions"
    frame = display.frame()
    assert len(frame) == 4 + 4 + 4
    row = frame[(frame["layer"] == "Convolution 1") & (frame["value"] == -2)]
    assert row[["map", "row", "column"]].to_numpy().tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("layout", ["own", None, "constrained"])
def test_labels_are_not_cut_off(layout, assert_fits):
    maps = {"Input": np.ones((1, 16, 16))}
    maps.update({f"Convolution {at}": np.full((64, 8, 8), -1e-9) for at in range(1, 6)})
    display = FeatureMapDisplay(maps)
    if layout == "own":
        axes = [display.plot().ax_]
    else:
        figure, axes = plt.subplots(1, 3, layout=layout, figsize=(9, 4))
        for ax in axes:
            assert display.plot(ax=ax).ax_ is ax
            assert display.figure_ is figure
            ax.figure.draw_without_rendering()
            for name, text in display.text_.items():
                box = text.get_window_extent()
                assert box.x1 < ax.bbox.x1
                first = display.images_[name][0].get_window_extent()
                assert box.y0 > first.y1 - 1
    assert_fits(axes[0].figure)
