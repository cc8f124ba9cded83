"""Images in batches, each one index into the array that holds them all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from sklearn.utils import gen_batches

from ._samples import Part


def batch_slices(n_samples: int, batch_size: int) -> list[slice]:
    """Cut samples into batches.

    A single sample that is left over joins the batch before it, since batch normalization can
    learn nothing from one value.
    """
    return list(gen_batches(n_samples, batch_size, min_batch_size=min(2, batch_size)))


class Batches:
    """The images of a data set in batches, each one index into the array that holds them all.

    Iterating yields the batch, a tuple of images and targets (or None), and its weights (or None).

    Parameters
    ----------
    dataset : skorch.dataset.Dataset or Part
        Its `X` is of shape (n_samples, height * width), its `y` may be None.

    image_shape : tuple of int (height, width)
        Shape of the images.

    batch_size : int
        Number of images in a batch.

    sample : callable, default=None
        Draws the samples of each pass: ``sample(n_samples)`` returns as many indices; None: all in
        their order.
    """

    def __init__(self, dataset, image_shape, batch_size, *, sample=None):
        self.data, self.rows, self.weights = dataset, np.arange(len(dataset)), None
        if isinstance(dataset, Part):
            self.data, self.rows, self.weights = dataset.dataset, dataset.indices, dataset.weights
        self.image_shape = image_shape
        self.sample = sample
        self.slices = batch_slices(len(self.rows), batch_size)

    def __len__(self) -> int:
        return len(self.slices)

    def __iter__(self) -> Iterator[tuple[tuple, torch.Tensor | None]]:
        rows, weights, X, y = self.rows, self.weights, self.data.X, self.data.y
        if self.sample is not None:
            drawn = self.sample(len(rows))
            rows, weights = rows[drawn], None if weights is None else weights[drawn]
        for batch in self.slices:
            # The copy of a few rows may be written to, even where X is read-only or on disk.
            images = torch.from_numpy(np.asarray(X[rows[batch]], dtype=np.float32))
            images = images.view(-1, 1, *self.image_shape)
            targets = None if y is None else torch.as_tensor(y[rows[batch]])
            yield (images, targets), None if weights is None else torch.from_numpy(weights[batch])
