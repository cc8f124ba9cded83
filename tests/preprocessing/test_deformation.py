"""RandomDeformation, tested by the origin of each pixel.

Bilinear interpolation is exact on a ramp. Deforming a picture whose pixels hold their own
coordinate therefore gives the origin of each pixel, as long as it lies inside the picture.
"""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import kstest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from sklearn_usps import RandomDeformation

UNCHANGED = {"rotation": 0, "scale": 0, "shear": 0, "shift": 0, "elastic_displacement": 0}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def origins(augmentation, n_images, size=32):
    """Return the origins of pixels from the center, (n_images, 2 for x and y, size, size)."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    ramps = [torch.tensor(np.tile(ramp, (n_images, 1, 1, 1))) for ramp in (x, y)]
    return np.concatenate([augmentation(ramp, generator()).numpy() for ramp in ramps], axis=1)


def assert_uniform(values, low, high):
    """Assert that values are uniform in [low, high]."""
    values = np.ravel(values)
    assert values.min() >= low - 1e-6
    assert values.max() <= high + 1e-6
    assert kstest(values, "uniform", args=(low, high - low)).pvalue > 0.001


def affine_maps(augmentation, n_images=4000):
    """Return the linear maps (n_images, 2, 2) and shifts (n_images, 2) of pixels.

    Both come from three pixels around the center, whose origins lie inside the picture.
    """
    found = origins(augmentation, n_images)
    corner, right, below = found[:, :, 14, 14], found[:, :, 14, 17], found[:, :, 17, 14]
    backwards = np.stack([right - corner, below - corner], axis=2) / 3
    forwards = np.linalg.inv(backwards)
    place = np.array([14, 14]) - 15.5
    return forwards, place - np.einsum("nij,nj->ni", forwards, corner)


@pytest.mark.parametrize("shape", [(16, 16), (8, 20), (1, 16), (16, 1), (1, 1), (5, 2)])
def test_images_of_any_size(shape):
    """With all parameters zero nothing changes, and values stay in their range."""
    images = torch.rand(20, 1, *shape, generator=generator())
    assert_allclose(RandomDeformation(**UNCHANGED)(images, generator()), images, atol=1e-6)
    deformed = RandomDeformation()(images, generator())
    assert (deformed >= images.amin((2, 3), keepdim=True) - 1e-6).all()
    assert (deformed <= images.amax((2, 3), keepdim=True) + 1e-6).all()


def test_parameters_are_uniform_and_applied_in_the_order_documented():
    limits = {"rotation": 20.0, "scale": 0.2, "shear": 0.3, "shift": 2 / 32}
    maps, shifts = affine_maps(RandomDeformation(**limits, elastic_displacement=0))
    # Slant first, then stretch, is an upper triangle; then rotate: a QR decomposition.
    turned, triangle = np.linalg.qr(maps)
    signs = np.sign(np.diagonal(triangle, axis1=1, axis2=2))
    turned, triangle = turned * signs[:, None, :], triangle * signs[:, :, None]
    angle = np.degrees(np.arctan2(turned[:, 1, 0], turned[:, 0, 0]))
    slant = triangle[:, 0, 1] / triangle[:, 0, 0]

    drawn = np.stack([angle, triangle[:, 0, 0], triangle[:, 1, 1], slant, *shifts.T])
    assert_uniform(drawn[0], -20, 20)
    assert_uniform(drawn[1:3], 0.8, 1.2)
    assert_uniform(drawn[3], -0.3, 0.3)
    assert_uniform(drawn[4:], -2, 2)
    assert_allclose(np.corrcoef(drawn), np.eye(6), atol=0.07)


@pytest.mark.parametrize(
    ("name", "limit"), [("rotation", 15), ("scale", 0.3), ("shear", 0.3), ("shift", 0.06)]
)
def test_each_parameter_does_one_thing(name, limit):
    maps, shifts = affine_maps(RandomDeformation(**{**UNCHANGED, name: limit}), n_images=100)
    # Invariants of small parts of a picture, in this order: right angles and lengths; directions of
    # rows and columns; rows and the distances between them; everything but the place.
    identity = np.eye(2)
    if name == "rotation":
        assert_allclose(maps @ maps.transpose(0, 2, 1), np.tile(identity, (100, 1, 1)), atol=1e-6)
    elif name == "scale":
        assert_allclose(maps[:, [0, 1], [1, 0]], 0, atol=1e-6)
    elif name == "shear":
        assert_allclose(maps[:, 1], np.tile([0, 1], (100, 1)), atol=1e-6)
        assert_allclose(maps[:, 0, 0], 1, atol=1e-6)
    else:
        assert_allclose(maps, np.tile(identity, (100, 1, 1)), atol=1e-6)
    if name == "shift":
        assert np.ptp(shifts, axis=0).min() > 2
    else:
        assert_allclose(shifts, 0, atol=1e-5)
        assert np.ptp(maps, axis=0).max() > limit / 50


@pytest.mark.parametrize("shape", [(28, 28), (8, 8), (16, 24)])
def test_deformation_follows_the_size_of_the_image(shape):
    """Seen at the same size, images of any size move alike."""
    y, x = np.mgrid[: shape[0], : shape[1]] - (np.array(shape)[:, None, None] - 1) / 2
    ramps = [torch.tensor(np.tile(ramp, (4000, 1, 1, 1))) for ramp in (x, y)]
    for params in ({"shift": 0.1}, {"elastic_displacement": 0.05}):
        augmentation = RandomDeformation(**{**UNCHANGED, **params})
        moved = np.concatenate([augmentation(ramp, generator()).numpy() for ramp in ramps], axis=1)
        center = (moved - np.stack([x, y]))[:, :, shape[0] // 2, shape[1] // 2] / min(shape)
        expected = 0.1 / math.sqrt(3) if "shift" in params else 0.05
        assert_allclose(center.std(axis=0), expected, rtol=0.05)


def test_angles_are_those_of_square_pixels_in_images_that_are_not_square():
    tall = torch.zeros(200, 1, 41, 21)
    tall[:, :, 10:31, 10] = 1.0
    turned = RandomDeformation(**{**UNCHANGED, "rotation": 30})(tall, generator())[:, 0].double()
    y, x = np.mgrid[:41, :21] - np.array([20, 10])[:, None, None]
    weights = turned.numpy()
    spread = (weights * (x**2 + y**2)).sum((1, 2)) / weights.sum((1, 2))
    # A rotation keeps the moment of inertia of a stroke.
    upright = float((np.arange(-10, 11) ** 2).mean())
    assert_allclose(spread, upright, rtol=0.05)


@pytest.mark.parametrize(("expected", "sigma"), [(0.4, 3.0), (0.3, 1.0), (1.0, 6.5), (0.5, 0.6)])
def test_elastic_displacements_have_the_variance_and_correlation_of_smoothed_noise(expected, sigma):
    relative = {"elastic_displacement": expected / 32, "elastic_sigma": sigma / 32}
    augmentation = RandomDeformation(**{**UNCHANGED, **relative})
    y, x = np.mgrid[:32, :32] - 15.5
    moved = origins(augmentation, 4000) - np.stack([x, y])
    # At the border, only movements along it can be measured.
    places = [moved[:, 0, 16, 16], moved[:, 1, 16, 16], moved[:, 1, 16, 0], moved[:, 0, 31, 16]]
    assert_allclose(np.std(places, axis=1), expected, rtol=0.05)
    assert_allclose(np.mean(places, axis=1), 0, atol=0.08 * expected)

    def correlation(first, second):
        return np.corrcoef(first, second)[0, 1]

    for distance in (1, 4, 8) if sigma >= 1 else (4, 8):
        gaussian = math.exp(-(distance**2) / (4 * sigma**2))
        for pixel in (13, 14, 15):
            along = correlation(moved[:, 0, pixel, 12], moved[:, 0, pixel, 12 + distance])
            assert along == pytest.approx(gaussian, abs=0.06)
    assert correlation(moved[:, 0, 16, 16], moved[:, 1, 16, 16]) == pytest.approx(0, abs=0.06)


def test_elastic_displacements_without_smoothing_are_uniform_and_independent():
    relative = {"elastic_displacement": 1 / 32, "elastic_sigma": 1e-4}
    augmentation = RandomDeformation(**{**UNCHANGED, **relative})
    y, x = np.mgrid[:32, :32] - 15.5
    moved = origins(augmentation, 2000) - np.stack([x, y])
    limit = math.sqrt(3)  # of a standard deviation of one
    assert_uniform(moved[:, 0, 10, 10], -limit, limit)
    assert_uniform(moved[:, 1, 20, 11], -limit, limit)
    assert abs(np.corrcoef(moved[:, 0, 10, 10], moved[:, 0, 10, 11])[0, 1]) < 0.08


def test_the_border_is_replicated():
    far = RandomDeformation(rotation=180, scale=0.9, shear=2, shift=3, elastic_displacement=0.3)
    bright = torch.full((50, 1, 16, 16), 0.7)
    assert_allclose(far(bright, generator()), bright, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_kept_and_images_are_left_alone(dtype):
    images = torch.rand(5, 1, 16, 16, generator=generator(), dtype=dtype)
    before = images.clone()
    assert RandomDeformation()(images, generator()).dtype == dtype
    assert torch.equal(images, before)


def test_randomness_comes_from_the_generator_alone():
    images = torch.rand(50, 1, 16, 16, generator=generator())
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = RandomDeformation()(images, generator(1))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    assert torch.equal(RandomDeformation()(images, generator(1)), first)
    assert not torch.equal(RandomDeformation()(images, generator(2)), first)


def test_each_image_and_each_call_is_deformed_in_its_own_way():
    image = torch.rand(1, 1, 16, 16, generator=generator())
    stream = generator()
    twice = [RandomDeformation()(image.expand(2, 1, 16, 16), stream) for _ in range(2)]
    four = torch.cat(twice).flatten(1)
    assert torch.pdist(four).min() > 0.1


def test_deformed_copies_of_few_digits_improve_a_classifier():
    X, y = load_digits(return_X_y=True)
    images = torch.tensor(X[:100], dtype=torch.float32).reshape(-1, 1, 8, 8)
    copies = RandomDeformation()(images.repeat(20, 1, 1, 1), generator()).flatten(1).numpy()
    nearest = KNeighborsClassifier(1)
    alone = nearest.fit(X[:100], y[:100]).score(X[100:], y[100:])
    helped = nearest.fit(np.vstack([X[:100], copies]), np.tile(y[:100], 21))
    assert helped.score(X[100:], y[100:]) > alone + 0.02


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"rotation": -1}, r"The 'rotation' parameter of RandomDeformation .* Got -1 instead"),
        ({"scale": 1.0}, r"The 'scale' parameter of RandomDeformation .* Got 1.0 instead"),
        ({"shear": "much"}, r"The 'shear' parameter of RandomDeformation .* Got 'much' instead"),
        ({"shift": float("nan")}, r"The 'shift' parameter of RandomDeformation"),
        (
            {"elastic_displacement": -0.1},
            r"The 'elastic_displacement' parameter of RandomDeformation",
        ),
        ({"elastic_sigma": 0}, r"The 'elastic_sigma' parameter of RandomDeformation"),
    ],
)
def test_parameters_out_of_range_are_named(params, message):
    with pytest.raises(ValueError, match=message):
        RandomDeformation(**params)(torch.zeros(1, 1, 16, 16), generator())


@pytest.mark.parametrize("shape", [(16, 16), (5, 16, 16), (5, 3, 16, 16), (5, 256)])
def test_invalid_images(shape):
    with pytest.raises(ValueError, match=rf"\(n_images, 1, height, width\).*\({shape[0]}, "):
        RandomDeformation()(torch.zeros(shape), generator())
    with pytest.raises(ValueError, match=r"floating dtype. Got torch\.uint8"):
        RandomDeformation()(torch.zeros(1, 1, 16, 16, dtype=torch.uint8), generator())


def test_parameters_can_be_searched_but_pipelines_find_no_transformer():
    augmentation = clone(RandomDeformation(rotation=7)).set_params(shift=0.1)
    assert augmentation.get_params() == {
        "rotation": 7,
        "scale": 0.15,
        "shear": 0.3,
        "shift": 0.1,
        "elastic_displacement": 0.034,
        "elastic_sigma": 0.1875,
    }
    assert repr(augmentation) == "RandomDeformation(rotation=7, shift=0.1)"
    assert not hasattr(augmentation, "fit")
    assert not hasattr(augmentation, "transform")


def test_constructor_does_not_import_torch():
    code = "from sklearn_usps import RandomDeformation; RandomDeformation(); import sys; "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
