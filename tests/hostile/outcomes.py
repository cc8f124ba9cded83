"""Outcomes of a call with hostile input: an answer, or a clear error."""

import re
import warnings

import numpy as np

#: Beginnings of messages from inside numpy, torch or Python, which name nothing of the user's.
_INTERNAL = re.compile(
    r"setting an array element|could not convert|only (length|0-dim|size)|'[<>=]+' not supported"
    r"|float\(\) argument|int\(\) argument|must be real number|unhashable|ufunc|The DType|cannot "
    r"cast|Cannot cast|dtype argument|'\w+' object|object of type|unsupported operand|The `dtype`"
    r"|operands could not|shapes? |size mismatch|mat1|Expected .* tensor|'\w+' codec|buffer|index "
    r"|expected str, bytes|argument |embedded null|cannot reshape|zero-size|Can't call numpy"
    r"|Got unsupported|invalid literal|Input array|the truth|The truth|boolean value"
)
#: The types of errors that users catch.
REFUSALS = (ValueError, TypeError, OSError)


class Refused:
    """A call that raised an error of one of these types with a clear message."""

    def __init__(self, error):
        self.error = error

    def __repr__(self):
        return f"Refused({self.error!r})"


def outcome(function, *args, **kwargs):
    """Call a function; return its answer, or a Refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return function(*args, **kwargs)
        except REFUSALS as error:
            refused = Refused(error)
    message = str(refused.error)
    assert len(message) > 15, f"this says nothing: {refused}"
    assert not _INTERNAL.match(message), f"this is an internal error: {refused}"
    return refused


def assert_same(got, expected, rtol=0.0):
    """Assert that an answer, unless refused, is finite and that for the plain values."""
    if isinstance(got, Refused):
        return
    assert not isinstance(expected, Refused), f"{expected} with plain values, and now {got}"
    if np.asarray(got).dtype.kind == "f":
        assert np.isfinite(got).all()
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol)
    else:
        np.testing.assert_array_equal(got, expected)
