"""Experiments by name: published ones and fast settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from .._utils._sklearn import StrOptions, validate_params
from ..neural_network import ConvNetClassifier
from ..preprocessing import ImageNormalizer, RandomDeformation


class Recipe(NamedTuple):
    """An experiment: its data, its published result and its estimator."""

    #: The version of the digits, as in `fetch_usps`.
    version: str
    #: The published errors, if any.
    published: str | None
    #: The publication of the experiment or of the idea behind it.
    source: str
    #: A function that takes a random state and returns the estimator.
    make: Callable[[Any], Any]


def _luacnn(random_state, **changes):
    """Return the demo's classifier: 100,000 steps of gradient descent, each on one random image."""
    return ConvNetClassifier(
        network="luacnn",
        optimizer="sgd",
        lr=0.01,
        momentum=0.0,
        weight_decay=0.0,
        lr_schedule="constant",
        sampling="replacement",
        batch_size=1,
        max_epochs=10,
        label_smoothing=0.0,
        augmentation=None,
        random_state=random_state,
    ).set_params(**changes)


def _luacnn_normalized(random_state):
    return make_pipeline(ImageNormalizer(), _luacnn(random_state))


def _minibatch(random_state):
    augmentation = RandomDeformation(
        rotation=10, scale=0.1, shear=0.15, shift=0.0625, elastic_displacement=0.027
    )
    classifier = ConvNetClassifier(
        network="luacnn",
        optimizer="adamw",
        lr=0.02,
        batch_size=64,
        max_epochs=20,
        label_smoothing=0.0,
        augmentation=augmentation,
        random_state=random_state,
    )
    return make_pipeline(ImageNormalizer(), classifier)


def _fast(random_state, *, lr=0.1, batch_size=176, max_epochs=3):
    params = {"n_channels": (16, 32, 64), "strides": (2, 2, 2), "dropout": 0.0}
    classifier = ConvNetClassifier(
        network_params=params,
        lr=lr,
        batch_size=batch_size,
        max_epochs=max_epochs,
        augmentation=None,
        random_state=random_state,
    )
    return make_pipeline(ImageNormalizer(), classifier)


def _best(random_state):
    classifier = ConvNetClassifier(
        network_params={"n_channels": (32, 64, 64, 128, 128)},
        max_epochs=32,
        test_time_augmentation=True,
        random_state=random_state,
    )
    return make_pipeline(ImageNormalizer(), classifier)


def _lecun1989(random_state):
    """Return the paper's network with its number of passes and its input range, [-1, 1]."""
    changes = {
        "network": "lecun1989",
        "lr": 0.002,
        "lr_scaling": "second-derivatives",
        "sampling": "shuffle",
        "max_epochs": 23,
    }
    # NumPy's function, so that a saved model refers to no function of this package.
    scaler = FunctionTransformer(
        np.interp, kw_args={"xp": [0, 1], "fp": [-1, 1]}, feature_names_out="one-to-one"
    )
    return make_pipeline(scaler, _luacnn(random_state, **changes))


_IDEAS = 'H. Penedones, luacnn, "Possible Improvements"'
_LECUN = "training error 0.14 %, test error 5.0 %"
_CHOSEN = "settings chosen by cross-validation on training images"

#: All experiments, by name.
RECIPES: dict[str, Recipe] = {
    "luacnn": Recipe("luacnn", "test error 3-4 %", "H. Penedones, luacnn", _luacnn),
    "luacnn-normalized": Recipe("luacnn", None, _IDEAS, _luacnn_normalized),
    "luacnn-fan-in": Recipe("luacnn", None, _IDEAS, partial(_luacnn, lr_scaling="fan-in")),
    "luacnn-efficient-backprop": Recipe(
        "luacnn", None, _IDEAS, partial(_luacnn, lr_scaling="efficient-backprop")
    ),
    "luacnn-early-stopping": Recipe("luacnn", None, _IDEAS, partial(_luacnn, early_stopping=True)),
    "minibatch": Recipe("luacnn", None, _CHOSEN, _minibatch),
    "fast": Recipe("roweis", None, _CHOSEN, _fast),
    "one-pass": Recipe(
        "roweis", None, _CHOSEN, partial(_fast, lr=0.06, batch_size=64, max_epochs=1)
    ),
    "best": Recipe("roweis", None, _CHOSEN, _best),
    "lecun1989": Recipe("zip", _LECUN, "LeCun et al., 1989", _lecun1989),
}


@validate_params(
    {"name": [StrOptions(set(RECIPES))], "random_state": ["random_state"]},
    prefer_skip_nested_validation=True,
)
def recipe(name, *, random_state=None):
    """Return the estimator of an experiment.

    ``python -m sklearn_usps reproduce NAME`` trains and tests it.

    Parameters
    ----------
    name : str
        The experiment. ``RECIPES[name]`` holds the version of the digits it is meant for, the
        published errors and their source.

        - "luacnn": the luacnn demo [1]_, a small network trained by 100,000 steps of stochastic
          gradient descent at a learning rate of 0.01, each on one image drawn at random. The
          published test error is 3-4 % on the version "luacnn".
        - "luacnn-normalized": the demo with normalized pixels. This and the next three are
          improvements that its author suggests.
        - "luacnn-fan-in", "luacnn-efficient-backprop": the demo with learning rates per layer that
          depend on the number of connections, as in [2]_ and [3]_.
        - "luacnn-early-stopping": the demo with early stopping on a tenth of the training images.
        - "minibatch": the demo's network with normalized pixels and random deformation, trained in
          seconds by AdamW with a one-cycle learning rate and batches of 64. The settings were
          chosen by cross-validation on the training images of "roweis".
        - "fast": a small batch-normalized network that trains in about a second on two cores, in
          batches of 176 images. Its error is lower than that of a support vector classifier. The
          settings were chosen by cross-validation on the training images of "roweis" and "zip".
        - "one-pass": the network of "fast", trained by one pass over the images.
        - "best": the default network with twice as many channels and 32 epochs, whose probabilities
          are averaged over shifts of the image. It trains about four times as long as the default.
        - "lecun1989": the network of [4]_ after 23 passes over the training images, one image a
          step, with learning rates from second derivatives as in the paper. The published training
          error is 0.14 % and the test error 5.0 % on the version "zip". The paper does not state
          its global rate; this one was chosen on training images.

        "fast", "one-pass" and "best" are meant for thousands of images: with few, they make too few
        steps, while the default makes more epochs.

    random_state : int, RandomState instance or None, default=None
        The `random_state` of the :class:`~sklearn_usps.ConvNetClassifier`.

    Returns
    -------
    estimator : ConvNetClassifier or Pipeline
        The estimator, not fitted.

    Raises
    ------
    ValueError
        If `name` is not the name of an experiment.

    References
    ----------
    .. [1] H. Penedones, luacnn, https://github.com/hpenedones/luacnn
    .. [2] D. C. Plaut and G. E. Hinton, "Learning sets of filters using back-propagation", Computer
       Speech and Language 2(1):35-61, 1987.
    .. [3] Y. LeCun, L. Bottou, G. B. Orr and K.-R. Müller, "Efficient BackProp", in Neural
       Networks: Tricks of the Trade, Springer, 1998, section 4.7.
    .. [4] Y. LeCun, B. Boser, J. S. Denker, D. Henderson, R. E. Howard, W. Hubbard and L. D.
       Jackel, "Backpropagation Applied to Handwritten Zip Code Recognition", Neural Computation
       1(4):541-551, 1989. :doi:`10.1162/neco.1989.1.4.541`

    Examples
    --------
    >>> from sklearn_usps.recipes import RECIPES, recipe
    >>> RECIPES["luacnn"].published
    'test error 3-4 %'
    >>> recipe("luacnn", random_state=0).lr
    0.01
    """
    return RECIPES[name].make(random_state)
