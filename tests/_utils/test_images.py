"""Shapes and containers of images, and what to write instead of others."""

from collections import deque
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

from sklearn_usps import ConvNetClassifier, ImageNormalizer, MisclassifiedDisplay, save_mosaic
from sklearn_usps._utils._images import flatten_images

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 5, 7), dtype=np.uint8)
X = IMAGES.reshape(12, 35)
Y = np.arange(12) % 2
TENSOR = torch.tensor(IMAGES)
PICTURES = [Image.fromarray(image) for image in IMAGES]


class HasDLPack:
    """A tensor of another library."""

    def __dlpack__(self, **options):
        return TENSOR.__dlpack__(**options)

    def __dlpack_device__(self):
        return TENSOR.__dlpack_device__()


class HasInterface:
    """An object with numpy's older protocol."""

    __array_interface__ = IMAGES.__array_interface__


CONTAINERS = {
    "channels first": IMAGES[:, np.newaxis],
    "channels last": IMAGES[..., np.newaxis],
    "fortran": np.asfortranarray(IMAGES),
    "list": list(IMAGES),
    "list with channels": list(IMAGES[:, np.newaxis]),
    "pictures": PICTURES,
    "tuple of pictures": tuple(PICTURES),
    "deque of pictures": deque(PICTURES),
    "pictures of floats": [picture.convert("F") for picture in PICTURES],
    "pictures of integers": [picture.convert("I") for picture in PICTURES],
    "pictures of 16 bits": [Image.fromarray(image.astype(np.uint16)) for image in IMAGES],
    "pictures and arrays": [*PICTURES[:6], *IMAGES[6:]],
    "series": pd.Series(list(IMAGES), index=range(100, 112)),
    "series of pictures": pd.Series(PICTURES),
    "series of lists": pd.Series(IMAGES.tolist()),
    "series of arrow": pd.Series(
        IMAGES.tolist(), dtype=pd.ArrowDtype(pa.list_(pa.list_(pa.int16())))
    ),
    "polars lists": pl.Series(IMAGES.tolist()),
    "polars arrays": pl.Series(IMAGES.tolist(), dtype=pl.Array(pl.UInt8, (5, 7))),
    "arrow lists": pa.array(IMAGES.tolist()),
    "arrow chunks": pa.chunked_array([IMAGES[:5].tolist(), IMAGES[5:].tolist()]),
    "tensor": TENSOR,
    "tensor with channels": TENSOR[:, None],
    "tensor with gradient": TENSOR.double().requires_grad_(),
    "bfloat16": TENSOR.to(torch.bfloat16),
    "negated view": torch._neg_view(-TENSOR.double()),
    "list of tensors": list(TENSOR[:, None]),
    "list of tensors with gradients": list(TENSOR.float().requires_grad_()),
    "DLPack": HasDLPack(),
    "array interface": HasInterface(),
}


@pytest.fixture(scope="module")
def fitted():
    return classifier().fit(IMAGES, Y)


def classifier():
    return ConvNetClassifier(network="luacnn", max_epochs=1, augmentation=None, random_state=0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("container", CONTAINERS)
def test_images_are_their_values(fitted, container):
    images = CONTAINERS[container]
    expected = fitted.predict_proba(X)
    np.testing.assert_array_equal(fitted.predict_proba(images), expected)
    model = classifier().fit(images, Y)
    assert model.image_shape_ == (5, 7)
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    contrast = ImageNormalizer(method="contrast").fit(images)
    assert contrast.image_shape_ == (5, 7)
    np.testing.assert_allclose(contrast.transform(images), contrast.transform(IMAGES), atol=1e-5)


def test_images_of_one_bit_are_zeros_and_ones():
    expected = np.asarray(IMAGES > 127, dtype=float).reshape(12, 35)
    pictures = [Image.fromarray(image > 127) for image in IMAGES]
    assert pictures[0].mode == "1"
    for images in (pictures, IMAGES > 127, torch.tensor(IMAGES > 127)):
        flat, shape = flatten_images(images)
        np.testing.assert_array_equal(flat, expected)
        assert shape == (5, 7)


@pytest.mark.parametrize(
    ("shape", "image_shape"),
    [
        ((3, 1, 1, 4), (1, 4)),
        ((3, 4, 1, 1), (4, 1)),
        ((3, 1, 4, 1), (4, 1)),
        ((1, 1, 4, 3), (4, 3)),
        ((1, 4, 3, 1), (4, 3)),
        ((1, 4, 3), (4, 3)),
        ((3, 3, 1, 1), (3, 1)),
    ],
)
def test_the_second_axis_is_of_channels_if_it_is_one_else_the_last(shape, image_shape):
    images = np.random.default_rng(0).random(shape)
    flat, found = flatten_images(images)
    assert found == image_shape
    np.testing.assert_array_equal(flat, images.reshape(len(images), -1))


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_no_array_is_copied(axis, tmp_path):
    saved = tmp_path / "images.npy"
    np.save(saved, IMAGES.astype(np.float32))
    for images in (np.load(saved, mmap_mode="r"), np.load(saved), torch.tensor(np.load(saved))):
        given = [images, images[:, None], images[..., None], images.reshape(12, 35)][axis]
        flat, _ = flatten_images(given)
        assert np.shares_memory(flat, np.asarray(images))


TO_GRAY = "has images of {} channels.*make them gray, for example by {}"
COLORS = np.stack([IMAGES] * 3, axis=-1)
OPAQUE = np.concatenate([COLORS, np.full_like(COLORS[..., :1], 255)], axis=-1)
ADVICE = {
    "colors": (COLORS, TO_GRAY.format(3, r"X.mean\(axis=3\)")),
    "colors first": (np.moveaxis(COLORS, -1, 1), TO_GRAY.format(3, r"X.mean\(axis=1\)")),
    "colors of tensors": (
        list(torch.tensor(COLORS).permute(0, 3, 1, 2)),
        TO_GRAY.format(3, r"X.mean\(axis=1\)"),
    ),
    "opacity": (OPAQUE, TO_GRAY.format(4, r"X\[..., :3\].mean\(axis=3\)")),
    "opacity first": (
        np.moveaxis(OPAQUE, -1, 1),
        TO_GRAY.format(4, r"X\[:, :3\].mean\(axis=1\)"),
    ),
    "gray and opacity": (OPAQUE[..., 2:], TO_GRAY.format(2, r"X\[..., :1\].mean\(axis=3\)")),
    "five dimensions": (IMAGES[:, None, None], r"must have the shape \(n_samples, height, width\)"),
    "pictures in color": ([p.convert("RGB") for p in PICTURES], r'RGB: .*\[image.convert\("L"\)'),
    "palette": ([p.convert("P") for p in PICTURES], r'mode P: .*\[image.convert\("L"\)'),
    "deque": (deque(p.convert("P") for p in PICTURES), "mode P: make all of them gray"),
    "column of images": (
        pd.DataFrame({"image": PICTURES}).to_numpy(),
        r"pass a list of images, for example list\(X\[:, 0\]\)",
    ),
    "transparent": (pd.Series([p.convert("LA") for p in PICTURES]), r"mode LA: make all of them"),
    "two scales": ([PICTURES[0].convert("1"), *PICTURES[1:]], "mode 1 and L: make all of them"),
    "two sizes": (
        [PICTURES[0].resize((8, 8)), *PICTURES[1:]],
        r"arrays of the shapes \(8, 8\), \(5, 7\): make all images of one size",
    ),
    "two sizes of arrays": ([IMAGES[0], IMAGES[1][:4]], r"shapes \(5, 7\), \(4, 7\): make all"),
    "one missing": (pd.Series([*IMAGES[:11], None]), r"has None instead of an image at \[11\]"),
    "one picture": (PICTURES[0], r"pass a list of images, \[X\]"),
    "no values": (TENSOR.to("meta"), "on the device 'meta', which has no values"),
    "sparse": (TENSOR.to_sparse(), r"torch.sparse_coo: pass X.to_dense\(\)"),
    "data set": (TensorDataset(TENSOR, torch.tensor(Y)), r"X, y = zip\(\*dataset\)"),
    "loader": (DataLoader(TensorDataset(TENSOR, torch.tensor(Y))), r"X, y = map\(torch.cat, zip\("),
    "pair": ((IMAGES, Y), "pass images and labels apart"),
    "pair of tensors": ((TENSOR, torch.tensor(Y)), "pass images and labels apart"),
    "bunch": (load_digits(), r"pass one of its values. Its keys are \['data', 'target'"),
    "values of a dict": (dict(enumerate(IMAGES)).values(), r"pass list\(X\)"),
    "rows": ([{"image": image} for image in IMAGES], r"\[row\['image'\] for row in X\]"),
    "pairs": (list(zip(IMAGES, Y, strict=True)), r"pairs of images and labels, pass X, y = zip\("),
    "generator": ((image for image in IMAGES), r"pass list\(X\)"),
    "paths": (["0.png", "1.png"], r"\[prepare_image\(path\) for path in X\]"),
    "path objects": ([Path("0.PNG")], r"\[prepare_image\(path\) for path in X\]"),
}


@pytest.mark.parametrize("container", ADVICE)
def test_other_images_are_refused_with_advice(fitted, container):
    images, message = ADVICE[container]
    for call in (fitted.predict, lambda X: classifier().fit(X, Y), ImageNormalizer().fit):
        with pytest.raises((TypeError, ValueError), match=message):
            call(images)


def test_the_advice_works(fitted):
    expected = fitted.predict_proba(IMAGES)
    dataset = TensorDataset(TENSOR, torch.tensor(Y))
    loader = DataLoader(dataset, batch_size=5)
    for images, labels in (
        zip(*dataset, strict=True),
        map(torch.cat, zip(*loader, strict=True)),
    ):
        model = classifier().fit(images, labels)
        np.testing.assert_array_equal(model.predict_proba(IMAGES), expected)
        assert model.score(images, labels) == fitted.score(IMAGES, Y)
    for gray in [
        COLORS.mean(axis=3),
        np.moveaxis(OPAQUE, -1, 1)[:, :3].mean(axis=1),
        OPAQUE[..., 2:][..., :1].mean(axis=3),
        [picture.convert("RGB").convert("L") for picture in PICTURES],
    ]:
        np.testing.assert_array_equal(fitted.predict_proba(gray), expected)


ONE = IMAGES[0]
SHAPES = {
    "one image": (ONE, r"X has 7 features.*expecting 35 .*For one image pass X\[None\]"),
    "one image, channel last": (ONE[..., None], r"For one image pass X.reshape\(1, -1\)"),
    "one column": (X[0][:, None], r"For one image pass X.reshape\(1, -1\)"),
    "one row": (X[0], r"array.reshape\(1, -1\) if it contains a single sample"),
    "one image in color": (COLORS[0], r"one image with colors pass X.mean\(axis=-1\)\[None\]"),
    "transposed": (X.T, "X has 12 features.*expecting 35.*along its last axis: pass X.T"),
    "samples last": (np.moveaxis(IMAGES, 0, -1), r"last axis: pass np.moveaxis\(X, -1, 0\)"),
    "other size": (IMAGES[:, :4], r"images of shape \(4, 7\), and those of fit had \(5, 7\)"),
    "other number of pixels": (X[:, :30], "X has 30 features, but .* is expecting 35"),
}


@pytest.mark.parametrize("case", SHAPES)
def test_other_shapes_are_refused_with_advice(fitted, case):
    images, message = SHAPES[case]
    normalizer = ImageNormalizer(method="contrast").fit(IMAGES)
    for call in (fitted.predict, fitted.transform, normalizer.transform, normalizer.partial_fit):
        with pytest.raises(ValueError, match=message):
            call(images)


def test_one_image(fitted):
    expected = fitted.predict_proba(IMAGES)[:1]
    for images in (ONE[None], [ONE], [PICTURES[0]], X[0].reshape(1, -1), torch.tensor(ONE)[None]):
        np.testing.assert_allclose(fitted.predict_proba(images), expected, rtol=1e-5)


def test_transposed_images_are_recognized_in_fit():
    with pytest.raises(ValueError, match=r"numbers of samples: \[35, 12\]. .*pass X.T"):
        classifier().fit(X.T, Y)
    with pytest.raises(ValueError, match=r"samples: \[5, 12\]. .*pass np.moveaxis\(X, -1, 0\)"):
        classifier().fit(np.moveaxis(IMAGES, 0, -1), Y)


def test_a_validation_set_is_named():
    for images, message in [
        (ONE, r"X_val has 7 features.*For one image pass X_val\[None\]"),
        (X.T, "X_val has the samples along its last axis: pass X_val.T"),
        (IMAGES[:, :4], r"X_val has images of shape \(4, 7\)"),
        (
            X[:, np.newaxis],
            r"X_val has images of shape \(1, 35\).*Rows are X_val.reshape\(len\(X_v",
        ),
        (COLORS, r"`X_val` has images of 3 channels.*X_val.mean\(axis=3\)"),
        (
            [picture.convert("RGB") for picture in PICTURES],
            "`X_val` has PIL images of the mode RGB",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            classifier().fit(IMAGES, Y, X_val=images, y_val=Y)


def test_displays_and_mosaics_of_pictures(fitted, tmp_path):
    expected = MisclassifiedDisplay.from_estimator(fitted, IMAGES, Y)
    for images in (PICTURES, TENSOR[:, None], pl.Series(IMAGES.tolist())):
        display = MisclassifiedDisplay.from_estimator(fitted, images, Y)
        np.testing.assert_array_equal(display.images, expected.images)
    save_mosaic(IMAGES, tmp_path / "expected.png")
    for images in (PICTURES, TENSOR[:, None], IMAGES[..., None]):
        save_mosaic(images, tmp_path / "mosaic.png")
        same = (tmp_path / "mosaic.png").read_bytes() == (tmp_path / "expected.png").read_bytes()
        assert same
