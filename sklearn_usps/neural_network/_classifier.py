"""A convolutional network as a scikit-learn classifier."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._utils._sklearn import _fit_context
from ..networks._registry import NETWORKS
from ..training._inference import predict_features, predict_log_proba, predict_scores
from ._base import BaseConvNet
from ._parameters import CONSTRAINTS
from ._validation import accuracy, check_images


def _has_features(classifier) -> bool:
    network = classifier._network[0] if hasattr(classifier, "net_") else classifier.network
    return hasattr(NETWORKS.get(network, network), "features")


class ConvNetClassifier(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseConvNet):
    """Convolutional network classifier of small gray images, trained on random deformations.

    Parameters
    ----------
    network : {"convnet", "lecun1989", "lenet5", "luacnn"} or class, default="convnet"
        The network.

        - "convnet": convolutions with batch normalization and ReLU, and a linear layer.
        - "lecun1989": the network of [6]_, for images 16 × 16 with values in [-1, 1].
        - "lenet5": LeNet-5 [7]_ with a linear output layer.
        - "luacnn": the network of the luacnn demo [1]_, with 2,338 parameters.
        - A :class:`torch.nn.Module` class, called as ``network(image_shape, n_classes,
          **network_params)``: `forward` maps images (n, 1, height, width) to logits (n, n_classes).

        :mod:`sklearn_usps.networks` has their parameters and what else a class may define.

    network_params : dict, default=None
        Further keyword arguments of the network's constructor.

    image_shape : tuple of int (height, width), default=None
        Shape of the image in each row of X. By default, that of a three-dimensional X, else a
        square if the number of features is one, else, with a warning, a single row of pixels.

    optimizer : {"adamw", "muon", "sgd"} or class, default="muon"
        AdamW [2]_; Muon [12]_ for parameters of four dimensions, the filters of convolutions, and
        AdamW for all others; stochastic gradient descent with momentum; or a class of
        :mod:`torch.optim`, passed `lr`, and `momentum` and `weight_decay` if its signature has
        them.

    lr : float, default=0.025
        Learning rate, in (0, inf); with a schedule, the maximum.

    momentum : float, default=0.9
        Momentum of "muon" and "sgd", in [0, 1). "adamw" ignores it.

    weight_decay : float, default=0.01
        Weight decay, in [0, inf).

    lr_schedule : {"constant", "one-cycle", "cosine"}, default="one-cycle"
        Schedule of the learning rate. "one-cycle" rises from ``lr / 25`` to `lr` during the first
        30 % of `max_epochs` and then falls to almost zero [3]_; "cosine" falls to zero [4]_.

    lr_scaling : {"none", "fan-in", "efficient-backprop", "second-derivatives"}, default="none"
        Per-layer learning rates: "fan-in" divides `lr` by the number of inputs of a unit [8]_ [9]_;
        "efficient-backprop" multiplies it by the root of this number, or of the number of
        connections that share a weight ([10]_, section 4.7). The factors' geometric mean is one.
        "second-derivatives", for "sgd" only, divides the rate of each parameter by 0.02 plus its
        second derivative, estimated before each epoch from 500 images ([10]_, section 9).

    sampling : {"shuffle", "replacement"}, default="shuffle"
        Samples of an epoch: all in random order, or as many drawn independently.

    batch_size : int or "auto", default="auto"
        Number of images in a batch. "auto" is ``min(max(n // 64, 8), 128)`` for n training images,
        so that an epoch of few images has enough steps. A single image left over joins the batch
        before it. "convnet" can't train on batches of one image smaller than 5 × 5.

    max_epochs : int or "auto", default="auto"
        Number of passes over the training images; the maximum with `early_stopping` or `max_time`.
        "auto" is ``min(max(30_000 // n, 20), 100)`` for n training images, or 1000 with `max_time`
        and without `early_stopping`.

    max_time : float, default=None
        Time for `fit` in seconds, in (0, inf). The training ends with the last epoch that fits, at
        least one, and the schedule with it. With ``max_epochs="auto"`` it uses all of the time;
        set `max_epochs` to end earlier. The result then depends on the machine.

    label_smoothing : float, default=0.05
        Label smoothing [5]_, in [0, 1). Networks with a loss of their own ignore it.

    augmentation : "default", callable or None, default="default"
        Augmentation of the training images. "default" is a
        :class:`~sklearn_usps.RandomDeformation`. A callable is called as
        ``augmentation(images, generator)`` with a float32 tensor (n, 1, height, width) and returns
        such a tensor. None leaves the images unchanged.

    test_time_augmentation : bool, default=False
        If True, average the probabilities of the image and of its four shifts by one pixel, the
        border repeated [11]_. Slightly more accurate, five times as slow; not for `X_val` in `fit`.

    class_weight : dict, "balanced" or None, default=None
        Weights of labels in training, by default 1; "balanced" gives all classes an equal sum.

    warm_start : bool, default=False
        If True, `fit` trains the fitted network further, with a new optimizer and schedule.

    early_stopping : bool, default=False
        If True, stop when the validation loss does not improve, and restore the best weights.

    validation_fraction : float, default=0.1
        Fraction of each class, in (0, 1), that `early_stopping` holds out if there is no `X_val`.

    n_iter_no_change : int, default=10
        Number of epochs that `early_stopping` waits for a smaller validation loss.

    callbacks : list of skorch callbacks, default=None
        Instances, or tuples of name and instance, as for :class:`skorch.NeuralNet`. They see class
        indices as targets, and stop the training by a KeyboardInterrupt in an `on_epoch_…` or
        `on_batch_…` method. :class:`skorch.callbacks.LRScheduler` needs ``lr_schedule="constant"``.

    device : {"auto", "cpu", "cuda", "mps"}, str or torch.device, default="auto"
        Device to compute on, also by its index as "cuda:1". "auto" takes the first available of
        "cuda", "mps" and "cpu".

    precision : {"float32", "bfloat16"}, default="float32"
        Precision of the network in training steps. "bfloat16" is faster on processors with AMX; on
        others, `fit` warns and uses "float32". Weights and predictions are float32.

    random_state : int, RandomState instance or None, default=None
        Seed of all random numbers. With an int, fits on the CPU are the same to the bit for equal
        numbers of torch threads.

    verbose : int, default=0
        1 prints a line per epoch: errors, duration and time left. A terminal shows epochs with the
        smallest validation loss so far in bold. 2 adds a progress bar.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`, if they are all strings.

    image_shape_ : tuple of int (height, width)
        Shape of each image.

    net_ : skorch.NeuralNetClassifier
        The fitted skorch net; ``net_.module_`` is the :class:`torch.nn.Module`.

    history_ : list of dict
        For each epoch: "epoch", from 1; "train_loss" and "train_error", weighted means over the
        samples as trained on, the error in [0, 1]; "lr" at its start; "dur", its duration in
        seconds; with a validation set "valid_loss", "valid_error" and "valid_acc" at its end.

    n_iter_, best_epoch_ : int
        Number of epochs trained and, with `early_stopping`, the epoch of the restored weights.

    n_parameters_ : int
        Number of trainable parameters.

    See Also
    --------
    ImageNormalizer : Normalize pixels to mean zero and variance one.
    RandomDeformation : The default augmentation.
    save_model : Save a fitted classifier or pipeline to a file.

    Notes
    -----
    Pixels are not rescaled. `predict` warns of values far outside the range seen in `fit`.
    After Ctrl-C, `history_` has the completed epochs, and the KeyboardInterrupt propagates.

    References
    ----------
    .. [1] H. Penedones, luacnn, https://github.com/hpenedones/luacnn
    .. [2] I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
    .. [3] L. N. Smith and N. Topin, "Super-Convergence", :arxiv:`1708.07120`, 2017.
    .. [4] I. Loshchilov and F. Hutter, "SGDR: SGD with Warm Restarts", ICLR 2017.
    .. [5] C. Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016, section 7.
    .. [6] Y. LeCun et al., Neural Computation 1(4):541-551, 1989. :doi:`10.1162/neco.1989.1.4.541`
    .. [7] Y. LeCun et al., Proceedings of the IEEE 86(11):2278-2324, 1998. :doi:`10.1109/5.726791`
    .. [8] D. C. Plaut and G. E. Hinton, Computer Speech and Language 2(1):35-61, 1987.
    .. [9] R. Collobert et al., "NLP (Almost) from Scratch", JMLR 12:2493-2537, 2011, section 3.4.
    .. [10] Y. LeCun et al., "Efficient BackProp", Neural Networks: Tricks of the Trade, 1998.
    .. [11] A. Krizhevsky et al., "ImageNet Classification with Deep CNNs", NIPS 2012, section 4.1.
    .. [12] K. Jordan et al., "Muon", 2024, https://kellerjordan.github.io/posts/muon/

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_usps import ConvNetClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = ConvNetClassifier(max_epochs=10, random_state=0).fit(X[:1500] / 16, y[:1500])
    >>> clf.image_shape_
    (8, 8)
    >>> clf.score(X[1500:] / 16, y[1500:])
    0.9...
    """

    __module__ = "sklearn_usps"  # model files name public modules

    _parameter_constraints: ClassVar[dict] = CONSTRAINTS

    def __init__(
        self,
        *,
        network="convnet",
        network_params=None,
        image_shape=None,
        optimizer="muon",
        lr=0.025,
        momentum=0.9,
        weight_decay=0.01,
        lr_schedule="one-cycle",
        lr_scaling="none",
        sampling="shuffle",
        batch_size="auto",
        max_epochs="auto",
        max_time=None,
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
        precision="float32",
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
        self.lr_scaling = lr_scaling
        self.sampling = sampling
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.max_time = max_time
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
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)  # the augmentation is not validated yet
    def fit(
        self,
        X,
        y,
        sample_weight=None,
        *,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
        groups=None,
    ):
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            Training images in one of the :ref:`accepted forms <image_forms>`.

        y : array-like of shape (n_samples,)
            Class labels.

        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights; only their ratios matter. Samples of weight zero are left out.

        X_val, y_val, sample_weight_val : array-like, default=None
            Validation samples in the forms of `X`, `y` and `sample_weight`, evaluated after each
            epoch and used by `early_stopping`. With metadata routing,
            ``Pipeline(..., transform_input=["X_val"])`` transforms `X_val` as `X`.

        groups : array-like of shape (n_samples,), default=None
            Group of each sample, such as its writer. `early_stopping` holds out whole groups, with
            about `validation_fraction` of each class; nothing else uses them.

        Returns
        -------
        self : ConvNetClassifier
            Fitted classifier.

        Raises
        ------
        ValueError
            If parameters or data are invalid, or the loss becomes infinite or NaN.
        """
        validation = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        return self._fit(X, y, sample_weight, groups=groups, **validation)

    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one epoch at the constant learning rate `lr`.

        Network, optimizer and random numbers continue from the last call of `fit` or `partial_fit`.
        `lr_schedule`, `max_epochs` and `max_time` are ignored. ``batch_size="auto"`` counts the
        images of the call.

        Parameters
        ----------
        X, y, sample_weight : array-like
            Training images, class labels and sample weights, as in `fit`.

        classes : array-like of shape (n_classes,), default=None
            All class labels of all calls. Required in the first call.

        Returns
        -------
        self : ConvNetClassifier
            Fitted classifier.

        Raises
        ------
        ValueError
            If parameters or data are invalid, or the loss becomes infinite or NaN.
        """
        return self._fit(X, y, sample_weight, partial=True, classes=classes)

    def predict(self, X):
        """Predict class labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            Images.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predicted class labels.
        """
        best = self._scores(X).argmax(axis=1)
        return self.classes_[best]

    def decision_function(self, X):
        """Return the logits, of which that of the predicted class is the largest.

        With `test_time_augmentation`, and for networks that return probabilities of their own, they
        are logarithms of probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            Images.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes), dtype float64
            Logit of each class, in the order of `classes_`. Of two classes, their difference: the
            second is predicted where it is positive.
        """
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def _scores(self, X) -> np.ndarray:
        check_is_fitted(self)
        X = check_images(self, X)
        return predict_scores(self.net_, X, with_shifts=self.test_time_augmentation)

    def predict_proba(self, X):
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            Images.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes), dtype float64
            Probability of each class, in the order of `classes_`. Rows sum to one.
        """
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X):
        """Predict logarithms of class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            Images.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes), dtype float64
            Logarithm of the probability of each class, in the order of `classes_`.
        """
        check_is_fitted(self)
        X = check_images(self, X)
        return predict_log_proba(self.net_, X, with_shifts=self.test_time_augmentation)

    def score(self, X, y, sample_weight=None):
        """Return the accuracy.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            Images.

        y : array-like of shape (n_samples,)
            True class labels.

        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        score : float
            Accuracy, in [0, 1].
        """
        return accuracy(y, self.predict(X), sample_weight)

    def transform(self, X):
        """Return the last hidden layer of the network.

        Only available if the network has a method `features`, as all by name have.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            Images.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_features_out), dtype float32
            Inputs of the output layer.
        """
        check_is_fitted(self)
        return predict_features(self.net_, check_images(self, X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @property
    def _n_features_out(self):
        blank = np.zeros((1, self.n_features_in_), dtype=np.float32)
        return predict_features(self.net_, blank).shape[1]


# `set_output` wraps a method when the class is made, so the condition comes after it.
ConvNetClassifier.transform = available_if(_has_features)(  # type: ignore[method-assign]
    ConvNetClassifier.transform
)
