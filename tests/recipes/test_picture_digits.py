"""make_picture_digits: the digits of two versions in one form."""

import numpy as np
import pytest

from sklearn_usps.recipes import make_picture_digits

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def test_set(roweis):
    return make_picture_digits(subset="test")


def test_images_and_digits(test_set):
    X, y = test_set
    assert (X.shape, X.dtype) == ((1000, 256), np.float32)
    assert (X.min(), X.max(axis=1).min(), X.max()) == (0, 1, 1)
    np.testing.assert_array_equal(y, np.repeat(np.arange(10), 100))


def test_digits_have_proportions_and_no_slant(test_set):
    X, y = test_set
    images = X.reshape(-1, 16, 16)
    rows, columns = np.mgrid[:16, :16]
    mass = images / images.sum(axis=(1, 2), keepdims=True)
    rows = rows - (mass * rows).sum(axis=(1, 2), keepdims=True)
    columns = columns - (mass * columns).sum(axis=(1, 2), keepdims=True)
    slant = (mass * rows * columns).sum(axis=(1, 2)) / (mass * rows**2).sum(axis=(1, 2))
    assert np.quantile(np.abs(slant), 0.9) < 0.05
    has_ink = (images > 0.2).any(axis=1)
    assert np.median(has_ink.sum(axis=1)[y == 1]) <= 5  # of 16 columns; in "roweis" 16
    # In the middle: as many empty columns on the left as on the right.
    left, right = has_ink.argmax(axis=1), has_ink[:, ::-1].argmax(axis=1)
    assert np.quantile(np.abs(left - right), 0.9) <= 1


def test_same_random_state_same_images(test_set):
    again, _ = make_picture_digits(subset="test", random_state=0)
    np.testing.assert_array_equal(again, test_set[0])
    other, _ = make_picture_digits(subset="test", random_state=1)
    assert (other != again).any(axis=1).mean() > 0.9


def test_unknown_subset():
    with pytest.raises(ValueError, match="'subset' parameter of make_picture_digits must be a str"):
        make_picture_digits(subset="all")
