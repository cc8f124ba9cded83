"""Several convolutional networks that share their first layers, as one classifier."""

from __future__ import annotations

import copy
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted, validate_data
from skorch.dataset import Dataset
from skorch.history import History

from .._utils._sklearn import HasMethods, Interval, _fit_context
from ..networks._registry import build_network
from ..networks._shared_layers import SharedLayersNetwork
from ..training._data import LabeledImages, WeightedSubset, split_samples
from ..training._multitask_trainer import MultiTaskTrainer
from ..training._state import MAX_LAYERS
from ..training._trainer import Trainer
from ._base import BaseConvNet
from ._classifier import ConvNetClassifier
from ._task_labels import (
    ONLY_TASK,
    TaskLabels,
    check_tasks,
    check_two_classes,
    take_column,
)
from ._validation import accuracy, check_images, check_partial_fit_params

#: The attributes of a fit that concern the pixels.
_OF_PIXELS = ("n_features_in_", "feature_names_in_")


class MultiTaskConvNetClassifier(BaseConvNet):
    """Convolutional network classifier of several tasks with shared first layers.

    Each task, such as digits and letters, has a network and classes of its own, but the parameters
    of the first layers are the same for all, which is known as hard parameter sharing [1]_. A task
    with few images profits from filters that are learned from many.

    The networks are trained together on the sum of the tasks' mean losses, and each batch has
    images of all tasks. In an epoch the images of the largest task are seen once. Those of another
    task are repeated until they are as many as the geometric mean of both numbers: next to 10,000
    digits, 400 letters are seen five times each. They are seen more often if batches are small,
    since each batch of more than one image has at least two of each task.

    Parameters
    ----------
    estimator : ConvNetClassifier
        The classifier whose parameters define the networks and their training. Transformers go
        before the multi-task classifier in a :class:`~sklearn.pipeline.Pipeline`. Some of its
        parameters have a meaning for each task: `batch_size` and `max_epochs` refer to the largest
        task; `early_stopping` monitors the mean of the tasks' validation losses; a `class_weight`
        dict applies to a label in all tasks that have it; `callbacks` see class indices of all
        tasks, those of the first task first.

    n_shared_layers : int, default=1
        Number of shared layers, in [1, number of layers - 1]. A layer is a convolution, a
        subsampling with coefficients or a linear layer, with its biases; in your own network any
        module with weights. They count in the order in which the network makes them. Normalization
        layers are never shared. "convnet" has 6 layers, "lecun1989" 4, "lenet5" 7 and "luacnn" 3.

    task_weights : dict, default=None
        Weights of the tasks' mean losses in the sum, positive; 1 where a task is missing.

    task_column : int or str, default=None
        Column of X with the task of each sample; the others are pixels. For scorers and
        :func:`~sklearn.model_selection.cross_val_predict`, which pass no `task` to `predict`.
        Normalization of the pixels in a pipeline must pass it through, as a
        :class:`~sklearn.compose.ColumnTransformer` can.

    Attributes
    ----------
    tasks_ : ndarray of shape (n_tasks,)
        Names of the tasks, sorted; ["all"] if none were passed.

    estimators_ : dict of ConvNetClassifier
        Fitted classifier of each task, which can predict and be saved on its own. Its network
        has the same tensors as `net_`: to train it further, copy it first.

    classes_ : ndarray of shape (n_classes,)
        Class labels of all tasks, each once.

    n_features_in_ : int
        Number of features seen during `fit`, with the `task_column` if there is one.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`. Defined only when `X` has feature names that are all
        strings.

    image_shape_ : tuple of int (height, width)
        Shape of the image in each row of X.

    net_ : skorch.NeuralNetClassifier
        The fitted net of all tasks.

    history_ : list of dict
        A dict for each epoch, as in :class:`ConvNetClassifier`: losses and errors are means over
        the tasks. "tasks" has a dict for each task; see also the `history_` of its classifier.

    n_iter_ : int
        Number of epochs that the networks were trained for.

    best_epoch_ : int
        Epoch of the restored weights. Only with `early_stopping`.

    n_parameters_ : int
        Number of trainable parameters, the shared ones counted once.

    See Also
    --------
    ConvNetClassifier : Classifier of one task.

    Notes
    -----
    With metadata routing, ``sklearn.set_config(enable_metadata_routing=True)``, cross-validation
    and searches pass `task` if it is requested by
    ``clf.set_fit_request(task=True).set_score_request(task=True).set_predict_request(task=True)``.
    A :class:`~sklearn.pipeline.Pipeline` passes it to `score` from scikit-learn 1.8 on. Named
    scorers and the `predict` of a search pass no metadata: use `task_column` or ask the
    `best_estimator_`.

    All labels in `y` are strings, or all are numbers. Two tasks may have the same label.

    References
    ----------
    .. [1] R. Caruana, "Multitask Learning", Machine Learning 28:41-75, 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_usps import ConvNetClassifier, MultiTaskConvNetClassifier, make_letters
    >>> digits, y_digits = load_digits(return_X_y=True)
    >>> letters, y_letters = make_letters(500, image_shape=(8, 8), random_state=0)
    >>> X = np.vstack([digits / 16, letters])
    >>> y = np.concatenate([y_digits.astype(str), y_letters])
    >>> task = np.repeat(["digits", "letters"], [len(digits), len(letters)])
    >>> clf = MultiTaskConvNetClassifier(ConvNetClassifier(max_epochs=10, random_state=0))
    >>> clf.fit(X, y, task=task).predict(digits[:5] / 16, task="digits")
    array(['0', '1', '2', '3', '4'], dtype='<U...')
    >>> clf.estimators_["letters"].classes_[:3]
    array(['A', 'B', 'C'], dtype='<U...')
    """

    __module__ = "sklearn_usps"  # model files name public modules

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "n_shared_layers": [Interval(Integral, 1, None, closed="left")],
        "task_weights": [dict, None],
        "task_column": [Integral, str, None],
    }

    def __init__(self, estimator, *, n_shared_layers=1, task_weights=None, task_column=None):
        self.estimator = estimator
        self.n_shared_layers = n_shared_layers
        self.task_weights = task_weights
        self.task_column = task_column

    @_fit_context(prefer_skip_nested_validation=False)  # the estimator is not validated yet
    def fit(
        self,
        X,
        y,
        sample_weight=None,
        *,
        task=None,
        X_val=None,
        y_val=None,
        task_val=None,
        sample_weight_val=None,
    ):
        """Train the networks of all tasks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            Training images of all tasks.

        y : array-like of shape (n_samples,)
            Class labels, all strings or all numbers.

        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights; only their ratios within a task matter. Samples of weight zero are left
            out.

        task : str or array-like of shape (n_samples,), default=None
            Task of each sample. By default, and without `task_column`, there is one task.

        X_val : array-like of shape (n_val, n_features) or (n_val, height, width), default=None
            Validation images of all tasks, evaluated after each epoch and used by early stopping.

        y_val : array-like of shape (n_val,), default=None
            Class labels of the validation images.

        task_val : str or array-like of shape (n_val,), default=None
            Task of each validation image.

        sample_weight_val : array-like of shape (n_val,), default=None
            Sample weights of the validation images.

        Returns
        -------
        self : MultiTaskConvNetClassifier
            Fitted classifier.

        Raises
        ------
        TypeError
            If `estimator` is not a ConvNetClassifier.
        ValueError
            If parameters or data are invalid, or a loss becomes infinite or NaN.
        """
        validation = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        return self._fit(X, y, sample_weight, task=task, task_val=task_val, **validation)

    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X, y, classes=None, sample_weight=None, *, task=None):
        """Train for one epoch at the constant learning rate of `estimator`.

        Networks, optimizer and random numbers continue from the last call.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            Training images, of all tasks or of some.

        y : array-like of shape (n_samples,)
            Class labels.

        classes : array-like of shape (n_classes,) or dict of such, default=None
            All class labels of all calls, a dict by task if there are tasks. Required in the first
            call.

        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights; only their ratios within a task matter.

        task : str or array-like of shape (n_samples,), default=None
            Task of each sample.

        Returns
        -------
        self : MultiTaskConvNetClassifier
            Fitted classifier.

        Raises
        ------
        TypeError
            If `estimator` is not a ConvNetClassifier.
        ValueError
            If parameters or data are invalid, or a loss becomes infinite or NaN.
        """
        return self._fit(X, y, sample_weight, task=task, partial=True, classes=classes)

    def predict(self, X, *, task=None):
        """Predict class labels, each among those of the sample's task.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            Images.

        task : str or array-like of shape (n_samples,), default=None
            Task of each sample. Not needed if there is one task or a `task_column`.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predicted class labels.
        """
        best = self.predict_log_proba(X, task=task).argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X, *, task=None):
        """Predict class probabilities, zero for the classes of other tasks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            Images.

        task : str or array-like of shape (n_samples,), default=None
            Task of each sample.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes), dtype float32
            Probability of each class, in the order of `classes_`.
        """
        return np.exp(self.predict_log_proba(X, task=task))

    def predict_log_proba(self, X, *, task=None):
        """Predict logarithms of class probabilities, -inf for the classes of other tasks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            Images.

        task : str or array-like of shape (n_samples,), default=None
            Task of each sample.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes), dtype float32
            Logarithm of the probability of each class, in the order of `classes_`.
        """
        check_is_fitted(self)
        X, task = self._split_off_task(X, task, reset=False)
        X = check_images(self._estimator, X)
        task_encoded = self._labels().encode_tasks(self._complete(task, X))
        log_proba = np.full((len(X), len(self.classes_)), -np.inf, dtype=np.float32)
        for index, classifier in enumerate(self.estimators_.values()):
            rows = np.flatnonzero(task_encoded == index)
            if len(rows):
                columns = np.searchsorted(self.classes_, classifier.classes_)
                of_task = classifier.net_.log_proba(
                    WeightedSubset(Dataset(X), rows),  # copies no more than a block
                    with_shifts=classifier.test_time_augmentation,
                )
                log_proba[np.ix_(rows, columns)] = of_task.numpy()
        return log_proba

    def score(self, X, y, sample_weight=None, *, task=None):
        """Return the accuracy, where each label is predicted within its task.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            Images.

        y : array-like of shape (n_samples,)
            True class labels.

        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        task : str or array-like of shape (n_samples,), default=None
            Task of each sample.

        Returns
        -------
        score : float
            Accuracy, in [0, 1].
        """
        return accuracy(y, self.predict(X, task=task), sample_weight)

    # The hooks of the template

    def _start_fit(self, partial):
        if not isinstance(self.estimator, ConvNetClassifier):
            raise TypeError(
                "estimator must be a ConvNetClassifier; put transformers before the "
                f"{type(self).__name__} in a Pipeline. Got {type(self.estimator).__name__} instead."
            )
        continuing = hasattr(self, "net_") and (partial or self.estimator.warm_start)
        if continuing:
            self._estimator.set_params(**self.estimator.get_params(deep=False))
        else:
            for name in ("net_", "estimators_"):  # not to stay beside what a failed fit has learned
                self.__dict__.pop(name, None)
            self._estimator = clone(self.estimator)
        self._estimator._validate_params()
        if partial:
            check_partial_fit_params(self._estimator)
        return self._estimator, continuing

    def _inner(self):
        return self._estimator

    def _split_off_task(self, X, task, *, reset, name="task"):
        if self.task_column is None:
            return X, task
        if task is not None:
            raise ValueError(
                f"`{name}` was passed beside task_column={self.task_column!r}: pass one of them."
            )
        pixels, task = take_column(X, self.task_column)
        validate_data(self, X, reset=reset, skip_check_array=True)
        return pixels, task

    def _set_classes(self, y, task, classes, *, continuing, partial):
        if not partial:
            labels = TaskLabels.from_samples(y, check_tasks(ONLY_TASK if task is None else task, y))
        elif classes is not None:
            labels = TaskLabels.from_dict(self._classes_by_task(classes, task, continuing))
        elif continuing:
            return
        else:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if continuing and not labels.equals(self._labels()):
            before = self._labels().to_dict()
            if partial:
                raise ValueError(
                    f"`classes={labels.to_dict()!r}` is not the same as on last call to "
                    f"partial_fit, was: {before!r}"
                )
            raise ValueError(
                "warm_start can only be used where each task has the same classes as in the "
                f"previous call to fit. Previously got {before}, now {labels.to_dict()}."
            )
        self.tasks_, self._task_classes = labels
        self.classes_ = np.unique(np.concatenate(labels.classes))

    def _classes_by_task(self, classes, task, continuing) -> dict:
        if isinstance(classes, dict):
            return classes
        if task is not None:
            raise ValueError(
                "`classes` must be a dict of the labels of each task, since there are tasks. Got "
                f"{classes!r} instead."
            )
        return {self.tasks_.tolist()[0] if continuing else ONLY_TASK: classes}

    def _encode(self, y, task, y_name="y", task_name="task"):
        return self._labels().encode(y, self._complete(task, y, task_name), y_name, task_name)

    def _check_two_classes(self, y_encoded, y_given):
        labels = self._labels()
        check_two_classes(y_encoded, labels.decode_tasks(y_encoded), labels.tasks)

    def _split(self, data: LabeledImages, class_weight, **options):
        labels = self._labels()
        # A dict of weights is by label alone; errors name the task as well.
        by_label = isinstance(class_weight, dict)
        names = np.concatenate(labels.classes) if by_label else labels.names()
        train, valid = split_samples(
            data, names, class_weight, group_of=labels.decode_tasks, **options
        )
        if valid is not None:
            missing = np.delete(labels.tasks, np.unique(labels.decode_tasks(valid.targets)))
            if len(missing):
                remedy = "X_val must have samples of each, of positive weight"
                if options["valid"] is None:
                    remedy = "pass X_val, or a larger validation_fraction"
                raise ValueError(
                    f"The validation set has no sample of the tasks {missing.tolist()}: {remedy}."
                )
        return train, valid

    def _build_trainer(self, inner, config, seed, previous, *, keep_optimizer):
        self._check_task_weights()
        if previous is None:  # kept apart, as the network is, from parameters that may change
            self._n_shared_layers = self.n_shared_layers
        return super()._build_trainer(inner, config, seed, previous, keep_optimizer=keep_optimizer)

    def _build_network(self, generator):
        networks = [
            build_network(*self._network, self._estimator.image_shape_, n_classes, generator)
            for n_classes in self._labels().sizes()
        ]
        return SharedLayersNetwork(networks, self._n_shared_layers)

    def _make_trainer(self, network, config, generator):
        tasks = self.tasks_.tolist()
        return MultiTaskTrainer(
            network,
            config=config,
            generator=generator,
            tasks=tasks,
            task_sizes=self._labels().sizes(),
            task_weights=[(self.task_weights or {}).get(task, 1.0) for task in tasks],
        ).initialize()

    def _set_fitted_attributes(self, trainer):
        super()._set_fitted_attributes(trainer)
        self.image_shape_ = self._estimator.image_shape_
        if self.task_column is None:
            for name in _OF_PIXELS:
                self.__dict__.pop(name, None)
                if hasattr(self._estimator, name):
                    setattr(self, name, getattr(self._estimator, name))
        self.estimators_ = self._make_estimators()

    # Tasks and their labels

    def _labels(self) -> TaskLabels:
        return TaskLabels(self.tasks_, self._task_classes)

    def _complete(self, task, X, name="task"):
        """Return the task of each sample, which may be omitted if there is one task."""
        if task is None and len(self.tasks_) > 1:
            raise ValueError(
                f"`{name}` is missing: this {type(self).__name__} was fitted on the tasks "
                f"{self.tasks_.tolist()}. Pass one of them for all samples, or one for each."
            )
        return check_tasks(self.tasks_[0] if task is None else task, X, name)

    def _check_task_weights(self) -> None:
        weights: dict = self.task_weights or {}
        tasks = self.tasks_.tolist()
        if unknown := [task for task in weights if task not in tasks]:
            raise ValueError(f"task_weights has {unknown}, but the tasks are {tasks}.")
        if not all(isinstance(w, Real) and 0 < float(w) < np.inf for w in weights.values()):
            raise ValueError(f"task_weights must be positive numbers. Got {weights} instead.")

    # The classifiers of the tasks

    def _make_estimators(self) -> dict[str, ConvNetClassifier]:
        """Return a classifier for each task, whose network is that of the task in `net_`."""
        estimators = {}
        networks = self.net_.module_.networks
        config = self.net_.config.without_callbacks()
        for task, classes, network in zip(*self._labels(), networks, strict=True):
            estimator = copy.copy(self._estimator)
            estimator.classes_, estimator._network = classes, self._network
            # A classifier refuses weights of labels that it doesn't have.
            if isinstance(weights := estimator.class_weight, dict):
                labels = classes.tolist()
                estimator.class_weight = {x: weights[x] for x in labels if x in weights}
            trainer: Trainer = estimator._make_trainer(network, config, self.net_.generator)
            trainer.history = History(_task_record(row, task.item()) for row in self.net_.history)
            estimator._set_fitted_attributes(trainer)
            if hasattr(self, "best_epoch_"):
                estimator.best_epoch_ = self.best_epoch_
            estimators[task.item()] = estimator
        return estimators

    # The state

    def __getstate__(self):
        state = super().__getstate__()
        state.pop("estimators_", None)  # made anew, since they share the tensors of `net_`
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "net_"):
            self.estimators_ = self._make_estimators()

    def _restore_trainer(self, net_state):
        tasks = set(self.tasks_.tolist())
        for row in self.history_:
            if not isinstance(row["tasks"], dict) or set(row["tasks"]) != tasks:
                raise ValueError("history_ is not that of the tasks")
        if not len(np.unique(self.tasks_)) == len(self._task_classes) <= MAX_LAYERS:
            raise ValueError(f"the tasks are not alike, or more than {MAX_LAYERS}")
        return super()._restore_trainer(net_state)


def _task_record(epoch: dict, task) -> dict:
    """Return the record of an epoch for one task."""
    common = {name: epoch[name] for name in ("epoch", "lr", "dur", "batches")}
    return {**common, **epoch["tasks"][task]}
