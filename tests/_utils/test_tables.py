"""Tables of every library, as those of pandas, and what to write instead of the others."""

import datetime
import decimal
import subprocess
import sys

import dask.dataframe
import duckdb
import narwhals
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
from sklearn.utils.fixes import parse_version

from sklearn_usps import ConvNetClassifier, ImageNormalizer, MultiTaskConvNetClassifier

NAMES = [f"pixel {i}" for i in range(16)]
Y = np.arange(12) % 2
TASK = np.array(["a", "b"])[np.arange(12) // 2 % 2]
FRAME = pd.DataFrame(np.random.default_rng(0).integers(0, 256, (12, 16)), columns=NAMES)
TABLES = {
    "polars": pl.from_pandas,
    "arrow": pa.Table.from_pandas,
    "arrow batch": pa.RecordBatch.from_pandas,
    "arrow reader": lambda frame: pa.Table.from_pandas(frame).to_reader(),
    "duckdb": lambda frame: duckdb.from_arrow(pa.Table.from_pandas(frame)),
    "narwhals": narwhals.from_native,
    "narwhals of polars": lambda frame: narwhals.from_native(pl.from_pandas(frame)),
    "nullable": lambda frame: frame.convert_dtypes(),
    "arrow in pandas": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
}
knows_names = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"),
    reason="older releases find the names of columns of fewer libraries",
)


def classifier():
    return ConvNetClassifier(network="luacnn", max_epochs=1, augmentation=None, random_state=0)


@pytest.fixture(scope="module")
def fitted():
    return classifier().fit(FRAME, Y)


@knows_names
@pytest.mark.filterwarnings("error:X ")
@pytest.mark.parametrize("library", TABLES)
def test_a_table_is_a_data_frame(fitted, library):
    table = TABLES[library]
    expected = fitted.predict_proba(FRAME)
    model = classifier().fit(table(FRAME), Y)
    assert list(model.feature_names_in_) == NAMES
    np.testing.assert_array_equal(model.predict_proba(FRAME), expected)
    np.testing.assert_array_equal(fitted.predict_proba(table(FRAME)), expected)
    assert fitted.score(table(FRAME), Y) == fitted.score(FRAME, Y)
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        fitted.predict(table(FRAME[NAMES[::-1]]))
    with pytest.raises(ValueError, match=r"yet now missing:\n- pixel 3"):
        fitted.predict(table(FRAME.drop(columns="pixel 3")))
    for output in ("pandas", "polars"):
        features = model.set_output(transform=output).transform(table(FRAME))
        np.testing.assert_array_equal(features.to_numpy(), fitted.transform(FRAME))
        normalizer = ImageNormalizer().set_output(transform=output)
        normalized = normalizer.fit(table(FRAME)).transform(table(FRAME))
        assert list(normalized.columns) == NAMES
        np.testing.assert_array_equal(normalized, ImageNormalizer().fit_transform(FRAME))


@knows_names
@pytest.mark.parametrize("library", TABLES)
def test_a_table_may_have_the_task(library):
    frame = FRAME.copy()
    frame.insert(3, "task", TASK)
    model = MultiTaskConvNetClassifier(classifier(), task_column="task")
    table = TABLES[library]
    model.fit(table(frame), Y, X_val=table(frame), y_val=Y)
    assert list(model.feature_names_in_) == list(frame.columns)
    expected = MultiTaskConvNetClassifier(classifier()).fit(FRAME, Y, task=TASK)
    np.testing.assert_array_equal(
        model.predict_proba(table(frame)), expected.predict_proba(FRAME, task=TASK)
    )


LAZY = {
    "polars": (lambda frame: pl.LazyFrame(frame.to_dict("list")), "collect"),
    "narwhals": (lambda frame: narwhals.from_native(LAZY["polars"][0](frame)), "collect"),
    "dask": (lambda frame: dask.dataframe.from_pandas(frame, npartitions=2), "compute"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("library", LAZY)
def test_lazy_tables_are_to_be_computed(fitted, library):
    make, method = LAZY[library]
    table = make(FRAME)
    for call, name in [
        (fitted.predict, "X"),
        (lambda table: classifier().fit(table, Y), "X"),
        (lambda table: classifier().fit(FRAME, table), "y"),
        (lambda table: classifier().fit(FRAME, Y, sample_weight=table), "sample_weight"),
        (lambda table: classifier().fit(FRAME, Y, X_val=FRAME, y_val=table), "y_val"),
        (ImageNormalizer().fit, "X"),
    ]:
        with pytest.raises(TypeError, match=rf"`{name}` is a \w+Frame, .*pass {name}.{method}\(\)"):
            call(table)
    computed = getattr(table, method)()
    np.testing.assert_array_equal(fitted.predict(computed), fitted.predict(FRAME))


@pytest.mark.parametrize("value", [datetime.date(2000, 1, 1), datetime.timedelta(3), "dog"])
@pytest.mark.parametrize("library", ["pandas", "polars", "arrow", "duckdb"])
def test_other_columns_are_named(library, value):
    frame = FRAME.assign(label=value)
    table = {"pandas": lambda frame: frame, **TABLES}[library](frame)
    for fit in (classifier().fit, ImageNormalizer().fit):
        with pytest.raises(
            (ValueError, TypeError), match=r"`X` must have numbers.*in its column 'l"
        ):
            fit(table, Y)


@pytest.mark.parametrize("library", ["pandas", "polars", "arrow", "duckdb"])
def test_a_column_of_images_is_passed_alone(library):
    column = pa.array(FRAME.to_numpy().tolist())
    table = pa.table({"image": column, "label": Y})
    table = {
        "pandas": pa.Table.to_pandas,
        "polars": pl.from_arrow,
        "duckdb": duckdb.from_arrow,
    }.get(library, lambda table: table)(table)
    with pytest.raises(ValueError, match=r"in its column 'image': pass the column, X\['image'\]"):
        classifier().fit(table, Y)
    if library != "duckdb":
        images = table["image"]
        expected = ImageNormalizer().fit_transform(FRAME)
        np.testing.assert_array_equal(ImageNormalizer().fit_transform(images), expected)


@pytest.mark.parametrize("library", ["nullable", "polars", "arrow", "duckdb"])
def test_missing_pixels_are_refused(fitted, library):
    table = TABLES[library](FRAME.astype("Int16").mask(FRAME.iloc[3, 3] == FRAME))
    for call in (fitted.predict, ImageNormalizer().fit):
        with pytest.raises(ValueError, match="Input X contains NaN"):
            call(table)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("column", ["decimals", "strings", "categories"])
@pytest.mark.parametrize("library", ["pandas", "polars", "arrow", "duckdb"])
def test_objects_are_numbers(fitted, library, column):
    values = [str(value) for value in FRAME["pixel 3"]]
    values = list(map(decimal.Decimal, values)) if column == "decimals" else values
    values = pa.array(values).dictionary_encode() if column == "categories" else pa.array(values)
    table = pa.Table.from_pandas(FRAME).set_column(3, "pixel 3", values)
    converters = {"pandas": pa.Table.to_pandas, "polars": pl.from_arrow, "arrow": lambda t: t}
    table = {"duckdb": duckdb.from_arrow, **converters}[library](table)
    expected = fitted.predict_proba(FRAME)
    np.testing.assert_array_equal(fitted.predict_proba(table), expected)
    model = classifier().fit(table, Y)
    np.testing.assert_array_equal(model.predict_proba(FRAME), expected)


@pytest.mark.parametrize("library", ["nullable", "polars", "arrow", "duckdb"])
def test_bools_and_missing_bools(library):
    table = TABLES[library](FRAME > 127)
    expected = ImageNormalizer().fit_transform(FRAME > 127)
    np.testing.assert_array_equal(ImageNormalizer().fit_transform(table), expected)
    frame = (FRAME > 127).astype("boolean").mask(FRAME.iloc[3, 3] == FRAME)
    for fit in (classifier().fit, ImageNormalizer().fit):
        with pytest.raises(ValueError, match="Input X contains NaN"):
            fit(pa.Table.from_pandas(frame) if library == "arrow" else frame, Y)


def test_sparse_columns_are_refused():
    sparse = FRAME.astype(pd.SparseDtype("int64", 0))
    with pytest.raises(TypeError, match=r"`X` has sparse columns: pass X.sparse.to_dense\(\)"):
        ImageNormalizer().fit(sparse)
    dense = ImageNormalizer().fit_transform(sparse.sparse.to_dense())
    np.testing.assert_array_equal(dense, ImageNormalizer().fit_transform(FRAME))


def test_a_column_may_have_the_name_of_a_method():
    names = ["collect", "compute", "to_native", "to_pandas", "iloc", *NAMES[5:]]
    frame = FRAME.set_axis(names, axis=1)
    expected = ImageNormalizer().fit_transform(FRAME)
    for table in (frame, pl.DataFrame(frame.to_dict("list")), pa.Table.from_pandas(frame)):
        np.testing.assert_array_equal(ImageNormalizer().fit_transform(table), expected)


@pytest.mark.parametrize("missing", [["pyarrow"], ["pyarrow", "polars"]])
def test_arrow_streams_without_pyarrow(missing):
    code = f"""
import sys

class Missing:
    def find_spec(name, path=None, target=None):
        if name in {missing}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing)
import duckdb
from sklearn_usps import ImageNormalizer
query = duckdb.sql("select 0 as dark, 1 as light union all select 2, 5 order by dark")
try:
    print(ImageNormalizer(method="pixel").fit(query).mean_)
except ImportError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    message = "To read `X`, a DuckDBPyRelation, install pyarrow or polars."
    assert ran.stdout.strip() == ("[1. 3.]" if missing == ["pyarrow"] else message)
