"""Explanations of predictions by other libraries, on the network of a fitted classifier."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from captum.attr import DeepLift, DeepLiftShap, GuidedBackprop, IntegratedGradients, LayerGradCam
from torch import nn

from sklearn_usps import (
    BatchedGridSearchCV,
    ConvNetClassifier,
    MultiTaskConvNetClassifier,
    load_model,
    save_model,
)
from sklearn_usps.networks._registry import NETWORKS, build_network
from sklearn_usps.networks._shared_layers import SharedLayersNetwork

pytestmark = pytest.mark.filterwarnings("ignore:(Setting|Input Tensor):UserWarning")

names = pytest.mark.parametrize("name", sorted(NETWORKS))


def build(name, shape=(16, 16), n_classes=10):
    """Build a network with random weights, and statistics if it has batch normalization."""
    generator = torch.Generator().manual_seed(0)
    network = build_network(name, {}, shape, n_classes, generator)
    with torch.no_grad():
        network(torch.rand(32, 1, *shape, generator=generator))
    return network.eval()


def images(n, shape=(16, 16), seed=0):
    return 2 * torch.rand(n, 1, *shape, generator=torch.Generator().manual_seed(seed)) - 1


def graph_nodes(output):
    """Return the operations that autograd recorded for an output."""
    nodes, pending = set(), [output.grad_fn]
    while pending:
        node = pending.pop()
        if node is not None and node not in nodes:
            nodes.add(node)
            pending += [before for before, _ in node.next_functions]
    return nodes


def check_completeness(network, image_shape=(16, 16)):
    """Check that attributions of each output sum to its difference from that of the baseline."""
    X, baselines = images(3, image_shape), images(3, image_shape, seed=1)
    with torch.no_grad():
        outputs, from_baselines = network(X), network(baselines)
    for target in range(outputs.shape[1]):
        options = {"target": target}
        sums = DeepLift(network).attribute(X, baselines, **options).sum((1, 2, 3))
        expected = (outputs - from_baselines)[:, target]
        torch.testing.assert_close(sums, expected, rtol=1e-4, atol=1e-5)
        sums = DeepLiftShap(network).attribute(X, baselines, **options).sum((1, 2, 3))
        expected = outputs[:, target] - from_baselines[:, target].mean()
        torch.testing.assert_close(sums, expected, rtol=1e-4, atol=1e-5)


# Networks by name


@names
@pytest.mark.parametrize("shape", [(16, 16), (17, 13), (3, 4)])
def test_deep_lift_attributes_the_difference_of_outputs(name, shape):
    check_completeness(build(name, shape, n_classes=3), shape)


@names
def test_integrated_gradients_attribute_the_difference_of_outputs(name):
    network = build(name).double()
    X, baselines = images(3).double(), images(3, seed=1).double()
    explainer = IntegratedGradients(network)
    # ReLUs bend the path, and each bend costs the integral some accuracy.
    sums = explainer.attribute(X, baselines, target=2, n_steps=500).sum((1, 2, 3))
    expected = (network(X) - network(baselines))[:, 2]
    tolerance = 0.01 if name == "convnet" else 1e-6
    torch.testing.assert_close(sums, expected, rtol=0, atol=tolerance)


@names
def test_explaining_changes_neither_network_nor_outputs(name):
    network, X = build(name), images(2)
    before, outputs = copy.deepcopy(network.state_dict()), network(X)
    attributions = [DeepLift(network).attribute(X, target=1) for _ in range(2)]
    assert torch.equal(*attributions)
    assert torch.equal(network(X), outputs)
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)


@names
def test_each_activation_is_a_module_that_is_called_once(name):
    """As explainers require that replace the gradients of activations."""
    network, X, calls = build(name), images(2).requires_grad_(), []
    kinds = (nn.ReLU, nn.Tanh)
    activations = [module for module in network.modules() if isinstance(module, kinds)]
    for module in activations:
        module.register_full_backward_hook(lambda *args: calls.append(args[0]))
    network(X).sum().backward()
    assert len(activations) == len(calls) == len(set(calls)) > 0
    kinds_of_nodes = [type(node).__name__ for node in graph_nodes(network(X))]
    n_activations = sum(kind.startswith(("Relu", "Tanh")) for kind in kinds_of_nodes)
    assert n_activations == len(activations)


def test_guided_backprop_drops_negative_gradients():
    network, X, passed = build("convnet"), images(2), []
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # before each ReLU
            module.register_full_backward_hook(lambda *args: passed.append(args[2][0].min().item()))
    GuidedBackprop(network).attribute(X, target=1)
    assert len(passed) == 5
    assert min(passed) >= 0


@pytest.mark.parametrize(
    ("name", "layer"),
    [("convnet", "convolutions.13"), ("lecun1989", "h2.1"), ("lenet5", "layers.5")],
)
def test_grad_cam_of_the_last_convolution(name, layer):
    network, X = build(name), images(2)
    maps = LayerGradCam(network, network.get_submodule(layer)).attribute(X, target=1)
    assert maps.shape[:2] == (2, 1)
    assert maps.isfinite().all()
    assert maps.abs().sum() > 0


@names
def test_networks_can_be_traced_exported_and_compiled(name):
    network, X = build(name), images(3)
    expected = network(X)
    for traced in (
        torch.fx.symbolic_trace(network),
        torch.export.export(network, (X,)).module(),
        torch.compile(network, backend="aot_eager", fullgraph=True),
    ):
        torch.testing.assert_close(traced(X), expected)


# Networks of fitted models


def same_outputs(classifier, X):
    """Return True if the network, as it is, returns the logits of the classifier's predictions."""
    network = classifier.net_.module_
    with torch.no_grad():
        logits = network(torch.tensor(X, dtype=torch.float32).view(-1, 1, 16, 16))
    return np.allclose(logits.log_softmax(1), classifier.predict_log_proba(X), atol=1e-5)


def through_file(model, tmp_path):
    save_model(model, tmp_path / "model.skops")
    return load_model(tmp_path / "model.skops")


def through_pickle(model, tmp_path):
    return pickle.load(io.BytesIO(pickle.dumps(model)))


WAYS = [lambda model, _: model, through_file, through_pickle, lambda model, _: copy.deepcopy(model)]


@pytest.mark.parametrize("way", WAYS, ids=["fitted", "file", "pickle", "copy"])
@pytest.mark.parametrize("name", ["convnet", "lenet5", "luacnn"])
def test_the_network_of_a_model_predicts_without_dropout(name, way, bars, tmp_path):
    X, y = bars
    fitted = ConvNetClassifier(network=name, max_epochs=2, random_state=0).fit(X, y)
    classifier = way(fitted, tmp_path)
    assert not classifier.net_.module_.training
    check_completeness(classifier.net_.module_)
    assert same_outputs(classifier, X[:20])


def test_the_network_predicts_without_dropout_after_every_kind_of_fit(bars):
    X, y = bars
    classifier = ConvNetClassifier(max_epochs=1, random_state=0)
    for fit in (
        lambda: classifier.fit(X, y),
        lambda: classifier.partial_fit(X, y),
        lambda: classifier.set_params(early_stopping=True).fit(X, y),
        lambda: classifier.set_params(warm_start=True).fit(X, y),
    ):
        fit()
        assert not classifier.net_.module_.training
        assert same_outputs(classifier, X[:20])


@names
def test_networks_of_tasks_with_shared_layers(name, two_tasks, tmp_path):
    X, y, task = two_tasks
    base = ConvNetClassifier(network=name, max_epochs=1, random_state=0)
    fitted = MultiTaskConvNetClassifier(base, n_shared_layers=1).fit(X, y, task=task)
    for model in (fitted, through_file(fitted, tmp_path)):
        assert not model.net_.module_.training
        check_completeness(model.net_.module_)
        for classifier in model.estimators_.values():
            check_completeness(classifier.net_.module_)


@names
def test_networks_of_a_batched_search(name, bars):
    X, y = bars
    base = ConvNetClassifier(network=name, max_epochs=1, random_state=0)
    search = BatchedGridSearchCV(base, {"lr": [0.001, 0.002]}, cv=2).fit(X, y)
    best = search.best_estimator_
    assert not best.net_.module_.training
    check_completeness(best.net_.module_)


def test_shared_layers_network_of_random_weights():
    generator = torch.Generator().manual_seed(0)
    networks = [build_network("lenet5", {}, (16, 16), n, generator) for n in (3, 2)]
    check_completeness(SharedLayersNetwork(networks, 2).eval())
