"""Images in batches, which are slices of blocks of some hundred or thousand images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from sklearn.utils import gen_batches

from ._data import Part

#: Images of a block, about: enough for the work per block to vanish, and few megabytes.
BLOCK_SIZE = 2048


class Block(NamedTuple):
    """Images that are fetched and deformed at once, in the order of training."""

    images: torch.Tensor
    targets: torch.Tensor | None
    weights: torch.Tensor | None
    #: The rows of each batch.
    batches: list[slice]


def split_block(block: Block) -> Iterator[tuple]:
    """The batches of a block, tuples of images and targets, and their weights."""
    images, targets, weights, batches = block
    for rows in batches:
        batch = (images[rows], None if targets is None else targets[rows])
        yield batch, None if weights is None else weights[rows]


def batch_slices(n_samples: int, batch_size: int) -> list[slice]:
    """Cut samples into batches.

    A single sample that is left over joins the batch before it, since batch normalization can
    learn nothing from one value.
    """
    return list(gen_batches(n_samples, batch_size, min_batch_size=min(2, batch_size)))


class Batches:
    """The images of a data set in blocks of batches.

    One index into the array that holds all images fetches many batches, so that a batch costs no
    more than a slice; and no more than a block is ever copied, wherever the array is.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset or Part
        Its `X` is of shape (n_samples, height * width), its `y` may be None.

    image_shape : tuple of int (height, width)
        Shape of the images.

    slices : list of slice
        The samples of each batch, by their place in the order of the pass.

    sample : callable, default=None
        Draws the samples of each pass: ``sample(n_samples)`` returns as many indices; None: all in
        their order.
    """

    def __init__(self, dataset, image_shape, slices, *, sample=None):
        self.data, self.rows, self.weights = dataset, None, None
        if isinstance(dataset, Part):
            self.data, self.rows, self.weights = dataset.dataset, dataset.indices, dataset.weights
        self.image_shape = image_shape
        self.sample = sample
        self.slices = slices
        self.batches_per_block = max(1, BLOCK_SIZE // (slices[0].stop - slices[0].start))

    def __len__(self) -> int:
        return len(self.slices)

    def __iter__(self) -> Iterator[Block]:
        drawn = None if self.sample is None else self.sample(self.slices[-1].stop)
        for i in range(0, len(self.slices), self.batches_per_block):
            batches = self.slices[i : i + self.batches_per_block]
            begin, end = batches[0].start, batches[-1].stop
            picked = slice(begin, end) if drawn is None else drawn[begin:end]
            rows = picked if self.rows is None else self.rows[picked]
            # A copy of a few rows may be written to, even where X is read-only or on disk.
            images = torch.from_numpy(np.array(self.data.X[rows], dtype=np.float32))
            y = self.data.y
            yield Block(
                images.view(-1, 1, *self.image_shape),
                None if y is None else torch.as_tensor(y[rows]),
                None if self.weights is None else torch.from_numpy(self.weights[picked]),
                [slice(batch.start - begin, batch.stop - begin) for batch in batches],
            )
