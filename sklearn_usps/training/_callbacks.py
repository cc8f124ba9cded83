"""The callbacks of a training: its log, its progress bar and early stopping."""

from __future__ import annotations

import sys

from skorch.callbacks import Callback, EarlyStopping, ProgressBar

from ._config import TrainingConfig

BOLD, PLAIN = "\033[1m", "\033[0m"


class StopTraining(Exception):  # noqa: N818 (no error, as StopIteration)
    """Request of a callback to end the training, which in skorch is a KeyboardInterrupt."""


def training_callbacks(config: TrainingConfig) -> list:
    """Return the callbacks of a training: ours for output, the user's, and early stopping."""
    callbacks: list = []
    # The bar is wiped off before the log prints the line of the epoch, so it comes first.
    if config.verbose >= 2 and _is_terminal(sys.stderr):
        callbacks.append(("progress_bar", EpochBar()))
    if config.verbose:
        callbacks.append(("epoch_log", EpochLog()))
    callbacks += config.callbacks
    if config.patience is not None:
        # Any smaller loss counts, so that the best epoch is the one with the smallest.
        stopping = EarlyStopping(patience=config.patience, threshold=0, load_best=True)
        callbacks.append(("early_stopping", stopping))
    return callbacks


class EpochLog(Callback):
    """Print a line per epoch: its number, the errors in percent, its time and the time left.

    The number is bold where the validation loss is the smallest so far and standard output is a
    terminal: it is the epoch that early stopping would go back to. Without a validation set no
    epoch is bold. If there are several tasks, the last error is the mean over them, and that of
    each follows in brackets.
    """

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.n_epochs_ = len(net.history) + net.max_epochs
        self.n_before_ = len(net.history)

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        epochs = net.history[self.n_before_ :]
        epoch = epochs[-1]
        number = f"Epoch {epoch['epoch']:{len(str(self.n_epochs_))}}/{self.n_epochs_}"
        if _is_best(epochs) and _is_terminal(sys.stdout):
            number = BOLD + number + PLAIN
        parts = [number, f"train error {epoch['train_error']:7.2%}"]
        key = "train_error"
        if "valid_error" in epoch:
            key = "valid_error"
            parts.append(f"validation error {epoch[key]:7.2%}")
        of_tasks = {name: record[key] for name, record in epoch.get("tasks", {}).items() if record}
        if len(of_tasks) > 1:
            named = (f"{name} {error:7.2%}" for name, error in of_tasks.items())
            parts[-1] += f" ({', '.join(named)})"
        n_left = self.n_epochs_ - epoch["epoch"]
        left = n_left * sum(e["dur"] for e in epochs) / len(epochs)
        parts += [f"{epoch['dur']:6.2f} s", f"{left:4.0f} s left"]
        print("   ".join(parts), flush=True)


def _is_terminal(stream) -> bool:
    """Return True if a stream, which a program without a console may lack, is a terminal."""
    return stream is not None and stream.isatty()


def _is_best(epochs) -> bool:
    """Return True if the last epoch has the smallest validation loss; of equal ones the first."""
    losses = [epoch["valid_loss"] for epoch in epochs if "valid_loss" in epoch]
    return bool(losses) and all(losses[-1] < loss for loss in losses[:-1])


class EpochBar(ProgressBar):
    """Progress bar of the batches of an epoch.

    skorch assumes that all batches have `batch_size` images, also those of validation.
    """

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.batches_per_epoch = len(net.get_iterator(dataset_train, training=True))
        if dataset_valid is not None:
            self.batches_per_epoch += len(net.get_iterator(dataset_valid))
        super().on_epoch_begin(net, dataset_train, dataset_valid, **kwargs)
