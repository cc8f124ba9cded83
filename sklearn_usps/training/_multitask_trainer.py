"""The skorch net of several tasks: batches that mix them, losses and errors of each."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from skorch.callbacks import EpochTimer

from ._batches import Batches, batch_slices
from ._trainer import Trainer, draw_samples


class MultiTaskSampler:
    """Which samples of each task are in each batch of an epoch.

    The task with the most samples passes once through an epoch, in batches as if it were alone.
    Each other task gives as many samples as the geometric mean of its size and that of the largest,
    spread evenly over these batches, and begins again, in a new order, when all were there: it is
    neither drowned, as by shares like the sizes, nor repeated without end, as by equal shares.
    Compare [1]_, section 3.5.2.

    Parameters
    ----------
    sizes : sequence of int
        Number of samples of each task; some may have none.

    batch_size : int
        Number of images of the largest task in a batch. If it is more than one, each task has at
        least two images in a batch, since batch normalization can learn nothing from one value:
        with small batches a small task comes more often than by the mean.

    References
    ----------
    .. [1] C. Raffel, N. Shazeer, A. Roberts, K. Lee, S. Narang, M. Matena, Y. Zhou, W. Li and P. J.
       Liu, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer",
       Journal of Machine Learning Research 21(140):1-67, 2020.
    """

    def __init__(self, sizes, batch_size: int):
        self.sizes = np.asarray(sizes)
        largest = int(self.sizes.argmax())
        batches = batch_slices(int(self.sizes[largest]), batch_size)
        least = 2 * len(batches) if batch_size > 1 else 0
        drawn = np.maximum(np.sqrt(self.sizes * float(self.sizes[largest])), least)
        drawn = np.where(self.sizes > 0, np.rint(drawn), 0)
        #: Where the batches begin and end in what is drawn of each task: (n_tasks, n_batches + 1).
        self.cuts = np.rint(np.linspace(0, drawn, len(batches) + 1).T).astype(int)
        self.cuts[largest, 1:] = [batch.stop for batch in batches]

    def __len__(self) -> int:
        """The number of batches."""
        return self.cuts.shape[1] - 1

    def slices(self) -> list[slice]:
        """The batches, as parts of the samples that `order` returns."""
        return [slice(*bounds) for bounds in pairwise(self.cuts.sum(axis=0).tolist())]

    def order(self, rows: list[np.ndarray], sampling: str, generator) -> np.ndarray:
        """Draw the samples of an epoch from the rows of each task, batch by batch."""
        drawn = [
            np.split(of_task[draw_samples(sampling, len(of_task), cuts[-1], generator)], cuts[1:-1])
            for of_task, cuts in zip(rows, self.cuts, strict=True)
            if len(of_task)
        ]
        return np.concatenate([part for batch in zip(*drawn, strict=True) for part in batch])


class _Tally(NamedTuple):
    """Sums over the samples of a task in a batch."""

    loss: torch.Tensor
    n_samples: int
    wrong: torch.Tensor
    weight: torch.Tensor


class MultiTaskTrainer(Trainer):
    """A skorch net whose module is a `SharedLayersNetwork`.

    Targets are indices in the classes of all tasks, one task after the other, so that each target
    tells its task. The scores of a sample for the classes of other tasks are -inf.

    Parameters
    ----------
    module : SharedLayersNetwork
        The networks.

    tasks : list
        The names of the tasks, under which the history has what concerns one of them.

    n_classes : list of int
        Number of classes of each task.

    task_weights : list of float
        What the mean loss of each task counts in the sum that is minimized.

    **options
        As of `Trainer`.
    """

    def __init__(self, module, *, tasks, n_classes, task_weights, **options):
        super().__init__(module, **options)
        self.tasks = tasks
        self.n_classes = n_classes
        self.task_weights = task_weights

    @property
    def _default_callbacks(self):
        # The losses are not the means over the batches that skorch would take.
        return [("epoch_timer", EpochTimer())]

    def get_iterator(self, dataset, training=False):
        if not training:
            return super().get_iterator(dataset)
        tasks = self._tasks_of(torch.as_tensor(dataset.dataset.y[dataset.indices])).numpy()
        rows = [np.flatnonzero(tasks == task) for task in range(len(self.tasks))]
        mix = MultiTaskSampler([len(part) for part in rows], self.batch_size)

        def sample(n_samples):
            return mix.order(rows, self.sampling, self.generator)

        return Batches(dataset, self.image_shape, mix.slices(), sample=sample)

    def _tasks_of(self, targets: torch.Tensor) -> torch.Tensor:
        return torch.searchsorted(torch.tensor(self.n_classes).cumsum(0), targets, right=True)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        if iterator is None:
            return
        self.tallies_: list[list[_Tally]] = [[] for _ in self.tasks]
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        epoch = self.history[-1]
        records = epoch.setdefault("tasks", {name: {} for name in self.tasks})
        for record, tallies in zip(records.values(), self.tallies_, strict=True):
            if tallies:
                sums = [float(sum(values)) for values in zip(*tallies, strict=True)]
                loss, n_samples, wrong, weight = sums
                record[prefix + "_loss"] = loss / n_samples
                record[prefix + "_error"] = wrong / weight
        for key in (prefix + "_loss", prefix + "_error"):
            values = [record[key] for record in records.values() if key in record]
            epoch[key] = math.fsum(values) / len(values)
        loss = prefix + "_loss"  # whether it is the best is what skorch's Checkpoint goes by
        epoch[loss + "_best"] = all(epoch[loss] < e[loss] for e in self.history[:-1] if loss in e)

    def loss_and_scores(self, batch, weights):
        """The weighted sum of the mean losses of the tasks in a batch, and the scores."""
        images, targets = batch
        tasks = self._tasks_of(targets)
        scores = torch.full((len(images), sum(self.n_classes)), -math.inf)
        total, begin = 0.0, 0
        for task, network in enumerate(self.module_.networks):
            end = begin + self.n_classes[task]
            rows = (tasks == task).nonzero()[:, 0]
            if len(rows):
                own_targets = targets[rows] - begin
                own_weights = None if weights is None else weights[rows]
                own_scores = network(images[rows].to(self.device))
                loss = self.mean_loss(network, own_scores, own_targets, own_weights)
                total = total + self.task_weights[task] * loss
                own_scores = own_scores.detach().cpu()
                scores[rows, begin:end] = own_scores
                self.tallies_[task].append(_tally(loss, own_scores, own_targets, own_weights))
            begin = end
        return total, scores


def _tally(loss, scores, targets, weights) -> _Tally:
    wrong = scores.argmax(1) != targets
    weights = torch.ones(len(wrong)) if weights is None else weights
    return _Tally(loss.detach().cpu() * len(wrong), len(wrong), weights[wrong].sum(), weights.sum())
