"""Examples in docstrings of classes that carry their public module, `sklearn_usps`.

pytest's collector skips them: it takes a class for imported where its module is another.
"""

import doctest
import inspect

import pytest

import sklearn_usps

CLASSES = [
    getattr(sklearn_usps, name)
    for name in sklearn_usps.__all__
    if inspect.isclass(getattr(sklearn_usps, name))
    and getattr(sklearn_usps, name).__module__ == "sklearn_usps"
]
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_example_of(cls):
    (example,) = doctest.DocTestFinder(recurse=False).find(cls, cls.__name__, globs={})
    assert example.examples
    assert doctest.DocTestRunner(optionflags=OPTIONS).run(example).failed == 0
