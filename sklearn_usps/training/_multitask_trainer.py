"""The trainer of several tasks: batches that mix them, losses and errors of each."""

from __future__ import annotations

import math
import operator
from itertools import pairwise

import numpy as np
import torch
from skorch.callbacks import EpochTimer
from skorch.history import History

from ._data import BatchIterator, batch_slices, draw_samples
from ._trainer import Trainer
from .optim._loss import mean_loss


class MultiTaskSampler:
    """The number of samples of each task in each batch of an epoch.

    The task with the most samples passes once through an epoch, in batches as if it were alone.
    Each other task contributes as many samples as the geometric mean of its size and that of the
    largest, spread evenly over these batches, and begins again, in a new order, when all were seen:
    it is neither drowned, as with shares in proportion to the sizes, nor repeated many times, as
    with equal shares. Compare [1]_, section 3.5.2. A task without samples has none.

    If `batch_size`, the number of images of the largest task in a batch, is more than one, each
    task has at least two images in a batch: batch normalization can learn nothing from one value.

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
        #: Bounds of the batches in the samples drawn of each task: (n_tasks, n_batches + 1).
        self.cuts = np.rint(np.linspace(0, drawn, len(batches) + 1).T).astype(int)
        self.cuts[largest, 1:] = [batch.stop for batch in batches]

    def __len__(self) -> int:
        """Return the number of batches."""
        return self.cuts.shape[1] - 1

    def slices(self) -> list[slice]:
        """Return the batches as parts of the samples that `order` returns."""
        return [slice(*bounds) for bounds in pairwise(self.cuts.sum(axis=0).tolist())]

    def order(self, rows: list[np.ndarray], sampling: str, generator) -> np.ndarray:
        """Draw the samples of an epoch from the rows of each task, batch by batch."""
        drawn = [
            np.split(of_task[draw_samples(sampling, len(of_task), cuts[-1], generator)], cuts[1:-1])
            for of_task, cuts in zip(rows, self.cuts, strict=True)
            if len(of_task)
        ]
        return np.concatenate([part for batch in zip(*drawn, strict=True) for part in batch])


class MultiTaskTrainer(Trainer):
    """A trainer of a `SharedLayersNetwork`.

    Targets are indices in the classes of all tasks, one task after the other, so that each target
    determines its task: `task_sizes` has the number of classes of each. The logits of a sample for
    the classes of other tasks are -inf. `task_weights` has the weight of the mean loss of each task
    in the sum to minimize; its keys name the records of the tasks in the history.
    """

    def __init__(self, module, *, task_sizes, task_weights, **options):
        super().__init__(module, n_classes=sum(task_sizes), **options)
        self.tasks = list(task_weights)
        self.task_sizes = task_sizes
        self.task_weights = task_weights

    @property
    def _default_callbacks(self):
        # The loss is a mean over tasks, not the mean over batches that skorch would record.
        return [("epoch_timer", EpochTimer())]

    def get_iterator(self, dataset, training=False):
        if not training:
            return super().get_iterator(dataset)
        rows = self._rows_of_tasks(dataset)
        sampler = MultiTaskSampler([len(part) for part in rows], self.batch_size)

        def sample(n_samples):
            return sampler.order(rows, self.config.sampling, self.generator)

        return BatchIterator(
            dataset, self.config.image_shape, sampler.slices(), sample=sample, read=self.read_
        )

    def choose_step(self):
        return self.take_step  # a batch has no fixed number of samples of each task

    def count_images(self, data):
        return max(map(len, self._rows_of_tasks(data)))

    def _rows_of_tasks(self, data) -> list[np.ndarray]:
        tasks = self._tasks_of(torch.from_numpy(data.targets)).numpy()
        return [np.flatnonzero(tasks == task) for task in range(len(self.tasks))]

    def _tasks_of(self, targets: torch.Tensor) -> torch.Tensor:
        ends = torch.from_numpy(np.cumsum(self.task_sizes))
        return torch.searchsorted(ends, targets, right=True)

    def evaluate(self, batch, weights):
        """Return the weighted sum of the mean losses of the tasks, the logits and sums of metrics.

        The sums are of shape (n_tasks, 4): losses, number of samples, weights of errors, weights.
        """
        images, targets = batch
        tasks = self._tasks_of(targets)
        logits = images.new_full((len(images), sum(self.task_sizes)), -math.inf, device="cpu")
        sums = torch.zeros(len(self.tasks), 4, dtype=torch.float64, device="cpu")
        total, begin = 0.0, 0
        for task, network in enumerate(self.module_.networks):
            end = begin + self.task_sizes[task]
            rows = (tasks == task).nonzero()[:, 0]
            if len(rows):
                own_targets = targets[rows] - begin
                own_weights = None if weights is None else weights[rows]
                own_logits = self.compute_logits(network, images[rows])
                smoothing = self.criterion_.label_smoothing
                loss = mean_loss(network, own_logits, own_targets, own_weights, smoothing)
                total = total + self.task_weights[self.tasks[task]] * loss
                own_logits = own_logits.detach().cpu()
                logits[rows, begin:end] = own_logits
                sums[task] = _count(loss, own_logits, own_targets, own_weights)
            begin = end
        return {"loss": total, "y_pred": logits, "metric_sums": sums}

    def sum_metrics(self, block, steps):
        return np.sum([step["metric_sums"].numpy() for step in steps], axis=0)

    def record_epoch(self, prefix, sums):
        """Record the losses and errors of the tasks, and their means."""
        records = self.history[-1].setdefault("tasks", {name: {} for name in self.tasks})
        of_tasks = zip(records.values(), sums.tolist(), strict=True)
        for record, (loss, n_samples, wrong, weight) in of_tasks:
            if n_samples:
                record[prefix + "_loss"] = loss / n_samples
                record[prefix + "_error"] = wrong / weight
                if prefix == "valid":
                    record["valid_acc"] = 1 - wrong / weight
        means = {}
        for key in (prefix + "_loss", prefix + "_error"):
            values = [record[key] for record in records.values() if key in record]
            means[key] = math.fsum(values) / len(values)
        self.record_with_best(prefix + "_loss", means[prefix + "_loss"], is_better=operator.lt)
        self.history.record(prefix + "_error", means[prefix + "_error"])
        if prefix == "valid":
            accuracy = 1 - means["valid_error"]
            self.record_with_best("valid_acc", accuracy, is_better=operator.gt)

    def history_of_task(self, task) -> History:
        """Return the history of a trainer of one task alone."""
        common = ("epoch", "lr", "dur", "batches")
        rows = [
            {**{name: epoch[name] for name in common}, **epoch["tasks"][task]}
            for epoch in self.history
        ]
        return History(rows)


def _count(loss, logits, targets, weights) -> torch.Tensor:
    wrong = logits.argmax(1) != targets
    weights = logits.new_ones(len(wrong)) if weights is None else weights
    n_samples = float(len(wrong))
    loss = float(loss.detach().cpu())
    sums = [loss * n_samples, n_samples, weights[wrong].sum(), weights.sum()]
    return torch.tensor(sums, dtype=torch.float32, device="cpu")
