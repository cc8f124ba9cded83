"""The parameters of a classifier: constraints on their values, and errors for wrong names."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import torch

from .._utils._sklearn import Interval, StrOptions
from ..networks._registry import NETWORKS
from ..training.optim._learning_rates import SCALINGS, SCHEDULES
from ..training.optim._optimizers import OPTIMIZERS
from ..training.optim._second_derivatives import SECOND_DERIVATIVES

#: Constraints on the parameters of `ConvNetClassifier`, in its order.
CONSTRAINTS: dict[str, list] = {
    "network": [StrOptions(set(NETWORKS)), callable],  # `build_network` wants a class
    "network_params": [dict, None],
    "image_shape": [tuple, list, None],
    "optimizer": [StrOptions(set(OPTIMIZERS)), type],
    "lr": [Interval(Real, 0, None, closed="neither")],
    "momentum": [Interval(Real, 0, 1, closed="left")],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "lr_schedule": [StrOptions({"constant", *SCHEDULES})],
    "lr_scaling": [StrOptions({"none", *SCALINGS, SECOND_DERIVATIVES})],
    "sampling": [StrOptions({"shuffle", "replacement"})],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "max_epochs": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "max_time": [Interval(Real, 0, None, closed="neither"), None],
    "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    "augmentation": [StrOptions({"default"}), callable, None],
    "test_time_augmentation": ["boolean"],
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "warm_start": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "callbacks": [list, tuple, None],
    "device": [str, torch.device],
    "precision": [StrOptions({"float32", "bfloat16"})],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}

#: What takes the place of parameters of skorch, MLPClassifier, Keras and AutoML libraries.
_REPLACEMENTS = {
    "alpha": "weight_decay",
    "criterion": "label_smoothing and class_weight, or a network with a method `loss`",
    "epochs": "max_epochs",
    "hidden_layer_sizes": "network and network_params",
    "iterator_train": "sampling and batch_size",
    "learning_rate": "lr and lr_schedule",
    "learning_rate_init": "lr",
    "max_iter": "max_epochs",
    "module": "network and network_params",
    "patience": "n_iter_no_change",
    "seed": "random_state",
    "solver": "optimizer",
    "time_limit": "max_time",
    "timeout": "max_time",
    "train_split": "early_stopping and validation_fraction, or pass X_val and y_val to fit",
}
#: How to set what users take for a parameter of the value of a parameter.
_NESTED = {
    "augmentation": "Set an instance first: augmentation=RandomDeformation().",
    "callbacks": "Make the callback with the value: callbacks=[...].",
    "class_weight": "Set the dict as a whole: class_weight={{...}}.",
    "estimator": "Set an instance first: estimator=ConvNetClassifier().",
    "network": "Set the arguments of the network: network_params={{{sub_name!r}: ...}}.",
    "network_params": "Set the dict as a whole: network_params={{{sub_name!r}: ...}}.",
    "optimizer": "Set a subclass of the optimizer, with the value of {sub_name} in its __init__.",
    "task_weights": "Set the dict as a whole: task_weights={{...}}.",
}


def check_parameter_names(estimator, params: dict[str, Any]) -> None:
    """Raise a ValueError for parameters that `set_params` would not find.

    scikit-learn's errors list the parameters that there are, or are AttributeErrors for the
    parameters of a value that is not an estimator, such as ``augmentation__rotation`` of "default".
    """
    known = estimator.get_params(deep=False)
    values = known | {name: value for name, value in params.items() if name in known}
    for name in params:
        first, is_nested, sub_name = name.partition("__")
        if first not in known:
            advice = _advice(first, sub_name, values)
        elif is_nested and not _is_instance_with_parameters(values[first]):
            advice = _advice_for_nested(first, sub_name, values)
        else:
            continue
        if advice:
            owner = type(estimator).__name__
            raise ValueError(f"Invalid parameter {name!r} for estimator {owner}: {advice}")


def _is_instance_with_parameters(value) -> bool:
    return hasattr(value, "set_params") and not isinstance(value, type)


def _advice(first: str, sub_name: str, values: dict[str, Any]) -> str | None:
    """Return what to do about an unknown parameter; None if scikit-learn's error is as good."""
    wrapped: Any = values.get("estimator")
    if _is_instance_with_parameters(wrapped):
        if first in wrapped.get_params(deep=False):
            name = f"{first}__{sub_name}" if sub_name else first
            return f"it is one of `estimator`: set estimator__{name}."
        return None
    if sub_name and sub_name in values:
        return f"set {sub_name}."
    return f"set {_REPLACEMENTS[first]}." if first in _REPLACEMENTS else None


def _advice_for_nested(first: str, sub_name: str, values: dict[str, Any]) -> str:
    """Return what to do about a parameter of a value that has none."""
    value = values[first]
    if first == "optimizer" and sub_name in values:
        return f"set {sub_name}."
    advice = _NESTED.get(first, f"Set {first} itself.").format(sub_name=sub_name)
    return f"{first} is {value!r}, which has no parameters. {advice}"
