"""Learning rates of single parameters from second derivatives."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from torch import nn

from sklearn_usps import (
    BatchedGridSearchCV,
    ConvNetClassifier,
    MultiTaskConvNetClassifier,
    load_model,
    save_model,
)
from sklearn_usps.model_selection._fit_groups import can_be_batched
from sklearn_usps.networks import LeCun1989, LuaCNN
from sklearn_usps.training.optim._second_derivatives import MU, N_IMAGES, parameter_factors

SCALED = {
    "network": "luacnn",
    "optimizer": "sgd",
    "lr": 0.002,
    "lr_schedule": "constant",
    "lr_scaling": "second-derivatives",
    "momentum": 0.0,
    "weight_decay": 0.0,
    "label_smoothing": 0.0,
    "batch_size": 8,
    "max_epochs": 2,
    "augmentation": None,
    "random_state": 0,
}


def cross_entropy(outputs, targets):
    return nn.functional.cross_entropy(outputs, targets, reduction="none")


def squared_error(outputs, targets):
    expected = nn.functional.one_hot(targets, outputs.shape[1]).to(outputs)
    return (outputs - expected).square().mean(1)


def diagonals(network, loss, images, targets):
    """Return the estimated second derivatives of each parameter."""
    factors = parameter_factors(
        network, network, lambda outputs, targets: loss(outputs, targets).mean(), images, targets
    )
    return [1 / factor - MU for _, factor in factors]


@pytest.fixture
def digits(roweis):
    """Forty real images and their classes."""
    images = torch.tensor(roweis.data[:40], dtype=torch.float64).view(-1, 1, 16, 16)
    return images, torch.tensor(roweis.target[:40])


def assert_same_bits(first, second):
    first, second = (c.net_.module_.state_dict() for c in (first, second))
    for name in first:
        np.testing.assert_array_equal(first[name].numpy(), second[name].numpy())


# The estimate


@pytest.mark.parametrize("loss", [cross_entropy, squared_error])
def test_of_a_linear_network_it_is_the_diagonal_of_the_hessian(loss):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(7, 1, 2, 3, generator=generator, dtype=torch.float64)
    targets = torch.arange(7) % 3
    network = nn.Sequential(nn.Flatten(), nn.Linear(6, 3)).double()
    weight, bias = network[1].weight.detach(), network[1].bias.detach()

    def mean_loss(weight, bias):
        return loss(nn.functional.linear(images.flatten(1), weight, bias), targets).mean()

    hessian = torch.autograd.functional.hessian(mean_loss, (weight, bias))
    of_weight = hessian[0][0].view(18, 18).diagonal().view(3, 6)
    of_bias = hessian[1][1].diagonal()
    found = diagonals(network, loss, images, targets)
    torch.testing.assert_close(found[0], of_weight)
    torch.testing.assert_close(found[1], of_bias)


@pytest.mark.real_data
def test_of_the_papers_network_it_is_the_mean_of_squared_derivatives(digits):
    """The Hessian of its loss in the outputs is 2 / 10 of the unit matrix."""
    images, targets = digits[0][:4] * 2 - 1, digits[1][:4]
    generator = torch.Generator().manual_seed(0)
    network = LeCun1989((16, 16), 10, generator=generator).double()
    squares = [torch.zeros_like(parameter) for parameter in network.parameters()]
    for output in network(images).flatten():
        of_output = torch.autograd.grad(output, list(network.parameters()), retain_graph=True)
        for total, gradient in zip(squares, of_output, strict=True):
            total += gradient.square()
    found = diagonals(network, network.loss, images, targets)
    for total, diagonal in zip(squares, found, strict=True):
        torch.testing.assert_close(diagonal, 0.2 * total / 4)


@pytest.mark.real_data
def test_it_is_the_mean_over_parts_that_fit_into_memory(digits, monkeypatch):
    network = LuaCNN((16, 16), 10, generator=torch.Generator().manual_seed(0)).double()
    at_once = diagonals(network, cross_entropy, *digits)
    monkeypatch.setattr(
        "sklearn_usps.training.optim._second_derivatives._MAX_ELEMENTS", 10 * 2338 * 7
    )
    torch.testing.assert_close(diagonals(network, cross_entropy, *digits), at_once)


@pytest.mark.real_data
def test_where_the_loss_is_not_convex_no_rate_is_negative(digits):
    network = LuaCNN((16, 16), 10, generator=torch.Generator().manual_seed(0)).double()
    concave = diagonals(network, lambda *batch: -cross_entropy(*batch), *digits)
    linear = diagonals(network, lambda outputs, targets: outputs.sum(1), *digits)
    for diagonal in concave + linear:
        torch.testing.assert_close(diagonal, torch.zeros_like(diagonal))


# The training


class Recorder(Callback):
    """Keep the factors and the gradients of the first step of each epoch."""

    def __init__(self):
        self.factors, self.gradients = [], []

    def on_grad_computed(self, net, named_parameters, **kwargs):
        if len(self.factors) < len(net.history):
            self.factors.append([factor for _, factor in net.parameter_factors_])
            self.gradients.append([p.grad.clone() for _, p in named_parameters])


def parameters_of(classifier):
    return [p.detach().clone() for p in classifier.net_.module_.parameters()]


def test_a_step_divides_the_gradient_by_mu_plus_the_weighted_second_derivative(bars):
    X, y = bars
    weight = np.where(y == 0, 2.0, 0.5)
    recorder = Recorder()
    params = {**SCALED, "batch_size": 120, "callbacks": [recorder]}
    classifier = ConvNetClassifier(**params).partial_fit(X, y, [0, 1, 2], weight)
    before = parameters_of(classifier)
    network, targets = classifier.net_.module_, torch.tensor(y)
    scaled = torch.tensor(weight / weight.mean(), dtype=torch.float32)
    images = torch.tensor(X).view(-1, 1, 16, 16)
    loss = (scaled * cross_entropy(network(images), targets)).mean()
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    h = diagonals(network, lambda *batch: scaled * cross_entropy(*batch), images, targets)
    classifier.partial_fit(X, y, sample_weight=weight)
    after = parameters_of(classifier)
    for old, new, gradient, diagonal in zip(before, after, gradients, h, strict=True):
        torch.testing.assert_close(
            new - old, -0.002 * gradient / (MU + diagonal), rtol=1e-3, atol=1e-6
        )
    # Callbacks, which may clip the gradient, see it as it is.
    torch.testing.assert_close(recorder.gradients[1], [*gradients], rtol=1e-4, atol=1e-6)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("network", "network_params"), [("luacnn", None), ("convnet", {"n_channels": (4, 8)})]
)
def test_one_rate_suits_different_networks(network, network_params, roweis):
    rows = np.concatenate([np.flatnonzero(roweis.target == digit)[:40] for digit in range(10)])
    params = {**SCALED, "network": network, "network_params": network_params, "max_epochs": 4}
    classifier = ConvNetClassifier(**params).fit(roweis.data[rows] * 2 - 1, roweis.target[rows])
    first, *_, last = classifier.history_
    assert last["train_error"] < 0.2 < 0.4 < first["train_error"]


def test_dropout_and_batch_normalization_are_as_in_prediction(bars):
    X, y = bars
    first = []
    for dropout in (0.0, 0.9):
        recorder = Recorder()
        params = {**SCALED, "network": "convnet", "network_params": {"dropout": dropout}}
        classifier = ConvNetClassifier(**params, callbacks=[recorder]).fit(X, y)
        assert len(recorder.factors) == 2
        first.append(recorder.factors[0])
        (norm, *_) = (m for m in classifier.net_.module_.modules() if hasattr(m, "running_mean"))
        assert norm.num_batches_tracked == 2 * 15  # no batch of the estimates
    for without, with_dropout in zip(*first, strict=True):
        np.testing.assert_array_equal(without.numpy(), with_dropout.numpy())


def test_images_are_drawn_anew_for_each_epoch_by_the_seed(bars):
    X, y = np.tile(bars[0], (5, 1)), np.tile(bars[1], 5)
    assert len(X) > N_IMAGES
    X += np.random.default_rng(0).normal(0, 0.1, X.shape)
    recorders = [Recorder(), Recorder(), Recorder()]
    for recorder, seed in zip(recorders, (0, 0, 1), strict=True):
        # At this rate the network stays as it is.
        params = {**SCALED, "lr": 1e-12, "batch_size": 200, "random_state": seed}
        ConvNetClassifier(**params, callbacks=[recorder]).fit(X, y)
    first, second = (factors[0] for factors in recorders[0].factors)
    assert not torch.equal(first, second)
    torch.testing.assert_close(first, second, rtol=0.1, atol=0)
    assert torch.equal(recorders[1].factors[1][0], second)
    assert not torch.equal(recorders[2].factors[1][0], second)


@pytest.mark.parametrize("network", ["lecun1989", "luacnn", "convnet"])
def test_calls_of_partial_fit_are_epochs_of_fit_also_of_a_saved_copy(network, bars, tmp_path):
    X, y = bars
    params = {**SCALED, "network": network, "max_epochs": 3}
    whole = ConvNetClassifier(**params).fit(X, y)
    parts = ConvNetClassifier(**params).partial_fit(X, y, [0, 1, 2])
    parts = pickle.loads(pickle.dumps(parts)).partial_fit(X, y)
    save_model(parts, tmp_path / "model.skops")
    parts = load_model(tmp_path / "model.skops").partial_fit(X, y)
    assert_same_bits(whole, parts)
    assert [row["lr"] for row in parts.history_] == [0.002] * 3


class WithNoise(nn.Module):
    """A user's network with random numbers in evaluation mode, and frozen and unused parameters."""

    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.frozen = nn.Linear(256, 20).requires_grad_(False)
        self.output = nn.Linear(20, n_classes)
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.unused = nn.Parameter(torch.zeros(3))

    def forward(self, images):
        hidden = self.frozen(images.flatten(1)).tanh()
        return self.scale * self.output(hidden + 0.01 * torch.randn_like(hidden))


@pytest.mark.parametrize(
    "changes",
    [
        {"early_stopping": True, "n_iter_no_change": 1},
        {"warm_start": True, "momentum": 0.5, "weight_decay": 0.1, "lr_schedule": "one-cycle"},
        {"augmentation": "default", "sampling": "replacement", "class_weight": "balanced"},
        {"network": WithNoise},
        {"optimizer": torch.optim.SGD, "max_time": 1e6},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_same_seed_same_bits_and_a_memory_map_is_an_array(changes, bars, tmp_path):
    X, y = bars
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    params = {**SCALED, **changes}
    fits = [ConvNetClassifier(**params).fit(images, y).fit(images, y) for images in (X, mapped)]
    assert_same_bits(*fits)
    first, *_, last = fits[0].history_
    assert last["train_loss"] < first["train_loss"]


class OneLogit(nn.Linear):
    """A network of a wrong shape."""

    def __init__(self, image_shape, n_classes):
        super().__init__(256, 1)

    def forward(self, images):
        return super().forward(images.flatten(1))[:, 0]


def test_wrong_outputs_raise_as_in_training(bars):
    with pytest.raises(ValueError, match=r"must return logits of shape .* Got \(120,\)"):
        ConvNetClassifier(**{**SCALED, "network": OneLogit}).fit(*bars)


# What it does not go with


class Adam(torch.optim.Adam):
    pass


@pytest.mark.parametrize("optimizer", ["adamw", Adam])
def test_other_optimizers_raise(optimizer, bars):
    classifier = ConvNetClassifier(**{**SCALED, "optimizer": optimizer})
    message = r"lr_scaling='second-derivatives' needs optimizer='sgd', .* Got optimizer="
    with pytest.raises(ValueError, match=message) as error:
        classifier.fit(*bars)
    assert repr(optimizer) in str(error.value)


def test_a_fitted_classifier_is_saved_after_another_optimizer_was_set(bars):
    classifier = ConvNetClassifier(**SCALED).fit(*bars).set_params(optimizer="adamw")
    loaded = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(loaded.predict_proba(bars[0]), classifier.predict_proba(bars[0]))
    with pytest.raises(ValueError, match="needs optimizer='sgd'"):
        loaded.partial_fit(*bars)


def test_several_tasks_raise(two_tasks):
    X, y, task = two_tasks
    classifier = MultiTaskConvNetClassifier(ConvNetClassifier(**SCALED))
    with pytest.raises(ValueError, match="does not support lr_scaling='second-derivatives'"):
        classifier.fit(X, y, task=task)


def test_a_batched_search_fits_such_candidates_one_by_one(bars):
    assert not can_be_batched(ConvNetClassifier(**SCALED))
    assert can_be_batched(ConvNetClassifier(**{**SCALED, "lr_scaling": "none"}))
    grid = {"lr": [0.002, 0.004], "lr_scaling": ["second-derivatives", "none"]}
    scores = [
        search(ConvNetClassifier(**SCALED), grid, cv=2, scoring="neg_log_loss", refit=False)
        .fit(*bars)
        .cv_results_["mean_test_score"]
        for search in (GridSearchCV, BatchedGridSearchCV)
    ]
    np.testing.assert_array_equal(scores[0][::2], scores[1][::2])
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-3)
