"""A convolutional network as a scikit-learn classifier."""

from __future__ import annotations

import copy
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_usps.preprocessing._image_shape import flatten_images, resolve_image_shape

from ._assembly import (
    DEVICES,
    OPTIMIZERS,
    assemble_callbacks,
    assemble_net,
    find_device,
    find_device_or_cpu,
    hold_out,
    split_by_indices,
    split_predefined,
)
from ._networks import NETWORKS, own_randomness
from ._schedules import SCHEDULES
from ._trainer import batch_slices, log_probabilities
from ._value_range import value_range, warn_if_other_range


class ConvNetClassifier(ClassifierMixin, BaseEstimator):
    """Classifier of small grey images by a convolutional network.

    Training minimizes the cross-entropy over random batches of images that are deformed a little,
    differently in every epoch. The training itself is that of a :class:`skorch.NeuralNet`, which
    stays at hand in `net_`.

    Parameters
    ----------
    network : {"convnet", "torch7"} or class, default="convnet"
        The network.

        - "convnet": three batch-normalized convolutions with rectifiers, and a linear layer.
        - "torch7": the network of the luacnn demo [1]_, with 6 filters and 2,338 parameters.
        - A :class:`torch.nn.Module` class, built as ``network(image_shape, n_classes,
          **network_params)``, whose `forward` takes images (n, 1, height, width) and returns
          scores (n, n_classes). Optional methods are ``loss(scores, targets)``, which returns a
          loss per sample instead of the cross-entropy, and ``log_proba(scores)``, which returns
          logarithms of probabilities instead of the log-softmax. If the constructor takes a
          keyword `generator`, it gets the :class:`torch.Generator` of the fit; if not, torch's
          global generator is seeded from it while the network is built and trained, and put back.

    network_params : dict, default=None
        Further keyword arguments for the network's constructor.

    image_shape : tuple of int (height, width), default=None
        Shape of the image in each row of X. By default that of X where it is three-dimensional,
        else a square if the number of features is one, else, with a warning, one row of pixels.

    optimizer : {"adamw", "sgd"} or class, default="adamw"
        What changes the weights: AdamW [2]_, stochastic gradient descent with momentum, or a
        class of :mod:`torch.optim`, which is given `lr`, and `momentum` and `weight_decay` where
        its signature has them.

    lr : float, default=0.005
        Learning rate, in (0, inf); with a schedule, the highest.

    momentum : float, default=0.9
        Momentum of the gradient descent, in [0, 1). "adamw" has none.

    weight_decay : float, default=0.01
        Decay of the weights, in [0, inf).

    lr_schedule : {"constant", "one-cycle", "cosine"}, default="one-cycle"
        How the learning rate changes from batch to batch. "one-cycle" rises from ``lr / 25`` to
        `lr` over the first 30 % of `max_epochs` and falls to almost zero over the rest [3]_;
        "cosine" falls from `lr` to zero [4]_.

    batch_size : int, default=128
        Number of images in a batch. When a single one is left over at the end of an epoch, it
        joins the batch before it.

    max_epochs : int, default=20
        Number of passes over the training images, at most if `early_stopping`.

    label_smoothing : float, default=0.05
        Share of the target that is spread evenly over all classes, in [0, 1) [5]_. A network that
        brings its own loss ignores it.

    deformer : "default", None or callable, default="default"
        What deforms the images of each batch in training: "default" is a
        :class:`~sklearn_usps.RandomDeformer` with its default parameters; None leaves them as they
        are; any other is called as ``deformer(images, generator)`` with a float32 tensor (n, 1,
        height, width) and returns such a tensor.

    early_stopping : bool, default=False
        Whether to stop when the validation loss has not become smaller for `n_iter_no_change`
        epochs, and in the end to go back to the weights of the epoch in which it was smallest.

    validation_fraction : float, default=0.1
        Share of the training samples of each class that is held out as validation set, in (0, 1).
        Only used if `early_stopping` and `fit` is given no `X_val`.

    n_iter_no_change : int, default=10
        Number of epochs to wait for a smaller validation loss. Only used if `early_stopping`.

    callbacks : list of skorch callbacks, default=None
        Instances, or tuples of name and instance, as for :class:`skorch.NeuralNet`. They see
        labels encoded as 0 to ``n_classes - 1``.

    device : {"auto", "cpu", "cuda", "mps"}, default="auto"
        Where to compute. "auto": "cuda" if there is one, else "mps" if there is one, else "cpu".

    random_state : int, RandomState instance or None, default=None
        Seeds the one generator that initial weights, order, deformation and dropout are drawn
        from. An int gives the same bits in each fit on the CPU at the same number of torch
        threads, whatever the state of torch's and numpy's global generators.

    verbose : int, default=0
        1 prints the errors and the time of each epoch; 2 shows a progress bar as well, where
        standard error is a terminal.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`. Defined only when `X` has feature names that are all
        strings.

    image_shape_ : tuple of int (height, width)
        Shape of the image in each row of X.

    net_ : skorch.NeuralNetClassifier
        The trained net; ``net_.module_`` is the :class:`torch.nn.Module`.

    history_ : list of dict
        One dict per epoch: "epoch" (from 1), "train_loss" and "train_error" (means over the
        epoch's batches as they were trained on, deformed and with dropout; the error is a share in
        [0, 1]), "lr" (at the beginning of the epoch), "duration" (in seconds) and, where there is
        a validation set, "valid_loss" and "valid_error" (after the epoch).

    n_iter_ : int
        Number of epochs done.

    best_epoch_ : int
        The epoch that the weights are from. Only if `early_stopping`.

    n_parameters_ : int
        Number of trainable parameters of the network.

    See Also
    --------
    ImageNormalizer : Bring the pixels to mean zero and variance one.
    RandomDeformer : The deformation of the training images.
    save_model : Save a fitted classifier or pipeline in a file.

    Notes
    -----
    Values of X are used as they are, whatever their dtype. `predict` warns when they are far
    outside the range that `fit` has seen, as after a forgotten division by 255.

    After Ctrl-C the classifier has the attributes of the epochs that were completed; the
    KeyboardInterrupt goes on to the caller.

    References
    ----------
    .. [1] H. Penedones, luacnn, https://github.com/hpenedones/luacnn
    .. [2] I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
    .. [3] L. N. Smith and N. Topin, "Super-Convergence: Very Fast Training of Neural Networks Using
       Large Learning Rates", :arxiv:`1708.07120`, 2017.
    .. [4] I. Loshchilov and F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR
       2017.
    .. [5] C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens and Z. Wojna, "Rethinking the Inception
       Architecture for Computer Vision", CVPR 2016, section 7.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn_usps import ConvNetClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    >>> clf = ConvNetClassifier(max_epochs=5, random_state=0).fit(X_train, y_train)
    >>> clf.image_shape_
    (8, 8)
    >>> clf.score(X_test, y_test) > 0.9
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        "network": [StrOptions(set(NETWORKS)), type],
        "network_params": [dict, None],
        "image_shape": [tuple, list, None],
        "optimizer": [StrOptions(set(OPTIMIZERS)), type],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "lr_schedule": [StrOptions({"constant", *SCHEDULES})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "deformer": [StrOptions({"default"}), callable, None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "callbacks": [list, tuple, None],
        "device": [StrOptions(set(DEVICES))],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        network="convnet",
        network_params=None,
        image_shape=None,
        optimizer="adamw",
        lr=0.005,
        momentum=0.9,
        weight_decay=0.01,
        lr_schedule="one-cycle",
        batch_size=128,
        max_epochs=20,
        label_smoothing=0.05,
        deformer="default",
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        callbacks=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.network = network
        self.network_params = network_params
        self.image_shape = image_shape
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.lr_schedule = lr_schedule
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.label_smoothing = label_smoothing
        self.deformer = deformer
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)  # the deformer is not validated yet
    def fit(self, X, y, *, X_val=None, y_val=None):
        """Train a new network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The training images.

        y : array-like of shape (n_samples,)
            Their class labels.

        X_val : array-like of shape (n_val, n_features) or (n_val, height, width), default=None
            Validation images: their loss and error are recorded in `history_` after each epoch,
            and `early_stopping` goes by them.

        y_val : array-like of shape (n_val,), default=None
            Their class labels.

        Returns
        -------
        self : ConvNetClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If parameters or data are not valid, or if the loss becomes infinite or NaN.
        """
        X, y = self._validate_training_data(X, y)
        random_state = check_random_state(self.random_state)
        generator = torch.Generator()
        generator.manual_seed(int(random_state.randint(np.iinfo(np.int32).max)))
        n_train, split = self._make_split(X, y, X_val, y_val, random_state)
        # Remembered, since the parameters may change before the net is pickled.
        self._network = (self.network, copy.deepcopy(self.network_params))
        net = assemble_net(
            self,
            *self._network,
            generator,
            train_split=split,
            callbacks=assemble_callbacks(self, len(batch_slices(n_train, self.batch_size))),
            device=find_device(self.device),
        )
        with own_randomness(self.network, generator):
            net.fit(X, y)
        net.train_split = None  # it refers to the validation set
        self._keep(net)
        if net.interrupted_:
            raise KeyboardInterrupt
        return self

    def predict(self, X):
        """Predict class labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The images.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The predicted class labels.
        """
        best = self.predict_log_proba(X).argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X):
        """Probability estimates.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The images.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes), dtype float32
            The probability of each class, in the order of `classes_`.
        """
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X):
        """Logarithms of probability estimates.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The images.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes), dtype float32
            The logarithm of the probability of each class, in the order of `classes_`.
        """
        check_is_fitted(self)
        scores = self.net_.forward(self._validate_images(X))
        return log_probabilities(self.net_.module_, scores).numpy()

    def _validate_training_data(self, X, y):
        """Check X and y and learn from them what is not trained; encode y."""
        X, given_shape = flatten_images(X)
        X, y = validate_data(self, X, y)
        check_classification_targets(y)
        encoder = LabelEncoder().fit(y)
        if len(encoder.classes_) < 2:
            raise ValueError("The number of classes has to be greater than one; got 1 class")
        self.classes_ = encoder.classes_
        self.image_shape_ = resolve_image_shape(self.image_shape, given_shape, X.shape[1])
        self._value_range = value_range(X)
        return X, encoder.transform(y)

    def _validate_images(self, X):
        X, given_shape = flatten_images(X)
        X = validate_data(self, X, reset=False)
        name = type(self).__name__
        if given_shape not in (None, self.image_shape_):
            raise ValueError(
                f"X has images of shape {given_shape}, but {name} is expecting images of shape "
                f"{self.image_shape_} as input."
            )
        warn_if_other_range(X, self._value_range, name)
        return X

    def _make_split(self, X, y, X_val, y_val, random_state):
        """The number of training samples, and what tells skorch which samples validate."""
        if X_val is not None or y_val is not None:
            if y_val is None:
                raise ValueError("X_val is provided, but y_val was not provided.")
            if X_val is None:
                raise ValueError("y_val is provided, but X_val was not provided.")
            X_val = self._validate_images(X_val)
            y_val = column_or_1d(y_val, warn=True)
            check_consistent_length(X_val, y_val)
            encoder = LabelEncoder().fit(self.classes_)
            return len(y), split_predefined(X_val, encoder.transform(y_val))
        if self.early_stopping:
            train, valid = hold_out(y, self.validation_fraction, random_state)
            return len(train), split_by_indices(train, valid)
        return len(y), None

    def _keep(self, net):
        """Set the attributes of a net that has been trained."""
        epochs = [epoch for epoch in net.history if "dur" in epoch]  # without an interrupted one
        self.net_ = net
        self.history_ = [_summary(epoch) for epoch in epochs]
        self.n_iter_ = len(epochs)
        self.n_parameters_ = sum(
            parameter.numel() for parameter in net.module_.parameters() if parameter.requires_grad
        )
        if self.early_stopping:
            self.best_epoch_ = dict(net.callbacks_)["early_stopping"].best_epoch_

    def __getstate__(self):
        # Plain values only: arrays are in everyone's reach, whatever the device and the version.
        state = dict(super().__getstate__())
        if (net := state.pop("net_", None)) is not None:
            weights = net.module_.state_dict()
            state["_weights"] = {name: value.numpy(force=True) for name, value in weights.items()}
            state["_generator_state"] = net.generator.get_state().numpy()
        return state

    def __setstate__(self, state):
        state = dict(state)
        weights = state.pop("_weights", None)
        generator_state = state.pop("_generator_state", None)
        super().__setstate__(state)
        if weights is None:
            return
        generator = torch.Generator()
        net = assemble_net(
            self,
            *self._network,
            generator,
            train_split=None,
            callbacks=[],
            device=find_device_or_cpu(self.device),
        ).initialize()
        net.module_.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
        generator.set_state(torch.tensor(generator_state))
        self.net_ = net


def _summary(epoch: dict) -> dict:
    """What `history_` has of an epoch of skorch's history."""
    keys = ["train_loss", "train_error", "valid_loss", "valid_error", "lr"]
    values = {key: float(epoch[key]) for key in keys if key in epoch}
    return {"epoch": epoch["epoch"], **values, "duration": epoch["dur"]}
