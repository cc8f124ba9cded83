"""What a fit tells on standard output."""

import sys

from skorch.callbacks import Callback

BOLD, PLAIN = "\033[1m", "\033[0m"


class EpochLog(Callback):
    """Print a line per epoch: its number, the errors in percent, its time and the time left.

    The error to go by, that of validation where there is one, is bold where it is the smallest so
    far and standard output is a terminal. It is the mean over the tasks where there are several,
    whose errors follow in brackets.
    """

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.n_epochs_ = len(net.history) + net.max_epochs
        self.n_before_ = len(net.history)

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        epochs = net.history[self.n_before_ :]
        epoch = epochs[-1]
        parts = [f"train error {epoch['train_error']:7.2%}"]
        if "valid_error" in epoch:
            parts.append(f"validation error {epoch['valid_error']:7.2%}")
        key = "valid_error" if "valid_error" in epoch else "train_error"
        if epoch[key] == min(e[key] for e in epochs) and sys.stdout.isatty():
            parts[-1] = BOLD + parts[-1] + PLAIN
        of_tasks = {name: record[key] for name, record in epoch.get("tasks", {}).items() if record}
        if len(of_tasks) > 1:
            named = (f"{name} {error:.2%}" for name, error in of_tasks.items())
            parts[-1] += f" ({', '.join(named)})"
        n_left = self.n_epochs_ - epoch["epoch"]
        left = n_left * sum(e["dur"] for e in epochs) / len(epochs)
        parts += [f"{epoch['dur']:6.2f} s", f"{left:4.0f} s left"]
        number = f"{epoch['epoch']:{len(str(self.n_epochs_))}}/{self.n_epochs_}"
        print(f"Epoch {number}   {'   '.join(parts)}", flush=True)
