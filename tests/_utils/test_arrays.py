"""What numpy would make numbers of without a word, though it is something else."""

import datetime
from collections import UserList, deque

import numpy as np
import pandas as pd
import pytest

from sklearn_usps import (
    ConvNetClassifier,
    ImageNormalizer,
    MultiTaskConvNetClassifier,
    prepare_image,
    save_mosaic,
)

X = np.random.default_rng(0).random((8, 16))
Y = np.arange(8) % 2
PARAMS = {"network": "luacnn", "max_epochs": 1, "augmentation": None, "random_state": 0}
MASK = np.eye(8, 16, dtype=bool)


class HasArray:
    """No array, but makes one on demand."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


def masked_rows(mask):
    return [np.ma.masked_array(row, of_row) for row, of_row in zip(X, mask, strict=True)]


def with_masked(values):
    """A list whose last entry is masked."""
    return [*values[:-1], np.ma.masked]


MASKED_IMAGES = {
    "array": np.ma.masked_array(X, MASK),
    "list of rows": masked_rows(MASK),
    "tuple of rows": tuple(masked_rows(MASK)),
    "deque of rows": deque(masked_rows(MASK)),
    "sequence of rows": UserList(masked_rows(MASK)),
    "list of images": [row.reshape(4, 4) for row in masked_rows(MASK)],
    "list of lists of rows": [list(row.reshape(4, 4)) for row in masked_rows(MASK)],
    "one masked row": [*X[:-1].tolist(), np.ma.masked_array(X[-1], MASK[0])],
    "lists of entries": [*X[:-1].tolist(), with_masked(X[-1].tolist())],
    "objects": np.array([*X[:-1].tolist(), with_masked(X[-1].tolist())], object),
    "rows of objects": [*X[:-1], np.array(with_masked(X[-1].tolist()), object)],
    "on demand": HasArray(np.ma.masked_array(X, MASK)),
    "frame": pd.DataFrame(np.array([[np.ma.masked] * 16, *X[1:].tolist()], object)),
}
MASKED = "`X` has masked entries"


@pytest.mark.filterwarnings("ignore:Warning. converting a masked element")
@pytest.mark.parametrize("guise", MASKED_IMAGES)
def test_masked_pixels_are_refused(guise):
    images = MASKED_IMAGES[guise]
    with pytest.raises(ValueError, match=MASKED):
        ConvNetClassifier(**PARAMS).fit(images, Y)
    with pytest.raises(ValueError, match=MASKED):
        MultiTaskConvNetClassifier(**PARAMS).fit(images, Y)
    with pytest.raises(ValueError, match=MASKED):
        ImageNormalizer().fit(X).transform(images)


def test_masks_without_a_masked_entry_are_taken():
    rows = masked_rows(np.zeros_like(MASK))
    expected = ImageNormalizer().fit_transform(X)
    np.testing.assert_array_equal(ImageNormalizer().fit_transform(rows), expected)
    np.testing.assert_array_equal(ImageNormalizer().fit_transform(np.ma.asarray(X)), expected)


@pytest.mark.filterwarnings("ignore:Warning. converting a masked element")
@pytest.mark.parametrize("guise", [list, np.ma.masked_array, pd.Series])
@pytest.mark.parametrize("values", [[0, 1] * 4, ["a", "b"] * 4])
def test_masked_labels_weights_and_tasks_are_refused(values, guise):
    if guise is list:
        given = with_masked(values)
    elif guise is pd.Series:
        given = pd.Series(with_masked(values), dtype=object)
    else:
        given = np.ma.masked_array(values, np.arange(8) == 7)
    joint = MultiTaskConvNetClassifier(**PARAMS)
    with pytest.raises(ValueError, match="`y` has masked entries"):
        ConvNetClassifier(**PARAMS).fit(X, given)
    with pytest.raises(ValueError, match="`y` has masked entries"):
        joint.fit(X, given)
    with pytest.raises(ValueError, match="`classes` has masked entries"):
        joint.partial_fit(X, Y, classes=given)
    with pytest.raises(ValueError, match="`task` has masked entries"):
        joint.fit(X, Y, task=given)
    if values[0] == 0:
        with pytest.raises(ValueError, match="`sample_weight` has masked entries"):
            joint.fit(X, Y, given)


def test_masked_pictures_are_refused(tmp_path):
    image = np.ma.masked_array(np.eye(16), np.eye(16) == 1)
    for images in ([image, image], [list(image)], np.ma.masked_array([image])):
        with pytest.raises(ValueError, match="`images` has masked entries"):
            save_mosaic(images, tmp_path / "mosaic.png")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="`image` has masked entries"):
        prepare_image(image)


@pytest.mark.parametrize(
    "value",
    [
        np.datetime64("2000-01-01"),
        np.timedelta64(3, "s"),
        datetime.date(2000, 1, 1),
        1j,
        np.complex64(1j),
        np.array(np.datetime64("2000-01-01")),
        "one",
    ],
    ids=repr,
)
@pytest.mark.parametrize("container", [lambda values: values, pd.DataFrame])
def test_objects_that_are_no_numbers_are_refused(value, container):
    images = X.astype(object)
    images[3, 3] = value
    for fit in (ConvNetClassifier(**PARAMS).fit, ImageNormalizer().fit):
        with pytest.raises((ValueError, TypeError), match="`X` must have numbers"):
            fit(container(images), Y)


@pytest.mark.parametrize("value", [np.datetime64("2000-01-01"), 1j], ids=repr)
@pytest.mark.parametrize("container", [list, np.array, pd.Series])
def test_weights_that_are_no_numbers_are_refused(value, container):
    weights = np.ones(8, object)
    weights[3] = value
    weights = container(weights) if container is list else container(weights, dtype=object)
    with pytest.raises(ValueError, match=r"`sample_weight` must have numbers|Complex data"):
        ConvNetClassifier(**PARAMS).fit(X, Y, weights)


def test_objects_may_be_strings_of_numbers_as_in_scikit_learn():
    expected = ImageNormalizer().fit_transform(X)
    strings = X.astype(str)
    np.testing.assert_array_equal(ImageNormalizer().fit_transform(strings.astype(object)), expected)
    with pytest.raises(ValueError, match=r"`X` must have numbers. Got the dtype <U"):
        ImageNormalizer().fit(strings)
