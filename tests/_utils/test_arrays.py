"""Values that numpy would convert to numbers or strings silently."""

import datetime

import numpy as np
import pandas as pd
import pytest

from sklearn_usps import ConvNetClassifier, ImageNormalizer, prepare_image, save_mosaic

X = np.random.default_rng(0).random((8, 16))
Y = np.arange(8) % 2
PARAMS = {"network": "luacnn", "max_epochs": 1, "augmentation": None, "random_state": 0}
MASK = np.eye(8, 16, dtype=bool)


class HasArray:
    """An object that converts to an array."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


def masked_rows(mask):
    return [np.ma.masked_array(row, of_row) for row, of_row in zip(X, mask, strict=True)]


MASKED_IMAGES = {
    "array": np.ma.masked_array(X, MASK),
    "list of rows": masked_rows(MASK),
    "tuple of rows": tuple(masked_rows(MASK)),
    "list of images": [row.reshape(4, 4) for row in masked_rows(MASK)],
    "one masked row": [*X[:-1].tolist(), np.ma.masked_array(X[-1], MASK[0])],
    "on demand": HasArray(np.ma.masked_array(X, MASK)),
}


@pytest.mark.parametrize("container", MASKED_IMAGES)
def test_masked_pixels_are_refused(container):
    images = MASKED_IMAGES[container]
    for fit in (ConvNetClassifier(**PARAMS).fit, ImageNormalizer().fit(X).partial_fit):
        with pytest.raises(ValueError, match="`X` has masked entries"):
            fit(images, Y)


def test_masks_without_a_masked_entry_are_accepted():
    rows = masked_rows(np.zeros_like(MASK))
    expected = ImageNormalizer().fit_transform(X)
    np.testing.assert_array_equal(ImageNormalizer().fit_transform(rows), expected)
    np.testing.assert_array_equal(ImageNormalizer().fit_transform(np.ma.asarray(X)), expected)


@pytest.mark.parametrize("is_list", [True, False])
@pytest.mark.parametrize("values", [[0, 1] * 4, ["a", "b"] * 4])
def test_masked_labels_and_weights_are_refused(values, is_list):
    given = np.ma.masked_array(values, np.arange(8) == 7)
    if is_list:
        given = [*values[:-1], np.ma.masked]
    classifier = ConvNetClassifier(**PARAMS)
    with pytest.raises(ValueError, match="`y` has masked entries"):
        classifier.fit(X, given)
    with pytest.raises(ValueError, match="`classes` has masked entries"):
        classifier.partial_fit(X, Y, classes=given)
    if values[0] == 0:
        with pytest.raises(ValueError, match="`sample_weight` has masked entries"):
            classifier.fit(X, Y, given)


def test_masked_pictures_are_refused(tmp_path):
    image = np.ma.masked_array(np.eye(16), np.eye(16) == 1)
    for images in ([image, image], np.ma.masked_array([image])):
        with pytest.raises(ValueError, match="`images` has masked entries"):
            save_mosaic(images, tmp_path / "mosaic.png")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="`image` has masked entries"):
        prepare_image(image)


DATES = [np.datetime64("2000-01-01"), np.timedelta64(3, "s"), datetime.date(2000, 1, 1)]


@pytest.mark.parametrize("value", [*DATES, 1j, np.complex64(1j), "one"], ids=repr)
@pytest.mark.parametrize("container", [lambda values: values, pd.DataFrame])
def test_objects_other_than_numbers_are_refused(value, container):
    images = X.astype(object)
    images[3, 3] = value
    for fit in (ConvNetClassifier(**PARAMS).fit, ImageNormalizer().fit):
        with pytest.raises((ValueError, TypeError), match="`X` must have numbers"):
            fit(container(images), Y)


@pytest.mark.parametrize("value", [np.datetime64("2000-01-01"), 1j], ids=repr)
@pytest.mark.parametrize("container", [list, pd.Series])
def test_weights_other_than_numbers_are_refused(value, container):
    weights = container(np.array([*[1] * 7, value], dtype=object))
    with pytest.raises((ValueError, TypeError), match=r"`sample_weight` must have numb|Complex"):
        ConvNetClassifier(**PARAMS).fit(X, Y, weights)


def test_objects_may_be_strings_of_numbers_as_in_scikit_learn():
    expected = ImageNormalizer().fit_transform(X)
    strings = X.astype(str)
    np.testing.assert_array_equal(ImageNormalizer().fit_transform(strings.astype(object)), expected)
    with pytest.raises(ValueError, match=r"`X` must have numbers. Got str_ instead"):
        ImageNormalizer().fit(strings)


@pytest.mark.parametrize("labels", [["a", 1] * 4, np.array(["a", 1] * 4, object)])
def test_labels_of_mixed_types_are_refused(labels):
    with pytest.raises(ValueError, match="y has labels of mixed types, strings and others"):
        ConvNetClassifier(**PARAMS).fit(X, labels)


def test_ragged_lists_are_refused():
    with pytest.raises(ValueError, match="`X` is not an array: pass an array, or lists of equal"):
        ImageNormalizer().fit([[1, 2], [3]])


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="numpy 2 has this dtype")
def test_labels_are_strings_of_any_dtype():
    labels = np.array(["one", "two"] * 4)
    fitted, same = (
        ConvNetClassifier(**PARAMS).fit(X, y)
        for y in (labels.astype(np.dtypes.StringDType()), labels)
    )
    np.testing.assert_array_equal(fitted.predict(X), same.predict(X))


def test_structured_labels_are_refused():
    with pytest.raises(TypeError, match="`y` must have strings or numbers"):
        ConvNetClassifier(**PARAMS).fit(X, Y.astype([("label", int)]))
