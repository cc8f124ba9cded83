"""Warnings that name a line of the user's program."""

import sys
import warnings
from pathlib import Path

import sklearn

#: Beginnings of the paths of code that is not the user's: ours, and wrappers of our methods.
_OURS = (
    str(Path(__file__).parents[1]),
    *(str(Path(sklearn.__file__).with_name(name)) for name in ("base.py", "utils")),
)


def warn_user(message: str) -> None:
    """Warn with the line that called this library, however many of its functions are between."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, UserWarning, stacklevel=level)
