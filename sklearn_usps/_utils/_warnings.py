"""Warnings that name a line of the user's program."""

import os
import sys
import warnings
from pathlib import Path

import sklearn

#: Beginnings of the paths of code that is not the user's: ours, and scikit-learn's that calls it.
_OURS = tuple(
    str(folder) + os.sep for folder in (Path(__file__).parents[1], Path(sklearn.__file__).parent)
)


def warn_user(message: str) -> None:
    """Warn with the line that called this library, however many of its functions are between."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, UserWarning, stacklevel=level)
