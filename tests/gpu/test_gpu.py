"""Fits and predictions on a GPU: of Nvidia, by captured steps, or of a Mac.

`make test` runs them in a process that sees the GPUs; see tests/conftest.py. Fits on a GPU with the
same seed have the same bits. Against the CPU there is a tolerance: convolutions are computed in
TF32, with 10 bits of the mantissa.
"""

import logging
import os
import pickle

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback
from torch import nn

from sklearn_usps import (
    BatchedGridSearchCV,
    ConvNetClassifier,
    ImageNormalizer,
    MultiTaskConvNetClassifier,
    load_model,
    save_model,
)
from sklearn_usps.networks._registry import NETWORKS
from sklearn_usps.training._config import find_device
from sklearn_usps.training.gpu import _captured_steps, _cuda
from sklearn_usps.training.gpu._captured_steps import CapturedSteps

IS_HIDDEN = not os.environ.get("SKLEARN_USPS_TEST_GPU")
pytestmark = [
    pytest.mark.skipif(IS_HIDDEN, reason="SKLEARN_USPS_TEST_GPU is not set"),
    pytest.mark.skipif(find_device("auto") == "cpu", reason="no GPU here"),
]
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU of Nvidia here")
FAST = {"max_epochs": 4, "batch_size": 16, "lr": 0.01, "random_state": 0}
#: Absolute and relative tolerance of losses.
TOLERANCE = {"atol": 0.02, "rtol": 0.02}


def weights(model):
    return {name: w.cpu().numpy() for name, w in model.net_.module_.state_dict().items()}


def assert_same_bits(model, expected):
    for name, value in weights(expected).items():
        np.testing.assert_array_equal(weights(model)[name], value, name)
    for row, other in zip(model.history_, expected.history_, strict=True):
        assert {**row, "dur": 0} == {**other, "dur": 0}


def losses(model):
    return [row["train_loss"] for row in model.history_]


# Captured steps


class EachBatch(Callback):
    """A callback of batches, for which steps are not captured."""

    def on_batch_end(self, net, **kwargs):
        pass


@needs_cuda
@pytest.mark.parametrize("schedule", ["constant", "one-cycle"])
@pytest.mark.parametrize("optimizer", ["adamw", "muon", "sgd"])
@pytest.mark.parametrize("network", sorted(NETWORKS))
def test_captured_steps(network, optimizer, schedule, bars, caplog):
    X, y = bars
    X, y = X[:115], y[:115]  # seven batches of 16, and one of 3
    params = {**FAST, "network": network, "optimizer": optimizer, "lr_schedule": schedule}
    with caplog.at_level(logging.DEBUG, logger=_captured_steps.__name__):
        model, again = (ConvNetClassifier(**params).fit(X, y) for _ in range(2))
    assert not caplog.messages  # that a capture failed
    assert_same_bits(model, again)
    # Steps that are not captured compute the same, but for the rounding of learning rates.
    eager = ConvNetClassifier(callbacks=[EachBatch()], **params).fit(X, y)
    np.testing.assert_allclose(losses(model), losses(eager), **TOLERANCE)


@needs_cuda
@pytest.mark.parametrize(
    "params",
    [
        {"lr_scaling": "fan-in"},
        {"early_stopping": True, "n_iter_no_change": 2, "max_epochs": 12},
        {"class_weight": {0: 0.5}, "network_params": {"dropout": 0.5}},
        {"precision": "bfloat16"},
        {"sampling": "replacement", "augmentation": None, "max_time": 1e6, "max_epochs": 9},
    ],
)
def test_captured_steps_with_other_parameters(params, bars, caplog):
    X, y = bars
    sample_weight = np.random.default_rng(0).random(len(y))
    with caplog.at_level(logging.DEBUG, logger=_captured_steps.__name__):
        for weight in (None, sample_weight):
            models = [ConvNetClassifier(**{**FAST, **params}) for _ in range(2)]
            assert_same_bits(*(each.fit(X, y, weight) for each in models))
    assert not caplog.messages


def repeat(step, network, n_batches, *, sizes=(8,)):
    """Call captured steps on batches of equal images, and return their outputs."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    generator = torch.Generator(torch.device("cuda", torch.cuda.current_device())).manual_seed(0)
    outputs = []
    with _cuda.own_stream("cuda"):
        steps = CapturedSteps(
            lambda batch, _: step(batch[0], optimizer, generator), optimizer, generator
        )
        for _ in range(n_batches):
            for size in sizes:
                batch = torch.ones(size, 4, device="cuda"), torch.zeros(size)
                outputs.append(steps(batch, None)["loss"].item())
    return outputs


@needs_cuda
def test_a_replay_draws_new_numbers():
    network = nn.Linear(4, 2, device="cuda")

    def step(images, optimizer, generator):
        noise = torch.rand(3, device="cuda", generator=generator)
        return {"loss": noise.sum() + 0 * network(images).sum().detach()}

    assert len(set(repeat(step, network, 8))) == 8


@needs_cuda
def test_images_that_do_not_fit_are_copied_in_blocks(bars, monkeypatch):
    X, y = bars
    expected = ConvNetClassifier(**FAST).fit(X, y)
    monkeypatch.setattr(_cuda, "_SHARE_OF_MEMORY", 0)
    assert_same_bits(ConvNetClassifier(**FAST).fit(X, y), expected)


@needs_cuda
def test_large_arrays_are_copied_in_parts(bars, monkeypatch):
    X, y = bars
    classifier = ConvNetClassifier(**FAST).fit(X, y)
    expected = classifier.decision_function(X)
    monkeypatch.setattr(_cuda, "BLOCK_PIXELS", 50 * 256)
    assert_same_bits(ConvNetClassifier(**FAST).fit(X, y), classifier)
    np.testing.assert_array_equal(classifier.decision_function(X), expected)


# Everything else, on any GPU


@pytest.mark.parametrize("network", sorted(NETWORKS))
def test_the_cpu_and_the_gpu_agree(network, bars):
    X, y = bars
    params = {**FAST, "network": network, "augmentation": None}
    if network == "convnet":
        params["network_params"] = {"dropout": 0.0}  # other numbers on the GPU
    on_gpu, on_cpu = (
        ConvNetClassifier(device=device, **params).fit(X, y) for device in ("auto", "cpu")
    )
    assert on_gpu.net_.device != "cpu"
    np.testing.assert_allclose(losses(on_gpu), losses(on_cpu), atol=0.1)
    moved = pickle.loads(pickle.dumps(on_gpu.set_params(device="cpu")))
    assert moved.net_.device == "cpu"
    on_gpu.set_params(device="auto")
    np.testing.assert_allclose(moved.predict_proba(X), on_gpu.predict_proba(X), atol=0.02)


def test_an_image_has_the_same_probabilities_alone(bars):
    X, y = bars
    model = ConvNetClassifier(**FAST).fit(X, y)
    many = np.tile(X, (1000, 1))  # of more than one block
    proba = model.predict_proba(many)
    np.testing.assert_array_equal(model.predict_proba(many.astype(np.float64)), proba)
    np.testing.assert_allclose(proba[: len(X)], proba[-len(X) :], atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(X[:1]), proba[:1], atol=1e-6)
    features = model.transform(X)
    np.testing.assert_allclose(model.transform(many)[-len(X) :], features, atol=1e-4, rtol=1e-4)


def test_images_of_other_dtypes_and_on_disk(bars, tmp_path):
    X, y = bars
    X = (255 * X).round().astype(np.uint8)
    on_disk = np.memmap(tmp_path / "X", dtype=X.dtype, shape=X.shape, mode="w+")
    on_disk[:] = X
    model = ConvNetClassifier(**FAST).fit(X, y)
    other = ConvNetClassifier(**FAST).fit(on_disk, y)
    assert_same_bits(model, other)
    np.testing.assert_array_equal(model.predict_proba(X), other.predict_proba(on_disk))


def test_training_goes_on(bars, tmp_path):
    X, y = bars
    model = ConvNetClassifier(**FAST).partial_fit(X, y, classes=[0, 1, 2])
    save_model(model, tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops")
    for each in (model, loaded):
        each.partial_fit(X, y)
    assert_same_bits(model, loaded)
    assert len(model.history_) == 2
    warm = ConvNetClassifier(**FAST, warm_start=True).fit(X, y).fit(X, y)
    assert len(warm.history_) == 8
    assert losses(warm)[-1] < losses(warm)[0]


class Linear(nn.Module):
    """A user's network, which draws from torch's global generator."""

    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(256, n_classes))

    def forward(self, images):
        return self.layers(images)


def brighten(images, generator):
    return images + 0.1 * torch.rand((), generator=generator).to(images.device)


@pytest.mark.parametrize(
    "params",
    [
        {"network": Linear},
        {"augmentation": brighten},
        {"optimizer": torch.optim.Adam},
        {"network": "lecun1989", "optimizer": "sgd", "lr_scaling": "second-derivatives"},
        {"callbacks": [EachBatch()]},
    ],
)
def test_own_code(params, bars):
    X, y = bars
    models = [ConvNetClassifier(**{**FAST, **params}).fit(X, y) for _ in range(2)]
    assert_same_bits(*models)
    assert losses(models[0])[-1] < losses(models[0])[0]


def test_several_tasks(two_tasks):
    X, y, task = two_tasks
    models = [
        MultiTaskConvNetClassifier(ConvNetClassifier(**FAST)).fit(X, y, task=task) for _ in range(2)
    ]
    np.testing.assert_array_equal(*(each.predict(X, task=task) for each in models))
    assert models[0].net_.device != "cpu"


@pytest.mark.parametrize("network", ["convnet", "luacnn"])
def test_searches(network, bars):
    model = make_pipeline(ImageNormalizer(), ConvNetClassifier(network=network, **FAST))
    grid = {"convnetclassifier__lr": np.geomspace(1e-4, 0.03, 8)}
    searches = [
        search(model, grid, cv=2).fit(*bars) for search in (GridSearchCV, BatchedGridSearchCV)
    ]
    expected, scores = (each.cv_results_["mean_test_score"] for each in searches)
    np.testing.assert_array_equal(scores, expected)  # each fit is the one on its own
    assert searches[1].best_params_ == searches[0].best_params_


def test_a_search_over_own_networks_too(bars):
    grid = {"network": ["convnet", Linear], "lr": [0.01, 0.02, 0.03, 0.04]}
    search = BatchedGridSearchCV(ConvNetClassifier(**FAST), grid, cv=2, error_score="raise")
    first, second = (search.fit(*bars).cv_results_["mean_test_score"] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_time_limit(bars):
    X, y = bars
    model = ConvNetClassifier(**{**FAST, "max_epochs": "auto"}, max_time=3.0).fit(X, y)
    lr = [row["lr"] for row in model.history_]
    assert len(lr) > 10
    assert lr[1] < 0.5 * max(lr)  # the rise is not over after the slow first steps


@pytest.mark.real_data
def test_real_digits(roweis):
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(roweis.target))
    X, y = roweis.data[rows], roweis.target[rows]
    model = make_pipeline(ImageNormalizer(), ConvNetClassifier(random_state=0))
    model.fit(X[:3000], y[:3000])
    assert model.score(X[3000:], y[3000:]) > 0.99


# The last test: after a failed capture there are no others in the process.


@needs_cuda
def test_a_step_that_cannot_be_captured_is_run_as_it_is(caplog):
    network = nn.Linear(4, 2, device="cuda")
    noises = []

    def step(images, optimizer, generator):
        optimizer.zero_grad()
        noise = torch.rand((), device="cuda", generator=generator)
        loss = network(images).square().mean()
        loss.backward()
        optimizer.step()
        if len(images) < 8:
            noises.append(noise.item())  # which waits for the GPU
        return {"loss": loss.detach()}

    with caplog.at_level(logging.DEBUG, logger=_captured_steps.__name__):
        outputs = repeat(step, network, 6, sizes=(8, 5))
    assert [record.getMessage() for record in caplog.records] == [
        "Steps on 5 images can't be captured."
    ]
    assert all(np.diff(outputs) < 0)  # each step was made once
    assert len(set(noises)) == len(noises) == 6
    torch.rand(3, device="cuda")  # torch's own generator can still draw
    assert not CapturedSteps.is_possible
