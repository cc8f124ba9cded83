"""Which layers the networks of two tasks share."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from sklearn_usps import ConvNetClassifier, MultiTaskConvNetClassifier


@pytest.mark.parametrize(
    ("network", "shared", "names"),
    [
        ("luacnn", "first", {"convolution.weight", "convolution.bias"}),
        (
            "luacnn",
            2,
            {
                *("convolution.weight", "convolution.bias"),
                *("subsampling.weight", "subsampling.bias"),
            },
        ),
        ("convnet", "first", {"convolutions.1.weight"}),
        ("convnet", 2, {"convolutions.1.weight", "convolutions.4.weight"}),
        ("lecun1989", "first", {"h1.1.weight", "h1.2.bias"}),
        ("lenet5", 1, {"layers.1.weight", "layers.1.bias"}),
    ],
)
def test_first_layers_are_the_same_tensors(two_tasks, network, shared, names):
    X, y, task = two_tasks
    classifier = MultiTaskConvNetClassifier(
        network=network, shared=shared, max_epochs=1, lr=0.01, random_state=0
    ).fit(X, y, task=task)
    bars, sides = (c.net_.module_ for c in classifier.estimators_.values())
    of_bars, of_sides = dict(bars.named_parameters()), dict(sides.named_parameters())
    assert {name for name in of_bars if of_bars[name] is of_sides[name]} == names
    n_shared = sum(of_bars[name].numel() for name in names)
    n_alone = [c.n_parameters_ for c in classifier.estimators_.values()]
    assert classifier.n_parameters_ == sum(n_alone) - n_shared
    before = classifier.estimators_["sides"].predict_proba(X)
    with torch.no_grad():
        of_bars[min(names)].zero_()
    assert not np.allclose(before, classifier.estimators_["sides"].predict_proba(X))
    assert not np.allclose(before, classifier.predict_proba(X, task="sides")[:, [0, 1]])


def test_not_all_layers_can_be_shared(two_tasks):
    X, y, task = two_tasks
    message = "shared must be smaller than the number of layers of the network, 3.* Got 3 instead"
    with pytest.raises(ValueError, match=message):
        MultiTaskConvNetClassifier(network="luacnn", shared=3).fit(X, y, task=task)
    with pytest.raises(ValueError, match=r"The 'shared' parameter .* must be a str among"):
        MultiTaskConvNetClassifier(shared=0).fit(X, y, task=task)


class MarginNetwork(nn.Module):
    """A user's network with a loss of its own, whose `margin` is known to itself alone."""

    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.hidden = nn.Linear(image_shape[0] * image_shape[1], 20)
        self.first = self.hidden  # a second name of the same layer
        self.output = nn.Linear(20, n_classes)
        self.margin = 1 / n_classes

    def forward(self, images):
        return self.output(self.first(images.flatten(1)).relu())

    def loss(self, scores, targets):
        return nn.functional.multi_margin_loss(
            scores, targets, margin=self.margin, reduction="none"
        )


def test_own_network(two_tasks):
    X, y, task = two_tasks
    classifier = MultiTaskConvNetClassifier(
        network=MarginNetwork, lr=0.01, max_epochs=40, augmentation=None, random_state=0
    ).fit(X, y, task=task, X_val=X, y_val=y, task_val=task)
    assert classifier.score(X, y, task=task) > 0.9
    for name, of_task in classifier.estimators_.items():
        rows = task == name
        network = of_task.net_.module_
        scores = network(torch.tensor(X[rows]))
        targets = torch.tensor(np.searchsorted(of_task.classes_, y[rows]))
        loss = network.loss(scores, targets).mean().item()
        assert of_task.history_[-1]["valid_loss"] == pytest.approx(loss, rel=1e-5)
    bars, sides = (c.net_.module_ for c in classifier.estimators_.values())
    assert bars.first.weight is sides.first.weight is sides.hidden.weight


class Mixed(nn.Module):
    """A user's network with other kinds of layers."""

    def __init__(self, image_shape, n_classes, bias=True):
        super().__init__()
        self.convolution = weight_norm(nn.Conv2d(1, 4, 4, stride=4, bias=bias))
        self.norm = nn.Sequential(
            nn.LayerNorm((4, 4, 4)), nn.RMSNorm((4, 4, 4)), nn.GroupNorm(2, 4)
        )
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.output = nn.Linear(64, n_classes)

    def forward(self, images):
        planes = self.norm(self.convolution(images)).flatten(2)
        return self.output(self.attention(planes, planes, planes)[0].flatten(1))


@pytest.mark.parametrize("shared", [1, 2])
@pytest.mark.parametrize("bias", [False, True])
def test_layers_of_other_kinds(two_tasks, shared, bias):
    X, y, task = two_tasks
    classifier = MultiTaskConvNetClassifier(
        network=Mixed,
        network_params={"bias": bias},
        shared=shared,
        max_epochs=1,
        random_state=0,
    ).fit(X, y, task=task)
    bars, sides = (dict(c.net_.module_.named_parameters()) for c in classifier.estimators_.values())
    expected = {"convolution.bias"} if bias else set()
    expected |= {f"convolution.parametrizations.weight.original{i}" for i in (0, 1)}
    if shared == 2:
        expected |= {"attention.in_proj_weight", "attention.in_proj_bias"}
    assert {name for name in bars if bars[name] is sides[name]} == expected


class Spectral(nn.Module):
    """A user's network whose filters depend on what their parametrization remembers."""

    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.hidden = spectral_norm(nn.Linear(image_shape[0] * image_shape[1], 20))
        self.output = nn.Linear(20, n_classes)

    def forward(self, images):
        return self.output(self.hidden(images.flatten(1)).relu())


def test_computed_weights_are_the_same_for_all_tasks(two_tasks):
    X, y, task = two_tasks
    params = {"network": Spectral, "max_epochs": 2, "augmentation": None, "random_state": 0}
    classifier = MultiTaskConvNetClassifier(**params).fit(X, y, task=task)
    for model in (classifier, copy.deepcopy(classifier), pickle.loads(pickle.dumps(classifier))):
        bars, sides = (c.net_.module_.eval() for c in model.estimators_.values())
        np.testing.assert_array_equal(bars.hidden.weight.detach(), sides.hidden.weight.detach())
        np.testing.assert_array_equal(
            model.predict_proba(X, task=task), classifier.predict_proba(X, task=task)
        )


class OutputFirst(nn.Module):
    """Makes its layers in another order than images pass through them."""

    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.output = nn.Linear(20, n_classes)
        self.hidden = nn.Linear(image_shape[0] * image_shape[1], 20)

    def forward(self, images):
        return self.output(self.hidden(images.flatten(1)).relu())


def test_layers_that_differ_cannot_be_shared(two_tasks):
    X, y, task = two_tasks
    message = (
        r"shared: layer 1 .* have the shapes \[{'weight': \(3, 20\), 'bias': \(3,\)}\] and "
        r"\[{'weight': \(2, 20\), 'bias': \(2,\)}\]\. Layers count in the order in which the "
        "network makes them: the output layer must come last"
    )
    with pytest.raises(ValueError, match=message):
        MultiTaskConvNetClassifier(network=OutputFirst).fit(X, y, task=task)


class Odd(nn.Module):
    """Has layers that only some of the tasks have, or whose sizes are not known yet."""

    def __init__(self, image_shape, n_classes, kind):
        super().__init__()
        n_pixels = image_shape[0] * image_shape[1]
        if kind == "lazy":
            self.hidden = nn.LazyLinear(20)
        else:
            self.hidden = nn.Linear(n_pixels, 20, bias=n_classes == 2)
        self.output = nn.Linear(20, n_classes)

    def forward(self, images):
        return self.output(self.hidden(images.flatten(1)).relu())


def test_layers_that_are_of_some_tasks_or_have_no_sizes(two_tasks):
    X, y, task = two_tasks
    for kind, message in [
        (
            "some",
            r"shared: layer 1 .* \[{'weight': \(20, 256\)}\] and \[{'weight': .*'bias': \(20,",
        ),
        ("lazy", "network: LazyLinear has no sizes before its first call"),
    ]:
        classifier = MultiTaskConvNetClassifier(network=Odd, network_params={"kind": kind})
        with pytest.raises(ValueError, match=message):
            classifier.fit(X, y, task=task)


class OneLayer(nn.Linear):
    """The smallest of networks."""

    def __init__(self, image_shape, n_classes):
        super().__init__(image_shape[0] * image_shape[1], n_classes)

    def forward(self, images):
        return super().forward(images.flatten(1))


def test_one_task_shares_nothing(bars):
    X, y = bars
    params = {"network": OneLayer, "max_epochs": 1, "random_state": 0}
    joint = MultiTaskConvNetClassifier(shared=7, **params).fit(X, y)
    alone = ConvNetClassifier(**params).fit(X, y)
    np.testing.assert_array_equal(joint.predict_proba(X), alone.predict_proba(X))
