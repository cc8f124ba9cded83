"""Training steps that are captured once and then replayed.

A step of a small network is some eighty operations on a GPU, and the processor takes longer to
start them than the GPU to compute them. Replaying a captured step starts all of them at once.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch

from ._cuda import capture, is_cuda

#: Number of steps on batches of one size before one is captured: in the first ones, libraries
#: choose their kernels and the optimizer makes its state.
N_WARMUP_STEPS = 3
_logger = logging.getLogger(__name__)


class CapturedSteps:
    """Training steps that replay a captured one for each size of a batch.

    ``step(batch, weights)`` trains on a batch, a tuple of images and targets, and returns tensors
    by name. What it does must depend on nothing else but the learning rates of the optimizer and
    numbers drawn from `generator`, which is on the device to compute on. Weights are given for all
    batches or for none.

    On the CPU, where nothing is captured, a replay calls `step` on the tensors that a graph would
    read: the results are those of `step`, and all but the graph can be tested.
    """

    #: False after a capture failed. Up to torch 2.12 it leaves the allocator of the process in the
    #: state of a capture, and graphs captured before may draw the same numbers again.
    is_possible: ClassVar[bool] = True

    def __init__(
        self,
        step: Callable[..., dict[str, torch.Tensor]],
        optimizer: torch.optim.Optimizer,
        generator: torch.Generator,
    ):
        self.step, self.optimizer, self.generator = step, optimizer, generator
        self.n_steps: Counter[int] = Counter()
        #: The captured step for each size of a batch.
        self.captured: dict[int, _CapturedStep] = {}

    def __call__(self, batch, weights=None) -> dict[str, torch.Tensor]:
        """Train on a batch, and return the outputs of the step."""
        size = len(batch[0])
        self.n_steps[size] += 1
        if self.n_steps[size] <= N_WARMUP_STEPS or not CapturedSteps.is_possible:
            return self.step(batch, weights)
        try:
            if size not in self.captured:
                self.captured[size] = _CapturedStep(self, batch, weights)
        except Exception:  # an error of the step itself is raised by the call
            _logger.debug("Steps on %d images can't be captured.", size, exc_info=True)
            CapturedSteps.is_possible = False
            return self.step(batch, weights)
        return self.captured[size](batch, weights)


class _CapturedStep:
    """A step that reads its batch and its learning rates from tensors of its own."""

    def __init__(self, steps: CapturedSteps, batch, weights):
        device = steps.generator.device
        on_gpu = is_cuda(device)
        self.groups = steps.optimizer.param_groups
        *own_batch, own_weights = self.inputs = [
            None if given is None else given.to(device, copy=True) for given in (*batch, weights)
        ]
        # The kernels of fused optimizers on a GPU read a float32. On the CPU they read a float64,
        # which is the number as it was.
        dtype = torch.float32 if on_gpu else torch.float64
        self.rates = [torch.zeros((), dtype=dtype, device=device) for _ in self.groups]

        def step():
            with self._own_rates(capturable=on_gpu):
                return steps.step(tuple(own_batch), own_weights)

        self.replay = capture(step, steps.generator) if on_gpu else step

    def __call__(self, batch, weights) -> dict[str, torch.Tensor]:
        for own, given in zip(self.inputs, (*batch, weights), strict=True):
            if own is not None:
                own.copy_(given, non_blocking=True)
        for rate, group in zip(self.rates, self.groups, strict=True):
            rate.fill_(group["lr"])
        return self.replay()

    @contextmanager
    def _own_rates(self, *, capturable: bool) -> Iterator[None]:
        """Give the optimizer the rates as tensors, and afterwards as the numbers they were."""
        found = [dict(group) for group in self.groups]
        for rate, group in zip(self.rates, self.groups, strict=True):
            group["lr"] = rate
            if "capturable" in group:  # a check of torch's AdamW, whatever it does
                group["capturable"] = capturable
        try:
            yield
        finally:
            for group, before in zip(self.groups, found, strict=True):
                group.update(before)
