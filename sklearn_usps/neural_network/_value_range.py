"""The range of pixel values, which tells images that are scaled otherwise than those of fit."""

from __future__ import annotations

import warnings

import numpy as np


def value_range(X: np.ndarray) -> tuple[float, float]:
    """Smallest and largest value, after a check that networks can take them: they are 32-bit."""
    low, high = float(X.min()), float(X.max())
    if max(-low, high) > float(np.finfo(np.float32).max):
        raise ValueError("Input X contains infinity or a value too large for dtype('float32').")
    return low, high


def warn_if_other_range(X: np.ndarray, fitted_range: tuple[float, float], name: str) -> None:
    """Warn about values further outside the range of fit than this range is wide."""
    low, high = value_range(X)
    fitted_low, fitted_high = fitted_range
    span = fitted_high - fitted_low
    if span > 0 and (low < fitted_low - span or high > fitted_high + span):
        warnings.warn(
            f"X has values in [{low:g}, {high:g}], but {name} was fitted on values in "
            f"[{fitted_low:g}, {fitted_high:g}]: scale X as in fit.",
            UserWarning,
            stacklevel=4,
        )
