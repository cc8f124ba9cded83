"""The Binary Alphadigits."""

from functools import partial

import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

from sklearn_usps import fetch_alphadigits

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def fetch(fetch_or_skip):
    """fetch_alphadigits, or the test is skipped."""
    return partial(fetch_or_skip, fetch_alphadigits)


def test_bunch_of_the_letters(fetch):
    letters = fetch()
    assert (letters.data.shape, letters.data.dtype) == ((1014, 320), np.float32)
    assert letters.images.shape == (1014, 20, 16)
    assert set(np.unique(letters.data)) == {0, 1}
    assert "".join(letters.target_names) == "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert letters.target[::39].tolist() == letters.target_names
    assert letters.feature_names[17] == "pixel_1_1"
    assert "Binary Alphadigits" in letters.DESCR
    picture = ["".join("-#"[int(pixel)] for pixel in row) for row in letters.images[0][::4]]
    assert picture == [
        "------##--------",
        "----####--#####-",
        "---###-#########",
        "-####-------####",
        "###--------#####",
    ]


def test_digits_and_all(fetch):
    digits, everything = fetch(subset="digits"), fetch(subset="all")
    assert digits.target[::39].tolist() == list("0123456789")
    assert len(everything.data) == 1404
    np.testing.assert_array_equal(everything.data[:390], digits.data)


def test_o_is_zero_and_can_be_dropped(fetch):
    everything = fetch(subset="all")
    images = {name: everything.data[everything.target == name] for name in "0O"}
    np.testing.assert_array_equal(images["0"], images["O"])
    without = fetch(subset="all", drop_o=True)
    assert "O" not in without.target_names
    assert len(without.data) == 1404 - 39


def test_resized_to_the_shape_of_usps(fetch):
    X, y = fetch(image_shape=(16, 16), return_X_y=True)
    assert (X.shape, X.dtype) == ((1014, 256), np.float32)
    assert X.min() == 0
    assert X.max() == 1
    assert ((X > 0) & (X < 1)).mean() > 0.05  # antialiased
    assert cross_val_score(SVC(C=10), X, y, cv=3).mean() > 0.6


def test_resized_images_keep_their_orientation(fetch):
    letters, narrow = fetch(), fetch(image_shape=(20, 8))
    assert narrow.images.shape == (1014, 20, 8)
    halves = letters.images.reshape(-1, 20, 8, 2).mean(axis=3)
    errors = abs(narrow.images - halves).mean(axis=(1, 2))
    assert errors.max() < 0.15


def test_shuffled_images_keep_their_labels(fetch):
    letters = fetch(drop_o=True)
    shuffled = fetch(drop_o=True, shuffle=True, random_state=1)
    order = np.random.RandomState(1).permutation(len(letters.target))
    for name in ("data", "images", "target"):
        np.testing.assert_array_equal(shuffled[name], letters[name][order])


def test_wrong_parameters_and_missing_data(tmp_path):
    with pytest.raises(OSError, match=r"^Data not found: .*alphadigs\.mat is missing, and `d"):
        fetch_alphadigits(data_home=tmp_path, download_if_missing=False)
    with pytest.raises(ValueError, match="'subset' parameter of fetch_alphadigits must be a str"):
        fetch_alphadigits(subset="capitals")
    with pytest.raises(ValueError, match="image_shape must be two positive integers"):
        fetch_alphadigits(image_shape=(16, 0))
