"""Batches of several tasks."""

import numpy as np
import pytest
import torch

from sklearn_usps import ConvNetClassifier, MultiTaskConvNetClassifier
from sklearn_usps.training._multitask_trainer import MultiTaskSampler


def epoch_of(sizes, batch_size):
    """Return the samples of each batch; numbers of the second task follow those of the first."""
    sampler = MultiTaskSampler(sizes, batch_size)
    rows = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    order = sampler.order(rows, "shuffle", torch.Generator().manual_seed(0))
    return [order[part] for part in sampler.slices()]


@pytest.mark.parametrize(
    ("sizes", "batch_size", "n_in_batch", "n_repeats"),
    [
        # As many as the geometric mean of both sizes.
        ([10_000, 400, 0], 100, {20}, {5}),
        ([1000, 1000], 100, {100}, {1}),
        ([1000, 30], 100, {17, 18}, {5, 6}),
        ([5000, 3], 1, {0, 1}, {40, 41}),
        # At least two in a batch.
        ([5000, 3], 2, {2}, {1666, 1667}),
        ([5000, 3], 64, {2}, {52, 53}),
    ],
)
def test_samples_of_a_small_task(sizes, batch_size, n_in_batch, n_repeats):
    batches = epoch_of(sizes, batch_size)
    n_large = sizes[0]
    assert {(batch < n_large).sum() for batch in batches[:-1]} == {batch_size}
    assert {(batch >= n_large).sum() for batch in batches} == n_in_batch
    counts = np.bincount(np.concatenate(batches))
    assert set(counts[:n_large]) == {1}
    assert set(counts[n_large:]) == n_repeats


def test_each_repetition_of_a_small_task_has_an_order_of_its_own():
    small = np.concatenate([batch[batch >= 900] for batch in epoch_of([900, 25], 100)])
    repetitions = small[:150].reshape(6, 25)
    assert [sorted(order) for order in repetitions.tolist()] == [[*range(900, 925)]] * 6
    assert len(np.unique(repetitions, axis=0)) == 6


def test_auto_batch_size_follows_the_largest_task():
    network = ConvNetClassifier(network="luacnn", max_epochs=1, augmentation=None, random_state=0)
    classifier = MultiTaskConvNetClassifier(network)
    task = np.repeat(["many", "few"], [640, 40])
    classifier.fit(np.zeros((680, 16)), np.arange(680) % 2, task=task)
    assert classifier.net_.history[-1]["train_batch_count"] == 64
