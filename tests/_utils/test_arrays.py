"""Values that numpy would convert to numbers or strings silently."""

import datetime

import narwhals
import numpy as np
import pandas as pd
import polars
import pyarrow
import pytest
import torch
from scipy.sparse import coo_array, csr_matrix

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


ONE_HOT = np.eye(2)[Y]


@pytest.mark.parametrize(
    "y",
    [
        ONE_HOT,
        ONE_HOT.tolist(),
        list(ONE_HOT),
        pd.DataFrame(ONE_HOT),
        pd.Series(list(ONE_HOT)),
        polars.DataFrame(ONE_HOT),
        pyarrow.array(ONE_HOT.tolist()),
        torch.tensor(ONE_HOT),
    ],
    ids=lambda y: type(y).__module__,
)
def test_one_hot_labels_are_refused_with_advice(y):
    fitted = ConvNetClassifier(**PARAMS).fit(X, Y)
    for call in (ConvNetClassifier(**PARAMS).fit, fitted.score):
        with pytest.raises(ValueError, match=r"one-hot labels pass np.asarray\(y\).argmax\(axis=1"):
            call(X, y)


LABELS = {
    "polars": polars.Series,
    "arrow": pyarrow.array,
    "chunks": lambda y: pyarrow.chunked_array([y[:3], y[3:]]),
    "dictionary": lambda y: pyarrow.array(y).dictionary_encode(),
    "narwhals": lambda y: narwhals.from_native(polars.Series(y), series_only=True),
    "nullable": lambda y: pd.Series(y).convert_dtypes(),
    "arrow in pandas": lambda y: pd.Series(y).convert_dtypes(dtype_backend="pyarrow"),
    "categories": lambda y: pd.Series(y).astype("category"),
    "index": pd.Index,
    "objects": lambda y: np.array(y, dtype=object),
    "frame of objects": lambda y: pd.DataFrame({"y": y}, dtype=object)["y"],
}
NUMBERS = {
    "tensor": torch.tensor,
    "floats with gradient": lambda y: torch.tensor(y, dtype=torch.float32, requires_grad=True),
    "list of tensors": lambda y: list(torch.tensor(y)),
    "bfloat16": lambda y: torch.tensor(y).to(torch.bfloat16),
}
WORDS = {
    "polars categories": lambda y: polars.Series(y, dtype=polars.Categorical),
    "polars enumeration": lambda y: polars.Series(y, dtype=polars.Enum(["no", "yes"])),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("container", LABELS | NUMBERS | WORDS)
def test_labels_are_their_values(container):
    is_word = container in WORDS
    labels = np.array(["no", "yes"])[Y].tolist() if is_word else Y.tolist()
    given = (LABELS | NUMBERS | WORDS)[container](labels)
    expected = ConvNetClassifier(**PARAMS).fit(X, labels)
    model = ConvNetClassifier(**PARAMS).fit(X, given, X_val=X, y_val=given)
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))
    assert model.score(X, given) == expected.score(X, labels)
    partial, same = (
        ConvNetClassifier(**PARAMS).partial_fit(X, y, classes=y[:2]) for y in (given, labels)
    )
    np.testing.assert_array_equal(partial.predict_proba(X), same.predict_proba(X))
    if not is_word:
        weights = (LABELS | NUMBERS)[container]((1 + Y).tolist())
        model, same = (ConvNetClassifier(**PARAMS).fit(X, Y, w) for w in (weights, 1 + Y))
        np.testing.assert_array_equal(model.predict_proba(X), same.predict_proba(X))
        assert model.score(X, Y, weights) == model.score(X, Y, 1 + Y)


@pytest.mark.parametrize("missing", [None, pd.NA, np.nan])
@pytest.mark.parametrize("container", [list, pd.Series, lambda y: pd.Series(y).astype("string")])
def test_missing_labels_are_not_to_become_strings(missing, container):
    labels = container([missing, *["no", "yes"] * 3, missing])
    with pytest.raises(ValueError, match="`y` has 2 missing labels: leave out their samples"):
        ConvNetClassifier(**PARAMS).fit(X, labels)


def test_sparse_labels_are_refused():
    fitted = ConvNetClassifier(**PARAMS).fit(X, Y)
    for y in (csr_matrix(Y[:, None]), coo_array(Y), csr_matrix(ONE_HOT)):
        for call in (ConvNetClassifier(**PARAMS).fit, fitted.score):
            with pytest.raises(TypeError, match=r"`y` is sparse: pass y.toarray\(\)"):
                call(X, y)


def test_numbers_in_objects_are_labels_unless_rounded():
    labels = np.array([2**63, 2**63 + 1] * 4, dtype=object)
    assert ConvNetClassifier(**PARAMS).fit(X, labels).classes_.tolist() == [2**63, 2**63 + 1]
    with pytest.raises(ValueError, match="Unknown label type"):
        ConvNetClassifier(**PARAMS).fit(X, np.array([2**63 + 1, -1] * 4, dtype=object))
