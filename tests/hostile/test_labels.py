"""Labels, weights and tasks in every container and dtype, and values that are none."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from outcomes import Refused, assert_same, outcome
from values import LAYOUTS, N_PIXELS, HasArray, extreme_numbers, junk

from sklearn_usps import ConvNetClassifier, MultiTaskConvNetClassifier

N_SAMPLES = 8
X = np.random.default_rng(0).integers(0, 17, (N_SAMPLES, N_PIXELS)) / 8
Y = np.arange(N_SAMPLES) % 2
#: Two tasks with both labels each.
TASK = np.arange(N_SAMPLES) // 2 % 2
junk_labels = junk((N_SAMPLES,), (N_SAMPLES, 1))


def classifier():
    return ConvNetClassifier(
        network="luacnn", max_epochs=1, augmentation=None, device="cpu", random_state=0
    )


def multi_task():
    return MultiTaskConvNetClassifier(classifier())


@pytest.fixture(scope="module")
def fitted():
    return classifier().fit(X, Y)


@pytest.fixture(scope="module")
def fitted_multi_task():
    return multi_task().fit(X, Y, task=TASK)


def in_layout(array, layout):
    """Return an array of one dimension in a memory layout of two."""
    return LAYOUTS[layout](array[:, np.newaxis])[:, 0]


def _series(array):
    """Return a series; pandas has no half or long floats and no foreign byte orders."""
    is_odd = array.dtype.char in "eg"
    return pd.Series(array.astype("f8" if is_odd else array.dtype.newbyteorder("=")))


_WRAPPERS = {
    "array": lambda a: a,
    "list": lambda a: a.tolist(),
    "tuple": lambda a: tuple(a.tolist()),
    "series": _series,
    "categories": lambda a: _series(a).astype("category"),
    "nullable": lambda a: _series(a).convert_dtypes(),
    "objects": lambda a: a.astype(object),
    "polars": lambda a: pl.Series(_series(a).tolist()),
    "arrow": lambda a: pa.array(_series(a).tolist()),
    "arrow chunks": lambda a: pa.chunked_array([_series(a).tolist()[:3], _series(a).tolist()[3:]]),
    "column": lambda a: a[:, np.newaxis],
    "has __array__": HasArray,
}
_ALL_WRAPPERS = tuple(sorted(_WRAPPERS))
_LAYOUTS = sorted(LAYOUTS)
_DTYPES = ["i1", "u1", "i4", ">i4", "i8", "u8", ">u2", "?", "f2", "f8", ">f4", "g", "U3", ">U3"]


@st.composite
def disguised(draw, dtypes=_DTYPES, wrappers=_ALL_WRAPPERS):
    """Draw zeros and ones in some container and dtype; return them and their plain values."""
    values = np.array(draw(st.lists(st.integers(0, 1), min_size=N_SAMPLES, max_size=N_SAMPLES)))
    array = in_layout(values.astype(draw(st.sampled_from(dtypes))), draw(st.sampled_from(_LAYOUTS)))
    return _WRAPPERS[draw(st.sampled_from(wrappers))](array), values


def check_outcomes(function, given, values):
    """Assert that a function answers, or refuses, given values as their plain values."""
    got, expected = outcome(function, given), outcome(function, values)
    assert isinstance(got, Refused) == isinstance(expected, Refused)
    assert_same(got, expected)


@given(labels=disguised())
def test_labels_are_their_values(labels):
    def fit(y):
        model = classifier().fit(X, y)
        classes = model.classes_.astype(float)
        return np.concatenate([classes, model.predict_proba(X).ravel(), [model.score(X, y)]])

    check_outcomes(fit, *labels)


@given(weights=disguised(_DTYPES[:-2], ("array", "list", "series", "nullable", "polars", "arrow")))
def test_weights_are_their_values(fitted, weights):
    check_outcomes(lambda w: classifier().fit(X, Y, sample_weight=w).predict_proba(X), *weights)
    check_outcomes(lambda w: fitted.score(X, Y, sample_weight=w), *weights)


@given(tasks=disguised())
def test_tasks_are_their_values(tasks):
    def log_proba(task):
        return multi_task().fit(X, Y, task=task).predict_log_proba(X, task=task).max(axis=1)

    check_outcomes(log_proba, *tasks)


_MASKED_WRAPPERS = {
    "array": lambda a: a,
    "list": lambda a: [np.ma.masked if m else v for v, m in zip(a.data, a.mask, strict=True)],
    "objects": lambda a: np.array(_MASKED_WRAPPERS["list"](a), object),
    "series": lambda a: pd.Series(_MASKED_WRAPPERS["list"](a), dtype=object),
    "column": lambda a: a[:, np.newaxis],
    "list of columns": lambda a: list(a[:, np.newaxis]),
    "has __array__": HasArray,
}


@given(
    dtype=st.sampled_from(_DTYPES),
    wrapper=st.sampled_from(sorted(_MASKED_WRAPPERS)),
    place=st.integers(0, N_SAMPLES - 1),
)
def test_masked_entries_are_refused(fitted, dtype, wrapper, place):
    array = np.ma.masked_array(Y.astype(dtype), np.arange(N_SAMPLES) == place)
    given = _MASKED_WRAPPERS[wrapper](array)
    for got in (
        outcome(classifier().fit, X, given),
        outcome(multi_task().fit, X, given, task=TASK),
        outcome(multi_task().fit, X, Y, task=given),
        outcome(classifier().fit, X, Y, sample_weight=given),
        outcome(classifier().partial_fit, X, Y, classes=given),
        outcome(fitted.score, X, given),
        outcome(fitted.score, X, Y, sample_weight=given),
    ):
        assert isinstance(got, Refused), got


weights = st.one_of(
    st.lists(extreme_numbers, min_size=N_SAMPLES, max_size=N_SAMPLES),
    st.lists(st.floats(0, width=64), min_size=N_SAMPLES, max_size=N_SAMPLES),
)


@example(weights=[1.0] * 7 + [np.nan])
@example(weights=[1e308, 1e307] * 4)
@example(weights=[5e-324, 1e-323] * 4)
@given(weights=weights)
def test_any_weights_train_or_are_refused(weights):
    for model, options in ((classifier(), {}), (multi_task(), {"task": TASK})):
        options["sample_weight"] = weights
        got = outcome(model.fit, X, Y, **options)
        if np.isfinite(weights).all() and 0 < max(weights) / 1e290 < min(weights):
            assert not isinstance(got, Refused), got
        if not isinstance(got, Refused):
            assert np.isfinite(got.history_[0]["train_loss"])
            del options["sample_weight"]
            assert not np.isnan(got.predict_log_proba(X, **options)).any()
    outcome(classifier().partial_fit, X, Y, classes=[0, 1], sample_weight=weights)


@given(factor=st.integers(-1000, 1000))
def test_weights_count_relative_to_each_other(factor):
    weights = 1 + TASK
    scaled = classifier().fit(X, Y, sample_weight=np.ldexp(weights.astype(float), factor))
    plain = classifier().fit(X, Y, sample_weight=weights)
    assert_same(scaled.predict_proba(X), plain.predict_proba(X))


# Objects of any type


@example(y=np.array(["a", 1] * 4, object))
@example(y=Y.astype("M8[s]"))
@given(y=junk_labels)
def test_any_labels_train_or_are_refused(fitted, fitted_multi_task, y):
    outcome(classifier().fit, X, y)
    outcome(multi_task().fit, X, y, task=TASK)
    outcome(classifier().fit, X, Y, X_val=X, y_val=y)
    outcome(multi_task().fit, X, Y, task=TASK, X_val=X, y_val=y, task_val=TASK)
    outcome(classifier().partial_fit, X, y, classes=[0, 1])
    if y is not None:
        outcome(fitted.score, X, y)
        outcome(fitted_multi_task.score, X, y, task=TASK)


@example(classes=None)
@example(classes=np.array([], "M8[Y]"))
@given(classes=junk_labels)
def test_any_classes_train_or_are_refused(fitted, classes):
    outcome(classifier().partial_fit, X, Y, classes=classes)
    outcome(multi_task().partial_fit, X, Y, classes=classes)
    outcome(multi_task().partial_fit, X, Y, task=TASK, classes={0: [0, 1], 1: classes})


@given(weights=junk_labels)
def test_any_objects_for_weights_train_or_are_refused(fitted, weights):
    outcome(classifier().fit, X, Y, sample_weight=weights)
    outcome(classifier().partial_fit, X, Y, classes=[0, 1], sample_weight=weights)
    outcome(multi_task().fit, X, Y, task=TASK, sample_weight=weights)
    outcome(fitted.score, X, Y, sample_weight=weights)
    outcome(classifier().fit, X, Y, X_val=X, y_val=Y, sample_weight_val=weights)


@example(task=np.array([0, 1] * 4, object))
@example(task={1})
@example(task=np.array([False, *[range(6)] * 7], object))
@given(task=junk_labels)
def test_any_tasks_train_or_are_refused(fitted_multi_task, task):
    outcome(multi_task().fit, X, Y, task=task)
    outcome(fitted_multi_task.predict_proba, X, task=task)
    outcome(fitted_multi_task.score, X, Y, task=task)
    outcome(multi_task().partial_fit, X, Y, task=task, classes={0: [0, 1], 1: [0, 1]})
    outcome(multi_task().fit, X, Y, task=TASK, X_val=X, y_val=Y, task_val=task)


@example(classes={0: [0, 1], "": [0, 1]})
@example(classes={0: [0, 1], 1: ["a", "b"]})
@example(classes={})
@given(classes=st.dictionaries(st.one_of(st.integers(0, 1), st.text(max_size=1)), junk_labels))
def test_any_classes_by_task_train_or_are_refused(classes):
    outcome(multi_task().partial_fit, X, Y, task=TASK, classes=classes)
