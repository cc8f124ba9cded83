"""Captured training steps, on the CPU: what a graph would read is copied to tensors of its own.

On a GPU the step itself is captured too; tests/gpu has the tests of that.
"""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, LRScheduler
from torch import nn
from torch.optim.lr_scheduler import StepLR

from sklearn_usps import ConvNetClassifier, MultiTaskConvNetClassifier
from sklearn_usps.networks._registry import NETWORKS
from sklearn_usps.networks._torch_state import default_state
from sklearn_usps.training.gpu._captured_steps import N_WARMUP_STEPS, CapturedSteps

FAST = {"network": "luacnn", "max_epochs": 3, "batch_size": 16, "lr": 0.01, "random_state": 0}


class Watcher(Callback):
    """Keeps the step that each epoch used, and whether it was captured."""

    def __init__(self):
        self.captured = []

    def on_epoch_end(self, net, **kwargs):
        step = net.step_
        self.captured.append(isinstance(step, CapturedSteps) and sorted(step.captured))


def fit(classifier, X, y, *, captures_steps, sample_weight=None, **options):
    """Fit a classifier with captured steps or without."""
    trainer, data, valid_data = classifier._prepare(X, y, sample_weight, **options)
    trainer.config = replace(trainer.config, captures_steps=captures_steps)
    trainer.train(data, valid_data)
    classifier._set_fitted_attributes(trainer)
    return classifier


def assert_same(classifier, expected):
    for name, value in expected.net_.module_.state_dict().items():
        np.testing.assert_array_equal(classifier.net_.module_.state_dict()[name], value, name)
    for row, other in zip(classifier.history_, expected.history_, strict=True):
        assert {**row, "dur": 0} == {**other, "dur": 0}


def fit_both(X, y, *, sample_weight=None, partial=False, **params):
    """Fit with captured steps and without; return the first after a check that both are the same.

    Callbacks are made for each by calling the function `callbacks`.
    """
    callbacks = params.pop("callbacks", list)
    options = {"sample_weight": sample_weight, "partial": partial}
    both = [
        fit(ConvNetClassifier(callbacks=callbacks(), **params), X, y, captures_steps=on, **options)
        for on in (True, False)
    ]
    assert_same(*both)
    return both[0]


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one-cycle"])
@pytest.mark.parametrize("optimizer", ["adamw", "muon", "sgd"])
@pytest.mark.parametrize("network", sorted(NETWORKS))
def test_the_same_bits_as_without(network, optimizer, schedule, bars):
    X, y = bars
    params = {**FAST, "network": network, "optimizer": optimizer, "lr_schedule": schedule}
    # 115 images: seven batches of 16, and one of 3.
    model = fit_both(X[:115], y[:115], callbacks=lambda: [Watcher()], **params)
    (watcher,) = model.callbacks
    assert watcher.captured == [[16]] * 3


@pytest.mark.parametrize(
    "params",
    [
        {"lr_scaling": "fan-in"},  # several learning rates
        {"class_weight": {0: 0.5}},
        {"early_stopping": True, "n_iter_no_change": 2, "max_epochs": 12},
        {"network": "convnet", "network_params": {"dropout": 0.5}},
        {"sampling": "replacement", "label_smoothing": 0.0},
        {"max_time": 1e6},
        {"augmentation": None, "optimizer": "sgd", "momentum": 0.0},
    ],
)
def test_the_same_bits_with_other_parameters(params, bars):
    X, y = bars
    fit_both(X, y, **{**FAST, **params})
    weights = np.random.default_rng(0).random(len(y))
    fit_both(X, y, sample_weight=weights, **{**FAST, **params})


def test_batches_of_each_size_are_captured_after_a_few(bars):
    X, y = bars
    seen = []
    network = nn.Linear(256, 3)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)

    def step(batch, weights):
        seen.append((batch, weights, optimizer.param_groups[0]["lr"]))
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        return {"loss": loss.detach()}

    steps = CapturedSteps(step, optimizer, torch.Generator())
    given = []
    for i in range(N_WARMUP_STEPS + 3):
        optimizer.param_groups[0]["lr"] = 0.1 / (i + 1)
        images, targets = torch.from_numpy(X[i : i + 8]), torch.from_numpy(y[i : i + 8])
        given.append((images, targets))
        steps((images, targets), None)
        steps((images[:5], targets[:5]), None)
    large, small = seen[::2], seen[1::2]
    for part in (large, small):
        assert not any(torch.is_tensor(lr) for _, _, lr in part[:N_WARMUP_STEPS])
        assert len({id(batch[0]) for batch, _, _ in part[N_WARMUP_STEPS:]}) == 1  # its own tensor
        assert all(lr.dtype == torch.float64 for _, _, lr in part[N_WARMUP_STEPS:])
    # The tensors have the values of the last batch and its rate, and the groups a number again.
    torch.testing.assert_close(large[-1][0], given[-1])
    assert large[-1][2] == optimizer.param_groups[0]["lr"] == 0.1 / (N_WARMUP_STEPS + 3)
    assert type(optimizer.param_groups[0]["lr"]) is float


def test_a_rate_that_a_callback_sets(bars):
    X, y = bars
    callbacks = lambda: [LRScheduler(StepLR, step_size=1, gamma=0.5)]  # noqa: E731
    model = fit_both(X, y, callbacks=callbacks, **{**FAST, "lr_schedule": "constant"})
    assert [row["lr"] for row in model.history_] == [0.01, 0.005, 0.0025]


class Changes(Callback):
    """Changes parts of the step after the first epoch."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 2:
            net.module_.output.requires_grad_(False)
            net.optimizer_.param_groups[0]["weight_decay"] = 1.0


def test_other_changes_by_a_callback(bars):
    fit_both(*bars, callbacks=lambda: [Changes()], **FAST)


class Listener(Callback):
    def on_batch_end(self, net, **kwargs):
        pass


class Linear(nn.Module):
    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.linear = nn.Linear(256, n_classes)

    def forward(self, images):
        return self.linear(images.flatten(1))


@pytest.mark.parametrize(
    "params",
    [
        {"network": Linear},
        {"optimizer": torch.optim.Adam},
        {"callbacks": [Listener()]},
        {"lr_scaling": "second-derivatives", "optimizer": "sgd"},
    ],
)
def test_own_code_is_called_in_each_step(params, bars):
    watcher = Watcher()
    params = {**FAST, **params, "callbacks": [*params.get("callbacks", []), watcher]}
    fit(ConvNetClassifier(**params), *bars, captures_steps=True)
    assert watcher.captured == [False] * 3


def test_several_tasks_are_not_captured(two_tasks):
    X, y, task = two_tasks
    watcher = Watcher()
    base = ConvNetClassifier(**FAST, callbacks=[watcher])
    fit(MultiTaskConvNetClassifier(base), X, y, task=task, captures_steps=True)
    assert watcher.captured == [False] * 3


def test_nothing_of_a_capture_stays(bars):
    model = fit(ConvNetClassifier(**FAST), *bars, captures_steps=True)
    assert not {"step_", "read_", "data_"} & set(vars(model.net_))
    lr = model.net_.optimizer_.param_groups[0]["lr"]
    assert type(lr) is float


class Pickles(Callback):
    def on_epoch_end(self, net, **kwargs):
        self.net = pickle.loads(pickle.dumps(net))


def test_a_callback_can_pickle_the_net(bars):
    callback = Pickles()
    fit(ConvNetClassifier(**FAST, callbacks=[callback]), *bars, captures_steps=True)
    assert not {"step_", "read_", "data_"} & set(vars(callback.net))


def test_partial_fit_goes_on(bars):
    X, y = bars
    both = [ConvNetClassifier(**FAST) for _ in range(2)]
    for _ in range(3):
        for model, captures_steps in zip(both, (True, False), strict=True):
            options = {"partial": True, "classes": [0, 1, 2]}
            fit(model, X, y, captures_steps=captures_steps, **options)
    assert_same(*both)


def test_convolutions_of_a_gpu_are_repeatable_meanwhile():
    cudnn = torch.backends.cudnn
    found = cudnn.deterministic, cudnn.benchmark
    try:
        cudnn.deterministic, cudnn.benchmark = False, True
        with default_state("cuda"):
            assert (cudnn.deterministic, cudnn.benchmark) == (True, False)
        assert (cudnn.deterministic, cudnn.benchmark) == (False, True)
    finally:
        cudnn.deterministic, cudnn.benchmark = found
