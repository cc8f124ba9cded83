"""What an estimator does with its net: make it, train it, keep it in plain values."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from skorch.history import History

from .._utils._images import check_two_sizes
from ..networks._registry import build_network, seeded_global_rng
from ..training._config import assemble_net, find_device, find_device_or_cpu
from ..training._trainer import Trainer

#: The most layers, and tasks, of a network in a file.
MAX_LAYERS = 1000
#: What fused optimizers know of each parameter.
_FUSED_STATES = {"AdamW": {"step", "exp_avg", "exp_avg_sq"}, "SGD": {"momentum_buffer"}}


class BaseConvNet(BaseEstimator):
    """An estimator that trains a skorch net in `net_`.

    In its state `net_` is arrays and plain values, so that pickle, joblib, copy and skops need to
    know nothing of torch, and a model may be loaded without the device that it was trained on.
    """

    classes_: np.ndarray
    image_shape_: tuple[int, int]

    def __sklearn_is_fitted__(self):
        return hasattr(self, "net_")

    def _make_net(self, seed, previous, options):
        """A net around a new network or that of a previous net, which is then trained further."""
        if previous is None:
            generator = torch.Generator().manual_seed(seed)
            # Remembered, since the parameters may change before the net is pickled.
            self._network = (self.network, copy.deepcopy(self.network_params))
            module = self._build_network(generator)
        else:
            generator, module = previous.generator, previous.module_
        net = self._assemble(module, generator, device=find_device(self.device), **options)
        if previous is not None:
            net.history = previous.history
        return net

    def _build_network(self, generator):
        network, params = self._network
        return build_network(network, params, self.image_shape_, len(self.classes_), generator)

    def _assemble(self, module, generator, **options) -> Trainer:
        return assemble_net(self, module, generator, **options)

    def _train(self, net, X, y):
        """Train the net and set the attributes of the epochs that were completed."""
        with seeded_global_rng(self._network[0], net.generator):
            net.partial_fit(X, y)
        if net.history and not net.interrupted_:
            net.check_scores(X[:1])
        if net.history and "dur" not in net.history[-1]:  # interrupted
            del net.history[-1]
        self._set_fitted_attributes(net)
        if net.interrupted_:
            raise KeyboardInterrupt
        return self

    def _set_fitted_attributes(self, net):
        """Set the attributes that a trained net gives."""
        net.train_split = None  # it refers to the validation set
        self.net_ = net
        self.history_ = [_summary(epoch) for epoch in net.history]
        self.n_iter_ = len(self.history_)
        parameters = net.module_.parameters()
        self.n_parameters_ = sum(p.numel() for p in parameters if p.requires_grad)
        if stop := dict(net.callbacks_).get("early_stopping"):
            self.best_epoch_ = stop.best_epoch_
        elif hasattr(self, "best_epoch_"):
            del self.best_epoch_

    def __getstate__(self):
        state = dict(super().__getstate__())
        if "_metadata_request" in state:
            state["_metadata_request"] = _owned_by_name(self, state["_metadata_request"])
        if (net := state.pop("net_", None)) is not None:
            state["_net_state"] = {
                "weights": _plain(net.module_.state_dict()),
                "optimizer": type(net.optimizer_).__name__,
                "optimizer_state": {
                    name: _plain(net.optimizer_.state[parameter])
                    for name, parameter in net.module_.named_parameters()
                    if parameter in net.optimizer_.state
                },
                "generator": net.generator.get_state().numpy(),
            }
        return state

    def __setstate__(self, state):
        state = dict(state)
        net_state = state.pop("_net_state", None)
        super().__setstate__(state)
        if net_state is not None:
            self.net_ = self._restore(net_state)

    def _restore(self, net_state) -> Trainer:
        """The net of a state, which may be from a file that is damaged or hostile."""
        if not isinstance(self._network, (tuple, list)) or len(self._network) != 2:
            raise ValueError("_network is no pair")
        shape = check_two_sizes(self.image_shape_, "image_shape_", "(height, width)")
        n_pixels = vars(self).get("_pixels", self).n_features_in_
        if math.prod(shape) != n_pixels:
            raise ValueError(f"images of {n_pixels} pixels have no shape {shape}")
        if not isinstance(self.classes_, np.ndarray) or self.classes_.ndim != 1:
            raise ValueError("classes_ is no array of labels")
        generator = torch.Generator()
        if isinstance(self._network[0], str):
            self._check_sizes(net_state["weights"], generator)
        module = self._build_network(generator)
        module.load_state_dict(_tensors(net_state["weights"]))
        net = self._assemble(module, generator, device=find_device_or_cpu(self.device))
        if type(net.optimizer_).__name__ == net_state["optimizer"]:
            _load_optimizer_state(net, net_state["optimizer_state"])
        net.history = History(
            {**row, "dur": row["duration"], "batches": []} for row in self.history_
        )
        generator.set_state(torch.tensor(net_state["generator"]))
        return net

    def _check_sizes(self, weights, generator):
        """Check that the network has the weights of a file, before it takes any memory.

        A damaged or hostile file may tell of a network that would take all, or of so many layers
        that even without memory they would take minutes.
        """
        _, params = self._network
        if max(map(np.size, (params or {}).values()), default=0) > MAX_LAYERS:
            raise ValueError(f"the network has more than {MAX_LAYERS} layers")
        with torch.device("meta"):
            network = self._build_network(generator)
        sizes = {
            name: (tuple(value.shape), value.nbytes) for name, value in network.state_dict().items()
        }
        if sizes != {name: (value.shape, value.nbytes) for name, value in weights.items()}:
            raise ValueError("the weights are not those of the network")


def _owned_by_name(estimator, requests):
    """Requests for metadata that name their estimator instead of referring to it.

    A state that refers to the estimator which it is the state of can't be written by skops.
    """
    requests = clone(requests, safe=False)
    for part in (requests, *vars(requests).values()):
        if hasattr(part, "owner"):
            part.owner = type(estimator).__name__
    return requests


def _load_optimizer_state(net: Trainer, arrays: dict[str, dict]) -> None:
    names = {parameter: name for name, parameter in net.module_.named_parameters()}
    parameters = [p for group in net.optimizer_.param_groups for p in group["params"]]
    state = {i: _tensors(arrays[names[p]]) for i, p in enumerate(parameters) if names[p] in arrays}
    if net.optimizer_.defaults.get("fused"):
        _check_fused_state(type(net.optimizer_).__name__, parameters, state)
    # This puts each tensor where the optimizer wants it.
    net.optimizer_.load_state_dict({**net.optimizer_.state_dict(), "state": state})


def _check_fused_state(optimizer: str, parameters: list, state: dict[int, dict]) -> None:
    """Check what fused kernels, which look at no sizes, find beside the parameters."""
    for i, tensors in state.items():
        expected = {
            name: () if name == "step" else parameters[i].shape for name in _FUSED_STATES[optimizer]
        }
        if {name: tensor.shape for name, tensor in tensors.items()} not in ({}, expected):
            raise ValueError("the optimizer's state is not that of the weights")


def _plain(state: Any) -> Any:
    """What torch calls a state, with arrays for tensors, in dicts and lists and as it is."""
    if torch.is_tensor(state):
        return state.numpy(force=True)
    if isinstance(state, dict):
        return {name: _plain(value) for name, value in state.items() if value is not None}
    return list(map(_plain, state)) if isinstance(state, (list, tuple)) else state


def _tensors(plain: Any) -> Any:
    """The state that was made plain."""
    if isinstance(plain, (np.ndarray, np.generic)):
        return torch.tensor(plain)
    if isinstance(plain, dict):
        return {name: _tensors(value) for name, value in plain.items()}
    return list(map(_tensors, plain)) if isinstance(plain, list) else plain


def _summary(epoch: dict) -> dict:
    """What `history_` has of an epoch of skorch's history."""
    keys = ["train_loss", "train_error", "valid_loss", "valid_error", "lr"]
    values = {key: float(epoch[key]) for key in keys if key in epoch}
    tasks = {"tasks": epoch["tasks"]} if "tasks" in epoch else {}
    return {"epoch": epoch["epoch"], **values, "duration": epoch["dur"], **tasks}
