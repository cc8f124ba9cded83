"""Hypothesis strategies: the same values in every container, and objects of any kind."""

import datetime
import decimal
import fractions
import io
import tempfile

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import torch
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument
from hypothesis.extra import numpy as hnp
from PIL import Image
from scipy.sparse import csr_array

#: Images of this many rows and columns.
SIDE = 2
N_PIXELS = SIDE * SIDE
N_SAMPLES = 6

#: dtypes that represent eighths from 0 to 2, or whole numbers, exactly.
FLOATS = ["f2", "f4", "f8", "g", ">f2", ">f4", ">f8", ">g"]
WHOLE = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i2", ">u2", ">i4", ">u8"]


def _memory_map(array):
    with tempfile.TemporaryFile() as file:
        mapped = np.memmap(file, array.dtype, "w+", shape=array.shape)
    mapped[...] = array
    return mapped


def _read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def _unaligned(array):
    buffer = np.zeros(array.nbytes + 1, np.uint8)[1:]
    moved = buffer.view(array.dtype).reshape(array.shape)
    moved[...] = array
    return moved


def _strided(array):
    spread = np.repeat(np.repeat(array, 2, axis=0), 3, axis=1)
    return spread[::2, ::3]


class Subclass(np.ndarray):
    """An array of another type."""


class HasArray:
    """An object that converts to an array."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype=dtype, subok=True)


LAYOUTS = {
    "plain": np.array,
    "fortran": np.asfortranarray,
    "negative strides": lambda a: np.flip(np.flip(a).copy()),
    "strided": _strided,
    "read-only": _read_only,
    "memory map": _memory_map,
    "unaligned": _unaligned,
    "subclass": lambda a: a.view(Subclass),
    "masked, no mask": np.ma.masked_array,
    "through a file": lambda a: np.load(_file_of(a)),
}


def _file_of(array):
    file = io.BytesIO()
    np.save(file, array)
    file.seek(0)
    return file


def _tensor(array):
    return torch.tensor(array.astype(array.dtype.newbyteorder("="), copy=True))


def masked(array):
    """Return an array with masked entries and other values under the mask."""
    array = np.asarray(array)
    mask = np.arange(array.size).reshape(array.shape) % 5 == 0
    return np.ma.masked_array(np.where(mask, array == 0, array), mask)


def _masked_entries(array):
    """Return lists of lists with masked entries."""
    return [
        [np.ma.masked if hidden else value for value, hidden in zip(row, mask, strict=True)]
        for row, mask in zip(array.data.tolist(), array.mask, strict=True)
    ]


def _one_object(array, value):
    """Return an array of objects whose last one is converted by `value`."""
    array = array.astype(object)
    array[-1, -1] = value(array[-1, -1])
    return array


def _images(array):
    return array.reshape(len(array), SIDE, SIDE)


def _arrow(array):
    return pa.table({f"p{i}": column for i, column in enumerate(array.astype(float).T)})


#: What an array is wrapped in; those that may be refused are below, and those that must be.
WRAPPERS = {
    "array": lambda a: a,
    "lists": lambda a: a.tolist(),
    "tuples": lambda a: tuple(map(tuple, a.tolist())),
    "list of arrays": list,
    "images": _images,
    "channels first": lambda a: _images(a)[:, np.newaxis],
    "channels last": lambda a: _images(a)[..., np.newaxis],
    "list of images": lambda a: list(_images(a)),
    "lists of lists": lambda a: _images(a).tolist(),
    "list of PIL images": lambda a: list(map(Image.fromarray, _images(a).astype("f4"))),
    "series of images": lambda a: pd.Series(list(_images(a))),
    "objects of images": lambda a: np.array([*_images(a), None], dtype=object)[:-1],
    "frame": lambda a: pd.DataFrame(a.astype(a.dtype.newbyteorder("="))),
    "nullable": lambda a: pd.DataFrame(a.astype(float)).astype("Float64"),
    "polars": lambda a: pl.DataFrame(a.astype(float)),
    "polars lists": lambda a: pl.Series(a.tolist()),
    "arrow": _arrow,
    "arrow batch": lambda a: _arrow(a).to_batches()[0],
    "arrow lists": lambda a: pa.array(a.astype(float).tolist()),
    "tensor": lambda a: _tensor(a.astype(float)),
    "tensor with gradient": lambda a: _tensor(a.astype(float)).requires_grad_(),
    "bfloat16": lambda a: _tensor(a.astype(float)).to(torch.bfloat16),
    "list of tensors": lambda a: list(_tensor(_images(a).astype(float)).requires_grad_()),
    "has __array__": HasArray,
    "objects": lambda a: a.astype(object),
}
STRANGE_WRAPPERS = {
    "strings": lambda a: a.astype(str),
    "bytes": lambda a: a.astype("S"),
    "string objects": lambda a: a.astype(str).astype(object),
    "fractions": lambda a: np.vectorize(fractions.Fraction, otypes=[object])(a.astype(float)),
    "decimals": lambda a: np.vectorize(decimal.Decimal, otypes=[object])(a.astype(float)),
    "categories": lambda a: pd.DataFrame(a.astype(float)).astype("category"),
    "records": lambda a: np.ascontiguousarray(a).view([("pixel", a.dtype)]),
    "matrix": np.matrix,
    "ragged": lambda a: [*a.tolist()[:-1], a.tolist()[-1][:-1]],
    "ragged images": lambda a: [*_images(a)[:-1], np.zeros((SIDE, SIDE + 1))],
    "no rows": lambda a: a[:0],
    "no columns": lambda a: a[:, :0],
    "one row": lambda a: a[0],
    "a hole": lambda a: [*a.tolist()[:-1], [None] * a.shape[1]],
    "frame of same names": lambda a: pd.DataFrame(a.astype(float), columns=["p"] * a.shape[1]),
}

WRONG_WRAPPERS = {
    "masked": masked,
    "masked rows": lambda a: list(masked(a)),
    "masked images": lambda a: tuple(_images(masked(a))),
    "masked objects": lambda a: np.array(_masked_entries(masked(a)), object),
    "masked on demand": lambda a: HasArray(masked(a)),
    "complex": lambda a: a.astype(complex),
    "complex object": lambda a: _one_object(a, complex),
    "complex object of numpy": lambda a: _one_object(a, np.complex64),
    "dates": lambda a: a.astype("i8").astype("M8[s]"),
    "dates in a frame": lambda a: pd.DataFrame(a.astype("i8").astype("M8[s]")),
    "date object": lambda a: _one_object(a, lambda value: np.datetime64(int(value), "s")),
    "date object in a frame": lambda a: pd.DataFrame(
        _one_object(a, lambda value: np.datetime64(int(value), "s"))
    ),
    "duration object": lambda a: _one_object(a, lambda value: np.timedelta64(int(value), "s")),
    "dates in polars": lambda a: pl.DataFrame(a.astype(float)).with_columns(
        column_0=pl.lit(datetime.date(2000, 1, 1))
    ),
    "lazy": lambda a: pl.LazyFrame(a.astype(float)),
    "colors": lambda a: np.stack([_images(a)] * 3, axis=-1),
    "colors first": lambda a: np.stack([_images(a)] * 3, axis=1),
    "palette": lambda a: [Image.fromarray(x.astype("u1")).convert("P") for x in _images(a)],
    "sparse": lambda a: csr_array(a.astype(float)),
    "tensor without values": lambda a: _tensor(a.astype(float)).to("meta"),
    "generator": iter,
    "dict": lambda a: {"data": a},
    "pair": lambda a: (a, np.arange(len(a))),
}


@st.composite
def plain_images(draw, n_samples=N_SAMPLES, whole=False):
    """Contiguous float64 images with values that every dtype of numbers represents."""
    values = st.integers(0, 1) if whole else st.integers(0, 16).map(lambda k: k / 8)
    return draw(hnp.arrays(np.float64, (n_samples, N_PIXELS), elements=values))


@st.composite
def disguised_images(draw):
    """Images in some container, the plain ones, and True if they must be accepted, False if not."""
    dtype = draw(st.sampled_from(FLOATS + WHOLE))
    images = draw(plain_images(whole=np.dtype(dtype).kind not in "f"))
    array = LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))](images.astype(dtype))
    wrappers, is_number = draw(
        st.sampled_from([(WRAPPERS, True), (STRANGE_WRAPPERS, None), (WRONG_WRAPPERS, False)])
    )
    wrapper = wrappers[draw(st.sampled_from(sorted(wrappers)))]
    return wrapper(array), images, is_number


_HUGE = float(np.finfo(np.float64).max)
extreme_numbers = st.one_of(
    st.floats(),
    st.sampled_from([0.0, -0.0, 5e-324, 1e-310, 1e-45, 1e-38, 1.0, -1.0, 1e18, 1e150, 1e300]),
    st.sampled_from([3.4028235e38, -3.4028235e38, 3.5e38, _HUGE, -_HUGE, np.inf, -np.inf, np.nan]),
)


@st.composite
def extreme_images(draw, dtypes=("f4", "f8", "g", "f2", "i8", "u8", "O")):
    """Images with values up to the limits of their dtype, mostly of one magnitude."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    elements = {
        "f": extreme_numbers,
        "i": st.sampled_from([-(2**63), 2**63 - 1, 0, 1]),
        "u": st.sampled_from([2**64 - 1, 2**53 + 1, 0, 1]),
        "O": st.one_of(extreme_numbers, st.integers(), st.just(10**400), st.none()),
    }[dtype.kind]
    palette = draw(st.lists(elements, min_size=1, max_size=3))
    picks = draw(hnp.arrays(np.int8, (N_SAMPLES, N_PIXELS), elements=st.integers(0, 2)))
    with np.errstate(all="ignore"):
        return np.array(palette, dtype=dtype)[picks % len(palette)]


_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.fractions(),
    st.decimals(),
    st.datetimes(),
    st.timedeltas(),
    st.sampled_from([len, object, object(), Ellipsis, NotImplemented, pd.NA, pd.NaT, np.nan]),
    st.sampled_from([np.datetime64("NaT"), np.void(b"ab"), datetime.date(2000, 1, 1), range(6)]),
    st.sampled_from([np.ma.masked, np.datetime64(1, "s"), np.timedelta64(1, "s"), np.complex64(1)]),
)
_dtypes = st.one_of(
    hnp.scalar_dtypes(),
    hnp.byte_string_dtypes(),
    hnp.unicode_string_dtypes(),
    hnp.nested_dtypes(max_leaves=3),
    st.just(np.dtype(object)),
)


@st.composite
def _arrays(draw, shape):
    dtype = draw(_dtypes)
    if dtype.kind == "O":
        return draw(hnp.arrays(dtype, shape, elements=_scalars))
    try:
        return draw(hnp.arrays(dtype, shape))
    except InvalidArgument:  # hypothesis has no values of this dtype
        return np.zeros(shape, dtype)


def junk(*shapes):
    """Objects, nested lists, and arrays of any dtype, of these shapes or any."""
    shapes = st.one_of(
        st.sampled_from(shapes), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
    )
    return st.one_of(
        shapes.flatmap(_arrays),
        st.recursive(
            _scalars,
            lambda inner: st.one_of(
                st.lists(inner, max_size=6),
                st.lists(inner, max_size=3).map(tuple),
                st.dictionaries(st.text(max_size=2), inner, max_size=2),
                st.lists(inner, min_size=6, max_size=6),
            ),
            max_leaves=12,
        ),
        st.lists(_scalars, min_size=N_SAMPLES, max_size=N_SAMPLES),
        st.sets(st.integers(), max_size=3),
    )
