"""Experiments by name: published ones, and some for little time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from ._utils._sklearn import StrOptions, validate_params
from .neural_network import ConvNetClassifier
from .preprocessing import ImageNormalizer, RandomDeformation

__all__ = ["RECIPES", "Recipe", "recipe"]


class Recipe(NamedTuple):
    """What was published of an experiment, and how to set it up."""

    #: The version of the digits, as in `fetch_usps`.
    version: str
    #: The published figures, None where there are none.
    published: str | None
    #: Where the experiment, or the idea to it, was published.
    source: str
    #: Makes the estimator from a random state.
    make: Callable[[Any], Any]


def _luacnn(random_state, **changes):
    """The training of the demo: 100,000 steps on one random sample each."""
    options = {
        "network": "luacnn",
        "optimizer": "sgd",
        "lr": 0.01,
        "momentum": 0.0,
        "weight_decay": 0.0,
        "lr_schedule": "constant",
        "sampling": "replacement",
        "batch_size": 1,
        "max_epochs": 10,
        "label_smoothing": 0.0,
        "augmentation": None,
    }
    return ConvNetClassifier(**{**options, **changes}, random_state=random_state)


def _luacnn_normalized(random_state):
    return make_pipeline(ImageNormalizer(), _luacnn(random_state))


def _luacnn_fan_in(random_state):
    return _luacnn(random_state, lr_scaling="fan-in")


def _luacnn_efficient_backprop(random_state):
    return _luacnn(random_state, lr_scaling="efficient-backprop")


def _luacnn_early_stopping(random_state):
    return _luacnn(random_state, early_stopping=True)


def _minibatch(random_state):
    """The demo's network, trained as well as cross-validation on training images found."""
    classifier = ConvNetClassifier(
        network="luacnn",
        lr=0.02,
        batch_size=64,
        max_epochs=20,
        label_smoothing=0.0,
        augmentation=RandomDeformation(
            rotation=10, scale=0.1, shear=0.15, shift=1, elastic_alpha=8
        ),
        random_state=random_state,
    )
    return make_pipeline(ImageNormalizer(), classifier)


def _fast(random_state, **changes):
    """A small network, trained as cross-validation found best for the time."""
    options = {
        "network_params": {
            "n_channels": (24, 32),
            "kernel_sizes": (5, 3),
            "strides": (3, 1),
            "dropout": 0.0,
        },
        "lr": 0.06,
        "max_epochs": 3,
        "augmentation": None,
    }
    classifier = ConvNetClassifier(**{**options, **changes}, random_state=random_state)
    return make_pipeline(ImageNormalizer(), classifier)


def _one_pass(random_state):
    return _fast(random_state, lr=0.04, batch_size=48, max_epochs=1)


def _lecun1989(random_state):
    """The paper's network, passes and input in [-1, 1], by plain gradient descent."""
    classifier = _luacnn(
        random_state, network="lecun1989", lr=0.03, sampling="shuffle", max_epochs=23
    )
    # A function of numpy's, so that a saved model holds none of ours.
    scaler = FunctionTransformer(
        np.interp, kw_args={"xp": [0, 1], "fp": [-1, 1]}, feature_names_out="one-to-one"
    )
    return make_pipeline(scaler, classifier)


_IDEAS = 'H. Penedones, luacnn, "Possible Improvements"'
_CHOSEN = "settings chosen by cross-validation on training images"

#: The experiments that there are, by name.
RECIPES: dict[str, Recipe] = {
    "luacnn": Recipe("luacnn", "test error 3-4 %", "H. Penedones, luacnn", _luacnn),
    "luacnn-normalized": Recipe("luacnn", None, _IDEAS, _luacnn_normalized),
    "luacnn-fan-in": Recipe("luacnn", None, _IDEAS, _luacnn_fan_in),
    "luacnn-efficient-backprop": Recipe("luacnn", None, _IDEAS, _luacnn_efficient_backprop),
    "luacnn-early-stopping": Recipe("luacnn", None, _IDEAS, _luacnn_early_stopping),
    "minibatch": Recipe("luacnn", None, _CHOSEN, _minibatch),
    "fast": Recipe("roweis", None, _CHOSEN, _fast),
    "one-pass": Recipe("roweis", None, _CHOSEN, _one_pass),
    "lecun1989": Recipe(
        "zip", "training error 0.14 %, test error 5.0 %", "LeCun et al., 1989", _lecun1989
    ),
}


@validate_params(
    {"name": [StrOptions(set(RECIPES))], "random_state": ["random_state"]},
    prefer_skip_nested_validation=True,
)
def recipe(name, *, random_state=None):
    """Return an estimator set up as in an experiment.

    ``python -m sklearn_usps reproduce NAME`` trains and tests it.

    Parameters
    ----------
    name : str
        The experiment. ``RECIPES[name]`` has the version of the digits that it is meant for, the
        published figures and their source.

        - "luacnn": the demo [1]_: a small network trained by 100,000 steps of stochastic gradient
          descent at rate 0.01, each on one image drawn at random. Test error 3-4 % on the version
          "luacnn".
        - "luacnn-normalized", "luacnn-fan-in", "luacnn-efficient-backprop",
          "luacnn-early-stopping": the same with one improvement that the demo suggests without a
          figure. The pixels are normalized; the rates of the layers depend on the number of
          connections, in the way of [2]_ or in that of [3]_; a tenth of the training images
          chooses the epoch whose weights are kept.
        - "minibatch": the network of the demo, trained in seconds to less error: normalized pixels,
          deformed images, and AdamW with a one-cycle rate in batches of 64. The settings were
          chosen by cross-validation on the training images of the version "roweis".
        - "fast": a small batch-normalized network, trained in 0.6 seconds on two cores; on "roweis"
          to less error than a support vector classifier reaches. The settings were chosen by
          cross-validation on the training images of the versions "roweis" and "zip".
        - "one-pass": the same network, trained by one pass over the images.
        - "lecun1989": the network of [4]_ after 23 passes over the training images, one at a time.
          Training error 0.14 %, test error 5.0 % on the version "zip". The paper's rates come from
          second derivatives; here the gradient descent is plain, at a rate that was chosen on
          the training images.

    random_state : int, RandomState instance or None, default=None
        The `random_state` of the :class:`~sklearn_usps.ConvNetClassifier`.

    Returns
    -------
    estimator : ConvNetClassifier or Pipeline
        The estimator, not fitted.

    Raises
    ------
    ValueError
        If there is no such experiment.

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
