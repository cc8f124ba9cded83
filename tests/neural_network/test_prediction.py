"""Probabilities and decision functions, and bits that do not depend on the other images."""

import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from torch import nn

from sklearn_usps import ConvNetClassifier, MultiTaskConvNetClassifier
from sklearn_usps.networks._registry import NETWORKS

PARAMS = {"max_epochs": 1, "batch_size": 256, "random_state": 0}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X / 8 - 1, y


class OwnProbabilities(nn.Module):
    """A network of a user whose largest logit is not the most probable class."""

    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(image_shape[0] ** 2, n_classes))

    def forward(self, images):
        return self.layers(images)

    def loss(self, logits, targets):
        return nn.functional.cross_entropy(-logits, targets, reduction="none")

    def log_proba(self, logits):
        return (-logits).log_softmax(1)


MODELS = {
    **{name: {"network": name} for name in NETWORKS},
    "test-time augmentation": {"test_time_augmentation": True},
    "own probabilities": {"network": OwnProbabilities},
}
METHODS = ("predict_proba", "predict_log_proba", "decision_function")


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.uint8])
@pytest.mark.parametrize("params", MODELS.values(), ids=MODELS)
def test_probabilities_are_float64_and_sum_to_one(params, dtype, digits):
    X, y = (8 * (digits[0] + 1)).astype(dtype), digits[1]
    classifier = ConvNetClassifier(**PARAMS | params).fit(X, y)
    for method in METHODS:
        assert getattr(classifier, method)(X).dtype == np.float64
    proba = classifier.predict_proba(X)
    assert abs(proba.sum(axis=1) - 1).max() < 1e-12
    assert np.isfinite(log_loss(y, proba))


@pytest.mark.parametrize("method", [*METHODS, "transform"])
@pytest.mark.parametrize("params", [MODELS[name] for name in [*NETWORKS, "test-time augmentation"]])
def test_an_image_has_the_same_bits_alone_and_among_others(params, method, digits):
    X, y = digits
    classifier = ConvNetClassifier(**PARAMS | params).fit(X, y)
    predict = getattr(classifier, method)
    values = predict(X)
    for rows in ([0], [47], [48], range(5), range(47), range(40, 101), [*range(500, 0, -7)]):
        np.testing.assert_array_equal(predict(X[rows]), values[rows])


PROGRAM = """
import numpy as np, torch
from sklearn_usps import ConvNetClassifier

torch.set_num_threads(4)
X = np.random.default_rng(0).random((60, 28, 28), dtype=np.float32)
classifier = ConvNetClassifier(max_epochs=1, random_state=0).fit(X, np.arange(60) % 2)
whole = classifier.predict_proba(X)
assert all((classifier.predict_proba(X[i:]) == whole[i:]).all() for i in range(0, 60, 3))
"""


def test_an_image_has_the_same_bits_on_an_older_processor():
    # Intel's libraries compute as without AVX-512; on other processors, as usual.
    older = {"MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    command = [sys.executable, "-c", PROGRAM]
    subprocess.run(command, env=os.environ | older, check=True, timeout=120)


def test_large_images_are_predicted_alone():
    X = np.random.default_rng(0).random((3, 200, 200), dtype=np.float32)
    params = PARAMS | {"network_params": {"n_channels": (2, 2)}, "augmentation": None}
    classifier = ConvNetClassifier(**params).fit(X, [0, 1, 0])
    np.testing.assert_array_equal(
        classifier.predict_proba(X)[1:2], classifier.predict_proba(X[1:2])
    )


@pytest.mark.parametrize("params", MODELS.values(), ids=MODELS)
def test_the_decision_function_decides(params, digits):
    X, y = digits
    classifier = ConvNetClassifier(**PARAMS | params).fit(X, y)
    scores = classifier.decision_function(X)
    assert scores.shape == (len(X), 10)
    np.testing.assert_array_equal(classifier.classes_[scores.argmax(axis=1)], classifier.predict(X))
    # Logits or their log-softmax: either gives the probabilities.
    proba = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
    np.testing.assert_allclose(proba, classifier.predict_proba(X), rtol=1e-12)


@pytest.mark.parametrize("params", MODELS.values(), ids=MODELS)
def test_the_decision_function_of_two_classes(params, digits):
    X, y = digits[0], np.where(digits[1] < 5, "low", "high")
    classifier = ConvNetClassifier(**PARAMS | params).fit(X, y)
    scores = classifier.decision_function(X)
    assert scores.shape == (len(X),)
    expected = np.where(scores > 0, classifier.classes_[1], classifier.classes_[0])
    np.testing.assert_array_equal(expected, classifier.predict(X))


def test_the_decision_function_of_logits(digits):
    classifier = ConvNetClassifier(**PARAMS).fit(*digits)
    logits = classifier.net_.forward(digits[0]).numpy()
    np.testing.assert_array_equal(classifier.decision_function(digits[0]), logits)


def test_the_decision_function_within_tasks(digits):
    X, y = digits
    task = np.where(y < 5, "low", "high")
    classifier = MultiTaskConvNetClassifier(ConvNetClassifier(**PARAMS)).fit(X, y, task=task)
    scores = classifier.decision_function(X, task=task)
    np.testing.assert_array_equal(np.isneginf(scores), (np.arange(10) < 5) != (y < 5)[:, None])
    np.testing.assert_array_equal(scores.argmax(axis=1), classifier.predict(X, task=task))
    assert abs(classifier.predict_proba(X, task=task).sum(axis=1) - 1).max() < 1e-12


def test_values_for_which_the_network_overflows_are_refused(digits):
    classifier = ConvNetClassifier(**PARAMS).fit(*digits)
    X = np.array(digits[0][:50])
    X[40] = 3e38
    with (
        pytest.warns(UserWarning, match="Scale X as in fit"),
        pytest.raises(ValueError, match="NaN for image 40 of X"),
    ):
        classifier.predict(X)
