"""How the learning rate changes from batch to batch."""

from __future__ import annotations

from skorch.callbacks import LRScheduler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR


def one_cycle(optimizer: Optimizer, total_steps: int, last_epoch: int) -> OneCycleLR:
    """Rise from 1/25 of each group's rate to the rate itself, then fall to almost zero.

    References
    ----------
    .. [1] L. N. Smith and N. Topin, "Super-Convergence: Very Fast Training of Neural Networks Using
       Large Learning Rates", arXiv:1708.07120, 2017.
    """
    highest = [group["lr"] for group in optimizer.param_groups]
    # The momentum stays as it is: not every optimizer has one.
    return OneCycleLR(optimizer, highest, total_steps, cycle_momentum=False, last_epoch=last_epoch)


def cosine(optimizer: Optimizer, total_steps: int, last_epoch: int) -> CosineAnnealingLR:
    """Fall from each group's rate to zero along half a wave of the cosine.

    References
    ----------
    .. [1] I. Loshchilov and F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
       ICLR 2017, equation 5 without restarts.
    """
    return CosineAnnealingLR(optimizer, total_steps, last_epoch=last_epoch)


SCHEDULES = {"one-cycle": one_cycle, "cosine": cosine}


def schedule_callback(name: str, total_steps: int) -> list[tuple[str, LRScheduler]]:
    """The named callback that runs a schedule over `total_steps` batches, none if constant."""
    if name == "constant":
        return []
    scheduler = LRScheduler(
        SCHEDULES[name],
        total_steps=total_steps,
        step_every="batch",
        event_name=None,
        last_epoch=-1,  # it starts anew in each fit, also where a warm start continues a history
    )
    return [("lr_schedule", scheduler)]
