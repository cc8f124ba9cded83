"""Checking parameters that are a pair of sizes."""

import numpy as np


def check_two_sizes(sizes, name: str, meaning: str) -> tuple[int, int]:
    """Return the two positive integers that the parameter `name` must have."""
    if len(sizes) == 2 and all(isinstance(size, (int, np.integer)) and size >= 1 for size in sizes):
        return int(sizes[0]), int(sizes[1])
    raise ValueError(f"{name} must be two positive integers {meaning}. Got {sizes!r} instead.")
