"""Several convolutional networks that share their first layers, as one scikit-learn classifier."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from skorch.dataset import Dataset
from skorch.history import History

from .._utils._sklearn import Interval, StrOptions, _fit_context
from ..networks._registry import build_network
from ..networks._shared_layers import SharedLayersNetwork
from ..training._config import assemble_net, fit_options, partial_fit_options
from ..training._data import Part, Split, make_split
from ..training._multitask_trainer import MultiTaskSampler, MultiTaskTrainer
from ._base import MAX_LAYERS, BaseConvNet
from ._classifier import ConvNetClassifier
from ._task_labels import (
    ONLY_TASK,
    TaskLabels,
    check_tasks,
    check_two_classes,
    take_column,
)
from ._validation import (
    accuracy,
    check_images,
    check_training_images,
    check_validation_set,
    check_weights,
    update_value_range,
)

#: What a fit learns from the pixels.
_OF_PIXELS = ("n_features_in_", "feature_names_in_", "image_shape_", "_value_range")


class MultiTaskConvNetClassifier(ClassifierMixin, BaseConvNet):
    """Classifiers of several tasks, such as digits and letters, with the same first layers.

    Each task has a network and classes of its own, but the parameters of the first layers are one
    and the same for all [1]_: a task with few images sees with filters that were learned from
    many. The networks are trained together: each batch has images of all tasks, and what is
    minimized is the sum of the tasks' mean losses. In an epoch the images of the largest task come
    once. Those of each other task come over and over, until they are as many as the geometric mean
    of both numbers: beside 10,000 digits, 400 letters come five times each. They come more often
    where batches are small, since each of more than one image has at least two of each task.

    With one task it is a :class:`ConvNetClassifier`.

    Parameters
    ----------
    shared : "first" or int, default="first"
        How many layers are shared, from the first on: less than the network has. A layer is a
        convolution, a subsampling with coefficients or a linear layer, with its biases; in a
        network of your own any module with weights. They count in the order in which the network
        makes them, parameters of the network itself first. Normalization layers are each task's
        own. "convnet" has 6 layers, "lecun1989" 4, "lenet5" 7 and "luacnn" 3.

    task_weights : dict, default=None
        What the mean loss of each task counts in the sum, by task, positive. By default, and where
        a task is missing, one.

    task_column : int or str, default=None
        The column of X that holds the task of each sample; the others are pixels. For scorers and
        :func:`~sklearn.model_selection.cross_val_predict`, which pass no `task` on to `predict`.
        What normalizes pixels in a pipeline must pass it through, as a
        :class:`~sklearn.compose.ColumnTransformer` can.

    network : {"convnet", "lecun1989", "lenet5", "luacnn"} or class, default="convnet"
        The network of each task. This and all that follow are those of
        :class:`ConvNetClassifier`, where they are described in full.

    network_params : dict, default=None
        Further keyword arguments for the network's constructor.

    image_shape : tuple of int (height, width), default=None
        Shape of the image in each row of X, of all tasks.

    optimizer : {"adamw", "sgd"} or class, default="adamw"
        What changes the weights.

    lr : float, default=0.02
        Learning rate; with a schedule, the highest.

    momentum : float, default=0.9
        Momentum of the gradient descent.

    weight_decay : float, default=0.01
        Decay of the weights.

    lr_schedule : {"constant", "one-cycle", "cosine"}, default="one-cycle"
        How the learning rate changes from batch to batch.

    lr_scaling : {"none", "fan-in", "efficient-backprop"}, default="none"
        A learning rate for each layer of weighted sums.

    sampling : {"shuffle", "replacement"}, default="shuffle"
        Whether the samples of a task come in random order, or are drawn independently.

    batch_size : int, default=128
        Number of images of the largest task in a batch; those of the others come on top.

    max_epochs : int, default=20
        Number of passes over the images of the largest task, at most if `early_stopping`.

    label_smoothing : float, default=0.05
        Share of the target that is spread evenly over all classes of its task.

    augmentation : "default", None or callable, default="default"
        What deforms the images in training.

    test_time_augmentation : bool, default=False
        Whether probabilities are means of five, of the image and of it moved by one pixel. A change
        after the fit is one here, not in `estimators_`.

    class_weight : dict, "balanced" or None, default=None
        What the samples of each class count in the training loss of their task. A dict counts for
        a label in all tasks that have it; "balanced" tells them apart.

    warm_start : bool, default=False
        Whether `fit` trains the networks further that there are.

    early_stopping : bool, default=False
        Whether to stop when the mean of the tasks' validation losses has not become smaller for
        `n_iter_no_change` epochs, and to go back to the weights of the epoch where it was smallest.

    validation_fraction : float, default=0.1
        About the share of the training samples of each class of each task that is held out.

    n_iter_no_change : int, default=10
        Number of epochs to wait for a smaller validation loss.

    callbacks : list of skorch callbacks, default=None
        They see labels encoded as 0 to the number of classes of all tasks less one, and a network
        whose scores are those of all tasks' classes side by side, in the order of `tasks_`: what
        predicts with it, as `EpochScoring` without its cache does, chooses among all of them.

    device : {"auto", "cpu", "cuda", "mps"}, default="auto"
        Where to compute.

    random_state : int, RandomState instance or None, default=None
        Seeds the one generator that all random numbers are drawn from.

    verbose : int, default=0
        1 prints the errors and the time of each epoch, its number bold where the mean of the tasks'
        validation losses is the smallest so far; 2 shows a progress bar as well.

    Attributes
    ----------
    tasks_ : ndarray of shape (n_tasks,)
        The names of the tasks, sorted; ["all"] if none were given.

    estimators_ : dict of ConvNetClassifier
        A fitted classifier for each task. It predicts, and is saved, alone. It has the very tensors
        of the networks here: to train one further, do so with a copy.

    classes_ : ndarray of shape (n_classes,)
        The class labels of all tasks, each once.

    n_features_in_ : int
        Number of features seen during `fit`, with the `task_column` if there is one.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`. Defined only when `X` has feature names that are all
        strings.

    image_shape_ : tuple of int (height, width)
        Shape of the image in each row of X.

    net_ : skorch.NeuralNetClassifier
        The trained net of all tasks.

    history_ : list of dict
        One dict per epoch, as of :class:`ConvNetClassifier`: losses and errors are means over the
        tasks. Those of each are in its "tasks", a dict, and in the `history_` of its classifier.

    n_iter_ : int
        Number of epochs that the networks have been trained for.

    best_epoch_ : int
        The epoch that the weights are from. Only if `early_stopping`.

    n_parameters_ : int
        Number of trainable parameters, the shared ones counted once.

    See Also
    --------
    ConvNetClassifier : One task.

    Notes
    -----
    Cross-validation and searches pass `task` on where metadata routing is enabled, by
    ``sklearn.set_config(enable_metadata_routing=True)``, and asked for, by
    ``clf.set_fit_request(task=True).set_score_request(task=True).set_predict_request(task=True)``;
    to `score`, that of a :class:`~sklearn.pipeline.Pipeline` from scikit-learn 1.8 on, but not to
    the `predict` of named scorers, nor does a search pass it on to `predict`: ask its
    `best_estimator_`, or use `task_column`.

    The labels of all tasks are in one `y`, so they are all strings or all numbers. Two tasks may
    have the same label.

    References
    ----------
    .. [1] R. Caruana, "Multitask Learning", Machine Learning 28:41-75, 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_usps import MultiTaskConvNetClassifier, make_letters
    >>> digits, y_digits = load_digits(return_X_y=True)
    >>> letters, y_letters = make_letters(500, image_shape=(8, 8), random_state=0)
    >>> X = np.vstack([digits / 16, letters])
    >>> y = np.concatenate([y_digits.astype(str), y_letters])
    >>> task = np.repeat(["digits", "letters"], [len(digits), len(letters)])
    >>> clf = MultiTaskConvNetClassifier(max_epochs=10, random_state=0).fit(X, y, task=task)
    >>> len(clf.classes_)
    36
    >>> clf.predict(digits[:5] / 16, task="digits")
    array(['0', '1', '2', '3', '4'], dtype='<U...')
    >>> clf.estimators_["letters"].classes_[:3]
    array(['A', 'B', 'C'], dtype='<U...')
    """

    _parameter_constraints: ClassVar[dict] = {
        **ConvNetClassifier._parameter_constraints,
        "shared": [StrOptions({"first"}), Interval(Integral, 1, None, closed="left")],
        "task_weights": [dict, None],
        "task_column": [Integral, str, None],
    }

    def __init__(
        self,
        *,
        shared="first",
        task_weights=None,
        task_column=None,
        network="convnet",
        network_params=None,
        image_shape=None,
        optimizer="adamw",
        lr=0.02,
        momentum=0.9,
        weight_decay=0.01,
        lr_schedule="one-cycle",
        lr_scaling="none",
        sampling="shuffle",
        batch_size=128,
        max_epochs=20,
        label_smoothing=0.05,
        augmentation="default",
        test_time_augmentation=False,
        class_weight=None,
        warm_start=False,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        callbacks=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.shared = shared
        self.task_weights = task_weights
        self.task_column = task_column
        self.network = network
        self.network_params = network_params
        self.image_shape = image_shape
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.lr_schedule = lr_schedule
        self.lr_scaling = lr_scaling
        self.sampling = sampling
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.label_smoothing = label_smoothing
        self.augmentation = augmentation
        self.test_time_augmentation = test_time_augmentation
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)  # the augmentation is not validated yet
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
        """Train the networks: new ones, or with `warm_start` those that there are.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The training images of all tasks.

        y : array-like of shape (n_samples,)
            Their class labels: strings for all tasks, or numbers for all.

        sample_weight : array-like of shape (n_samples,), default=None
            What each sample counts in the loss of its task, relative to the others. Samples of
            weight zero are left out.

        task : str or array-like of shape (n_samples,), default=None
            The name of the task that each sample belongs to. By default, and without
            `task_column`, there is one task.

        X_val : array-like of shape (n_val, n_features) or (n_val, height, width), default=None
            Validation images of all tasks, which `early_stopping` then goes by.

        y_val : array-like of shape (n_val,), default=None
            Their class labels.

        task_val : str or array-like of shape (n_val,), default=None
            The names of their tasks.

        sample_weight_val : array-like of shape (n_val,), default=None
            What each of them counts in the validation loss and error of its task.

        Returns
        -------
        self : MultiTaskConvNetClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If parameters or data are not valid, or if a loss becomes infinite or NaN.
        """
        continuing = self.warm_start and hasattr(self, "net_")
        if not continuing:
            self._forget()
        X, y, task = self._check_data(X, y, task, reset=not continuing)
        task = check_tasks(ONLY_TASK if task is None else task, X)
        labels = TaskLabels.of_samples(y, task)
        if continuing and not labels.same_as(self._labels()):
            raise ValueError(
                "warm_start can only be used where each task has the same classes as in the "
                f"previous call to fit. Previously got {self._labels().as_dict()}, now "
                f"{labels.as_dict()}."
            )
        self._set_labels(labels)
        weights = check_weights(sample_weight, X)
        codes = labels.encode(y, task)
        # Before the split, which would say of a task without weight that none of it is held out.
        counted = codes if weights is None else codes[weights > 0]
        check_two_classes(counted, labels.decode_tasks(counted), labels.tasks)
        random_state = check_random_state(self.random_state)
        seed = int(random_state.randint(np.iinfo(np.int32).max))
        split = self._make_split(
            codes,
            weights,
            valid=self._check_validation_set(X_val, y_val, task_val, sample_weight_val),
            fraction=self.validation_fraction if self.early_stopping else None,
            random_state=random_state,
        )
        tasks = labels.decode_tasks(codes[split.train_rows])
        check_two_classes(codes[split.train_rows], tasks, labels.tasks)
        n_batches = len(MultiTaskSampler(np.bincount(tasks), self.batch_size))
        previous = self.net_ if continuing else None
        net = self._make_net(seed, previous, fit_options(self, split, n_batches))
        update_value_range(self._pixels, X)
        return self._train(net, X, codes)

    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X, y, classes=None, sample_weight=None, *, task=None):
        """Train for one epoch, at the constant learning rate `lr`.

        The networks, their optimizer and their random numbers go on from where they are.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The training images, of all tasks or of some.

        y : array-like of shape (n_samples,)
            Their class labels.

        classes : array-like of shape (n_classes,) or dict of such, default=None
            The labels of all calls, a dict by task where there are tasks. To be given on the first
            call.

        sample_weight : array-like of shape (n_samples,), default=None
            What each sample counts in the loss of its task, relative to the others.

        task : str or array-like of shape (n_samples,), default=None
            The name of the task that each sample belongs to.

        Returns
        -------
        self : MultiTaskConvNetClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If parameters or data are not valid, or if a loss becomes infinite or NaN.
        """
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit. Pass a dict instead."
            )
        previous = getattr(self, "net_", None)
        X, y, task = self._check_data(X, y, task, reset=previous is None)
        if previous is None and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if classes is not None:
            if not isinstance(classes, dict):
                if task is not None:
                    raise ValueError(
                        "`classes` must be a dict of the labels of each task, since there are "
                        f"tasks. Got {classes!r} instead."
                    )
                known = ONLY_TASK if previous is None else self.tasks_.tolist()[0]
                classes = {known: classes}
            labels = TaskLabels.of_dict(classes)
            if previous is not None and not labels.same_as(self._labels()):
                raise ValueError(
                    f"`classes={labels.as_dict()!r}` is not the same as on last call to "
                    f"partial_fit, was: {self._labels().as_dict()!r}"
                )
            self._set_labels(labels)
        weights = check_weights(sample_weight, X)
        codes = self._labels().encode(y, self._complete(task, X))
        split = self._make_split(codes, weights)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        net = self._make_net(seed, previous, partial_fit_options(self, split))
        if previous is not None and type(net.optimizer_) is type(previous.optimizer_):
            net.optimizer_.state.update(previous.optimizer_.state)
        update_value_range(self._pixels, X)
        return self._train(net, X, codes)

    def predict(self, X, *, task=None):
        """Predict class labels, each of those of the sample's task.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The images.

        task : str or array-like of shape (n_samples,), default=None
            The name of the task that each sample belongs to. Not needed if there is one task, or a
            `task_column`.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The predicted class labels.
        """
        best = self.predict_log_proba(X, task=task).argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X, *, task=None):
        """Probability estimates, zero for the classes of other tasks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The images.

        task : str or array-like of shape (n_samples,), default=None
            The name of the task that each sample belongs to.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes), dtype float32
            The probability of each class, in the order of `classes_`.
        """
        return np.exp(self.predict_log_proba(X, task=task))

    def predict_log_proba(self, X, *, task=None):
        """Logarithms of probability estimates, -inf for the classes of other tasks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The images.

        task : str or array-like of shape (n_samples,), default=None
            The name of the task that each sample belongs to.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes), dtype float32
            The logarithm of the probability of each class, in the order of `classes_`.
        """
        check_is_fitted(self)
        X, task = self._split_off_task(X, task, reset=False)
        X = check_images(self._pixels, X)
        task_codes = self._labels().encode_tasks(self._complete(task, X))
        log_proba = np.full((len(X), len(self.classes_)), -np.inf, dtype=np.float32)
        for code, classifier in enumerate(self.estimators_.values()):
            rows = np.flatnonzero(task_codes == code)
            if len(rows):
                columns = np.searchsorted(self.classes_, classifier.classes_)
                part = Part(Dataset(X), rows, None)  # copies no more than a batch
                of_task = classifier.net_.log_proba(part, self.test_time_augmentation)
                log_proba[np.ix_(rows, columns)] = of_task.numpy()
        return log_proba

    def score(self, X, y, sample_weight=None, *, task=None):
        """Return the share of samples whose label is predicted, each within its task.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The images.

        y : array-like of shape (n_samples,)
            Their true labels.

        sample_weight : array-like of shape (n_samples,), default=None
            What each sample counts.

        task : str or array-like of shape (n_samples,), default=None
            The name of the task that each sample belongs to.

        Returns
        -------
        score : float
            The accuracy, in [0, 1].
        """
        return accuracy(y, self.predict(X, task=task), sample_weight)

    # Data

    def _forget(self):
        """Leave nothing of a previous fit beside what a fit that fails has learned."""
        for name in ("net_", "estimators_"):
            if hasattr(self, name):
                delattr(self, name)

    def _split_off_task(self, X, task, *, reset, name="task"):
        """The pixels, and the tasks where X or `task` tells them."""
        if self.task_column is None:
            return X, task
        if task is not None:
            raise ValueError(
                f"`{name}` was given beside task_column={self.task_column!r}: give one of them."
            )
        pixels, task = take_column(X, self.task_column)
        validate_data(self, X, reset=reset, skip_check_array=True)
        return pixels, task

    def _check_data(self, X, y, task, *, reset):
        X, task = self._split_off_task(X, task, reset=reset)
        if reset:
            # Knows what the pixels alone must be like, and remembers the parameters of the fit.
            self._pixels = MultiTaskConvNetClassifier()
        params = {name: getattr(self, name) for name in self._pixels.get_params(deep=False)}
        self._pixels.set_params(**params)
        X, y = check_training_images(self._pixels, X, y, reset=reset)
        self.image_shape_ = self._pixels.image_shape_
        if reset and self.task_column is None:
            for name in ("n_features_in_", "feature_names_in_"):
                self.__dict__.pop(name, None)
                if hasattr(self._pixels, name):
                    setattr(self, name, getattr(self._pixels, name))
        return X, y, task

    def _complete(self, task, X, name="task"):
        """The task of each sample; without any, the only one."""
        if task is None and len(self.tasks_) > 1:
            raise ValueError(
                f"`{name}` is missing: this {type(self).__name__} was fitted on the tasks "
                f"{self.tasks_.tolist()}. Give one of them for all samples, or one for each."
            )
        return check_tasks(self.tasks_[0] if task is None else task, X, name)

    def _labels(self) -> TaskLabels:
        return TaskLabels(self.tasks_, self._task_classes)

    def _set_labels(self, labels: TaskLabels) -> None:
        self.tasks_, self._task_classes = labels
        self.classes_ = np.unique(np.concatenate(labels.classes))

    def _check_task_weights(self) -> None:
        weights: dict = self.task_weights or {}
        tasks = self.tasks_.tolist()
        if unknown := [task for task in weights if task not in tasks]:
            raise ValueError(f"task_weights has {unknown}, but the tasks are {tasks}.")
        if not all(isinstance(w, Real) and 0 < float(w) < np.inf for w in weights.values()):
            raise ValueError(f"task_weights must be positive numbers. Got {weights} instead.")

    def _make_split(self, codes, weights, **options) -> Split:
        """Which samples train and validate; the weights of each task have a mean of one."""
        labels = self._labels()
        # A dict of weights is by label alone; errors name the task as well.
        by_label = isinstance(self.class_weight, dict)
        names = np.concatenate(labels.classes) if by_label else labels.names()
        split = make_split(codes, names, weights, self.class_weight, **options)
        if split.valid_rows is not None:
            valid_codes = codes if split.valid_data is None else split.valid_data.y
            valid_tasks = labels.decode_tasks(valid_codes[split.valid_rows])
            if len(missing := np.delete(labels.tasks, np.unique(valid_tasks))):
                remedy = "X_val must have samples of each, of positive weight"
                if split.valid_data is None:
                    remedy = "give X_val, or a larger validation_fraction"
                raise ValueError(
                    f"The validation set has no sample of the tasks {missing.tolist()}: {remedy}."
                )
            split = replace(split, valid_weights=_per_task(split.valid_weights, valid_tasks))
        tasks = labels.decode_tasks(codes[split.train_rows])
        return replace(split, train_weights=_per_task(split.train_weights, tasks))

    def _check_validation_set(self, X_val, y_val, task_val, sample_weight_val):
        if X_val is None:
            if task_val is not None:
                raise ValueError("task_val is provided, but X_val was not provided.")
            return check_validation_set(self._pixels, None, y_val, sample_weight_val, None)
        X_val, task_val = self._split_off_task(X_val, task_val, reset=False, name="task_val")
        task_val = self._complete(task_val, X_val, "task_val")
        labels = self._labels()

        def encode(y_val):
            return labels.encode(y_val, task_val, "y_val", "task_val")

        return check_validation_set(self._pixels, X_val, y_val, sample_weight_val, encode)

    # The net and the classifiers that share its tensors

    def _make_net(self, seed, previous, options):
        self._check_task_weights()
        if previous is None:  # remembered, as the network is: parameters may change afterwards
            self._n_shared = 1 if self.shared == "first" else self.shared
        return super()._make_net(seed, previous, options)

    def _build_network(self, generator) -> SharedLayersNetwork:
        network, params = self._network
        networks = [
            build_network(network, params, self.image_shape_, n_classes, generator)
            for n_classes in self._labels().sizes()
        ]
        return SharedLayersNetwork(networks, self._n_shared)

    def _restore(self, net_state):
        tasks = set(self.tasks_.tolist())
        for row in self.history_:
            if not isinstance(row["tasks"], dict) or set(row["tasks"]) != tasks:
                raise ValueError("history_ is not that of the tasks")
        return super()._restore(net_state)

    def _check_sizes(self, weights, generator):
        if not len(np.unique(self.tasks_)) == len(self._task_classes) <= MAX_LAYERS:
            raise ValueError(f"the tasks are not alike, or more than {MAX_LAYERS}")
        super()._check_sizes(weights, generator)

    def _assemble(self, module, generator, **options) -> MultiTaskTrainer:
        labels = self._labels()
        tasks, sizes = labels.tasks.tolist(), labels.sizes()
        return assemble_net(
            self,
            module,
            generator,
            trainer=MultiTaskTrainer,
            tasks=tasks,
            n_classes=sizes,
            task_weights=[(self.task_weights or {}).get(task, 1.0) for task in tasks],
            classes=np.arange(sum(sizes)),
            **options,
        )

    def _set_fitted_attributes(self, net):
        super()._set_fitted_attributes(net)
        self.estimators_ = self._make_classifiers()

    def _make_classifiers(self) -> dict[str, ConvNetClassifier]:
        """A classifier for each task, whose network is that of the task in `net_`."""
        classifiers = {}
        networks = self.net_.module_.networks
        for task, classes, network in zip(*self._labels(), networks, strict=True):
            task = task.item()
            classifier = ConvNetClassifier()
            for name in (*classifier.get_params(deep=False), *_OF_PIXELS):
                if hasattr(self._pixels, name):
                    setattr(classifier, name, getattr(self._pixels, name))
            classifier.classes_, classifier._network = classes, self._network
            # A classifier refuses weights of labels that it doesn't have.
            if isinstance(weights := classifier.class_weight, dict):
                own = {label: weights[label] for label in classes.tolist() if label in weights}
                classifier.class_weight = own
            net = assemble_net(classifier, network, self.net_.generator, device=self.net_.device)
            net.history = History(_task_record(epoch, task) for epoch in self.net_.history)
            classifier._set_fitted_attributes(net)
            if hasattr(self, "best_epoch_"):
                classifier.best_epoch_ = self.best_epoch_
            classifiers[task] = classifier
        return classifiers

    def __getstate__(self):
        state = super().__getstate__()
        state.pop("estimators_", None)  # made anew, since they share the tensors of `net_`
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "net_"):
            self.estimators_ = self._make_classifiers()


def _per_task(weights: np.ndarray | None, tasks: np.ndarray) -> np.ndarray | None:
    """Weights of samples, those of each task with a mean of one."""
    if weights is None:
        return None
    means = np.bincount(tasks, weights) / np.maximum(np.bincount(tasks), 1)
    return weights / means[tasks]


def _task_record(epoch: dict, task) -> dict:
    """What concerns a task in the record of an epoch."""
    common = {name: epoch[name] for name in ("epoch", "lr", "dur", "batches")}
    return {**common, **epoch["tasks"][task]}
