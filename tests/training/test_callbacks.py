"""Callbacks of skorch that look for figures which the history does not have."""

import pickle
import warnings

import numpy as np
import pytest
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, EpochScoring, LRScheduler

from sklearn_usps import ConvNetClassifier, MultiTaskConvNetClassifier

FAST = {
    "network": "luacnn",
    "max_epochs": 3,
    "lr_schedule": "constant",
    "random_state": 0,
}


class LooksFor(Callback):
    def __init__(self, key):
        self.key = key

    def on_epoch_end(self, net, **kwargs):
        net.history[-1][self.key]


@pytest.fixture
def in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "make_callback",
    [
        EarlyStopping,
        lambda: EarlyStopping(monitor="valid_acc", lower_is_better=False),
        Checkpoint,
        lambda: Checkpoint(monitor="valid_acc_best", load_best=True),
        lambda: LRScheduler("ReduceLROnPlateau", monitor="valid_loss"),
        lambda: LooksFor("valid_error"),
    ],
)
def test_callbacks_that_monitor_the_validation_set(make_callback, bars, in_tmp_path):
    X, y = bars
    callback = make_callback()
    name = type(callback).__name__
    message = (
        rf"The callback {name} looks for 'valid_\w+' .*: set early_stopping=True, or pass X_val"
    )
    with pytest.raises(ValueError, match=message):
        ConvNetClassifier(callbacks=[callback], **FAST).fit(X, y)
    early = ConvNetClassifier(callbacks=[make_callback()], early_stopping=True, **FAST).fit(X, y)
    assert "valid_acc" in early.history_[-1]
    given = ConvNetClassifier(callbacks=[make_callback()], **FAST)
    assert given.fit(X, y, X_val=X, y_val=y).n_iter_ >= 1
    task = np.where(np.arange(len(y)) < 60, "a", "b")
    model = MultiTaskConvNetClassifier(ConvNetClassifier(callbacks=[make_callback()], **FAST))
    assert model.fit(X, y, task=task, X_val=X, y_val=y, task_val=task).n_iter_ >= 1


def test_early_stopping_by_the_accuracy(bars):
    X, y = bars
    wrong = (y + 1) % 3  # the better the network, the worse
    stop = EarlyStopping(monitor="valid_acc", lower_is_better=False, patience=2)
    classifier = ConvNetClassifier(callbacks=[stop], **{**FAST, "max_epochs": 50})
    classifier.fit(X, y, X_val=X, y_val=wrong)
    accuracies = [epoch["valid_acc"] for epoch in classifier.history_]
    assert len(accuracies) < 50
    assert np.argmax(accuracies) + 1 == len(accuracies) - 2 == stop.best_epoch_


@pytest.mark.parametrize(
    ("callback", "remedy"),
    [
        (EarlyStopping(monitor="valid_acc"), "lower_is_better=False"),
        (LRScheduler("ReduceLROnPlateau", monitor="valid_acc"), "mode='max'"),
    ],
)
def test_an_accuracy_taken_for_a_loss(callback, remedy, bars):
    classifier = ConvNetClassifier(early_stopping=True, **FAST)
    with pytest.warns(UserWarning, match=f"'valid_acc' as if it should fall: set {remedy}"):
        classifier.set_params(callbacks=[("mine", callback)]).fit(*bars)
    name, _, value = remedy.partition("=")
    setattr(callback, name, eval(value))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.set_params(callbacks=[callback]).fit(*bars)


def test_keys_that_another_callback_records(bars):
    X, y = bars
    data = {"X": X, "y": y, "X_val": X, "y_val": y}
    score = EpochScoring("f1_macro", lower_is_better=False)
    stop = EarlyStopping("f1_macro", lower_is_better=False)
    classifier = ConvNetClassifier(callbacks=[score, stop], **FAST).fit(**data)
    assert "f1_macro" in classifier.net_.history[-1]
    with pytest.raises(ValueError, match=r"'valid_acc', .* must precede EarlyStopping in `callba"):
        ConvNetClassifier(callbacks=[stop, score], **FAST).fit(**data)
    with pytest.raises(ValueError, match=r"'f1_macro' .* set early_stopping=True or pass X_val"):
        ConvNetClassifier(callbacks=[score, stop], **FAST).fit(X, y)


def test_other_errors_of_callbacks_are_their_own(bars):
    with pytest.raises(KeyError, match="own"):
        ConvNetClassifier(callbacks=[LooksFor("own")], **FAST).fit(*bars)


def test_a_checkpoint_pickles_the_net_without_the_images(bars, in_tmp_path, tmp_path):
    X, y = bars
    callback = Checkpoint(monitor=None, f_pickle="net.pkl")
    classifier = ConvNetClassifier(callbacks=[callback], **FAST).fit(X, y)
    content = (tmp_path / "net.pkl").read_bytes()
    assert len(content) < X.nbytes / 2
    net = pickle.loads(content)
    np.testing.assert_array_equal(net.predict_proba(X).argmax(1), classifier.predict(X))
