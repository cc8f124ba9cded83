"""Layers that the networks of several tasks share."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from sklearn_usps import ConvNetClassifier, MultiTaskConvNetClassifier
from sklearn_usps.networks._registry import build_network
from sklearn_usps.networks._shared_layers import SharedLayersNetwork

IMAGES = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def share(network, n_shared_layers, n_classes=(3, 2), **params):
    """Build a network for each task and share their first layers."""
    generator = torch.Generator().manual_seed(0)
    networks = [build_network(network, params, (16, 16), n, generator) for n in n_classes]
    return SharedLayersNetwork(networks, n_shared_layers)


def shared_names(network):
    """Return the names of the parameters that two tasks share."""
    first, second = (dict(of_task.named_parameters()) for of_task in network.networks)
    return {name for name in first if first[name] is second[name]}


@pytest.mark.parametrize(
    ("network", "n_shared_layers", "names"),
    [
        ("luacnn", 1, {"convolution.weight", "convolution.bias"}),
        (
            "luacnn",
            2,
            {
                f"{layer}.{kind}"
                for layer in ("convolution", "subsampling")
                for kind in ("weight", "bias")
            },
        ),
        ("convnet", 1, {"convolutions.1.weight"}),
        ("convnet", 2, {"convolutions.1.weight", "convolutions.4.weight"}),
        ("lecun1989", 1, {"h1.1.weight", "h1.2.bias"}),
        ("lenet5", 1, {"layers.1.weight", "layers.1.bias"}),
    ],
)
def test_first_layers_are_the_same_tensors(network, n_shared_layers, names):
    shared = share(network, n_shared_layers).eval()
    assert shared_names(shared) == names
    first, second = shared.networks
    n_alone = sum(p.numel() for of_task in (first, second) for p in of_task.parameters())
    n_shared = sum(first.get_parameter(name).numel() for name in names)
    assert sum(p.numel() for p in shared.parameters()) == n_alone - n_shared
    before = shared(IMAGES)
    assert before.shape == (4, 5)
    torch.testing.assert_close(before, torch.cat([first(IMAGES), second(IMAGES)], dim=1))
    with torch.no_grad():
        first.get_parameter(min(names)).fill_(0.5)
    assert not torch.allclose(shared(IMAGES)[:, 3:], before[:, 3:])


class Mixed(nn.Module):
    """A network with a parametrized layer, normalizations and attention."""

    def __init__(self, image_shape, n_classes, bias=True):
        super().__init__()
        self.convolution = weight_norm(nn.Conv2d(1, 4, 4, stride=4, bias=bias))
        self.norm = nn.Sequential(
            *(nn.LayerNorm((4, 4, 4)), nn.RMSNorm((4, 4, 4)), nn.GroupNorm(2, 4)),
            *(nn.BatchNorm2d(4), nn.InstanceNorm2d(4, affine=True)),
        )
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.output = nn.Linear(64, n_classes)

    def forward(self, images):
        maps = self.norm(self.convolution(images)).flatten(2)
        return self.output(self.attention(maps, maps, maps)[0].flatten(1))


@pytest.mark.parametrize("n_shared_layers", [1, 2])
@pytest.mark.parametrize("bias", [False, True])
def test_layers_of_other_kinds(n_shared_layers, bias):
    expected = {"convolution.bias"} if bias else set()
    expected |= {f"convolution.parametrizations.weight.original{i}" for i in (0, 1)}
    if n_shared_layers == 2:
        expected |= {"attention.in_proj_weight", "attention.in_proj_bias"}
    shared = share(Mixed, n_shared_layers, bias=bias)
    assert shared_names(shared) == expected
    shared(IMAGES).sum().backward()
    assert all(parameter.grad is not None for parameter in shared.parameters())


class OutputFirst(nn.Module):
    """A network that makes its layers in another order than images pass through them."""

    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.output = nn.Linear(20, n_classes)
        self.hidden = nn.Linear(image_shape[0] * image_shape[1], 20)


class Odd(nn.Module):
    """A network with a layer that depends on the task, or one without sizes."""

    def __init__(self, image_shape, n_classes, lazy):
        super().__init__()
        self.hidden = nn.LazyLinear(20) if lazy else nn.Linear(256, 20, bias=n_classes == 2)
        self.output = nn.Linear(20, n_classes)


@pytest.mark.parametrize(
    ("network", "n_shared_layers", "params", "message"),
    [
        ("luacnn", 3, {}, "n_shared_layers must be smaller than .* network, 3.* Got 3 instead"),
        (
            OutputFirst,
            1,
            {},
            r"n_shared_layers: .* layer 1 .* shapes \[{'weight': \(3, 20\), 'bias': \(3,\)}\] and "
            r"\[{'weight': \(2, 20\), 'bias': \(2,\)}\]\. .* make the output layer last",
        ),
        (Odd, 1, {"lazy": False}, r"\[{'weight': \(20, 256\)}\] and \[{'weight': .*'bias': \(20,"),
        (Odd, 1, {"lazy": True}, "network has a LazyLinear, which has no sizes before its first"),
    ],
)
def test_layers_that_cannot_be_shared(network, n_shared_layers, params, message):
    with pytest.raises(ValueError, match=message):
        share(network, n_shared_layers, **params)


# Through the classifier


class MarginNetwork(nn.Module):
    """A network with two names for one layer and a loss that depends on the task."""

    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.hidden = nn.Linear(image_shape[0] * image_shape[1], 20)
        self.first = self.hidden
        self.output = nn.Linear(20, n_classes)
        self.margin = 1 / n_classes

    def forward(self, images):
        return self.output(self.first(images.flatten(1)).relu())

    def loss(self, logits, targets):
        return nn.functional.multi_margin_loss(
            logits, targets, margin=self.margin, reduction="none"
        )


def test_each_task_has_the_loss_of_its_network(two_tasks):
    X, y, task = two_tasks
    classifier = ConvNetClassifier(
        network=MarginNetwork, lr=0.01, max_epochs=40, augmentation=None, random_state=0
    )
    model = MultiTaskConvNetClassifier(classifier).fit(
        X, y, task=task, X_val=X, y_val=y, task_val=task
    )
    assert model.score(X, y, task=task) > 0.9
    for name, of_task in model.estimators_.items():
        rows = task == name
        network = of_task.net_.module_
        targets = torch.tensor(np.searchsorted(of_task.classes_, y[rows]))
        loss = network.loss(network(torch.tensor(X[rows])), targets).mean().item()
        assert of_task.history_[-1]["valid_loss"] == pytest.approx(loss, rel=1e-5)
    bars, sides = (c.net_.module_ for c in model.estimators_.values())
    assert bars.first.weight is sides.first.weight is sides.hidden.weight


class Spectral(nn.Module):
    """A network whose filters depend on the state of their parametrization."""

    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.hidden = spectral_norm(nn.Linear(image_shape[0] * image_shape[1], 20))
        self.output = nn.Linear(20, n_classes)

    def forward(self, images):
        return self.output(self.hidden(images.flatten(1)).relu())


def test_computed_weights_stay_shared_in_copies(two_tasks):
    X, y, task = two_tasks
    classifier = ConvNetClassifier(
        network=Spectral, max_epochs=2, augmentation=None, random_state=0
    )
    fitted = MultiTaskConvNetClassifier(classifier).fit(X, y, task=task)
    for model in (fitted, copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        bars, sides = (c.net_.module_.eval() for c in model.estimators_.values())
        np.testing.assert_array_equal(bars.hidden.weight.detach(), sides.hidden.weight.detach())
        np.testing.assert_array_equal(
            model.predict_proba(X, task=task), fitted.predict_proba(X, task=task)
        )


class OneLayer(nn.Linear):
    """The smallest network."""

    def __init__(self, image_shape, n_classes):
        super().__init__(image_shape[0] * image_shape[1], n_classes)

    def forward(self, images):
        return super().forward(images.flatten(1))


def test_one_task_shares_nothing(bars):
    classifier = ConvNetClassifier(network=OneLayer, max_epochs=1, random_state=0)
    multi_task = MultiTaskConvNetClassifier(classifier, n_shared_layers=7).fit(*bars)
    np.testing.assert_array_equal(
        multi_task.predict_proba(bars[0]), classifier.fit(*bars).predict_proba(bars[0])
    )


def test_at_least_one_layer_is_shared(two_tasks):
    X, y, task = two_tasks
    with pytest.raises(ValueError, match=r"'n_shared_layers' parameter .* must be an int"):
        MultiTaskConvNetClassifier(ConvNetClassifier(), n_shared_layers=0).fit(X, y, task=task)
