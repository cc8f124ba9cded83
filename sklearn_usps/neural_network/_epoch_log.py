"""What a fit tells on standard output."""

from skorch.callbacks import Callback


class EpochLog(Callback):
    """Print a line per epoch: its number, the errors in percent, the time."""

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.n_epochs_ = len(net.history) + net.max_epochs

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        epoch = net.history[-1]
        parts = [f"train error {epoch['train_error']:7.2%}"]
        if "valid_error" in epoch:
            parts.append(f"validation error {epoch['valid_error']:7.2%}")
        parts.append(f"{epoch['dur']:6.2f} s")
        number = f"{epoch['epoch']:{len(str(self.n_epochs_))}}/{self.n_epochs_}"
        print(f"Epoch {number}   {'   '.join(parts)}", flush=True)
