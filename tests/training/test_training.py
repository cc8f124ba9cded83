"""Epoch by epoch: history, early stopping, callbacks, output, interruption."""

import os
import re
import sys
import time

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    GradientNormClipping,
    LRScheduler,
    PrintLog,
    ProgressBar,
)
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR

from sklearn_usps import ConvNetClassifier
from sklearn_usps.training.optim._learning_rates import SCHEDULES

FAST = {"max_epochs": 3, "batch_size": 32, "augmentation": None, "random_state": 0}


class Frozen(nn.Module):
    """A network that predicts class 0 with constant confidence and learns nothing."""

    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.n_classes = n_classes
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, images):
        logits = torch.zeros(len(images), self.n_classes)
        logits[:, 0] = 1
        return logits + 0 * self.weight


class Fading(Frozen):
    """A network that is best after 20 batches: five epochs of 120 samples in batches of 32."""

    def __init__(self, image_shape, n_classes):
        super().__init__(image_shape, n_classes)
        self.register_buffer("batches", torch.zeros(()))

    def forward(self, images):
        self.batches += self.training
        return super().forward(images) / (1 + (self.batches - 20).abs())


# Batches


@pytest.mark.parametrize(
    ("n_images", "batches"),
    [
        (50, [8] * 6 + [2]),  # at least 8 images
        (640, [10] * 64),  # 64 batches
        (8200, [128] * 64 + [8]),  # at most 128 images
    ],
)
def test_auto_batch_size_follows_the_number_of_training_images(n_images, batches):
    sizes = []

    class Sizes(Callback):
        def on_batch_end(self, net, batch, **kwargs):
            sizes.append(len(batch[0]))

    X = np.zeros((n_images, 16))
    params = {"network": "luacnn", "max_epochs": 1, "augmentation": None, "random_state": 0}
    classifier = ConvNetClassifier(**params, callbacks=[Sizes()])
    classifier.fit(X, np.arange(n_images) % 2)
    assert sizes == batches


def test_auto_batch_size_counts_only_the_images_that_are_trained_on():
    """Held-out images and images of weight zero are not among them."""
    X, y = np.zeros((1280, 16)), np.arange(1280) % 2
    params = {"network": "luacnn", "max_epochs": 1, "augmentation": None, "random_state": 0}
    stopping = ConvNetClassifier(**params, early_stopping=True, validation_fraction=0.5).fit(X, y)
    weighted = ConvNetClassifier(**params).fit(X, y, sample_weight=np.arange(1280) < 640)
    for classifier in (stopping, weighted):
        assert classifier.net_.history[-1]["train_batch_count"] == 64


@pytest.mark.parametrize(("n_images", "n_epochs"), [(40, 100), (600, 50), (2000, 20)])
def test_auto_max_epochs_follows_the_number_of_training_images(n_images, n_epochs):
    params = {"network": "luacnn", "augmentation": None, "random_state": 0}
    classifier = ConvNetClassifier(**params).fit(np.zeros((n_images, 16)), np.arange(n_images) % 2)
    assert classifier.n_iter_ == n_epochs
    assert classifier.history_[-1]["lr"] < 0.02 * classifier.lr  # at the end of its schedule


# History


def test_history_has_a_row_per_epoch(bars):
    X, y = bars
    classifier = ConvNetClassifier(**FAST).fit(X, y)
    assert [row["epoch"] for row in classifier.history_] == [1, 2, 3]
    for row in classifier.history_:
        assert list(row) == ["epoch", "train_loss", "train_error", "lr", "dur"]
        assert row["dur"] > 0
    assert classifier.n_iter_ == 3
    assert not hasattr(classifier, "best_epoch_")


def test_errors_are_fractions_of_samples(bars):
    X, y = bars
    classifier = ConvNetClassifier(network=Frozen, **FAST)
    classifier.fit(X, y, X_val=X[:50], y_val=np.repeat([0, 2], [30, 20]))
    for row in classifier.history_:
        assert row["train_error"] == pytest.approx(2 / 3)
        assert row["valid_error"] == pytest.approx(20 / 50)
        assert row["valid_acc"] == 1 - row["valid_error"]


@pytest.mark.parametrize("early_stopping", [False, True])
def test_validation_figures_are_those_of_the_set_given(early_stopping, bars):
    X, y = bars
    names = np.array(["bar", "cross", "wall"])
    classifier = ConvNetClassifier(early_stopping=early_stopping, label_smoothing=0, **FAST)
    classifier.fit(X[:90], names[y[:90]], X_val=X[90:].reshape(-1, 16, 16), y_val=names[y[90:]])
    row = classifier.history_[classifier.best_epoch_ - 1 if early_stopping else -1]
    proba = classifier.predict_proba(X[90:])
    assert row["valid_acc"] == pytest.approx(classifier.score(X[90:], names[y[90:]]))
    loss = -np.log(proba[np.arange(30), y[90:]]).mean()
    assert row["valid_loss"] == pytest.approx(loss, rel=1e-4)


class SetsMode(nn.Module):
    """A network that sets the mode of a layer when it is made."""

    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.linear = nn.Linear(image_shape[0] * image_shape[1], n_classes)
        self.norm.eval()

    def forward(self, images):
        return self.linear(self.norm(images).flatten(1))


@pytest.mark.parametrize("network", ["convnet", SetsMode])
def test_a_validation_set_without_early_stopping_changes_no_weights(network, bars):
    X, y = bars
    without, beside = (
        ConvNetClassifier(network=network, **FAST).fit(X, y, **validation)
        for validation in ({}, {"X_val": X[:9], "y_val": y[:9]})
    )
    np.testing.assert_array_equal(without.predict_proba(X), beside.predict_proba(X))


@pytest.mark.parametrize("params", [{"max_epochs": 1, "batch_size": 120}, {"early_stopping": True}])
def test_divergence_in_the_last_step_is_reported(params, bars):
    classifier = ConvNetClassifier(**FAST).fit(*bars)
    classifier.set_params(lr=1e30, lr_schedule="constant", **params)
    with pytest.raises(ValueError, match=r"in epoch 1. Make lr smaller \(lr=1e\+30\)"):
        classifier.fit(*bars)
    with pytest.raises(NotFittedError):
        classifier.predict(bars[0])


def test_a_scheduler_beside_a_schedule_is_refused(bars):
    scheduler = ("rate", LRScheduler("StepLR", step_size=1))
    classifier = ConvNetClassifier(callbacks=[scheduler], **FAST)
    with pytest.raises(ValueError, match="set lr_schedule='constant'"):
        classifier.fit(*bars)
    classifier.set_params(lr_schedule="constant").fit(*bars)
    rates = [epoch["lr"] for epoch in classifier.history_[:2]]
    assert rates == pytest.approx([0.025, 0.0025])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X_val": "X"}, "X_val is provided, but y_val was not provided."),
        ({"y_val": "y"}, "y_val is provided, but X_val was not provided."),
        ({"sample_weight_val": "y"}, "sample_weight_val is provided, but X_val was not"),
        ({"X_val": "X", "y_val": "short"}, "inconsistent numbers of samples"),
        ({"X_val": "narrow", "y_val": "y"}, "X_val has 100 features, but ConvNetClassifier"),
        ({"X_val": "X", "y_val": "unseen"}, "`y_val` has classes not in `self.classes_`"),
    ],
)
def test_a_wrong_validation_set_is_refused(arguments, message, bars):
    X, y = bars
    values = {"X": X, "y": y, "short": y[:-1], "narrow": X[:, :100], "unseen": y + 1}
    with pytest.raises(ValueError, match=message):
        ConvNetClassifier(**FAST).fit(X, y, **{k: values[v] for k, v in arguments.items()})


@pytest.mark.parametrize("name", ["constant", *SCHEDULES])
def test_learning_rate_follows_its_schedule(name, bars):
    classifier = ConvNetClassifier(lr=0.01, lr_schedule=name, **FAST).fit(*bars)
    factors = SCHEDULES.get(name, np.ones)(12)[::4]  # of the first batch of each epoch
    np.testing.assert_allclose([row["lr"] for row in classifier.history_], 0.01 * factors)


@pytest.mark.parametrize("n_batches", [2, 3, 10, 77])
@pytest.mark.parametrize(
    ("name", "scheduler"),
    [
        ("cosine", CosineAnnealingLR),
        ("one-cycle", lambda opt, n: OneCycleLR(opt, 0.01, n, cycle_momentum=False)),
    ],
)
def test_schedules_are_those_of_torch(name, scheduler, n_batches):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.01)
    scheduler = scheduler(optimizer, n_batches)
    rates = [scheduler.get_last_lr()[0]]
    for _ in range(n_batches - 1):
        optimizer.step()
        scheduler.step()
        rates += scheduler.get_last_lr()
    np.testing.assert_allclose(0.01 * SCHEDULES[name](n_batches), rates, atol=1e-9)


def test_callbacks_for_batches_change_nothing(bars):
    """Without such callbacks, a block of batches is recorded as one."""

    class OnBatchEnd(Callback):
        def on_batch_end(self, net, **kwargs):
            pass

    X, y = bars
    options = {**FAST, "augmentation": "default"}
    fits = [
        ConvNetClassifier(callbacks=callbacks, **options).fit(X, y, X_val=X[:50], y_val=y[:50])
        for callbacks in ([], [OnBatchEnd()])
    ]
    np.testing.assert_array_equal(*(fit.predict_proba(X) for fit in fits))
    for plain, with_callback in zip(*(fit.history_ for fit in fits), strict=True):
        assert plain | {"dur": 0} == pytest.approx(with_callback | {"dur": 0})
    assert [len(fit.net_.history[-1, "batches"]) for fit in fits] == [2, 5]


# Early stopping


def test_early_stopping_restores_the_best_epoch(bars):
    X, _ = bars
    fast = {**FAST, "max_epochs": 30, "label_smoothing": 0}
    classifier = ConvNetClassifier(network=Fading, early_stopping=True, **fast)
    classifier.fit(X, np.repeat([0, 1], [100, 20]), X_val=X[:9], y_val=np.zeros(9))
    losses = [row["valid_loss"] for row in classifier.history_]
    assert np.argmin(losses) + 1 == classifier.best_epoch_ == 5
    assert classifier.n_iter_ == 15
    log_proba = classifier.predict_log_proba(X[:9])[:, 0]
    assert -log_proba.mean() == pytest.approx(losses[4])
    assert losses[4] < losses[-1]


def test_early_stopping_waits_n_iter_no_change_epochs(bars):
    classifier = ConvNetClassifier(
        network=Frozen, early_stopping=True, n_iter_no_change=4, **{**FAST, "max_epochs": 50}
    ).fit(*bars)
    assert classifier.best_epoch_ == 1
    assert classifier.n_iter_ == 5


def test_held_out_samples_are_stratified_and_not_trained_on(bars):
    X, y = bars
    sizes = []

    class Sizes(Callback):
        def on_epoch_begin(self, net, dataset_train, dataset_valid, **kwargs):
            targets = dataset_valid.dataset.y[dataset_valid.indices]
            assert not set(dataset_train.indices) & set(dataset_valid.indices)
            sizes.append((len(dataset_train), np.bincount(targets).tolist()))

    ConvNetClassifier(
        early_stopping=True, validation_fraction=0.25, callbacks=[Sizes()], **FAST
    ).fit(X, y)
    assert sizes == [(90, [10, 10, 10])] * 3


def test_classes_too_small_to_hold_out(bars):
    X, y = bars
    y = np.where(np.arange(120) == 0, "seven", y.astype(str))
    with pytest.raises(ValueError, match=r"only one of \['seven'\]. Leave them out, or pass X_val"):
        ConvNetClassifier(early_stopping=True, **FAST).fit(X, y)
    message = (
        r"validation_fraction=0\.01 .* 120 .* 2 are held out: too few for 3 classes in both parts"
    )
    with pytest.raises(ValueError, match=message):
        ConvNetClassifier(early_stopping=True, validation_fraction=0.01, **FAST).fit(X, bars[1])


# Callbacks


def test_skorch_callbacks_work(bars, tmp_path, capsys):
    X, y = bars
    callbacks = [
        ("f1", EpochScoring("f1_macro", lower_is_better=False, name="f1")),
        EpochScoring("accuracy", on_train=True, lower_is_better=False, name="train_acc"),
        EpochScoring("accuracy", use_caching=False, lower_is_better=False, name="accuracy"),
        BatchScoring("accuracy", name="batch_acc", lower_is_better=False),
        Checkpoint(monitor="valid_acc_best", dirname=tmp_path, f_history=None),
        GradientNormClipping(1.0),
        LRScheduler("StepLR", step_size=1, gamma=0.5),
        ProgressBar(),
        PrintLog(),
    ]
    classifier = ConvNetClassifier(callbacks=callbacks, lr=0.008, lr_schedule="constant", **FAST)
    classifier.set_params(verbose=1).fit(X, y, X_val=X[:60], y_val=y[:60])
    for row, epoch in zip(classifier.history_, classifier.net_.history, strict=True):
        assert epoch["train_acc"] == pytest.approx(1 - row["train_error"])
        for name in ("accuracy", "batch_acc"):
            assert epoch[name] == pytest.approx(row["valid_acc"])
        assert 0 <= epoch["f1"] <= 1
        assert epoch["lr"] == 0.008 / 2 ** (row["epoch"] - 1)
    assert (tmp_path / "params.pt").exists()
    assert "train_acc" in capsys.readouterr().out


def test_callbacks_are_called_for_each_batch(bars):
    events = []

    class Recorder(Callback):
        def on_batch_begin(self, net, batch, training, **kwargs):
            events.append(("begin", len(batch[0]), training))

        def on_grad_computed(self, net, named_parameters, **kwargs):
            norms = [parameter.grad.norm() for _, parameter in named_parameters]
            events.append(("gradient", len(norms) > 0 and sum(norms) > 0))

        def on_batch_end(self, net, batch, training, loss, y_pred, **kwargs):
            events.append(("end", tuple(y_pred.shape), training))
            assert net.history[-1, "batches", -1, "train_loss" if training else "valid_loss"]

    X, y = bars
    classifier = ConvNetClassifier(callbacks=[Recorder()], **{**FAST, "max_epochs": 1})
    classifier.fit(X[:70], y[:70], X_val=X[70:], y_val=y[70:])
    expected = []
    for size in (32, 32, 6):
        expected += [("begin", size, True), ("gradient", True), ("end", (size, 3), True)]
    assert events == [*expected, ("begin", 50, False), ("end", (50, 3), False)]


@pytest.mark.parametrize("monitor", ["train_loss", "valid_acc"])
def test_early_stopping_of_skorch_stops_the_training(monitor, bars):
    stop = EarlyStopping(monitor, patience=2, lower_is_better=False, sink=len)
    network = "convnet" if monitor == "train_loss" else Frozen  # of constant accuracy
    classifier = ConvNetClassifier(network=network, callbacks=[stop], **{**FAST, "max_epochs": 30})
    assert classifier.fit(*bars, X_val=bars[0], y_val=bars[1]).n_iter_ == 3


def test_checkpoint_keeps_the_epoch_of_the_best_accuracy(bars, tmp_path):
    X, y = bars
    best = Checkpoint(monitor="valid_acc_best", dirname=tmp_path, load_best=True)
    classifier = ConvNetClassifier(callbacks=[best], lr=0.1, **{**FAST, "max_epochs": 8})
    classifier.fit(X, y, X_val=X[::4], y_val=y[::4])
    values = [row["valid_acc"] for row in classifier.history_]
    assert [epoch["valid_acc_best"] for epoch in classifier.net_.history] == [
        value > max(values[:i], default=-1) for i, value in enumerate(values)
    ]
    assert classifier.score(X[::4], y[::4]) == pytest.approx(max(values))


def test_net_predicts_as_the_classifier(bars):
    X, y = bars
    classifier = ConvNetClassifier(**FAST).fit(X, y)
    np.testing.assert_allclose(
        classifier.net_.predict_proba(X), classifier.predict_proba(X), rtol=1e-5
    )
    assert accuracy_score(y, classifier.net_.predict(X)) == classifier.score(X, y)
    with torch.no_grad():
        assert not next(classifier.net_.forward_iter(X)).requires_grad


# Output and interruption


def test_verbose_prints_a_line_per_epoch(bars, capsys):
    X, y = bars
    ConvNetClassifier(early_stopping=True, **FAST).fit(X, y)
    assert capsys.readouterr() == ("", "")
    ConvNetClassifier(verbose=1, **{**FAST, "max_epochs": 10}).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    pattern = r"Epoch (\s?\d+)/10   train error +\d+\.\d\d%   +\d+\.\d\d s   +\d+ s left"
    assert [int(re.fullmatch(pattern, line)[1]) for line in lines] == list(range(1, 11))
    assert len({len(line) for line in lines}) == 1

    classifier = ConvNetClassifier(verbose=1, network=Frozen, **FAST)
    classifier.fit(X, y, X_val=X[:8], y_val=y[:8])
    line = capsys.readouterr().out.splitlines()[0]
    assert re.match(r"Epoch 1/3   train error +66\.67%   validation error +62\.50%", line)


def test_verbose_2_prints_why_the_training_ended(bars, capsys):
    ConvNetClassifier(
        verbose=2, network=Frozen, early_stopping=True, n_iter_no_change=1, **FAST
    ).fit(*bars)
    lines = capsys.readouterr().out.splitlines()
    assert [line[:9] for line in lines] == ["Epoch 1/3", "Epoch 2/3", "Stopping ", "Restoring"]


class CtrlC(nn.Module):
    """A network interrupted as by a user, in the third epoch of four batches."""

    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.linear = nn.Linear(image_shape[0] * image_shape[1], n_classes)
        self.calls = 0

    def forward(self, images):
        self.calls += self.training
        if self.training and self.calls == 10:
            raise KeyboardInterrupt
        return self.linear(images.flatten(1))


@pytest.mark.parametrize("early_stopping", [False, True])
def test_interruption_keeps_the_completed_epochs(early_stopping, bars):
    X, y = bars
    classifier = ConvNetClassifier(network=CtrlC, early_stopping=early_stopping, **FAST)
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(X, y, X_val=X, y_val=y)
    assert classifier.n_iter_ == 2
    assert [row["epoch"] for row in classifier.history_] == [1, 2]
    assert classifier.score(X, y) > 0.3
    if early_stopping:
        best = classifier.history_[classifier.best_epoch_ - 1]
        assert classifier.score(X, y) == pytest.approx(1 - best["valid_error"])


@pytest.mark.parametrize(
    "event", ["on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end"]
)
def test_a_keyboard_interrupt_of_a_callback_stops_the_training(event, bars):
    def stop(net, **kwargs):
        if len(net.history) == 3:
            raise KeyboardInterrupt

    callback = Callback()
    setattr(callback, event, stop)
    classifier = ConvNetClassifier(callbacks=[callback], **{**FAST, "max_epochs": 5}).fit(*bars)
    n_completed = 3 if event == "on_epoch_end" else 2
    assert classifier.n_iter_ == len(classifier.history_) == n_completed


def test_a_keyboard_interrupt_at_another_event_propagates(bars):
    class Interrupted(Callback):
        def on_train_begin(self, net, **kwargs):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ConvNetClassifier(callbacks=[Interrupted()], **FAST).fit(*bars)


def test_verbose_estimates_the_time_left_from_the_mean_of_the_epochs(bars, capsys):
    class Slow(Callback):
        """Makes the first epoch long and the third one the last."""

        def on_epoch_begin(self, net, **kwargs):
            time.sleep(0.3 * (len(net.history) == 1))

        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 3:
                raise KeyboardInterrupt

    classifier = ConvNetClassifier(
        network=Frozen, callbacks=[Slow()], verbose=1, **{**FAST, "max_epochs": 100}
    ).fit(*bars)
    lines = capsys.readouterr().out.splitlines()
    durations = [row["dur"] for row in classifier.history_]
    for done, line in enumerate(lines, start=1):
        printed, left = re.search(r"(\d+\.\d\d) s +(\d+) s left$", line).groups()
        assert float(printed) == pytest.approx(durations[done - 1], abs=0.006)
        expected = (100 - done) * np.mean(durations[:done])
        assert int(left) == pytest.approx(expected, abs=0.51)


ON_A_TERMINAL = """
import fcntl, struct, sys, termios
import numpy as np, torch
from sklearn_usps import ConvNetClassifier, MultiTaskConvNetClassifier

fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))

class Swaying(torch.nn.Module):
    # A fraction 1/4, 0, 1/4, 1/4 of errors and a loss that falls, rises, falls and stays.
    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.epoch, self.was_training = -1, False

    def forward(self, images):
        self.epoch += self.training and not self.was_training
        self.was_training = self.training
        easy, hard = [(1, -1), (0.01, 0.01), (3, -0.1), (3, -0.1)][self.epoch % 4]
        label, is_hard = images[:, 0, 0, 0], images[:, 0, 0, 1]
        margin = torch.where(is_hard > 0, hard, easy) * (2 * label - 1) / 2
        return torch.stack([-margin, margin], dim=1) + 0 * self.weight

rng = np.random.default_rng(0)
X, y = rng.random((80, 64)), np.arange(80) % 2
X[:, 0], X[:, 1] = y, np.arange(80) % 8 < 2
plain = dict(augmentation=None, random_state=0)
swaying = ConvNetClassifier(network=Swaying, max_epochs=4, verbose=1, label_smoothing=0, **plain)
swaying.set_params(early_stopping=True, warm_start=True)
for _ in range(2):
    swaying.fit(X, y, X_val=X, y_val=y)
    print(f"best: {swaying.best_epoch_}", flush=True)
    print("#", flush=True)
swaying.set_params(early_stopping=False, warm_start=False).fit(X, y)
print("#", flush=True)
small = dict(network="luacnn", max_epochs=2, batch_size=10, verbose=2, lr=0.01, **plain)
ConvNetClassifier(**small).fit(X[:71], y[:71], X_val=X, y_val=y)
print("#", flush=True)
MultiTaskConvNetClassifier(ConvNetClassifier(**small)).fit(X, y, task=np.arange(80) < 60)
"""


@pytest.fixture(scope="module")
def terminal():
    """Return the output of each of some fits on a pseudo-terminal."""
    pty = pytest.importorskip("pty", reason="pseudo-terminals are for POSIX systems")
    chunks = []

    def read(descriptor):
        chunks.append(os.read(descriptor, 1024))
        return chunks[-1]

    assert pty.spawn([sys.executable, "-c", ON_A_TERMINAL], read) == 0
    return b"".join(chunks).decode().split("#\r\n")


@pytest.mark.parametrize("fit", [0, 1])
def test_verbose_marks_the_epochs_that_early_stopping_would_restore(terminal, fit):
    """They have the smallest loss so far, not the smallest error, within one fit."""
    lines = terminal[fit].splitlines()
    epochs = [line for line in lines if "Epoch" in line]
    errors = [re.search(r"validation error +(\S+)%", line)[1] for line in epochs]
    assert errors == ["25.00", "0.00", "25.00", "25.00"]
    marked = [bool(re.match(r"\033\[1mEpoch \d/\d\033\[0m   train", line)) for line in epochs]
    assert marked == [True, False, True, False]
    assert terminal[fit].count("\033[1m") == 2
    assert lines[-1] == f"best: {3 + 4 * fit}"


def test_verbose_marks_no_epoch_without_validation(terminal):
    assert [line[:9] for line in terminal[2].splitlines()] == [f"Epoch {i}/4" for i in range(1, 5)]
    assert "\033[1m" not in terminal[2]


def test_verbose_2_shows_a_bar_of_the_batches_on_a_terminal(terminal):
    """It counts 7 batches of 71 images, since one image joins the last, and one of validation."""
    for output, n_batches in [(terminal[3], 8), (terminal[4], 6)]:
        bars = re.findall(r" (\d+)/(\d+) \[", output)
        assert bars
        assert {int(total) for _, total in bars} == {n_batches}
        assert all(int(done) <= n_batches for done, _ in bars)
        # The bar is cleared before the line of the epoch is printed.
        last = [line.rpartition("\r")[2] for line in output.split("\r\n") if "Epoch" in line]
        assert [re.sub(r"\033\[\d+m", "", line)[:9] for line in last] == ["Epoch 1/2", "Epoch 2/2"]


@pytest.mark.parametrize("early_stopping", [False, True])
def test_ctrl_c_before_the_first_epoch(early_stopping, bars):
    """It comes while the batches of all epochs are planned, before skorch handles it."""

    class Interrupts(int):
        def __mul__(self, n_batches):
            raise KeyboardInterrupt

    classifier = ConvNetClassifier(early_stopping=early_stopping, **FAST)
    with pytest.raises(KeyboardInterrupt):
        classifier.set_params(max_epochs=Interrupts(3)).fit(*bars)
    assert not hasattr(classifier, "net_")
