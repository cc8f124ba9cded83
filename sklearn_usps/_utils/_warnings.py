"""Warnings that name a line of the user's program."""

import contextlib
import os
import sys
import warnings
from pathlib import Path

import sklearn

#: Beginnings of the paths of code that is not the user's: ours, and what calls it, scikit-learn and
#: the decorators of contextlib.
_OURS = (
    str(Path(__file__).parents[1]) + os.sep,
    str(Path(sklearn.__file__).parent) + os.sep,
    contextlib.__file__,
)


def warn_user(message: str) -> None:
    """Warn with the line that called this library, however many of its functions are between."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, UserWarning, stacklevel=level)
