"""Tables of any library, as those that scikit-learn knows: of pandas, polars and pyarrow."""

import importlib
import re
import sys

import numpy as np

#: Beginnings of the names of the dtypes of numbers, in lower case, of polars and pyarrow. Bools are
#: not among them, since with missing values they are read as objects.
_NUMBERS = re.compile(r"u?int\d|float|double|halffloat")


def as_table(values, name: str):
    """Return a data frame or a series of pandas' kind as scikit-learn knows it, or else None.

    Tables that only export an Arrow stream, such as a query of DuckDB, become tables of pyarrow or,
    if it is missing, of polars. Tables whose values are still to be computed are refused.

    Attributes are looked up in the type: a column may have any name, and a lazy frame of polars
    warns of a look at its columns.
    """
    if hasattr(type(values), "to_native"):  # of narwhals
        values = values.to_native()
    kind = type(values)
    is_frame = hasattr(kind, "iloc") or hasattr(kind, "columns")
    for method in ("collect", "compute"):  # of polars and of dask
        if is_frame and hasattr(kind, method) and not hasattr(kind, "__arrow_c_stream__"):
            raise TypeError(
                f"`{name}` is a {kind.__name__}, whose values are not computed yet: pass "
                f"{name}.{method}()."
            )
    if hasattr(kind, "iloc"):
        return values.to_pandas() if hasattr(kind, "to_pandas") else values  # from a GPU: cuDF
    if is_instance(values, "polars.DataFrame", "pyarrow.Table"):
        return values
    if hasattr(kind, "__arrow_c_stream__") and (is_frame or not hasattr(kind, "__array__")):
        return _read_arrow(values, name)
    return None


def column_names(table) -> list:
    """Return the names of the columns of a table, empty for an array."""
    return list(getattr(table, "column_names" if _is_arrow(table) else "columns", []))


def columns_without_numbers(table, name: str) -> dict[int, np.ndarray]:
    """Return the values of each column whose dtype is not of numbers, by its index.

    Strings are objects, as in pandas. As in scikit-learn, sparse columns are refused.
    """
    dtypes = [table.dtype] if getattr(table, "ndim", 2) == 1 else _dtypes(table)
    # To look at each dtype of 256 columns takes 0.1 ms, at each object 0.01 ms.
    kinds = {str(dtype): dtype for dtype in {id(dtype): dtype for dtype in dtypes}.values()}
    if any(kind.startswith("Sparse[") for kind in kinds):
        raise TypeError(f"`{name}` has sparse columns: pass {name}.sparse.to_dense().")
    if all(map(_is_number, kinds.values())):
        return {}
    columns = {
        index: np.asarray(_column(table, index))
        for index, dtype in enumerate(dtypes)
        if not _is_number(dtype)
    }
    return {i: x.astype(object) if x.dtype.kind in "UT" else x for i, x in columns.items()}


def replace_column(table, index: int, values: np.ndarray):
    """Return a table with other values in a column."""
    if hasattr(table, "iloc"):
        if table.ndim == 1:
            return type(table)(values, index=table.index)
        table = table.copy(deep=False)
        table.isetitem(index, values)
        return table
    name = column_names(table)[index]
    if _is_arrow(table):
        return table.set_column(index, name, [values])
    return table.with_columns(sys.modules["polars"].Series(name, values))


def _dtypes(table) -> list:
    return list(table.schema.types if _is_arrow(table) else table.dtypes)


def _is_number(dtype) -> bool:
    kind = getattr(dtype, "kind", None)  # of numpy and pandas
    return bool(_NUMBERS.match(str(dtype).lower())) if kind is None else kind in "biufc"


def _column(table, index: int):
    if hasattr(table, "iloc"):
        return table if table.ndim == 1 else table.iloc[:, index]
    return table.column(index) if _is_arrow(table) else table.to_series(index)


def is_instance(values, *class_names: str) -> bool:
    """Return True if values are of a class, "library.name", of a library that is not imported."""
    for class_name in class_names:
        library, name = class_name.rsplit(".", 1)
        if isinstance(values, getattr(sys.modules.get(library), name, ())):
            return True
    return False


def _is_arrow(table) -> bool:
    return is_instance(table, "pyarrow.Table")


def _read_arrow(stream, name: str):
    for library, function in (("pyarrow", "table"), ("polars", "DataFrame")):
        try:
            read = getattr(importlib.import_module(library), function)
        except ImportError:
            continue
        try:
            return read(stream)
        except (TypeError, ValueError) as error:
            raise ValueError(f"`{name}` can't be read as a table: {error}") from error
    raise ImportError(f"To read `{name}`, a {type(stream).__name__}, install pyarrow or polars.")
