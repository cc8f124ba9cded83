"""Several convolutional networks that share their first layers, as one classifier."""

from __future__ import annotations

import copy
from numbers import Integral
from typing import ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data
from skorch.dataset import Dataset

from .._utils._arrays import as_array
from .._utils._sklearn import HasMethods, Interval, _fit_context
from ..networks._registry import build_network
from ..networks._shared_layers import SharedLayersNetwork
from ..training._data import LabeledImages, WeightedSubset, split_samples
from ..training._inference import predict_log_proba, predict_scores
from ..training._multitask_trainer import MultiTaskTrainer
from ..training.optim._second_derivatives import SECOND_DERIVATIVES
from ._base import BaseConvNet
from ._classifier import ConvNetClassifier
from ._task_labels import (
    TaskLabels,
    check_task_weights,
    labels_of_fit,
    labels_of_partial_fit,
    take_task_column,
)
from ._validation import accuracy, check_images


class MultiTaskConvNetClassifier(BaseConvNet):
    """Classifiers of several tasks, such as digits and letters, with shared first layers.

    Each task has a network and classes of its own, but the parameters of the first layers are the
    same for all, known as hard parameter sharing [1]_: a task with few images can benefit from
    filters learned from many. Training minimizes the sum of the tasks' mean losses, and each batch
    has images of all tasks. In an epoch the images of the largest task are seen once, and those of
    another task are repeated until they are as many as the geometric mean of both numbers: next to
    10,000 digits, 400 letters are seen five times.

    Parameters
    ----------
    estimator : ConvNetClassifier
        Classifier whose parameters define the networks and their training. `batch_size` and
        `max_epochs` refer to the largest task, `early_stopping` monitors the mean of the tasks'
        validation losses, a `class_weight` dict applies to a label in all tasks that have it, and
        `callbacks` see class indices of all tasks, those of the first task first. `lr_scaling` must
        not be "second-derivatives".

    n_shared_layers : int, default=1
        Number of shared layers, less than the network has: "convnet" 6, "lecun1989" 4, "lenet5" 7,
        "luacnn" 3. A layer is a module with weights, in the order in which the network makes them.
        Normalization layers are never shared.

    task_weights : dict, default=None
        Weights of the tasks' mean losses in the sum, positive; 1 where a task is missing.

    task_column : int or str, default=None
        Column of X with the task of each sample, for scorers and `cross_val_predict`, which pass no
        `task` to `predict`. In a pipeline a :class:`~sklearn.compose.ColumnTransformer` keeps it.

    Attributes
    ----------
    tasks_ : ndarray of shape (n_tasks,)
        Names of the tasks, sorted; ["all"] if none were passed.

    estimators_ : dict of ConvNetClassifier
        Fitted classifier of each task, sharing the tensors of `net_`: copy it to train it further.

    classes_ : ndarray of shape (n_classes,)
        Class labels of all tasks, each once.

    n_features_in_ : int
        Number of features, including `task_column`; `feature_names_in_` has names that are strings.

    net_ : skorch.NeuralNetClassifier
        The fitted skorch net of all tasks.

    history_ : list of dict
        As in :class:`ConvNetClassifier`, with means over the tasks; "tasks" has a dict for each.

    image_shape_, n_iter_, best_epoch_, n_parameters_
        As in :class:`ConvNetClassifier`.

    Notes
    -----
    With metadata routing, cross-validation and searches pass `task` on if it is requested by
    `set_fit_request`, `set_predict_request` and `set_score_request`; a
    :class:`~sklearn.pipeline.Pipeline` passes it to `score` from scikit-learn 1.8 on. Named scorers
    and the `predict` of a search pass no metadata: use `task_column`.

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
    >>> X, y = np.vstack([digits / 16, letters]), np.append(y_digits.astype(str), y_letters)
    >>> task = np.repeat(["digits", "letters"], [len(digits), len(letters)])
    >>> clf = MultiTaskConvNetClassifier(ConvNetClassifier(max_epochs=10, random_state=0))
    >>> clf.fit(X, y, task=task).predict(digits[:5] / 16, task="digits")
    array(['0', '1', '2', '3', '4'], dtype='<U...')
    >>> clf.estimators_["letters"].classes_[:3]
    array(['A', 'B', 'C'], dtype='<U...')
    """

    __module__ = "sklearn_usps"  # model files name public modules
    _estimator: ConvNetClassifier

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
        groups=None,
    ):
        """Train the networks of all tasks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            Training images of all tasks in one of the :ref:`accepted forms <image_forms>`.

        y : array-like of shape (n_samples,)
            Class labels, all strings or all numbers.

        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights; only their ratios within a task matter. Weight zero leaves a sample out.

        task : str or array-like of shape (n_samples,), default=None
            Task of each sample. By default, and without `task_column`, there is one task.

        X_val, y_val, task_val, sample_weight_val : array-like, default=None
            Validation samples of all tasks, evaluated after each epoch and used by early stopping,
            in the forms of `X`, `y`, `task` and `sample_weight`.

        groups : array-like of shape (n_samples,), default=None
            Group of each sample, such as its writer, of which early stopping holds out whole ones.

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
        validation.update(task_val=task_val, groups=groups)
        return self._fit(X, y, sample_weight, task=task, **validation)

    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X, y, classes=None, sample_weight=None, *, task=None):
        """Train for one epoch at the constant learning rate of `estimator`.

        Networks, optimizer and random numbers continue from the last call.

        Parameters
        ----------
        X, y : array-like
            Training images and class labels, as in `fit`, of all tasks or of some.

        classes : array-like of shape (n_classes,) or dict of such, default=None
            All class labels of all calls, a dict by task if there are tasks. Required in the first
            call.

        sample_weight, task : array-like of shape (n_samples,), default=None
            Sample weights, and the task of each sample, as in `fit`.

        Returns
        -------
        self : MultiTaskConvNetClassifier
            Fitted classifier.

        Raises
        ------
        TypeError, ValueError
            As `fit`.
        """
        return self._fit(X, y, sample_weight, task=task, partial=True, classes=classes)

    def predict(self, X, *, task=None):
        """Predict class labels, each among those of the sample's task.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            Images.

        task : str or array-like of shape (n_samples,), default=None
            Task of each sample, if there are several and no `task_column`.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predicted class labels.
        """
        best = self._predict(predict_scores, X, task).argmax(axis=1)
        return self.classes_[best]

    def decision_function(self, X, *, task=None):
        """Return the logits, -inf for the classes of other tasks.

        As for :class:`ConvNetClassifier`, they may be logarithms of probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            Images.

        task : str or array-like of shape (n_samples,), default=None
            Task of each sample.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes), dtype float64
            Logit of each class, in the order of `classes_`. Of two classes, their difference: the
            second is predicted where it is positive.
        """
        scores = self._predict(predict_scores, X, task)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

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
        p : ndarray of shape (n_samples, n_classes), dtype float64
            Probability of each class, in the order of `classes_`. Rows sum to one.
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
        log_p : ndarray of shape (n_samples, n_classes), dtype float64
            Logarithm of the probability of each class, in the order of `classes_`.
        """
        return self._predict(predict_log_proba, X, task)

    def _predict(self, function, X, task) -> np.ndarray:
        """Return the values of a function of the trainer of each task."""
        check_is_fitted(self)
        X, task = self._split_off_task(X, task, reset=False)
        X = check_images(self._estimator, X)
        task_encoded = self._labels().encode_tasks(task, X)
        with_shifts = self.estimator.test_time_augmentation
        values = np.full((len(X), len(self.classes_)), -np.inf)
        for index, classifier in enumerate(self.estimators_.values()):
            rows = np.flatnonzero(task_encoded == index)
            if len(rows):
                columns = np.searchsorted(self.classes_, classifier.classes_)
                images = WeightedSubset(Dataset(X), rows)  # copies no more than a block
                of_task = function(classifier.net_, images, with_shifts=with_shifts)
                values[np.ix_(rows, columns)] = of_task
        return values

    def score(self, X, y, sample_weight=None, *, task=None):
        """Return the accuracy, where each label is predicted within its task.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            Images.

        y : array-like of shape (n_samples,)
            True class labels.

        sample_weight, task : array-like of shape (n_samples,), default=None
            Sample weights, and the task of each sample.

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
        # Not a clone, which has copies of callbacks: the user's own must see the training.
        estimator = type(self.estimator)(**self.estimator.get_params(deep=False))
        estimator._validate_params()
        if estimator.lr_scaling == SECOND_DERIVATIVES:
            raise ValueError(
                f"{type(self).__name__} does not support lr_scaling={SECOND_DERIVATIVES!r}: set "
                "estimator__lr_scaling='none'."
            )
        if continuing:
            self._estimator.set_params(**estimator.get_params(deep=False))
        else:
            self._forget_fit()
            self._estimator = estimator
        return self._estimator, continuing

    def _base_estimator(self):
        return self._estimator

    def _split_off_task(self, X, task, *, reset, name="task"):
        if self.task_column is None:
            return X, task
        X = as_array(X, "X")
        pixels, task = take_task_column(X, self.task_column, task, name)
        validate_data(self, X, reset=reset, skip_check_array=True)
        return pixels, task

    def _set_classes(self, y, task, classes, *, continuing, partial):
        previous = self._labels() if continuing else None
        if partial:
            labels = labels_of_partial_fit(classes, task, previous)
        else:
            labels = labels_of_fit(y, task, previous)
        # Kept apart from the parameter, which may change before the network is restored.
        self._task_weights = check_task_weights(self.task_weights or {}, labels.tasks.tolist())
        self.tasks_, self._task_classes = labels
        self.classes_ = np.unique(np.concatenate(labels.classes))

    def _encode(self, y, task, y_name="y", task_name="task"):
        return self._labels().encode(y, task, y_name, task_name)

    def _check_two_classes(self, y_encoded, y_given):
        self._labels().check_two_classes(y_encoded)

    def _split(self, data: LabeledImages, class_weight, **options):
        labels = self._labels()
        # A dict of weights is by label alone; errors name the task as well.
        names = labels.names(with_tasks=not isinstance(class_weight, dict))
        options["task_of"] = labels.decode_tasks
        train, valid = split_samples(data, names, class_weight, **options)
        if valid is not None:
            labels.check_all_tasks(valid.targets, is_held_out=options["valid"] is None)
        return train, valid

    def _remember_network(self):
        super()._remember_network()
        self._n_shared_layers = self.n_shared_layers

    def _build_network(self, generator):
        networks = [
            build_network(*self._network, self._estimator.image_shape_, n_classes, generator)
            for n_classes in self._labels().sizes()
        ]
        return SharedLayersNetwork(networks, self._n_shared_layers)

    def _make_trainer(self, network, config, generator):
        options = {"config": config, "generator": generator, "task_sizes": self._labels().sizes()}
        return MultiTaskTrainer(network, task_weights=self._task_weights, **options).initialize()

    def _set_fitted_attributes(self, trainer):
        super()._set_fitted_attributes(trainer)
        self.image_shape_ = self._estimator.image_shape_
        if self.task_column is None:  # otherwise they include the column, and are set
            for name in ("n_features_in_", "feature_names_in_"):
                self.__dict__.pop(name, None)
                if hasattr(self._estimator, name):
                    setattr(self, name, getattr(self._estimator, name))
        self.estimators_ = self._make_estimators()

    def _labels(self) -> TaskLabels:
        return TaskLabels(self.tasks_, self._task_classes)

    def _make_estimators(self) -> dict[str, ConvNetClassifier]:
        """Return a classifier for each task, whose network is that of the task in `net_`."""
        estimators, networks = {}, self.net_.module_.networks
        for task, classes, network in zip(*self._labels(), networks, strict=True):
            estimator = copy.copy(self._estimator)
            history = self.net_.history_of_task(task.item())
            estimator._set_network(network, classes, history, like=self)
            estimators[task.item()] = estimator
        return estimators

    def __getstate__(self):
        state = super().__getstate__()
        state.pop("estimators_", None)  # made anew, since they share the tensors of `net_`
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "net_"):
            self.estimators_ = self._make_estimators()
