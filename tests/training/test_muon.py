"""The optimizer Muon."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from sklearn_usps import ConvNetClassifier
from sklearn_usps.training.optim._muon import Muon, orthogonalize


def train(network, optimizer, n_steps=10):
    """Train a network on random images."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(n_steps):
        images = torch.rand(8, 1, 8, 8, generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), torch.arange(8) % 3).backward()
        optimizer.step()


def make_network():
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU()),
        *(nn.Conv2d(6, 3, 5, stride=2, bias=False), nn.Flatten(), nn.Linear(3, 3)),
    )


@pytest.mark.parametrize("shape", [(16, 9), (9, 16), (32, 144), (64, 576), (5, 5)])
def test_orthogonalize_makes_singular_values_alike_and_keeps_the_vectors(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, values, v = torch.linalg.svd(matrix, full_matrices=False)
    made = u.T @ orthogonalize(matrix[None])[0] @ v.T
    assert_allclose(made - made.diag().diag(), 0, atol=1e-4)
    is_large = values > 0.01 * values.norm()
    assert_allclose(made.diag()[is_large], 0.95, atol=0.3)


@pytest.mark.parametrize("rank", [0, 1, 8])
def test_orthogonalize_of_few_directions(rank):
    """Such as of filters before dead ReLUs: no singular value becomes large."""
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(n, rank, generator=generator) for n in (64, 576))
    values = torch.linalg.svdvals(orthogonalize((left @ right.T)[None])[0])
    assert_allclose(values[:rank], 0.95, atol=0.3)
    assert_allclose(values[rank:], 0, atol=1e-2)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch has Muon from 2.9 on")
def test_filters_are_trained_as_by_muon_of_torch_and_the_rest_as_by_adamw():
    ours, reference = make_network(), make_network()
    train(ours, Muon(ours.parameters(), lr=0.02, momentum=0.9, weight_decay=0.1))
    filters = [layer.weight for layer in reference if isinstance(layer, nn.Conv2d)]
    matrices = [nn.Parameter(weight.detach().flatten(1)) for weight in filters]

    class Both(torch.optim.AdamW):
        """AdamW, and Muon of torch, which takes matrices only."""

        def step(self):
            for weight, matrix in zip(filters, matrices, strict=True):
                matrix.grad = weight.grad.flatten(1)
                weight.grad = None
            super().step()
            muon.step()
            with torch.no_grad():
                for weight, matrix in zip(filters, matrices, strict=True):
                    weight.copy_(matrix.view_as(weight))

    options = {"momentum": 0.9, "weight_decay": 0.1, "adjust_lr_fn": "match_rms_adamw"}
    muon = torch.optim.Muon(matrices, lr=0.02, **options)
    train(reference, Both(reference.parameters(), lr=0.02, weight_decay=0.1))
    trained = zip(ours.parameters(), reference.parameters(), strict=True)
    for ours_trained, theirs in trained:
        # torch orthogonalizes in bfloat16.
        assert_allclose(ours_trained.detach(), theirs.detach(), atol=0.02)


def test_a_network_without_convolutions_is_trained_as_by_adamw():
    networks = []
    for optimizer in ("muon", "adamw"):
        X, y = np.random.default_rng(0).random((60, 64)), np.arange(60) % 3
        params = {"network": Flat, "max_epochs": 2, "random_state": 0, "batch_size": 20}
        classifier = ConvNetClassifier(optimizer=optimizer, **params).fit(X, y)
        networks.append(classifier.net_.module_.state_dict())
    for name, weights in networks[0].items():
        assert_array_equal(weights, networks[1][name])


class Flat(nn.Sequential):
    def __init__(self, image_shape, n_classes):
        super().__init__(nn.Flatten(), nn.Linear(image_shape[0] * image_shape[1], n_classes))


class ComplexFilters(nn.Module):
    def __init__(self, image_shape, n_classes):
        super().__init__()
        weight = torch.randn(n_classes, 1, *image_shape, dtype=torch.complex64)
        self.weight = nn.Parameter(0.1 * weight)

    def forward(self, images):
        return (images[:, None] * self.weight).sum((2, 3, 4)).abs()


@pytest.mark.filterwarnings("ignore:Casting complex values")
def test_complex_filters_are_trained_as_by_adamw(bars):
    networks = []
    for optimizer in ("muon", "adamw"):
        params = {"network": ComplexFilters, "max_epochs": 2, "random_state": 0, "batch_size": 20}
        classifier = ConvNetClassifier(optimizer=optimizer, **params).fit(*bars)
        networks.append(classifier.net_.module_.weight.detach())
    assert torch.equal(*networks)
