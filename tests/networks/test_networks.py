"""The networks by name, compared with the papers that describe them."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from sklearn_usps.networks._historical import LuaCNN
from sklearn_usps.networks._layers import Dropout, PartialConvolution, Subsampling
from sklearn_usps.networks._registry import NETWORKS, build_network
from sklearn_usps.training.optim._learning_rates import layer_sizes, rate_factors

SHAPES = [(16, 16), (8, 8), (28, 28), (17, 13), (3, 4), (1, 9), (20, 5)]


def build(name, shape=(16, 16), n_classes=10, seed=0, **params):
    return build_network(name, params, shape, n_classes, torch.Generator().manual_seed(seed))


def n_parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("name", sorted(NETWORKS))
@pytest.mark.parametrize("shape", SHAPES)
def test_any_image_shape_gives_finite_logits(name, shape):
    network = build(name, shape, n_classes=7)
    logits = network(torch.rand(5, 1, *shape, generator=torch.Generator().manual_seed(0)))
    assert logits.shape == (5, 7)
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_features_are_the_inputs_of_the_output_layer(name):
    network = build(name).eval()
    images = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network.output(network.features(images)), network(images))


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_initial_weights_come_from_the_generator_alone(name):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = build(name, seed=3).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = build(name, seed=3).state_dict(), build(name, seed=4).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("shape", [(16, 16), (17, 13), (6, 7)])
def test_luacnn_is_convolution_then_subsampling_then_tanh(shape):
    network = build("luacnn", shape)
    images = torch.randn(5, 1, *shape, generator=torch.Generator().manual_seed(0))
    maps = network.subsampling(network.convolution(images))
    assert maps.shape == (5, 6, (shape[0] - 4) // 2, (shape[1] - 4) // 2)
    expected = network.output(maps.tanh().flatten(1))
    torch.testing.assert_close(network(images), expected)


def test_subsampling_sums_four_values():
    subsampling = Subsampling(2)
    subsampling.weight.data = torch.tensor([0.5, 2.0])
    subsampling.bias.data = torch.tensor([0.0, 1.0])
    maps = torch.arange(16.0).view(1, 1, 4, 4).expand(1, 2, 4, 4)
    sums = torch.tensor([[10.0, 18.0], [42.0, 50.0]])
    expected = torch.stack([0.5 * sums, 2 * sums + 1])[None]
    torch.testing.assert_close(subsampling(maps), expected)


def test_luacnn_has_the_parameters_of_the_demo():
    # 6 (5 · 5 + 1) in the convolution, 6 · 2 in the subsampling, (6 · 6 · 6 + 1) 10 after it.
    assert n_parameters(build("luacnn")) == 156 + 12 + 2170


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("luacnn", {"convolution": 25**-0.5, "subsampling": 0.5, "output": 216**-0.5}),
        ("lecun1989", {"h1.1": 2.4 / 25, "h2.1": 2.4 / 200, "h3.0": 2.4 / 192}),
        ("lenet5", {"layers.1": (3 / 25) ** 0.5, "layers.3": (3 / 4) ** 0.5}),
    ],
)
def test_initial_weights_fill_the_range_of_the_paper(name, limits):
    network = build(name)
    for layer, limit in limits.items():
        assert 0.6 * limit < network.get_submodule(layer).weight.abs().max() <= limit


def test_small_images_are_padded_with_their_border():
    network = build("luacnn", (4, 16))
    images = torch.rand(3, 1, 4, 16, generator=torch.Generator().manual_seed(0))
    padded = torch.cat([images[:, :, :1], images, images[:, :, -1:]], dim=2)
    whole = LuaCNN((6, 16), 10)
    whole.load_state_dict(network.state_dict())
    torch.testing.assert_close(network(images), whole(padded))


def test_convnet_pads_images_with_their_border():
    """A constant added to the image changes each channel of the first convolution by a constant."""
    network = build("convnet")
    pad, convolution = network.convolutions[:2]
    images = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    difference = convolution(pad(images + 1)) - convolution(pad(images))
    torch.testing.assert_close(difference, difference[:, :, :1, :1].expand_as(difference))


@pytest.mark.parametrize("image_shape", [(16, 16), (7, 11), (1, 2)])
def test_kernel_sizes_and_strides_of_convnet(image_shape):
    params = {"n_channels": (4, 8, 8), "kernel_sizes": (5, 3, 1), "strides": (3, 1, 2)}
    network = build("convnet", image_shape, **params)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert [layer.kernel_size for layer in convolutions] == [(5, 5), (3, 3), (1, 1)]
    assert [layer.stride for layer in convolutions] == [(3, 3), (1, 1), (2, 2)]
    assert network(torch.zeros(2, 1, *image_shape)).shape == (2, 10)


def test_dropout_keeps_the_mean_and_draws_from_its_generator():
    dropout = Dropout(0.25, torch.Generator().manual_seed(0))
    ones = torch.ones(100, 100)
    dropped = dropout(ones)
    assert dropped.unique().tolist() == [0.0, pytest.approx(1 / 0.75)]
    assert (dropped == 0).float().mean() == pytest.approx(0.25, abs=0.02)
    assert not torch.equal(dropout(ones), dropped)
    assert torch.equal(Dropout(0.25, torch.Generator().manual_seed(0))(ones), dropped)
    assert torch.equal(dropout.eval()(ones), ones)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_channels": ()}, "one for each convolution"),
        ({"n_channels": 16}, "n_channels must be a sequence of positive integers.* Got 16"),
        ({"strides": (0, 1, 1, 1, 1)}, "strides must be a sequence of positive integers"),
        (
            {"kernel_sizes": (3,)},
            r"kernel_sizes must have as many numbers as n_channels, 5.* \(3,\)",
        ),
        (
            {"n_channels": (8,), "strides": (1, 2)},
            "strides must have as many numbers as n_channels, 1",
        ),
        ({"n_channels": (8,), "kernel_sizes": (4,)}, r"kernel_sizes must be odd. Got \(4,\)"),
        ({"dropout": 1.0}, r"in \[0, 1\)"),
    ],
)
def test_wrong_network_params_are_named(params, message):
    with pytest.raises(ValueError, match=message):
        build("convnet", **params)


# The network of 1989


def test_lecun1989_has_the_units_connections_and_parameters_of_the_paper():
    network = build("lecun1989")
    assert n_parameters(network) == 9760
    units = {"input": 256}
    images = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    x = images
    for name in ("h1", "h2", "h3", "output"):
        x = network.get_submodule(name)(x.flatten(1) if name == "h3" else x)
        units[name] = x[0].numel()
    assert units == {"input": 256, "h1": 768, "h2": 192, "h3": 30, "output": 10}
    assert sum(units.values()) == 1256
    inputs = {"h1": 25, "h2": 8 * 25, "h3": 192, "output": 30}
    assert sum(units[name] * (n + 1) for name, n in inputs.items()) == 64_660


def test_units_of_lecun1989_have_the_inputs_of_the_paper():
    network = build("lecun1989")
    seen1 = torch.autograd.functional.jacobian(network.h1, torch.zeros(1, 1, 16, 16))
    seen1 = (seen1[0, :, :, :, 0, 0] != 0).sum((-1, -2))
    assert (seen1[:, 1:7, 1:7] == 25).all()
    seen2 = torch.autograd.functional.jacobian(network.h2, torch.zeros(1, 12, 8, 8))
    seen2 = seen2[0, :, 1, 1, 0] != 0  # one unit of each channel, away from the border
    assert (seen2.sum((-1, -2, -3)) == 200).all()
    assert (seen2.any(-1).any(-1).sum(1) == 8).all()
    assert seen2.any(-1).any(-1).any(0).all()


def test_lecun1989_pads_images_with_its_background():
    network = build("lecun1989", background=0.25)
    small = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    large = torch.nn.functional.pad(small, (4, 4, 4, 4), value=0.25)
    convolve = network.h1[:2]
    torch.testing.assert_close(convolve(small), convolve(large)[:, :, 2:6, 2:6])


def test_lecun1989_has_the_squared_error_to_one_and_minus_one():
    network = build("lecun1989", n_classes=3)
    outputs = torch.tensor([[1.0, -1.0, -1.0], [0.5, -0.5, -1.7]])
    loss = network.loss(outputs, torch.tensor([0, 2]))
    torch.testing.assert_close(loss, torch.tensor([0.0, (1.5**2 + 0.5**2 + 2.7**2) / 3]))


def test_lecun1989_probabilities_are_means_of_its_targets_and_keep_the_order():
    network = build("lecun1989", n_classes=3)
    proba = network.log_proba(torch.tensor([[0.4, -0.6, -0.8], [-1.2, -1.5, -1.1]])).exp()
    torch.testing.assert_close(proba[0], torch.tensor([0.7, 0.2, 0.1]))
    torch.testing.assert_close(proba.sum(1), torch.ones(2))
    assert proba[1].argsort().tolist() == [1, 0, 2]


# LeNet-5


def test_lenet5_has_the_parameters_and_connections_of_the_paper():
    network = build("lenet5", (32, 32))
    counts = [n_parameters(layer) for layer in network.layers if n_parameters(layer)]
    assert counts == [156, 12, 1516, 32, 48_120, 10_164]
    assert sum(counts) == 60_000
    sizes = layer_sizes(network, (32, 32))
    n_units = [6 * 784, 6 * 196, 16 * 100, 16 * 25, 120, 84]
    connections = [
        n * (size.n_inputs + 1) for n, size in zip(n_units, list(sizes.values())[:6], strict=True)
    ]
    assert connections == [122_304, 5_880, 151_600, 2_000, 48_120, 10_164]


def test_lenet5_connects_channels_by_the_table_of_the_paper():
    c3 = build("lenet5").layers[5]
    jacobian = torch.autograd.functional.jacobian(c3, torch.zeros(1, 6, 5, 5))
    connected = jacobian[0, :, 0, 0, 0].abs().sum((-1, -2)) > 0
    rows = ["".join(str(i) for i in range(6) if row[i]) for row in connected]
    expected = "012 123 234 345 045 015 0123 1234 2345 0345 0145 0125 0134 1245 0235 012345"
    assert rows == expected.split()


def test_partial_convolution_is_a_convolution_of_connected_channels():
    layer = PartialConvolution([[0, 2], [1]], 3, stride=2)
    layer.weight.data = torch.rand(3, 3, 3, generator=torch.Generator().manual_seed(0))
    layer.bias.data = torch.tensor([1.0, -1.0])
    maps = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    convolve = torch.nn.functional.conv2d
    first = convolve(maps[:, [0, 2]], layer.weight[None, :2], layer.bias[:1], stride=2)
    second = convolve(maps[:, [1]], layer.weight[None, 2:], layer.bias[1:], stride=2)
    torch.testing.assert_close(layer(maps), torch.cat([first, second], dim=1))


# Learning rates of layers


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("luacnn", {"convolution": (25, 144), "subsampling": (4, 36), "output": (216, 1)}),
        (
            "lecun1989",
            {
                "h1.1": (25, 64),
                "h1.2": (25, 1),
                "h2.1": (200, 16),
                "h2.2": (200, 1),
                "h3.0": (192, 1),
                "output.0": (30, 1),
            },
        ),
        (
            "convnet",
            {
                "convolutions.1": (9, 256),
                "convolutions.4": (9 * 16, 64),
                "convolutions.7": (9 * 32, 64),
                "convolutions.10": (9 * 32, 16),
                "convolutions.13": (9 * 64, 16),
                "output": (1024, 1),
            },
        ),
    ],
)
def test_layer_sizes(name, expected):
    network = build(name)
    before = network.state_dict()
    assert layer_sizes(network, (16, 16)) == expected
    assert network.training
    torch.testing.assert_close(network.state_dict(), before)


@pytest.mark.parametrize(
    ("scaling", "convolution", "subsampling"),
    [
        ("fan-in", 216 / 25, 216 / 4),
        ("efficient-backprop", (144 / 216) ** 0.5, (36 / 216) ** 0.5),
    ],
)
def test_rate_factors_of_luacnn(scaling, convolution, subsampling):
    factors = rate_factors(scaling, build("luacnn"), (16, 16))
    assert factors["convolution.weight"] == factors["convolution.bias"]
    assert factors["convolution.weight"] / factors["output.weight"] == pytest.approx(convolution)
    assert factors["subsampling.bias"] / factors["output.bias"] == pytest.approx(subsampling)
    product = factors["convolution.bias"] * factors["subsampling.bias"] * factors["output.bias"]
    assert product == pytest.approx(1)


def test_only_weighted_sums_have_rate_factors():
    factors = rate_factors("fan-in", build("convnet"), (16, 16))
    names = {name.rpartition(".")[0] for name in factors}
    assert names == {*(f"convolutions.{i}" for i in (1, 4, 7, 10, 13)), "output"}
    assert rate_factors("none", build("convnet"), (16, 16)) == {}


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_guide_states_the_number_of_parameters(name):
    guide = (Path(__file__).parents[2] / "docs/guide/networks.rst").read_text(encoding="utf-8")
    row = guide.split(f'    * - ``"{name}"``\n')[1]
    stated = re.search(r"      - ([\d,]+)\n", row)[1]
    assert stated == f"{n_parameters(build(name)):,}"
