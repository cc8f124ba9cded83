"""The loss of a batch: the cross-entropy, or the loss of a network that has its own."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def check_outputs(network: nn.Module, outputs, n_samples: int, n_classes: int) -> None:
    """Raise a ValueError if the outputs of a user's network are not the logits of its classes."""
    expected = (n_samples, n_classes)
    # With probabilities of its own, a network may have other outputs.
    if not hasattr(network, "log_proba") and getattr(outputs, "shape", None) != expected:
        got = getattr(outputs, "shape", type(outputs).__name__)
        raise ValueError(
            "forward of the network must return logits of shape (n_samples, n_classes) = "
            f"{expected}. Got {got if isinstance(got, str) else tuple(got)} instead."
        )


def mean_loss(
    network: nn.Module, logits, targets, weights: torch.Tensor | None, label_smoothing: float
) -> torch.Tensor:
    """Return the weighted mean of the losses of samples.

    Targets and weights may be on another device than the logits.
    """
    targets = targets.to(logits.device, non_blocking=True)
    own_loss = getattr(network, "loss", None)
    if weights is None and own_loss is None:
        return functional.cross_entropy(logits, targets, label_smoothing=label_smoothing)
    if own_loss is None:
        losses = functional.cross_entropy(
            logits, targets, label_smoothing=label_smoothing, reduction="none"
        )
    else:
        losses = own_loss(logits, targets)
        if losses.shape != targets.shape:
            raise ValueError(
                f"loss of the network must return a value for each of {len(targets)} samples. "
                f"Got the shape {tuple(losses.shape)}: set reduction='none'."
            )
    if weights is not None:
        losses = losses * weights.to(logits.device, non_blocking=True)
    return losses.mean()
