"""A time limit: a training ends on a whole epoch, with its learning rate schedule completed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from skorch.callbacks import Callback

#: An epoch is planned if there is as much more time, since epochs vary by a few percent.
_MARGIN = 0.05
#: First steps of a training, whose time is not typical: libraries start, steps are captured.
_N_FIRST_STEPS = 4
#: Most factors of a schedule to compute: `max_epochs` may be huge where the time is the limit.
_MAX_FACTORS = 100_000


class TimeLimit(Callback):
    """End a training after the last epoch that fits into the time; at least one is completed.

    `deadline` is a time of :func:`time.perf_counter`. An epoch is expected to take as long as the
    last one, with its validation and its callbacks.
    """

    def __init__(self, deadline: float):
        self.deadline = deadline

    def on_train_begin(self, net, **kwargs):
        self.epoch_begin_ = self.last_step_ = time.perf_counter()
        self.n_done_ = 0
        #: Seconds from the start of an epoch to its last step, and from there to its end.
        self.steps_seconds_, self.rest_seconds_ = 0.0, 0.0
        #: Part of the steps of the first epoch that are timed.
        self.share_ = 1.0

    def on_epoch_end(self, net, **kwargs):
        now = time.perf_counter()
        self.steps_seconds_ = (self.last_step_ - self.epoch_begin_) / self.share_
        self.rest_seconds_ = now - self.last_step_
        expected = now + self.steps_seconds_ + self.rest_seconds_
        self.n_done_ += 1
        self.epoch_begin_ = self.last_step_ = now
        if expected > self.deadline or getattr(net.schedule_, "is_complete", False):
            raise KeyboardInterrupt  # which ends a training in skorch

    def plan_epochs(self, n_steps: int, n_batches: int) -> int:
        """Return the number of epochs that fit into the time, with the current one, after a step.

        A training of `n_steps` so far has `n_batches` an epoch.
        """
        self.last_step_ = now = time.perf_counter()
        n_first = 0 if self.n_done_ else min(_N_FIRST_STEPS, n_batches // 2)
        if n_steps <= n_first:
            self.epoch_begin_ = now
            return 1 if now > self.deadline else sys.maxsize
        self.share_ = 1 - n_first / n_batches
        n_done = n_steps - n_first - self.n_done_ * n_batches
        done = n_done / (n_batches - n_first)  # of the current epoch, in (0, 1]
        seconds = now - self.epoch_begin_
        seconds += (1 - done) * (self.steps_seconds_ if self.n_done_ else seconds / done)
        seconds += self.rest_seconds_
        left = self.deadline - (self.epoch_begin_ + seconds)
        further = max(0.0, min(left * self.share_ / (seconds * (1 + _MARGIN)), 1e9))
        return self.n_done_ + 1 + int(further)


class PacedSchedule:
    """The learning rate factors of a training with a time limit, by the number of the step.

    Each step advances by an equal part of the schedule that is left, over the steps that are left
    in the epochs that fit. With time for `n_epochs`, these are the factors without a time limit.
    """

    def __init__(
        self,
        schedule: Callable[[int], np.ndarray],
        n_epochs: int,
        n_batches: int,
        limit: TimeLimit,
    ):
        self.n_epochs, self.n_batches, self.limit = n_epochs, n_batches, limit
        self.factors = schedule(min(len(self), _MAX_FACTORS))
        self.n_steps, self.progress = 0, 0.0

    def __len__(self) -> int:
        return min(self.n_epochs * self.n_batches, sys.maxsize)

    def __getitem__(self, n_steps: int) -> float:
        if n_steps > self.n_steps:  # also asked for at the start of an epoch
            n_epochs = min(self.limit.plan_epochs(n_steps, self.n_batches), self.n_epochs)
            left = n_epochs * self.n_batches - self.n_steps
            self.progress += (1 - self.progress) * (n_steps - self.n_steps) / left
            self.n_steps = n_steps
        index = round(self.progress * len(self.factors))
        return float(self.factors[min(index, len(self.factors) - 1)])

    @property
    def is_complete(self) -> bool:
        """True after the last step of the last epoch that was planned."""
        return self.progress > 1 - 1e-9
