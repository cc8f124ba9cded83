"""ImageNormalizer on the 8 × 8 digits of scikit-learn."""

import pickle
import subprocess
import sys
import tracemalloc
import warnings

import numpy as np
import pytest
import sklearn
import skops.io
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.fixes import parse_version

from sklearn_usps import ImageNormalizer

METHODS = ("global", "pixel", "image", "contrast")
both_with_statistics = pytest.mark.parametrize("method", ["global", "pixel"])
all_methods = pytest.mark.parametrize("method", METHODS)


@pytest.fixture(scope="module", name="X")
def digits():
    return load_digits().data


@pytest.mark.filterwarnings("ignore:X has . features, which is not a perfect square")
@parametrize_with_checks([ImageNormalizer(method=method) for method in METHODS])
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def test_global_takes_one_mean_and_one_scale(X):
    normalizer = ImageNormalizer().fit(X)
    assert normalizer.mean_ == pytest.approx(X.mean())
    assert normalizer.var_ == pytest.approx(X.var())
    assert normalizer.scale_ == pytest.approx(X.std())
    assert normalizer.n_samples_seen_ == len(X)
    assert_allclose(normalizer.transform(X), (X - X.mean()) / X.std(), atol=1e-12)


def test_pixel_is_the_standard_scaler_for_pixels_that_change(X):
    normalizer = ImageNormalizer(method="pixel").fit(X)
    scaler = StandardScaler().fit(X)
    changing = X.std(axis=0) > 0.1 * X.std()
    assert changing.sum() == 52
    assert_allclose(normalizer.mean_, scaler.mean_)
    assert_allclose(normalizer.var_, scaler.var_, atol=1e-12)
    assert_allclose(normalizer.transform(X)[:, changing], scaler.transform(X)[:, changing])


def test_pixel_does_not_magnify_what_hardly_ever_changes(X):
    normalizer = ImageNormalizer(method="pixel").fit(X)
    rare = X.std(axis=0) < 0.1 * X.std()
    assert rare.sum() == 12
    assert_allclose(normalizer.scale_[rare], 0.1 * X.std())
    assert normalizer.scale_[~rare].min() > 0.1 * X.std()
    # One of these pixels is zero in all but a few images.
    assert abs(StandardScaler().fit_transform(X)).max() > 40
    assert abs(normalizer.transform(X)).max() < 15


def test_image_brings_each_image_to_zero_mean_and_unit_scale(X):
    normalized = ImageNormalizer(method="image").fit(X[:1]).transform(X)
    assert_allclose(normalized.mean(axis=1), 0, atol=1e-12)
    assert_allclose(normalized.std(axis=1), 1)
    assert_allclose(normalized[7] * X[7].std() + X[7].mean(), X[7], atol=1e-12)


def contrast_by_definition(image, sd=1.591):
    """Local contrast normalization, pixel by pixel."""
    places = list(np.ndindex(image.shape))

    def window_mean(values, row, column):
        total = weights = 0.0
        for other_row, other_column in places:
            down, right = other_row - row, other_column - column
            if max(abs(down), abs(right)) <= 4:
                weight = np.exp(-(down**2 + right**2) / (2 * sd**2))
                total += weight * values[other_row, other_column]
                weights += weight
        return total / weights

    means = np.array([window_mean(image, *place) for place in places])
    centered = image - means.reshape(image.shape)
    sigma = np.sqrt([window_mean(centered**2, *place) for place in places]).reshape(image.shape)
    return centered / np.maximum(sigma.mean(), sigma)


@pytest.mark.parametrize("shape", [(8, 8), (4, 16), (16, 4), (1, 64), (2, 32)])
def test_contrast_is_local_contrast_normalization(X, shape):
    normalizer = ImageNormalizer(method="contrast", image_shape=shape).fit(X[:5])
    expected = [contrast_by_definition(image.reshape(shape)).ravel() for image in X[:5]]
    assert_allclose(normalizer.transform(X[:5]), expected, atol=1e-12)
    assert normalizer.image_shape_ == shape


def test_contrast_of_large_images_has_a_window_of_9x9_pixels():
    image = np.zeros((25, 25))
    image[12, 12] = 1.0
    normalized = ImageNormalizer(method="contrast").fit_transform(image.reshape(1, -1))
    changed = normalized.reshape(25, 25) != 0
    assert changed.sum() == 81
    assert changed[8:17, 8:17].all()


@pytest.mark.parametrize("method", ["image", "contrast"])
def test_brightness_and_contrast_of_an_image_are_lost(X, method):
    normalizer = ImageNormalizer(method=method).fit(X)
    assert_allclose(normalizer.transform(3 * X + 100), normalizer.transform(X), atol=1e-10)


@pytest.mark.parametrize("method", ["image", "contrast"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("value", [0, 0.7, 200])
def test_constant_images_become_zero_without_a_warning(X, method, dtype, value):
    images = X[:3].astype(dtype)
    images[1] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        normalized = ImageNormalizer(method=method).fit_transform(images)
    assert_array_equal(normalized[1], 0)
    assert abs(normalized[[0, 2]]).max() > 1


@both_with_statistics
@pytest.mark.parametrize("value", [0.0, 0.7, 1e6])
def test_constant_training_images_have_scale_one(method, value):
    images = np.full((3000, 16), value, dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        normalizer = ImageNormalizer(method=method).fit(images)
    assert_array_equal(normalizer.scale_, 1)
    assert_allclose(normalizer.transform(images), 0, atol=1e-6 * value)
    assert_allclose(normalizer.transform(images + 5), 5, rtol=1e-5)


@both_with_statistics
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_partial_fit_is_fit_on_everything_together(X, method, dtype):
    images = X.astype(dtype)
    whole = ImageNormalizer(method=method).fit(images)
    pieces = ImageNormalizer(method=method)
    for piece in np.split(images, [1, 2, 300, 1700]):
        pieces.partial_fit(piece)
    assert pieces.n_samples_seen_ == whole.n_samples_seen_ == len(X)
    assert_allclose(pieces.mean_, whole.mean_, rtol=1e-12)
    assert_allclose(pieces.var_, whole.var_, rtol=1e-12, atol=1e-14)
    assert_allclose(pieces.scale_, whole.scale_, rtol=1e-12)


@both_with_statistics
def test_variance_is_stable_far_from_zero(X, method):
    near, far = ImageNormalizer(method=method).fit(X), ImageNormalizer(method=method)
    for piece in np.split(X + 1e7, 3):
        far.partial_fit(piece)
    assert_allclose(far.scale_, near.scale_, rtol=1e-8)


@all_methods
def test_partial_fit_keeps_counting_and_fit_starts_again(X, method):
    normalizer = ImageNormalizer(method=method).partial_fit(X[:10]).partial_fit(X[10:30])
    assert normalizer.n_samples_seen_ == 30
    refitted = normalizer.fit(X[:20, :49])
    fresh = ImageNormalizer(method=method).fit(X[:20, :49])
    assert refitted.n_samples_seen_ == 20
    assert vars(refitted).keys() == vars(fresh).keys()
    assert_array_equal(refitted.transform(X[:, :49]), fresh.transform(X[:, :49]))


def test_attributes_of_another_method_are_forgotten(X):
    normalizer = ImageNormalizer().fit(X).set_params(method="contrast").fit(X)
    assert not hasattr(normalizer, "mean_")
    assert not hasattr(normalizer, "scale_")
    assert not hasattr(normalizer.set_params(method="global").fit(X), "image_shape_")


@all_methods
def test_each_image_is_transformed_by_itself_also_in_large_data(X, method):
    many = np.tile(X, (8, 1))  # more than is held in float64 at a time
    normalizer = ImageNormalizer(method=method).fit(many)
    few = np.r_[0:50, len(many) - 50 : len(many)]
    assert_array_equal(normalizer.transform(many)[few], normalizer.transform(many[few]))
    if method in ("global", "pixel"):
        assert_allclose(normalizer.mean_, ImageNormalizer(method=method).fit(X).mean_)
        assert_allclose(normalizer.var_, ImageNormalizer(method=method).fit(X).var_, atol=1e-12)


@all_methods
def test_large_8_bit_data_are_never_copied_to_float64(method):
    images = np.zeros((40_000, 256), dtype=np.uint8)
    images[::2, ::3] = 255
    normalizer = ImageNormalizer(method=method)
    tracemalloc.start()
    normalizer.fit(images)
    fitting = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    normalized = normalizer.transform(images)
    transforming = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert fitting < images.nbytes
    assert transforming < normalized.nbytes + 2 * images.nbytes


@all_methods
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool, np.float32, np.float64])
def test_dtypes(X, method, dtype):
    images = (X > 8).astype(dtype)
    untouched = images.copy()
    normalized = ImageNormalizer(method=method).fit(images).transform(images)
    assert normalized.dtype == (np.float32 if dtype in (np.uint8, np.float32) else np.float64)
    assert_array_equal(images, untouched)
    exact = ImageNormalizer(method=method).fit_transform(images.astype(np.float64))
    assert_allclose(normalized, exact, atol=1e-5)


@all_methods
def test_images_in_three_dimensions_are_flattened(X, method):
    images = X.reshape(-1, 8, 8)
    normalizer = ImageNormalizer(method=method).fit(images)
    assert normalizer.n_features_in_ == 64
    expected = ImageNormalizer(method=method).fit_transform(X)
    for given in (images, X, images.tolist()):
        assert_array_equal(normalizer.transform(given), expected)
    if method in ("global", "pixel"):
        back = normalizer.inverse_transform(expected.reshape(-1, 8, 8))
        assert_allclose(back, X, atol=1e-12)


def test_contrast_takes_the_shape_of_the_images(X):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        normalizer = ImageNormalizer(method="contrast").fit(X.reshape(-1, 4, 16))
    assert normalizer.image_shape_ == (4, 16)
    with pytest.raises(ValueError, match=r"images of \(8, 8\), but image_shape=\(4, 16\)"):
        normalizer.transform(X.reshape(-1, 8, 8))
    with pytest.warns(UserWarning, match="63 features, which is not a perfect.*image_shape="):
        normalizer = ImageNormalizer(method="contrast").fit(X[:, :63])
    assert normalizer.image_shape_ == (1, 63)


@pytest.mark.parametrize(
    ("image_shape", "message"),
    [
        ((8, 9), r"X has 64 features, but image_shape=\(8, 9\)"),
        ((64,), r"image_shape must be two positive integers .* Got \(64,\) instead"),
        ((-8, -8), r"image_shape must be two positive integers .* Got \(-8, -8\) instead"),
        ((8.0, 8.0), r"image_shape must be two positive integers .* Got \(8.0, 8.0\) instead"),
        (64, r"The 'image_shape' parameter of ImageNormalizer must be .* Got 64 instead"),
    ],
)
def test_an_image_shape_that_does_not_fit_is_named(X, image_shape, message):
    with pytest.raises(ValueError, match=message):
        ImageNormalizer(method="contrast", image_shape=image_shape).fit(X)


@all_methods
@pytest.mark.parametrize("other", [*METHODS, "nonsense"])
def test_a_fitted_normalizer_keeps_its_method(X, method, other):
    expected = ImageNormalizer(method=method).fit(X)
    changed = ImageNormalizer(method=method).fit(X).set_params(method=other)
    np.testing.assert_array_equal(changed.transform(X), expected.transform(X))
    assert hasattr(changed, "inverse_transform") == hasattr(expected, "inverse_transform")
    if other not in (method, "nonsense"):
        with pytest.raises(ValueError, match=f"seen so far were for method='{method}'. Call fit"):
            changed.partial_fit(X)
        np.testing.assert_array_equal(changed.transform(X), expected.transform(X))
        again = changed.fit(X).transform(X)
        np.testing.assert_array_equal(again, ImageNormalizer(method=other).fit_transform(X))


@both_with_statistics
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inverse_transform_gives_the_images_back(X, method, dtype):
    images = X.astype(dtype)
    normalizer = ImageNormalizer(method=method).fit(images)
    normalized = normalizer.transform(images)
    untouched = normalized.copy()
    back = normalizer.inverse_transform(normalized)
    assert back.dtype == dtype
    assert_allclose(back, images, atol=1e-5)
    assert_array_equal(normalized, untouched)


@pytest.mark.parametrize("method", ["image", "contrast"])
def test_inverse_transform_is_absent_where_there_is_none(X, method):
    normalizer = ImageNormalizer(method=method).fit(X)
    assert not hasattr(normalizer, "inverse_transform")
    with pytest.raises(AttributeError, match="has no attribute 'inverse_transform'") as error:
        normalizer.inverse_transform(X)
    assert f"method='{method}' keeps neither" in str(error.value.__cause__)


@both_with_statistics
def test_inverse_transform_checks_the_number_of_pixels(X, method):
    normalizer = ImageNormalizer(method=method)
    with pytest.raises(NotFittedError):
        normalizer.inverse_transform(X)
    with pytest.raises(ValueError, match="X has 63 features, but ImageNormalizer is expecting 64"):
        normalizer.fit(X).inverse_transform(X[:, :63])


knows_polars = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"),
    reason="older releases don't find the names of columns of polars 2",
)


@all_methods
@pytest.mark.parametrize("library", ["pandas", pytest.param("polars", marks=knows_polars)])
def test_data_frames_keep_their_columns(method, library):
    frames = pytest.importorskip(library)
    names = [f"pixel {i}" for i in range(64)]
    values = load_digits().data
    frame = frames.DataFrame(dict(zip(names, values.T, strict=True)))
    normalizer = ImageNormalizer(method=method).set_output(transform=library).fit(frame)
    normalized = normalizer.transform(frame)
    assert isinstance(normalized, frames.DataFrame)
    assert list(normalized.columns) == names
    assert list(normalizer.get_feature_names_out()) == names
    expected = ImageNormalizer(method=method).fit_transform(values)
    assert_allclose(normalized.to_numpy(), expected, atol=1e-12)


@all_methods
def test_pickle_and_skops_round_trips(X, method):
    normalizer = ImageNormalizer(method=method).fit(X)
    stored = skops.io.dumps(normalizer)
    own = ["sklearn_usps.ImageNormalizer"]
    assert skops.io.get_untrusted_types(data=stored) == own
    for loaded in (skops.io.loads(stored, trusted=own), pickle.loads(pickle.dumps(normalizer))):
        assert_array_equal(loaded.transform(X), normalizer.transform(X))
        # A loaded normalizer can be fitted further.
        loaded.partial_fit(X)
        assert loaded.n_samples_seen_ == 2 * len(X)


def test_normalizing_does_not_import_torch():
    code = "from sklearn_usps import ImageNormalizer; ImageNormalizer().fit_transform([[0, 1]]); "
    code += "import sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
