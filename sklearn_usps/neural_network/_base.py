"""The template of `fit` and `partial_fit`, and the state of a fitted classifier.

A fit checks the data once, makes the configuration of the training, trains and sets the fitted
attributes. The hooks of `BaseConvNet` do this for one task; the classifier of several tasks
overrides them.
"""

from __future__ import annotations

import copy
import math
import time
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import (
    check_consistent_length,
    check_random_state,
    column_or_1d,
)
from sklearn.utils.metadata_routing import MetadataRequest

from .._utils._arrays import check_labels
from .._utils._images import check_two_sizes
from .._utils._sklearn import _check_partial_fit_first_call
from ..networks._registry import build_network
from ..networks._torch_state import default_state, in_default_state
from ..training._config import (
    TrainingConfig,
    find_saved_device,
    use_one_thread_in_fork,
)
from ..training._data import LabeledImages, split_samples
from ..training._state import (
    MAX_LAYERS,
    check_weight_sizes,
    get_history,
    get_trainer_state,
    load_trainer_state,
    load_weights,
)
from ..training._trainer import Trainer
from ..training.optim._second_derivatives import check_optimizer
from ._parameters import check_parameter_names
from ._pixel_values import merge_values
from ._validation import (
    check_classes,
    check_groups,
    check_images,
    check_partial_fit_params,
    check_training_images,
    check_weights,
    encode,
)

_TRANSFORM_X_VAL = (
    'Transform X_val as X. A Pipeline does so with Pipeline(..., transform_input=["X_val"]), after '
    "sklearn.set_config(enable_metadata_routing=True), for a classifier with "
    ".set_fit_request(X_val=True, y_val=True)."
)

#: The methods that compute, whose results must not depend on the state of the process.
_METHODS = {
    *("fit", "partial_fit", "predict", "predict_proba", "predict_log_proba", "decision_function"),
    *("score", "transform"),
}


class BaseConvNet(ClassifierMixin, BaseEstimator):
    """A classifier that trains a skorch net, available as `net_`."""

    #: The network and its parameters at the time of the first fit.
    _network: tuple[str | type[torch.nn.Module], dict | None]
    class_weight: dict | str | None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name in _METHODS & set(vars(cls)):
            setattr(cls, name, in_default_state(getattr(cls, name)))

    def set_params(self, **params):
        """Set parameters, also those of nested estimators, as in scikit-learn.

        Parameters
        ----------
        **params : dict
            Parameters; ``<component>__<parameter>`` is one of a nested estimator.

        Returns
        -------
        self : estimator
            This estimator.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        check_parameter_names(self, params)
        return super().set_params(**params)

    # The template of fit and partial_fit

    def _fit(self, X, y, sample_weight, **options):
        """Prepare the training, train and set the fitted attributes."""
        trainer, data, valid_data = self._prepare(X, y, sample_weight, **options)
        trainer.train(data, valid_data)
        self._set_fitted_attributes(trainer)
        if trainer.interrupted_:
            raise KeyboardInterrupt
        return self

    def _prepare(
        self,
        X,
        y,
        sample_weight=None,
        *,
        task=None,
        groups=None,
        partial=False,
        classes=None,
        random_state=None,
        **validation,
    ):
        """Check the data, learn the classes and build the trainer.

        With `partial` the training is one epoch at a constant learning rate that goes on from where
        the last one ended. Return the trainer, its training data and its validation data or None.
        """
        start = time.perf_counter()
        use_one_thread_in_fork()
        base, continuing = self._start_fit(partial)
        if partial:
            check_partial_fit_params(base)
        X, task = self._split_off_task(X, task, reset=not continuing)
        X, y, pixel_values = check_training_images(base, X, y, reset=not continuing)
        self._set_classes(y, task, classes, continuing=continuing, partial=partial)
        weights, groups = check_weights(sample_weight, X), check_groups(groups, X)
        data = LabeledImages(X, self._encode(y, task), weights)
        random_state = check_random_state(
            base.random_state if random_state is None else random_state
        )
        seed = int(random_state.randint(np.iinfo(np.int32).max))
        if partial:
            train, valid = self._split(data, base.class_weight)
            config = _make_config(base, lr_schedule="constant", max_epochs=1)
        else:
            # Before the split, whose error would be that no sample of a class can be held out.
            self._check_two_classes(data.y if weights is None else data.y[weights > 0], data.y)
            train, valid = self._split(
                data,
                base.class_weight,
                valid=self._check_validation_set(base, **validation),
                fraction=base.validation_fraction if base.early_stopping else None,
                groups=groups,
                random_state=random_state,
            )
            self._check_two_classes(train.targets, data.y)
            deadline = None if base.max_time is None else start + base.max_time
            config = _make_config(base, deadline=deadline)
        check_optimizer(config.lr_scaling, config.optimizer, base.optimizer)
        previous = self.net_ if continuing else None
        trainer = self._build_trainer(base, config, seed, previous, keep_optimizer=partial)
        base._pixel_values = merge_values(base._pixel_values, pixel_values)
        return trainer, train, valid

    def _build_trainer(self, base, config, seed, previous, *, keep_optimizer) -> Trainer:
        """Return a trainer of a new network, or of that of a previous trainer."""
        if previous is None:
            generator = torch.Generator("cpu").manual_seed(seed)
            self._remember_network()
            with default_state("cpu"):
                network = self._build_network(generator)
            return self._make_trainer(network, config, generator)
        trainer = self._make_trainer(previous.module_, config, previous.generator)
        trainer.history = previous.history
        if keep_optimizer and type(trainer.optimizer_) is type(previous.optimizer_):
            trainer.optimizer_.state.update(previous.optimizer_.state)
        return trainer

    def _check_validation_set(
        self, base, X_val=None, y_val=None, sample_weight_val=None, task_val=None
    ) -> LabeledImages | None:
        """Check a validation set and encode its labels; return None if there is none."""
        if X_val is None:
            others = {"y_val": y_val, "sample_weight_val": sample_weight_val, "task_val": task_val}
            for name, value in others.items():
                if value is not None:
                    raise ValueError(f"{name} is provided, but X_val was not provided.")
            return None
        if y_val is None:
            raise ValueError("X_val is provided, but y_val was not provided.")
        X_val, task_val = self._split_off_task(X_val, task_val, reset=False, name="task_val")
        X_val = check_images(base, X_val, name="X_val", advice=_TRANSFORM_X_VAL)
        y_val = column_or_1d(check_labels(y_val, "y_val"), warn=True)
        check_consistent_length(X_val, y_val)
        y_encoded = self._encode(y_val, task_val, "y_val", "task_val")
        return LabeledImages(X_val, y_encoded, check_weights(sample_weight_val, X_val))

    def _set_fitted_attributes(self, trainer: Trainer) -> None:
        self.net_ = trainer
        self.history_ = get_history(trainer)
        self.n_iter_ = len(self.history_)
        parameters = trainer.module_.parameters()
        self.n_parameters_ = sum(p.numel() for p in parameters if p.requires_grad)
        if stopping := dict(trainer.callbacks_).get("early_stopping"):
            self.best_epoch_ = stopping.best_epoch_
        elif hasattr(self, "best_epoch_"):
            del self.best_epoch_

    def _set_network(self, network, classes, history, *, like) -> None:
        """Take over one network of a fitted classifier of several tasks, with its history."""
        self.classes_, self._network = classes, like._network
        # A classifier refuses weights of labels that it doesn't have.
        if isinstance(weights := self.class_weight, dict):
            self.class_weight = {x: weights[x] for x in classes.tolist() if x in weights}
        config, generator = like.net_.config.without_callbacks(), like.net_.generator
        trainer = self._make_trainer(network, config, generator)
        trainer.history = history
        self._set_fitted_attributes(trainer)
        if hasattr(like, "best_epoch_"):
            self.best_epoch_ = like.best_epoch_

    # The hooks, as they are for one task

    def _start_fit(self, partial: bool):
        """Return the classifier with the parameters, and True if its network is trained further.

        That classifier also checks the pixels, and remembers their number and range.
        """
        continuing = hasattr(self, "net_") and (partial or self.warm_start)
        if not continuing:
            self._forget_fit()
        return self, continuing

    def _forget_fit(self) -> None:
        """Remove attributes of the previous fit that must not stay if this one fails."""
        for name in ("net_", "classes_", "estimators_"):
            self.__dict__.pop(name, None)

    def _base_estimator(self):
        """Return the classifier that holds the parameters and the metadata of the images."""
        return self

    def _split_off_task(self, X, task, *, reset, name="task"):
        """Return the pixels, and the task of each sample if there are tasks."""
        return X, task

    def _set_classes(self, y, task, classes, *, continuing, partial) -> None:
        """Set `classes_` to the labels in y or, in `partial_fit`, to those given."""
        if partial:
            classes = None if classes is None else check_classes(classes)
            _check_partial_fit_first_call(self, classes)
            return
        classes = np.unique(y)
        if continuing and not np.array_equal(classes, self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {classes}"
            )
        self.classes_ = classes

    def _encode(self, y, task, y_name="y", task_name="task") -> np.ndarray:
        """Return the class index of each sample."""
        return encode(self.classes_, y, y_name)

    def _check_two_classes(self, y_encoded, y_given) -> None:
        """Raise a ValueError if the samples to train on are of one class."""
        n_classes = np.count_nonzero(np.bincount(y_encoded))
        if n_classes < 2:
            trimmed = " after sample_weight and class_weight trimmed those of weight zero"
            raise ValueError(
                f"The number of classes has to be greater than one; got {n_classes} class"
                + (trimmed if len(np.unique(y_given)) > n_classes else "")
            )

    def _split(self, data: LabeledImages, class_weight, **options):
        """Return the samples to train on and those to validate on, or None."""
        return split_samples(data, self.classes_, class_weight, **options)

    def _remember_network(self) -> None:
        """Keep what a network is built from, since parameters may change before it is restored."""
        base = self._base_estimator()
        self._network = (base.network, copy.deepcopy(base.network_params))

    def _build_network(self, generator) -> torch.nn.Module:
        return build_network(*self._network, self.image_shape_, len(self.classes_), generator)

    def _make_trainer(self, network, config: TrainingConfig, generator) -> Trainer:
        n_classes = len(self.classes_)
        trainer = Trainer(network, config=config, generator=generator, n_classes=n_classes)
        return trainer.initialize()

    # The state: arrays and plain values for `net_`, so that pickle and skops need no torch objects

    def __sklearn_is_fitted__(self):
        return hasattr(self, "net_")

    def __getstate__(self):
        state = dict(super().__getstate__())
        if isinstance(state.get("device"), torch.device):
            state["device"] = str(state["device"])
        if "_metadata_request" in state:
            state["_metadata_request"] = _plain_requests(state["_metadata_request"])
        if (net := state.pop("net_", None)) is not None:
            state["_net_state"] = get_trainer_state(net)
        return state

    def __setstate__(self, state):
        state = dict(state)
        net_state = state.pop("_net_state", None)
        if "_metadata_request" in state:
            state["_metadata_request"] = _metadata_request(self, state["_metadata_request"])
        super().__setstate__(state)
        if net_state is not None:
            with default_state("cpu"):
                self.net_ = self._restore_trainer(net_state)

    def _restore_trainer(self, net_state: dict[str, Any]) -> Trainer:
        """Return the trainer of a state, which may be from a damaged or untrusted file."""
        base = self._base_estimator()
        if not isinstance(self._network, (tuple, list)) or len(self._network) != 2:
            raise ValueError("_network is not a pair")
        shape = check_two_sizes(base.image_shape_, "image_shape_", "(height, width)")
        if math.prod(shape) != base.n_features_in_:
            raise ValueError(f"images of {base.n_features_in_} pixels have no shape {shape}")
        if not isinstance(self.classes_, np.ndarray) or self.classes_.ndim != 1:
            raise ValueError("classes_ is not an array of labels")
        if np.size(vars(self).get("tasks_", ())) > MAX_LAYERS:
            raise ValueError(f"it has more than {MAX_LAYERS} tasks")
        generator = torch.Generator("cpu")
        network, network_params = self._network
        if isinstance(network, str):
            check_weight_sizes(lambda: self._build_network(generator), network_params, net_state)
        module = self._build_network(generator)
        load_weights(module, net_state)
        device = find_saved_device(base.device)
        config = _make_config(base, device=device, callbacks=None, early_stopping=False, verbose=0)
        trainer = self._make_trainer(module, config, generator)
        load_trainer_state(trainer, net_state, self.history_)
        return trainer


def _make_config(classifier, **changes) -> TrainingConfig:
    params = vars(classifier) | changes  # a subclass may have fewer parameters in `get_params`
    return TrainingConfig.from_params(params, classifier.image_shape_)


def _plain_requests(request: MetadataRequest) -> dict[str, dict]:
    """Return the metadata requests of each method, without the estimator that they refer to.

    skops can't write a state that refers to its own estimator.
    """
    requests = {method: getattr(part, "requests", None) for method, part in vars(request).items()}
    return {method: of_method for method, of_method in requests.items() if of_method}


def _metadata_request(estimator, requests: dict[str, dict]) -> MetadataRequest:
    """Return the requests that `_plain_requests` made plain."""
    request = MetadataRequest(owner=type(estimator).__name__)
    for method, of_method in requests.items():
        for param, alias in of_method.items():
            getattr(request, method).add_request(param=param, alias=alias)
    return request
