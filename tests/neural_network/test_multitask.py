"""Two tasks whose networks share layers."""

import copy
import operator
import pickle
import tracemalloc
from collections import Counter

import numpy as np
import pandas as pd
import polars
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.utils.fixes import parse_version
from sklearn.utils.metadata_routing import MetadataRequest
from skorch.callbacks import Callback, Checkpoint
from torch import nn

from sklearn_usps import (
    BatchedGridSearchCV,
    ConvNetClassifier,
    ImageNormalizer,
    MultiTaskConvNetClassifier,
    RandomDeformation,
    fetch_alphadigits,
    load_model,
    save_model,
)

SMALL = {"network": "luacnn", "lr": 0.01, "batch_size": 32, "max_epochs": 2, "random_state": 0}
#: Labels by task; both tasks have the label "both".
LABELS = {"bars": ["both", "lying", "standing"], "sides": ["both", "left"]}


def multi_task(*, n_shared_layers=1, task_weights=None, task_column=None, **params):
    return MultiTaskConvNetClassifier(
        ConvNetClassifier(**{**SMALL, **params}),
        n_shared_layers=n_shared_layers,
        task_weights=task_weights,
        task_column=task_column,
    )


@pytest.fixture(scope="module")
def fitted(two_tasks):
    X, y, task = two_tasks
    return multi_task(max_epochs=20).fit(X, y, task=task)


def weights(model):
    return {name: value.numpy() for name, value in model.net_.module_.state_dict().items()}


def assert_same_weights(first, second, **tolerance):
    second = weights(second)
    for name, value in weights(first).items():
        np.testing.assert_allclose(second[name], value, **{"rtol": 0, **tolerance})


def assert_same_proba(first, second, X, task):
    first, second = (model.predict_proba(X, task=task) for model in (first, second))
    np.testing.assert_array_equal(first, second)


# One task


@pytest.mark.parametrize(
    ("task", "params"),
    [
        (None, {"network": "convnet", "early_stopping": True, "class_weight": "balanced"}),
        ("shapes", {"sampling": "replacement", "batch_size": 1, "test_time_augmentation": True}),
        (np.full(120, 7), {}),
    ],
)
def test_one_task_is_a_conv_net_classifier(bars, task, params):
    X, y = bars
    uneven = np.arange(120) % 4 + 0.5
    model = multi_task(**params)
    alone = clone(model.estimator).fit(X, y, uneven)
    model.fit(X, y, uneven, task=task)
    if not params:
        for classifier in (alone, model):
            classifier.partial_fit(X[:60], y[:60], sample_weight=uneven[:60])
    for name, value in weights(alone).items():
        np.testing.assert_array_equal(weights(model)["networks.0." + name], value)
    np.testing.assert_array_equal(model.predict_proba(X), alone.predict_proba(X))
    assert model.score(X, y, uneven) == alone.score(X, y, uneven)
    assert model.n_parameters_ == alone.n_parameters_
    assert list(model.estimators_) == ["all" if task is None else np.ravel(task)[0]]
    (of_task,) = model.estimators_.values()
    for history in (model.history_, of_task.history_):
        for ours, theirs in zip(history, alone.history_, strict=True):
            keys = theirs.keys() - {"dur"}
            assert [ours[key] for key in keys] == pytest.approx([theirs[key] for key in keys])


# The wrapped estimator


def test_parameters_are_those_of_the_estimator(fitted):
    names = {"estimator", "n_shared_layers", "task_weights", "task_column"}
    assert fitted.get_params(deep=False).keys() == names
    assert not hasattr(fitted.estimator, "net_")
    model = multi_task(augmentation=RandomDeformation(rotation=5))
    changes = {"estimator__augmentation__rotation": 7, "estimator__lr": 0.1, "n_shared_layers": 2}
    changed = clone(model).set_params(**changes)
    assert changed.get_params().items() >= changes.items()
    assert [model.get_params()[name] for name in changes] == [5, 0.01, 1]


@pytest.mark.parametrize("estimator", [LogisticRegression(), make_pipeline(ConvNetClassifier())])
def test_other_estimators_are_refused(bars, estimator):
    message = f"must be a ConvNetClassifier; .* in a Pipeline. Got {type(estimator).__name__}"
    with pytest.raises(TypeError, match=message):
        MultiTaskConvNetClassifier(estimator).fit(*bars)


def test_wrong_parameters_are_named(two_tasks):
    X, y, task = two_tasks
    for params, message in [
        ({"lr": 0}, "'lr' parameter of ConvNetClassifier must be"),
        ({"task_weights": {"side": 2}}, r"task_weights has \['side'\], but the tasks are \['bars'"),
        ({"task_weights": {"sides": 0}}, r"task_weights must be positive .* Got \{'sides': 0\}"),
        ({"task_weights": {"sides": "2"}}, "task_weights must be positive numbers"),
    ]:
        with pytest.raises(ValueError, match=message):
            multi_task(**params).fit(X, y, task=task)


def test_parameters_after_the_fit(two_tasks, fitted):
    """Test-time augmentation has an effect at once, the others in the next fit."""
    X, _, task = two_tasks
    changes = {"estimator__network": "convnet", "n_shared_layers": 3, "task_weights": {"c": 2}}
    changed = copy.deepcopy(fitted).set_params(**changes)
    for model in (changed, pickle.loads(pickle.dumps(changed))):
        assert_same_proba(model, fitted, X, task)
        model.set_params(estimator__test_time_augmentation=True)
        alone = copy.deepcopy(fitted.estimators_["bars"]).set_params(test_time_augmentation=True)
        columns = np.isin(fitted.classes_, LABELS["bars"])
        proba = model.predict_proba(X, task="bars")[:, columns]
        np.testing.assert_array_equal(proba, alone.predict_proba(X))
        assert not np.allclose(proba, fitted.predict_proba(X, task="bars")[:, columns])


# Predictions


def test_predicts_within_the_task_of_each_sample(two_tasks, fitted):
    X, y, task = two_tasks
    assert list(fitted.tasks_) == ["bars", "sides"]
    assert list(fitted.classes_) == ["both", "left", "lying", "standing"]
    assert fitted.score(X, y, task=task) == np.mean(fitted.predict(X, task=task) == y) > 0.85
    for name, labels in LABELS.items():
        assert set(fitted.predict(X, task=name)) <= set(labels)
        probabilities = fitted.predict_proba(X, task=name)
        columns = np.isin(fitted.classes_, labels)
        assert not probabilities[:, ~columns].any()
        np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
        alone = fitted.estimators_[name]
        np.testing.assert_array_equal(probabilities[:, columns], alone.predict_proba(X))
        assert np.isneginf(fitted.predict_log_proba(X, task=name)[:, ~columns]).all()


def test_classifier_of_each_task_stands_alone(two_tasks, fitted, tmp_path):
    X, y, task = two_tasks
    for name, classifier in fitted.estimators_.items():
        assert type(classifier) is ConvNetClassifier
        assert list(classifier.classes_) == LABELS[name]
        assert classifier.n_iter_ == fitted.n_iter_ == 20
        assert classifier.image_shape_ == (16, 16)
        assert classifier.transform(X).shape == (160, 216)
        save_model(classifier, tmp_path / "model.skops")
        loaded = load_model(tmp_path / "model.skops")
        np.testing.assert_array_equal(loaded.predict_proba(X), classifier.predict_proba(X))
    before = fitted.predict_proba(X, task=task)
    copy.deepcopy(fitted.estimators_["bars"]).partial_fit(X[task == "bars"], y[task == "bars"])
    np.testing.assert_array_equal(before, fitted.predict_proba(X, task=task))


def test_a_large_memory_map_is_never_copied_whole(two_tasks, fitted, tmp_path):
    X, _, task = two_tasks
    mapped = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float32, (32_000, 256))
    mapped[:] = np.tile(X, (200, 1))
    tracemalloc.start()
    try:
        predicted = fitted.predict(mapped, task=np.tile(task, 200))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < mapped.nbytes / 2
    np.testing.assert_array_equal(predicted, np.tile(fitted.predict(X, task=task), 200))


# History


def test_history_has_means_and_each_task(two_tasks):
    X, y, task = two_tasks
    model = multi_task(early_stopping=True, max_epochs=3).fit(X, y, task=task)
    for i, epoch in enumerate(model.history_):
        assert list(epoch["tasks"]) == ["bars", "sides"]
        for key in ("train_loss", "train_error", "valid_loss", "valid_error", "valid_acc"):
            values = [model.estimators_[name].history_[i][key] for name in LABELS]
            assert epoch[key] == pytest.approx(np.mean(values))
            assert [of_task[key] for of_task in epoch["tasks"].values()] == values
            assert {type(of_task[key]) for of_task in epoch["tasks"].values()} == {float}
    losses = [epoch["valid_loss"] for epoch in model.history_]
    assert model.best_epoch_ == 1 + np.argmin(losses)
    assert model.estimators_["bars"].best_epoch_ == model.best_epoch_


@pytest.mark.parametrize("key", ["valid_loss", "train_loss", "valid_acc"])
def test_checkpoint_keeps_the_best_epoch(two_tasks, key, tmp_path):
    X, y, task = two_tasks
    best = Checkpoint(monitor=key + "_best", dirname=tmp_path, load_best=True)
    model = multi_task(max_epochs=4, lr=0.1, callbacks=[best])
    model.fit(X, y, task=task, X_val=X, y_val=y, task_val=task)
    values = [epoch[key] for epoch in model.history_]
    is_better = operator.gt if key == "valid_acc" else operator.lt
    assert [epoch[key + "_best"] for epoch in model.net_.history] == [
        all(is_better(value, earlier) for earlier in values[:i]) for i, value in enumerate(values)
    ]
    saved = torch.load(tmp_path / "params.pt")
    for name, value in weights(model).items():
        np.testing.assert_array_equal(saved[name], value)


def test_verbose_prints_the_errors_of_each_task(two_tasks, capsys):
    X, y, task = two_tasks
    model = multi_task(verbose=1).partial_fit(X, y, LABELS, task=task)
    errors = model.history_[0]["tasks"]
    of_tasks = ", ".join(f"{name} {errors[name]['train_error']:7.2%}" for name in LABELS)
    assert f"% ({of_tasks})   " in capsys.readouterr().out
    model.partial_fit(X[task == "sides"], y[task == "sides"], task="sides")
    assert "(" not in capsys.readouterr().out
    assert "train_error" not in model.estimators_["bars"].history_[1]


# Loss and weights


def test_a_step_descends_the_sum_of_the_mean_losses(two_tasks):
    X, y, task = two_tasks
    # Of 120 and 30 samples, the 30 come twice in a batch of the 120.
    rows = np.concatenate([np.flatnonzero(task == "bars"), np.flatnonzero(task == "sides")[:30]])
    X, y, task = X[rows], y[rows], task[rows]
    params = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "lr_schedule": "constant"}
    params |= {"augmentation": None, "label_smoothing": 0.0, "batch_size": 120, "max_epochs": 1}
    start, end = (multi_task(**params, lr=lr).fit(X, y, task=task) for lr in (1e-30, 0.1))
    loss = 0.0
    for name, classifier in start.estimators_.items():
        images = torch.tensor(X[task == name]).view(-1, 1, 16, 16)
        targets = torch.tensor(np.searchsorted(classifier.classes_, y[task == name]))
        loss += nn.functional.cross_entropy(classifier.net_.module_(images), targets)
    parameters = dict(start.net_.module_.named_parameters())
    gradients = torch.autograd.grad(loss, list(parameters.values()))
    after = dict(end.net_.module_.named_parameters())
    for (name, before), gradient in zip(parameters.items(), gradients, strict=True):
        torch.testing.assert_close(after[name], before - 0.1 * gradient, atol=1e-5, rtol=1e-4)


def test_task_weights(two_tasks):
    """A task of almost no weight leaves its own layers unchanged."""
    X, y, task = two_tasks
    params = {"optimizer": "sgd", "weight_decay": 0.0, "lr_schedule": "constant"}

    def moved(task_weights):
        start, end = (
            multi_task(max_epochs=n, task_weights=task_weights, **params)
            .fit(X, y, task=task)
            .estimators_["sides"]
            .net_.module_.output.weight.detach()
            for n in (1, 3)
        )
        return float((end - start).abs().max())

    assert moved({"sides": 1e-6}) < 1e-6
    assert moved(None) == moved({"bars": 1}) > 1e-3


def test_weights_of_samples_count_within_their_task(two_tasks):
    X, y, task = two_tasks
    equal = multi_task().fit(X, y, task=task)
    scaled = multi_task().fit(X, y, np.where(task == "sides", 5.0, 1.0), task=task)
    assert_same_weights(equal, scaled, rtol=1e-4, atol=1e-6)
    trimmed = multi_task().fit(X, y, (np.arange(160) < 120).astype(float), task=task)
    fewer = multi_task().fit(X[:120], y[:120], task=task[:120])
    assert_same_weights(trimmed, fewer)


def test_class_weight_balances_each_task(two_tasks):
    X, y, task = two_tasks
    rare = (task == "bars") & (y == "both")
    kept = ~rare | (np.cumsum(rare) <= 2)
    X, y, task = X[kept], y[kept], task[kept]
    of_label = {"both": 1.0, "lying": 0.05, "standing": 0.05, "left": 1.0}
    balanced, by_hand = (
        multi_task(max_epochs=15, class_weight=class_weight).fit(X, y, task=task)
        for class_weight in ("balanced", of_label)
    )
    assert_same_weights(balanced, by_hand, rtol=1e-3, atol=1e-5)


def test_class_weight_of_labels_by_name(two_tasks):
    X, y, task = two_tasks
    y = np.select([y == "lying", y == "standing"], ["0", "1"], y)  # digits that are strings
    by_name = {"0": 2.0, "left": 3}
    weighted = multi_task(class_weight=by_name).fit(X, y, task=task)
    by_sample = multi_task().fit(X, y, [by_name.get(label, 1.0) for label in y], task=task)
    assert_same_weights(by_sample, weighted, rtol=1e-5, atol=1e-6)
    bars = task == "bars"
    weighted.partial_fit(X[bars], y[bars], task="bars")  # where there is no "left"
    copy.deepcopy(weighted.estimators_["bars"]).partial_fit(X[bars], y[bars])
    with pytest.raises(
        ValueError, match=r"class_weight has \['2'\], but the classes are \['0', '1'"
    ):
        multi_task(class_weight={"2": 2.0}).fit(X, y, task=task)


# Validation


def test_validation_set_of_all_tasks(two_tasks):
    X, y, task = two_tasks
    X_val, y_val, task_val = X[:50], y[:50], task[:50]
    uneven = np.arange(50) % 5 + 0.5
    histories = []
    for weights_val in (None, np.where(task_val == "sides", 1000.0, 1.0), uneven):
        validation = {"y_val": y_val, "task_val": task_val, "sample_weight_val": weights_val}
        model = multi_task().fit(X, y, task=task, X_val=X_val, **validation)
        histories.append(model.history_[-1]["tasks"])
    equal, scaled, weighted = histories
    for name in LABELS:
        rows = task_val == name
        for figures, weights_val in [(equal[name], None), (weighted[name], uneven[rows])]:
            accuracy = model.score(X_val[rows], y_val[rows], weights_val, task=name)
            assert figures["valid_acc"] == 1 - figures["valid_error"] == pytest.approx(accuracy)
        assert scaled[name] == pytest.approx(equal[name])  # weights count within a task


def test_wrong_validation_sets(two_tasks):
    X, y, task = two_tasks
    bars = np.flatnonzero(task == "bars")
    no_sides = {"X_val": X, "y_val": y, "task_val": task, "sample_weight_val": task == "bars"}
    for options, message in [
        ({"X_val": X, "y_val": y}, "`task_val` is missing"),
        ({"X_val": X[bars], "y_val": y[bars], "task_val": "bars"}, r"no sample of .*\['sides'\]"),
        (no_sides, r"no sample of the tasks \['sides'\]: X_val must have samples of each, of pos"),
        ({"X_val": X, "y_val": y, "task_val": "side"}, r"`task_val` has \['side'\], but the tasks"),
        ({"X_val": X, "y_val": y[::-1], "task_val": task}, "`y_val` has classes not in"),
        ({"task_val": task}, "task_val is provided, but X_val was not"),
        ({"X_val": X, "task_val": task}, "X_val is provided, but y_val was not"),
    ]:
        with pytest.raises(ValueError, match=message):
            multi_task().fit(X, y, task=task, **options)


def test_held_out_samples_are_stratified_by_task_and_label(two_tasks):
    X, y, task = two_tasks
    held_out = []

    class Keep(Callback):
        def on_epoch_begin(self, net, dataset_valid, **kwargs):
            rows = dataset_valid.indices
            held_out.append(Counter(zip(task[rows].tolist(), y[rows].tolist(), strict=True)))

    multi_task(early_stopping=True, callbacks=[Keep()], max_epochs=1).fit(X, y, task=task)
    bars, sides = ([(name, label) for label in LABELS[name]] for name in LABELS)
    assert held_out == [{**dict.fromkeys(bars, 4), **dict.fromkeys(sides, 2)}]


def test_samples_that_are_too_few_to_hold_out(two_tasks):
    X, y, task = two_tasks
    first = np.flatnonzero((task == "sides") & (y == "left"))[0]
    alone = (task == "bars") | (y == "both") | (np.arange(160) == first)
    few = (task == "bars") | np.isin(np.arange(160), np.flatnonzero(task == "sides")[:4])
    for fraction, rows, message in [
        (0.1, alone, r"only one of \['sides: left'\]. Leave them out, or pass X_val"),
        (0.02, np.ones(160, dtype=bool), r"validation_fraction=0.02 divides 160 .* 4 are held out"),
        (0.05, few, r"no sample of the tasks \['sides'\]: pass X_val, or a larger validation_frac"),
    ]:
        model = multi_task(early_stopping=True, validation_fraction=fraction)
        with pytest.raises(ValueError, match=message):
            model.fit(X[rows], y[rows], task=task[rows])
    for options in ({}, {"X_val": X, "y_val": y, "task_val": task}):
        with pytest.raises(ValueError, match="got 0 class in the task 'sides', without samples of"):
            model.fit(X, y, (task == "bars").astype(float), task=task, **options)


# Continued training


def test_warm_start_continues_with_the_parameters_of_the_estimator(two_tasks, fitted):
    X, y, task = two_tasks
    model = copy.deepcopy(fitted).set_params(estimator__warm_start=True, estimator__max_epochs=2)
    model.set_params(estimator__lr_schedule="constant", estimator__lr=0.003)
    assert model.fit(X, y, task=task).n_iter_ == 22
    assert model.history_[-1]["lr"] == 0.003
    assert model.history_[-1]["train_loss"] < fitted.history_[2]["train_loss"]
    with pytest.raises(ValueError, match="warm_start can only be used where each task has the"):
        model.fit(X, y, task=np.roll(task, 1))


def test_partial_fit_of_one_task_moves_the_shared_layer_of_all(two_tasks):
    X, y, task = two_tasks
    model = multi_task()
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, y, task=task)
    model.partial_fit(X, y, LABELS, task=task)
    before = weights(copy.deepcopy(model))
    bars = task == "bars"
    model.partial_fit(X[bars], y[bars], task="bars")
    moved = {name for name, value in weights(model).items() if (value != before[name]).any()}
    assert moved == {
        *(name for name in before if name.startswith("networks.0.")),
        *("networks.1.convolution.weight", "networks.1.convolution.bias"),
    }
    with pytest.raises(ValueError, match="is not the same as on last call to partial_fit"):
        model.partial_fit(X, y, {**LABELS, "sides": ["left"]}, task=task)
    with pytest.raises(ValueError, match="`task` is missing"):
        model.partial_fit(X, y)


def test_wrong_classes_of_partial_fit(two_tasks):
    X, y, task = two_tasks
    for classes, error, message in [
        (sorted(set(y)), ValueError, "`classes` must be a dict of the labels of each task"),
        ({}, TypeError, r"keys of `classes` must be the names of the tasks.* Got \[\] instead"),
        ({None: [0, 1]}, TypeError, r"all strings or all numbers. Got \[None\] instead"),
        ({float("nan"): [0, 1]}, TypeError, r"Got \[nan\] instead"),
        ({b"bars": [0, 1]}, TypeError, r"Got \[b'bars'\] instead"),
        ({("bars", 1): [0, 1]}, TypeError, r"Got \[\('bars', 1\)\] instead"),
        ({"bars": [0, 1], 1: [0, 1]}, TypeError, r"Got \['bars', 1\] instead"),
        ({**LABELS, "more": []}, ValueError, r"`classes` has no labels for the tasks \['more'\]"),
        ({"bars": "both", "sides": ["left"]}, ValueError, "array-like of shape"),
        ({**LABELS, "sides": [0, 1]}, ValueError, "`classes` must have labels of one type"),
        ({"bars": LABELS["bars"]}, ValueError, r"`task` has \['sides'\], but the tasks seen"),
        ({**LABELS, "sides": ["left"]}, ValueError, r"not in `self.estimators_\['sides'\].class"),
    ]:
        with pytest.raises(error, match=message):
            multi_task().partial_fit(X, y, classes, task=task)


# Copies and files


def through_skops(model, path):
    save_model(model, path)
    return load_model(path)


COPIERS = {
    "pickle": lambda model, path: pickle.loads(pickle.dumps(model)),
    "skops": through_skops,
    "copy": lambda model, path: copy.copy(model),
    "deepcopy": lambda model, path: copy.deepcopy(model),
}


@pytest.mark.parametrize("way", COPIERS)
def test_copies_share_the_tensors_of_their_net(two_tasks, way, tmp_path):
    X, y, task = two_tasks
    model = multi_task().partial_fit(X, y, LABELS, task=task)
    copied = COPIERS[way](model, tmp_path / "model")
    assert_same_proba(copied, model, X, task)
    networks = [c.net_.module_ for c in copied.estimators_.values()]
    assert networks == list(copied.net_.module_.networks)
    assert networks[0].convolution.weight is networks[1].convolution.weight
    assert copied.history_ == model.history_
    assert copied.estimators_["sides"].history_ == model.estimators_["sides"].history_
    before = weights(copied)["networks.0.convolution.weight"].copy()
    model.partial_fit(X, y, task=task)
    np.testing.assert_array_equal(weights(copied)["networks.0.convolution.weight"], before)
    assert_same_weights(copied.partial_fit(X, y, task=task), model)


# Tasks and labels


def test_wrong_or_missing_tasks_of_predict(two_tasks, fitted):
    X, _, task = two_tasks
    with pytest.raises(NotFittedError):
        multi_task().predict(X, task="bars")
    for wrong, message in [
        (None, r"`task` is missing: .* was fitted on the tasks \['bars', 'sides'\]. Pass one of"),
        ("letters", r"`task` has \['letters'\], but the tasks seen in fit are \['bars', 'sides'\]"),
        (0, r"`task` has \[0\], but the tasks seen"),
        (np.arange(160), r"`task` has \[0, 1, 2, 3, 4\] and 155 more, but the tasks seen"),
        (task[:-1], "inconsistent numbers of samples"),
        (np.stack([task, task], axis=1), "`task` must have the shape"),
        (np.array([None, *task[1:]]), "must name the task of each sample, but some are missing"),
        ((float("nan"), *task[1:].tolist()), "some are missing"),
        (pd.Series(task).mask(task == "bars"), "some are missing"),
        (np.array([0, *task[1:].tolist()], dtype=object), "`task` has strings and other values"),
    ]:
        with pytest.raises(ValueError, match=message):
            fitted.predict(X, task=wrong)


def test_wrong_tasks_of_fit(two_tasks):
    X, y, task = two_tasks
    model = multi_task(max_epochs=1).fit(X, y, task=task)
    with pytest.raises(TypeError, match=r"`task` must have names that are strings or numbers"):
        model.fit(X, y, task=task.astype("S"))
    with pytest.raises(NotFittedError):
        model.predict(X, task=task)
    assert not hasattr(model, "estimators_")
    for params, sample_weight, wrong, message in [
        ({}, None, ["a", 1] * 80, "`task` has strings and other values"),
        ({}, None, task[:-1], "inconsistent numbers of samples"),
        ({}, None, np.where(y == "left", "left", task), "got 1 class in the task 'left'"),
        ({}, np.where(y == "left", 0, 1), task, "got 1 class in the task 'sides'"),
        ({"class_weight": {"left": 0}}, None, task, "got 1 class in the task 'sides'"),
    ]:
        with pytest.raises(ValueError, match=message):
            multi_task(**params).fit(X, y, sample_weight, task=wrong)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("dtype", "names"),
    [("boolean", [0, 1]), ("Int64", [0, 1]), (bool, [0, 1]), (int, [0, 1]), (float, [0.5, 1.5])],
)
def test_tasks_and_labels_that_are_numbers(two_tasks, dtype, names, method, tmp_path):
    X, y, task = two_tasks
    task = pd.Series(np.where(task == "bars", *names)).astype(dtype)
    numbers = np.searchsorted(np.unique(y), y)
    classes = {} if method == "fit" else {"classes": {names[0]: [0, 2, 3], names[1]: [0, 1]}}
    model = multi_task(max_epochs=1)
    getattr(model, method)(X, numbers, task=task, **classes)
    assert str(list(model.estimators_)) == str(names)
    assert model.predict(X, task=names[1]).dtype == numbers.dtype
    assert_same_proba(through_skops(model, tmp_path / "model"), model, X, task)


def test_errors_of_pixels_name_the_classifier_of_images(two_tasks, fitted):
    X, _, _ = two_tasks
    with pytest.raises(ValueError, match="X has 255 features, but ConvNetClassifier is expecting"):
        fitted.predict(X[:, 1:], task="bars")
    with pytest.raises(ValueError, match="but ConvNetClassifier is expecting images of shape"):
        fitted.predict(X.reshape(-1, 8, 32), task="bars")
    with pytest.warns(UserWarning, match="but ConvNetClassifier was fitted on values in"):
        fitted.predict(255 * X, task="bars")


# Metadata routing and searches


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.8"),
    reason="searches of this scikit-learn don't route to a pipeline's score",
)
@pytest.mark.parametrize("Search", [GridSearchCV, BatchedGridSearchCV])
def test_task_reaches_fit_and_score_in_a_search(two_tasks, Search, tmp_path):
    X, y, task = two_tasks
    name = "multitaskconvnetclassifier__"
    grid = {name + "estimator__lr": [1e-6, 0.01], name + "n_shared_layers": [1, 2]}
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = multi_task(max_epochs=12).set_fit_request(task=True)
        classifier.set_score_request(task=True).set_predict_request(task=True)
        assert isinstance(classifier.get_metadata_routing(), MetadataRequest)  # it routes nothing
        model = make_pipeline(ImageNormalizer(), classifier, memory=str(tmp_path))
        search = Search(model, grid, cv=2).fit(X, y, task=task)
        assert search.best_params_[name + "estimator__lr"] == 0.01
        assert search.best_score_ > 0.6
        best = search.best_estimator_
        assert set(best[-1].estimators_) == {"bars", "sides"}
        assert search.score(X, y, task=task) == best.score(X, y, task=task)
        assert best.score(X, y, task=task) == np.mean(best.predict(X, task=task) == y)


# The task as a column of X


def with_column(container, X, task):
    if container == "array":  # the tasks are 0.0 and 1.0, in the first column
        return np.column_stack([task == "sides", X]), 0
    if container == "last":
        return np.column_stack([X, task == "sides"]), -1
    if container == "objects":
        return np.column_stack([X[:, :3].astype(object), task, X[:, 3:]]), 3
    frame = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(256)])
    frame.insert(7, "task", task)
    return polars.DataFrame(frame.to_dict("list")) if container == "polars" else frame, "task"


@pytest.mark.parametrize("container", ["array", "last", "objects", "frame", "polars"])
def test_named_scorers_and_predictions_by_task_column(two_tasks, container):
    X, y, task = two_tasks
    X_and_task, column = with_column(container, X, task)
    model = multi_task(max_epochs=12, task_column=column)
    scores = cross_validate(
        model, X_and_task, y, cv=2, scoring=["accuracy", "neg_log_loss"], error_score="raise"
    )
    assert scores["test_accuracy"].min() > 0.6
    assert np.isfinite(scores["test_neg_log_loss"]).all()
    predicted = cross_val_predict(model, X_and_task, y, cv=2)
    for name, labels in LABELS.items():
        assert set(predicted[task == name]) <= set(labels)
    model.fit(X_and_task, y)
    by_task = multi_task(max_epochs=12).fit(X, y, task=task)
    np.testing.assert_array_equal(
        model.predict_proba(X_and_task), by_task.predict_proba(X, task=task)
    )
    assert model.n_features_in_ == 257
    if container == "frame":
        assert list(model.feature_names_in_) == list(X_and_task.columns)


def test_wrong_task_columns(two_tasks):
    X, y, task = two_tasks
    X_and_task, _ = with_column("array", X, task)
    two_of_a_name = pd.DataFrame(X_and_task, columns=["task", "task", *range(255)])
    validation = {"X_val": X_and_task, "y_val": y, "task_val": task}
    for column, data, options, message in [
        (0, X_and_task, {"X_val": X_and_task[:0], "y_val": y[:0]}, r"array with 0 sample\(s\)"),
        (0, X_and_task, {"task": task}, "`task` was passed beside task_column=0"),
        (0, X_and_task, validation, "`task_val` was passed beside task_column=0"),
        (300, X_and_task, {}, "task_column=300 must be .* Found none"),
        ("task", X_and_task, {}, "task_column='task' must be .* Found none"),
        ("task", two_of_a_name, {}, "task_column='task' must be one column of X.* Found 2"),
        (0, X.reshape(-1, 16, 16), {}, "X must have two dimensions. Got the shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            multi_task(task_column=column).fit(data, y, **options)
    fitted = multi_task(max_epochs=1, task_column=0).fit(X_and_task, y)
    with pytest.raises(ValueError, match="X has 256 features, but MultiTaskConvNetClassifier is"):
        fitted.predict(X)


# Real digits and letters


@pytest.mark.real_data
def test_digits_and_letters(roweis, fetch_or_skip):
    letters = fetch_or_skip(fetch_alphadigits, drop_o=True, image_shape=(16, 16))
    train = np.arange(len(letters.target)) % 39 < 30
    digits = np.arange(0, 10_000, 10)
    X = np.concatenate([roweis.data[digits], letters.data[train]])
    y = np.concatenate([roweis.target[digits].astype(str), letters.target[train]])
    task = np.repeat(["digits", "letters"], [1000, 750])
    classifier = MultiTaskConvNetClassifier(ConvNetClassifier(max_epochs=15, random_state=0))
    model = make_pipeline(ImageNormalizer(), classifier)
    model.fit(X, y, multitaskconvnetclassifier__task=task)
    right = model.predict(letters.data[~train], task="letters") == letters.target[~train]
    assert len(right) == 225
    assert right.mean() > 0.85
    others = roweis.data[5::10]
    assert np.mean(model.predict(others, task="digits") == roweis.target[5::10].astype(str)) > 0.96


def test_callbacks_of_the_user_see_the_training(two_tasks):
    class Remembers(Callback):
        def __init__(self):
            self.epochs = []

        def on_epoch_end(self, net, **kwargs):
            self.epochs.append(len(net.history))

    X, y, task = two_tasks
    callback = Remembers()
    multi_task(callbacks=[callback], max_epochs=2).fit(X, y, task=task)
    assert callback.epochs == [1, 2]


def test_a_refused_parameter_changes_nothing(two_tasks):
    X, y, task = two_tasks
    classifier = multi_task(warm_start=True, max_epochs=1).fit(X, y, task=task)
    before = classifier.predict_proba(X, task=task)
    with pytest.raises(ValueError, match="The 'lr' parameter of ConvNetClassifier must be"):
        classifier.set_params(estimator__lr=-1.0).fit(X, y, task=task)
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(X, task=task), before)
