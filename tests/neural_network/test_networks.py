import pytest
import torch
from torch.nn import functional

from sklearn_usps.neural_network._networks import NETWORKS, Dropout, Torch7, build_network

SHAPES = [(16, 16), (8, 8), (28, 28), (17, 13), (3, 4), (1, 9), (20, 5)]


def build(name, shape=(16, 16), n_classes=10, seed=0, **params):
    return build_network(name, params, shape, n_classes, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", sorted(NETWORKS))
@pytest.mark.parametrize("shape", SHAPES)
def test_any_image_shape_gives_a_finite_score_per_class(name, shape):
    network = build(name, shape, n_classes=7)
    scores = network(torch.rand(5, 1, *shape, generator=torch.Generator().manual_seed(0)))
    assert scores.shape == (5, 7)
    assert scores.isfinite().all()


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_features_are_what_the_linear_layer_gets(name):
    network = build(name).eval()
    images = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    features = network.features(images)
    assert features.shape == (4, network.output.in_features)
    torch.testing.assert_close(network.output(features), network(images))


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
def test_torch7_is_convolution_then_subsampling_then_tanh(shape):
    network = build("torch7", shape)
    images = torch.randn(5, 1, *shape, generator=torch.Generator().manual_seed(0))
    convolved = functional.conv2d(images, network.kernel, network.kernel_bias)
    sums = functional.unfold(convolved.flatten(0, 1)[:, None], 2, stride=2).sum(1)
    sums = sums.view(5, 6, (shape[0] - 4) // 2, (shape[1] - 4) // 2)
    planes = sums * network.coefficient[:, None, None] + network.bias[:, None, None]
    expected = network.output(planes.tanh().flatten(1))
    torch.testing.assert_close(network(images), expected)


def test_torch7_has_the_parameters_of_the_demo():
    # 6 (5 · 5 + 1) in the convolution, 6 · 2 in the subsampling, (6 · 6 · 6 + 1) 10 after it.
    assert sum(parameter.numel() for parameter in build("torch7").parameters()) == 156 + 12 + 2170


def test_torch7_weights_are_within_one_over_root_fan_in():
    network = build("torch7")
    for parameter, fan_in in [
        (network.kernel, 25),
        (network.kernel_bias, 25),
        (network.coefficient, 4),
        (network.bias, 4),
        (network.output.weight, 216),
        (network.output.bias, 216),
    ]:
        assert parameter.abs().max() <= fan_in**-0.5
        assert parameter.abs().max() > 0.5 * fan_in**-0.5


def test_small_images_are_padded_with_their_border():
    network = build("torch7", (4, 16))
    images = torch.rand(3, 1, 4, 16, generator=torch.Generator().manual_seed(0))
    padded = torch.cat([images[:, :, :1], images, images[:, :, -1:]], dim=2)
    whole = Torch7((6, 16), 10)
    whole.load_state_dict(network.state_dict())
    torch.testing.assert_close(network(images), whole(padded))


def test_convnet_takes_its_border_from_the_image():
    """A constant added to the image changes the first convolution by a constant per plane."""
    network = build("convnet")
    pad, convolution = network.convolutions[:2]
    images = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    difference = convolution(pad(images + 1)) - convolution(pad(images))
    torch.testing.assert_close(difference, difference[:, :, :1, :1].expand_as(difference))


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
    [({"n_planes": (8, 8)}, "three numbers of planes"), ({"dropout": 1.0}, r"in \[0, 1\)")],
)
def test_wrong_network_params_are_named(params, message):
    with pytest.raises(ValueError, match=message):
        build("convnet", **params)
