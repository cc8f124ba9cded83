"""The callbacks of a training: its log, its progress bar and early stopping, and their calls."""

from __future__ import annotations

import re
import sys
import time

from skorch.callbacks import Callback, EarlyStopping, ProgressBar

from ._config import TrainingConfig
from .optim._time_limit import TimeLimit

BOLD, PLAIN = "\033[1m", "\033[0m"
BATCH_EVENTS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class StopTraining(Exception):  # noqa: N818 (no error, as StopIteration)
    """Request of a callback to end the training, which in skorch is a KeyboardInterrupt."""


def overrides(callback, event: str) -> bool:
    """Return True if a callback does anything at an event."""
    method = getattr(callback, event)
    return getattr(method, "__func__", method) is not getattr(Callback, event)


def call_listeners(net, event: str, listeners: list, options: dict) -> None:
    """Call methods of callbacks at an event of a training.

    A KeyboardInterrupt out of an event of an epoch or a batch ends the training, also if it is
    Ctrl-C that arrives there. Any other KeyboardInterrupt is the user's Ctrl-C.
    """
    for listener in listeners:
        try:
            listener(net, **options)
        except KeyboardInterrupt as error:
            if event.startswith(("on_epoch", "on_batch")):
                raise StopTraining from error
            raise
        except Exception as error:
            if (key := _missing_key(error)) is not None:
                name = type(getattr(listener, "__self__", listener)).__name__
                raise ValueError(_key_advice(net, name, key)) from error
            raise


def _missing_key(error: BaseException | None) -> str | None:
    """Return the key that a callback did not find in the history, or None for another error."""
    while error is not None and not isinstance(error, KeyError):
        error = error.__cause__ or error.__context__  # skorch's callbacks raise errors of their own
    if error is None or not error.args:
        return None
    if found := re.fullmatch(r"Key '(.+)' was not found in history\.", str(error.args[0])):
        return found[1]
    return error.args[0] if str(error.args[0]).startswith("valid_") else None


def _key_advice(net, name: str, key: str) -> str:
    problem = f"The callback {name} looks for {key!r} in the history of an epoch"
    has_valid_data = net.data_[1] is not None
    if not has_valid_data and key.startswith("valid"):
        return (
            f"{problem}, but there is no validation set: set early_stopping=True, or pass X_val "
            "and y_val to fit."
        )
    known = sorted(set(net.history[-1]) - {"batches"})
    advice = f"A callback that records it, such as EpochScoring, must precede {name} in `callbacks`"
    if not has_valid_data:
        advice += "; to score validation images, set early_stopping=True or pass X_val to fit"
    return f"{problem}, which has {known} so far. {advice}."


def training_callbacks(config: TrainingConfig) -> list:
    """Return the callbacks of a training: ours for output, the user's, and those that end it."""
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
    if config.deadline is not None:
        callbacks.append(("time_limit", TimeLimit(config.deadline)))
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
        if net.config.deadline is not None:
            left = max(0, min(left, net.config.deadline - time.perf_counter()))
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
