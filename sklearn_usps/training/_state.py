"""The state of a trainer as arrays and plain values, and back.

With it pickle, joblib, copy and skops need to know nothing of torch, and a model can be loaded
without the device that it was trained on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from skorch.history import History
from torch import nn

from ._trainer import Trainer
from .optim._optimizers import fused_state

#: Largest number of layers of a network, and of tasks, in a file.
MAX_LAYERS = 1000


def get_trainer_state(trainer: Trainer) -> dict[str, Any]:
    """Return weights, optimizer and generator as arrays and plain values."""
    return {
        "weights": _to_arrays(trainer.module_.state_dict()),
        "optimizer": type(trainer.optimizer_).__name__,
        "optimizer_state": {
            name: _to_arrays(trainer.optimizer_.state[parameter])
            for name, parameter in trainer.module_.named_parameters()
            if parameter in trainer.optimizer_.state
        },
        "generator": trainer.generator.get_state().numpy(),
    }


def get_history(trainer: Trainer) -> list[dict[str, Any]]:
    """Return a plain dict for each epoch of the history."""
    keys = ["train_loss", "train_error", "valid_loss", "valid_error", "valid_acc", "lr", "dur"]
    rows = []
    for epoch in trainer.history:
        figures = {key: float(epoch[key]) for key in keys if key in epoch}
        tasks = {"tasks": epoch["tasks"]} if "tasks" in epoch else {}
        rows.append({"epoch": epoch["epoch"], **figures, **tasks})
    return rows


def load_weights(network: nn.Module, state: dict[str, Any]) -> None:
    """Load the weights of a state into a network."""
    network.load_state_dict(_to_tensors(state["weights"]))


def load_trainer_state(trainer: Trainer, state: dict[str, Any], history: list[dict]) -> None:
    """Load the optimizer, the generator and the history; the network has its weights already.

    The state may be from a damaged or untrusted file.
    """
    if type(trainer.optimizer_).__name__ == state["optimizer"]:
        _load_optimizer_state(trainer, state["optimizer_state"])
    trainer.history = History({**row, "batches": []} for row in history)
    trainer.generator.set_state(torch.tensor(state["generator"]))


def check_weight_sizes(
    build_network: Callable[[], nn.Module], network_params: dict | None, state: dict[str, Any]
) -> None:
    """Raise a ValueError if a network does not have the weights of a state.

    A damaged or untrusted file may describe a network that would take all memory, or so many layers
    that even without memory they would take minutes.
    """
    if max(map(np.size, (network_params or {}).values()), default=0) > MAX_LAYERS:
        raise ValueError(f"the network has more than {MAX_LAYERS} layers")
    with torch.device("meta"):
        network = build_network()
    sizes = {
        name: (tuple(value.shape), value.nbytes) for name, value in network.state_dict().items()
    }
    if sizes != {name: (value.shape, value.nbytes) for name, value in state["weights"].items()}:
        raise ValueError("the weights are not those of the network")


def _load_optimizer_state(trainer: Trainer, arrays: dict[str, dict]) -> None:
    optimizer = trainer.optimizer_
    names = {parameter: name for name, parameter in trainer.module_.named_parameters()}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state = {
        i: _to_tensors(arrays[names[p]]) for i, p in enumerate(parameters) if names[p] in arrays
    }
    if optimizer.defaults.get("fused"):
        _check_fused_state(type(optimizer).__name__, parameters, state)
    # This puts each tensor where the optimizer wants it.
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _check_fused_state(optimizer: str, parameters: list, state: dict[int, dict]) -> None:
    """Check the shapes of tensors beside the parameters, which fused kernels do not look at."""
    for i, tensors in state.items():
        shape = parameters[i].shape
        names = fused_state(optimizer, parameters[i])
        expected = {name: () if name == "step" else shape for name in names}
        if {name: tensor.shape for name, tensor in tensors.items()} not in ({}, expected):
            raise ValueError("the optimizer's state is not that of the weights")


def _to_arrays(state: Any) -> Any:
    """Return a state of torch with arrays for tensors, in dicts and lists."""
    if torch.is_tensor(state):
        return state.numpy(force=True)
    if isinstance(state, dict):
        return {name: _to_arrays(value) for name, value in state.items() if value is not None}
    return list(map(_to_arrays, state)) if isinstance(state, (list, tuple)) else state


def _to_tensors(state: Any) -> Any:
    """Return a state with tensors for the arrays of `_to_arrays`."""
    if isinstance(state, (np.ndarray, np.generic)):
        return torch.tensor(state)
    if isinstance(state, dict):
        return {name: _to_tensors(value) for name, value in state.items()}
    return list(map(_to_tensors, state)) if isinstance(state, list) else state
