"""A convolutional network as a scikit-learn classifier."""

from __future__ import annotations

from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._utils._sklearn import Interval, StrOptions, _check_partial_fit_first_call, _fit_context
from ..networks._registry import NETWORKS
from ..training._batches import batch_slices
from ..training._config import (
    DEVICES,
    OPTIMIZERS,
    fit_options,
    partial_fit_options,
)
from ..training._data import make_split
from ..training.optim._learning_rates import SCALINGS, SCHEDULES
from ._base import BaseConvNet
from ._validation import (
    accuracy,
    check_classes,
    check_images,
    check_training_images,
    check_validation_set,
    check_weights,
    encode,
    update_value_range,
)


def _has_features(classifier) -> bool:
    network = classifier._network[0] if hasattr(classifier, "net_") else classifier.network
    return hasattr(NETWORKS.get(network, network), "features")


class ConvNetClassifier(
    ClassNamePrefixFeaturesOutMixin, ClassifierMixin, TransformerMixin, BaseConvNet
):
    """Classifier of small grey images by a convolutional network.

    Training minimizes the cross-entropy over random batches of images that are deformed a little,
    differently in every epoch. The training itself is that of a :class:`skorch.NeuralNet`, which
    stays at hand in `net_`.

    Parameters
    ----------
    network : {"convnet", "lecun1989", "lenet5", "luacnn"} or class, default="convnet"
        The network.

        - "convnet": batch-normalized convolutions with rectifiers, and a linear layer.
          `network_params`: `n_channels`, the planes of each convolution, by default
          (16, 32, 32, 64, 64); `kernel_sizes`, by default 3 for each; `strides`, by default 1, and
          2 for every second; and `dropout`, by default 0.3.
        - "lecun1989": the first convolutional network trained by backpropagation [6]_, made for
          images 16 × 16 with values in [-1, 1]: 9,760 parameters, squared error. `network_params`:
          `background`, by default -1, the value beyond the border.
        - "lenet5": LeNet-5 [7]_, with a linear output layer: 60,850 parameters for ten classes.
        - "luacnn": the network of the luacnn demo [1]_: 2,338 parameters for images 16 × 16 of ten
          classes. `network_params`: `n_channels`, by default 6.
        - A :class:`torch.nn.Module` class, built as ``network(image_shape, n_classes,
          **network_params)``, whose `forward` takes images (n, 1, height, width) and returns
          scores (n, n_classes). Optional methods are ``loss(scores, targets)``, which returns a
          loss per sample instead of the cross-entropy, and ``log_proba(scores)``, which returns
          logarithms of probabilities instead of the log-softmax; with ``features(images)``, which
          returns the last hidden layer, there is a method `transform`. If the constructor takes a
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

    lr : float, default=0.02
        Learning rate, in (0, inf); with a schedule, the highest.

    momentum : float, default=0.9
        Momentum of the gradient descent, in [0, 1). "adamw" has none.

    weight_decay : float, default=0.01
        Decay of the weights, in [0, inf).

    lr_schedule : {"constant", "one-cycle", "cosine"}, default="one-cycle"
        How the learning rate changes from batch to batch. "one-cycle" rises from ``lr / 25`` to
        `lr` over the first 30 % of `max_epochs` and falls to almost zero over the rest [3]_;
        "cosine" falls from `lr` to zero [4]_.

    lr_scaling : {"none", "fan-in", "efficient-backprop"}, default="none"
        A learning rate for each layer of weighted sums. "fan-in": `lr` divided by the number of
        inputs of a unit [8]_ [9]_. "efficient-backprop": `lr` times the square root of this number
        or, where weights are shared, of the number of connections that share a weight ([10]_,
        section 4.7). The factors are divided by their geometric mean over the layers, so that `lr`
        keeps its meaning. Other parameters, as of batch normalization, have `lr` as it is.

    sampling : {"shuffle", "replacement"}, default="shuffle"
        Whether an epoch has all training samples in random order, or as many samples drawn
        independently of each other, in which some are missing and others come more than once.

    batch_size : int, default=128
        Number of images in a batch. When a single one is left over at the end of an epoch, it
        joins the batch before it. Batch normalization, as in "convnet", can't train on single
        images that are smaller than 5 × 5.

    max_epochs : int, default=20
        Number of passes over the training images, at most if `early_stopping`.

    label_smoothing : float, default=0.05
        Share of the target that is spread evenly over all classes, in [0, 1) [5]_. A network that
        brings its own loss ignores it.

    augmentation : "default", None or callable, default="default"
        What deforms the images in training: "default" is a :class:`~sklearn_usps.RandomDeformation`
        with its default parameters; None leaves them as they are; any other is called as
        ``augmentation(images, generator)`` with a float32 tensor (n, 1, height, width), the images
        of one or more batches, and returns such a tensor.

    test_time_augmentation : bool, default=False
        Whether probabilities are means of five: of the image as it is, and of it moved by one pixel
        up, down, to the left and to the right, its border repeated [11]_. This is a little more
        accurate and takes five times as long. Validation in training, and `net_`, go without.

    class_weight : dict, "balanced" or None, default=None
        What the samples of each class count in the training loss: a dict of labels and weights,
        one where a label is missing; "balanced" gives all classes the same sum of weights.
        Validation samples are not weighted by class.

    warm_start : bool, default=False
        Whether `fit` trains the network further that there is, with a new optimizer and the
        schedule from its beginning, instead of a new network.

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
        labels encoded as 0 to ``n_classes - 1``. An :class:`skorch.callbacks.LRScheduler` needs
        ``lr_schedule="constant"``. The history has a record for each batch only where a callback
        listens to batches; else for each block of them.

    device : {"auto", "cpu", "cuda", "mps"}, default="auto"
        Where to compute. "auto": "cuda" if there is one, else "mps" if there is one, else "cpu".

    random_state : int, RandomState instance or None, default=None
        Seeds the one generator that initial weights, order, deformation and dropout are drawn
        from. An int gives the same bits in each fit on the CPU at the same number of torch
        threads, whatever the state of torch's and numpy's global generators.

    verbose : int, default=0
        1 prints a line an epoch: its errors, its time and the time left. Its number is bold where
        the validation loss, which `early_stopping` goes by, is the smallest so far and standard
        output is a terminal; without a validation set none is. 2 shows a progress bar within the
        epoch as well, where standard error is a terminal.

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
        One dict per epoch: "epoch" (from 1), "train_loss" and "train_error" (weighted means over
        the epoch's samples as they were trained on, deformed and with dropout; the error is a share
        in [0, 1]), "lr" (at the beginning of the epoch), "duration" (in seconds) and, where there
        is a validation set, "valid_loss" and "valid_error" (after the epoch).

    n_iter_ : int
        Number of epochs that the network has been trained for.

    best_epoch_ : int
        The epoch that the weights are from. Only if `early_stopping`.

    n_parameters_ : int
        Number of trainable parameters of the network.

    See Also
    --------
    ImageNormalizer : Bring the pixels to mean zero and variance one.
    RandomDeformation : The deformation of the training images.
    save_model : Save a fitted classifier or pipeline in a file.

    Notes
    -----
    The defaults are meant for thousands of images. With fewer, more epochs of smaller batches pay:
    trained on 200 images of USPS, ``max_epochs=100, batch_size=32`` has 2 % error, the defaults
    12 %.

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
    .. [6] Y. LeCun, B. Boser, J. S. Denker, D. Henderson, R. E. Howard, W. Hubbard and L. D.
       Jackel, "Backpropagation Applied to Handwritten Zip Code Recognition", Neural Computation
       1(4):541-551, 1989. :doi:`10.1162/neco.1989.1.4.541`
    .. [7] Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning Applied to
       Document Recognition", Proceedings of the IEEE 86(11):2278-2324, 1998.
       :doi:`10.1109/5.726791`
    .. [8] D. C. Plaut and G. E. Hinton, "Learning sets of filters using back-propagation", Computer
       Speech and Language 2(1):35-61, 1987.
    .. [9] R. Collobert, J. Weston, L. Bottou, M. Karlen, K. Kavukcuoglu and P. Kuksa, "Natural
       Language Processing (Almost) from Scratch", JMLR 12:2493-2537, 2011, section 3.4.
    .. [10] Y. LeCun, L. Bottou, G. B. Orr and K.-R. Müller, "Efficient BackProp", in Neural
       Networks: Tricks of the Trade, Springer, 1998.
    .. [11] A. Krizhevsky, I. Sutskever and G. E. Hinton, "ImageNet Classification with Deep
       Convolutional Neural Networks", NIPS 2012, section 4.1.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn_usps import ConvNetClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    >>> clf = ConvNetClassifier(max_epochs=10, random_state=0).fit(X_train, y_train)
    >>> clf.image_shape_
    (8, 8)
    >>> clf.score(X_test, y_test)
    0.9...
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
        "lr_scaling": [StrOptions({"none", *SCALINGS})],
        "sampling": [StrOptions({"shuffle", "replacement"})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "augmentation": [StrOptions({"default"}), callable, None],
        "test_time_augmentation": ["boolean"],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "warm_start": ["boolean"],
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
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Train a network: a new one, or with `warm_start` the one that there is.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The training images.

        y : array-like of shape (n_samples,)
            Their class labels.

        sample_weight : array-like of shape (n_samples,), default=None
            What each sample counts in the loss, relative to the others. Samples of weight zero are
            left out.

        X_val : array-like of shape (n_val, n_features) or (n_val, height, width), default=None
            Validation images: their loss and error are recorded in `history_` after each epoch,
            and `early_stopping` goes by them. In a :class:`~sklearn.pipeline.Pipeline` they can be
            transformed as `X` is, with ``Pipeline(..., transform_input=["X_val"])``.

        y_val : array-like of shape (n_val,), default=None
            Their class labels.

        sample_weight_val : array-like of shape (n_val,), default=None
            What each of them counts in the validation loss and error.

        Returns
        -------
        self : ConvNetClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If parameters or data are not valid, or if the loss becomes infinite or NaN.
        """
        net, X, y = self._prepare(
            X, y, sample_weight, X_val=X_val, y_val=y_val, sample_weight_val=sample_weight_val
        )
        return self._train(net, X, y)

    def _prepare(
        self,
        X,
        y,
        sample_weight=None,
        *,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
        random_state=None,
    ):
        """All of `fit` but the training: check the data, learn the classes, make the net."""
        continuing = self.warm_start and hasattr(self, "net_")
        if not continuing and hasattr(self, "net_"):
            del self.net_  # not to stay beside the classes of a fit that fails
        X, y = check_training_images(self, X, y, reset=not continuing)
        classes = np.unique(y)
        if continuing and not np.array_equal(classes, self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {classes}"
            )
        self.classes_ = classes
        weights = check_weights(sample_weight, X)
        y = encode(classes, y)
        random_state = check_random_state(
            self.random_state if random_state is None else random_state
        )
        seed = int(random_state.randint(np.iinfo(np.int32).max))
        valid = check_validation_set(
            self, X_val, y_val, sample_weight_val, lambda y_val: encode(classes, y_val, "y_val")
        )
        split = make_split(
            y,
            classes,
            weights,
            self.class_weight,
            valid=valid,
            fraction=self.validation_fraction if self.early_stopping else None,
            random_state=random_state,
        )
        _check_two_classes(y, split)
        previous = self.net_ if continuing else None
        n_batches = len(batch_slices(len(split.train_rows), self.batch_size))
        net = self._make_net(seed, previous, fit_options(self, split, n_batches))
        update_value_range(self, X)
        return net, X, y

    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one epoch, at the constant learning rate `lr`.

        The network, its optimizer and its random numbers go on from where they are, after `fit`
        as after `partial_fit`; the first call makes a new network. `lr_schedule` and `max_epochs`
        are ignored.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The training images.

        y : array-like of shape (n_samples,)
            Their class labels.

        classes : array-like of shape (n_classes,), default=None
            The labels of all calls, of which `y` may lack some. To be given on the first call.

        sample_weight : array-like of shape (n_samples,), default=None
            What each sample counts in the loss, relative to the others. Samples of weight zero are
            left out.

        Returns
        -------
        self : ConvNetClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If parameters or data are not valid, or if the loss becomes infinite or NaN.
        """
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit. In order to use "
                "'balanced' weights, use compute_class_weight('balanced', classes=classes, y=y) "
                "and pass them as a dict."
            )
        previous = getattr(self, "net_", None)
        X, y = check_training_images(self, X, y, reset=previous is None)
        classes = None if classes is None else check_classes(classes)
        _check_partial_fit_first_call(self, classes)
        weights = check_weights(sample_weight, X)
        y = encode(self.classes_, y)
        split = make_split(y, self.classes_, weights, self.class_weight)
        random_state = check_random_state(self.random_state)
        seed = int(random_state.randint(np.iinfo(np.int32).max))
        net = self._make_net(seed, previous, partial_fit_options(self, split))
        if previous is not None and type(net.optimizer_) is type(previous.optimizer_):
            net.optimizer_.state.update(previous.optimizer_.state)
        update_value_range(self, X)
        return self._train(net, X, y)

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
        return self.net_.log_proba(check_images(self, X), self.test_time_augmentation).numpy()

    def score(self, X, y, sample_weight=None):
        """Return the share of samples whose label is predicted.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The images.

        y : array-like of shape (n_samples,)
            Their true labels.

        sample_weight : array-like of shape (n_samples,), default=None
            What each sample counts.

        Returns
        -------
        score : float
            The accuracy, in [0, 1].
        """
        return accuracy(y, self.predict(X), sample_weight)

    def transform(self, X):
        """Return the last hidden layer of the network.

        Only available if the network has a method `features`, as all networks by name have.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width)
            The images.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_features_out), dtype float32
            The values that the output layer gets.
        """
        check_is_fitted(self)
        return self.net_.features(check_images(self, X)).numpy()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @property
    def _n_features_out(self):
        blank = np.zeros((1, self.n_features_in_), dtype=np.float32)
        return self.net_.features(blank).shape[1]


# What set_output adds to a method it adds when the class is made, so the condition comes after it.
ConvNetClassifier.transform = available_if(_has_features)(  # type: ignore[method-assign]
    ConvNetClassifier.transform
)


def _check_two_classes(y, split) -> None:
    n_classes = len(np.unique(y[split.train_rows]))
    if n_classes < 2:
        trimmed = len(np.unique(y)) > n_classes
        raise ValueError(
            f"The number of classes has to be greater than one; got {n_classes} class"
            + " after sample_weight and class_weight trimmed those of weight zero" * trimmed
        )
