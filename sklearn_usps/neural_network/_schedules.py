"""How the learning rate changes from batch to batch.

A schedule is an array with a factor for each batch. torch's schedulers do the same one batch at a
time, at 15 µs a batch: a thirtieth of the time of a batch of the smallest network.
"""

from __future__ import annotations

import numpy as np


def one_cycle(n_batches: int) -> np.ndarray:
    """Rise from 1/25 to 1 over the first 30 % of the batches, then fall to almost zero.

    Both along half a wave of the cosine, as torch's `OneCycleLR` by default.

    References
    ----------
    .. [1] L. N. Smith and N. Topin, "Super-Convergence: Very Fast Training of Neural Networks Using
       Large Learning Rates", arXiv:1708.07120, 2017.
    """
    first, last = 1 / 25, 1 / 25 / 10_000
    highest = 0.3 * n_batches - 1
    batch = np.arange(n_batches)
    # Of fewer than four batches none rises; of a single one nothing falls to the end.
    risen = np.clip(batch / highest, 0, 1) if highest > 0 else np.ones(n_batches)
    fallen = np.clip((batch - highest) / max(n_batches - 1 - highest, 1), 0, 1)
    rise = first + (1 - first) * _half_wave(risen)
    return np.where(batch <= highest, rise, 1 + (last - 1) * _half_wave(fallen))


def cosine(n_batches: int) -> np.ndarray:
    """Fall from 1 towards zero along half a wave of the cosine.

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
       ICLR 2017, equation 5 without restarts.
    """
    return 1 - _half_wave(np.arange(n_batches) / n_batches)


def _half_wave(x: np.ndarray) -> np.ndarray:
    """From 0 at 0 to 1 at 1."""
    return (1 - np.cos(np.pi * x)) / 2


SCHEDULES = {"one-cycle": one_cycle, "cosine": cosine}
