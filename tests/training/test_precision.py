"""Training in bfloat16."""

import warnings

import numpy as np
import pytest
import torch

from sklearn_usps import ConvNetClassifier, MultiTaskConvNetClassifier
from sklearn_usps.training._config import has_fast_bfloat16

PARAMS = {"max_epochs": 3, "batch_size": 32, "device": "cpu", "random_state": 0}
needs_amx = pytest.mark.skipif(
    not has_fast_bfloat16("cpu"), reason="the processor has no fast bfloat16"
)


def weights(classifier):
    parameters = classifier.net_.module_.parameters()
    return torch.cat([parameter.detach().flatten() for parameter in parameters])


@needs_amx
@pytest.mark.parametrize("network", ["convnet", "lecun1989", "lenet5", "luacnn"])
def test_a_fit_in_bfloat16_is_reproducible_and_near_that_in_float32(network, bars):
    X, y = bars
    params = {**PARAMS, "network": network, "max_epochs": 20}
    fits = [
        ConvNetClassifier(precision=precision, **params).fit(X[:90], y[:90])
        for precision in ("float32", "bfloat16", "bfloat16")
    ]
    full, half, again = map(weights, fits)
    assert torch.equal(half, again)
    assert not torch.equal(half, full)
    assert half.dtype == torch.float32
    accuracies = [classifier.score(X[90:], y[90:]) for classifier in fits]
    assert min(accuracies) > 0.5


@needs_amx
def test_predictions_and_validation_are_in_float32(bars):
    X, y = bars
    params = {**PARAMS, "precision": "bfloat16", "label_smoothing": 0.0}
    classifier = ConvNetClassifier(**params).fit(X, y, X_val=X, y_val=y)
    of_true = classifier.predict_log_proba(X)[np.arange(len(y)), y]
    assert classifier.history_[-1]["valid_loss"] == pytest.approx(-of_true.mean(), rel=1e-5)
    network = classifier.net_.module_
    with torch.no_grad():
        logits = network(torch.from_numpy(X.astype(np.float32)).view(-1, 1, 16, 16))
    np.testing.assert_allclose(classifier.decision_function(X), logits, atol=1e-4)


@needs_amx
def test_autocast_of_the_program_changes_nothing(bars):
    X, y = bars
    expected = ConvNetClassifier(precision="bfloat16", **PARAMS).fit(X, y)
    with torch.autocast("cpu", torch.bfloat16):
        classifier = ConvNetClassifier(precision="bfloat16", **PARAMS).fit(X, y)
    assert torch.equal(weights(classifier), weights(expected))


@needs_amx
def test_tasks_are_trained_in_bfloat16(bars):
    X, y = bars
    task = np.where(np.arange(len(y)) % 2, "a", "b")
    fits = [
        MultiTaskConvNetClassifier(ConvNetClassifier(precision=precision, **PARAMS)).fit(
            X, y, task=task
        )
        for precision in ("float32", "bfloat16")
    ]
    assert not torch.equal(*map(weights, fits))


def test_float32_is_used_where_bfloat16_would_be_slower(bars, monkeypatch):
    """The warning says so; the processors of the tests have AMX, so that another is simulated."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    with pytest.warns(
        UserWarning, match="precision='bfloat16' is slower than 'float32' on this CPU"
    ):
        slower = ConvNetClassifier(precision="bfloat16", **PARAMS).fit(*bars)
    assert torch.equal(weights(slower), weights(ConvNetClassifier(**PARAMS).fit(*bars)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        slower.predict(bars[0])
