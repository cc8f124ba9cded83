"""Names of devices. There may be no GPU here: the CPU has names too, and missing ones are named."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sklearn_usps import (
    BatchedGridSearchCV,
    ConvNetClassifier,
    MultiTaskConvNetClassifier,
    load_model,
    save_model,
)
from sklearn_usps.training._config import find_device, find_saved_device

FAST = {"network": "luacnn", "max_epochs": 1, "random_state": 0}
N_CUDA = torch.cuda.device_count() if torch.cuda.is_available() else 0


@pytest.mark.parametrize("device", ["cpu", "cpu:0", torch.device("cpu"), torch.device("cpu", 0)])
def test_the_cpu_by_its_names(device, bars):
    X, y = bars
    expected = ConvNetClassifier(device="cpu", **FAST).fit(X, y).predict_proba(X)
    classifier = ConvNetClassifier(device=device, **FAST).fit(X, y)
    assert classifier.net_.device == "cpu"
    np.testing.assert_array_equal(classifier.predict_proba(X), expected)
    assert classifier.get_params()["device"] == clone(classifier).device == device
    assert f"device={device!r}" in repr(classifier)
    model = MultiTaskConvNetClassifier(ConvNetClassifier(device=device, **FAST)).fit(X, y)
    assert model.net_.device == "cpu"


@pytest.mark.parametrize("is_fitted", [True, False])
def test_saved_models_have_plain_values(is_fitted, bars, tmp_path):
    X, y = bars
    classifier = ConvNetClassifier(device=torch.device("cpu"), **FAST)
    if is_fitted:
        classifier.fit(X, y)
    save_model(classifier, tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops")
    copies = [loaded, pickle.loads(pickle.dumps(classifier)), copy.deepcopy(classifier)]
    assert [each.device for each in copies] == ["cpu"] * 3
    assert classifier.device == torch.device("cpu")


def test_a_search_over_devices(bars):
    grid = {"device": ["cpu", torch.device("cpu")], "lr": [0.01, 0.02]}
    search = BatchedGridSearchCV(ConvNetClassifier(**FAST), grid, cv=2).fit(*bars)
    by_name, by_object = search.cv_results_["mean_test_score"].reshape(2, 2)
    np.testing.assert_array_equal(by_name, by_object)


@pytest.mark.parametrize(
    "device",
    [
        *("gpu", "CUDA", "cuda:", "cuda:-1", "cuda:x", "cuda:1:2", " cpu", "meta", "xpu", "", "0"),
        *(torch.device("meta"), torch.device("xla")),
    ],
)
def test_other_devices_are_refused(device, bars):
    with pytest.raises(ValueError, match=rf"device must be .* Got '{device}' instead"):
        ConvNetClassifier(device=device, **FAST).fit(*bars)


@pytest.mark.parametrize(
    "device", [f"cuda:{N_CUDA}", torch.device("cuda", N_CUDA), "cpu:1", "mps:1", "cuda:999999999"]
)
def test_a_missing_device_is_named(device, bars):
    with pytest.raises(
        ValueError, match=rf"device='{device}' is not available: .* machine has (no|only) '"
    ):
        ConvNetClassifier(device=device, **FAST).fit(*bars)
    X, y = bars
    model = ConvNetClassifier(**FAST).fit(X, y).set_params(device=device)
    with pytest.warns(UserWarning, match=rf"device='{device}', which is not .* it predicts with"):
        loaded = pickle.loads(pickle.dumps(model))
    assert loaded.device == str(device)
    assert (loaded.predict(X) == model.predict(X)).mean() > 0.99  # on a GPU, up to rounding


@pytest.mark.skipif(N_CUDA == 0, reason="needs CUDA")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", torch.device("cuda", 0)])
def test_the_first_gpu_by_its_names(device, bars):
    X, y = bars
    assert find_device(device) == find_saved_device(device) == str(device)
    classifier = ConvNetClassifier(device=device, **FAST).fit(X, y)
    assert next(classifier.net_.module_.parameters()).device == torch.device("cuda", 0)
    loaded = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(loaded.predict_proba(X), classifier.predict_proba(X))
