"""Two tasks that share layers."""

import copy
import pickle
import tracemalloc
import warnings

import joblib
import numpy as np
import pandas as pd
import polars
import pytest
import sklearn
import torch
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.utils.fixes import parse_version
from skorch.callbacks import Callback, Checkpoint
from torch import nn

from sklearn_usps import (
    BatchedGridSearchCV,
    ConvNetClassifier,
    ImageNormalizer,
    MultiTaskConvNetClassifier,
    fetch_alphadigits,
    load_model,
    save_model,
)
from sklearn_usps.training._multitask_trainer import MultiTaskSampler

SMALL = {"network": "luacnn", "lr": 0.01, "batch_size": 32, "random_state": 0}
#: Labels by task; both tasks have the label "both".
LABELS = {"bars": ["both", "lying", "standing"], "sides": ["both", "left"]}


@pytest.fixture(scope="module")
def fitted(two_tasks):
    X, y, task = two_tasks
    return MultiTaskConvNetClassifier(max_epochs=20, **SMALL).fit(X, y, task=task)


routed_to_pipelines = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.8"),
    reason="there searches don't route to a pipeline's score",
)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def weights(classifier):
    return {name: value.numpy() for name, value in classifier.net_.module_.state_dict().items()}


# One task


@pytest.mark.parametrize("task", [None, "shapes", np.full(120, 7)], ids=["none", "name", "number"])
@pytest.mark.parametrize(
    "params",
    [
        {"network": "convnet", "early_stopping": True, "class_weight": "balanced"},
        {"network": "luacnn", "sampling": "replacement", "batch_size": 1},
    ],
    ids=["convnet", "luacnn"],
)
def test_one_task_is_a_conv_net_classifier(bars, task, params):
    X, y = bars
    params = {**params, "max_epochs": 2, "random_state": 0}
    alone = ConvNetClassifier(**params).fit(X, y)
    joint = MultiTaskConvNetClassifier(**params).fit(X, y, task=task)
    for name, value in weights(alone).items():
        np.testing.assert_array_equal(weights(joint)["networks.0." + name], value)
    np.testing.assert_array_equal(joint.predict_proba(X), alone.predict_proba(X))
    joint.set_params(test_time_augmentation=True)
    alone.set_params(test_time_augmentation=True)
    np.testing.assert_array_equal(joint.predict_proba(X), alone.predict_proba(X))
    uneven = np.arange(120) % 4 + 0.5
    assert joint.score(X, y, uneven) == alone.score(X, y, uneven)
    (of_task,) = joint.estimators_.values()
    for history in (joint.history_, of_task.history_):
        for ours, theirs in zip(history, alone.history_, strict=True):
            keys = theirs.keys() - {"dur"}
            assert [ours[key] for key in keys] == pytest.approx([theirs[key] for key in keys])
    assert joint.n_parameters_ == alone.n_parameters_
    assert (
        list(joint.estimators_)
        == list(joint.tasks_)
        == ["all" if task is None else np.ravel(task)[0]]
    )


def test_partial_fit_of_one_task_is_that_of_a_conv_net_classifier(bars):
    X, y = bars
    uneven = np.arange(120) % 4 + 0.5
    alone, joint = ConvNetClassifier(**SMALL), MultiTaskConvNetClassifier(**SMALL)
    for classifier in (alone, joint):
        classifier.partial_fit(X, y, [0, 1, 2], uneven)
        classifier.partial_fit(X[:60], y[:60], sample_weight=uneven[:60])
    for name, value in weights(alone).items():
        np.testing.assert_array_equal(weights(joint)["networks.0." + name], value)


# What is predicted


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


def test_history_has_means_and_each_task(two_tasks):
    X, y, task = two_tasks
    classifier = MultiTaskConvNetClassifier(early_stopping=True, max_epochs=3, **SMALL)
    classifier.fit(X, y, task=task)
    for i, epoch in enumerate(classifier.history_):
        assert list(epoch["tasks"]) == ["bars", "sides"]
        for key in ("train_loss", "train_error", "valid_loss", "valid_error"):
            values = [classifier.estimators_[name].history_[i][key] for name in LABELS]
            assert epoch[key] == pytest.approx(np.mean(values))
            assert [of_task[key] for of_task in epoch["tasks"].values()] == values
    losses = [epoch["valid_loss"] for epoch in classifier.history_]
    assert classifier.best_epoch_ == 1 + np.argmin(losses)
    assert classifier.estimators_["bars"].best_epoch_ == classifier.best_epoch_


def test_training_error_in_history_is_that_of_the_data(two_tasks, fitted):
    """The network stands still, so that the errors of an epoch are those of its predictions."""
    X, y, task = two_tasks
    classifier = copy.deepcopy(fitted).set_params(
        warm_start=True, lr=1e-30, augmentation=None, max_epochs=1
    )
    classifier.fit(X, y, task=task)
    errors = {
        name: of_task["train_error"] for name, of_task in classifier.history_[-1]["tasks"].items()
    }
    alone = fitted.estimators_["bars"]
    assert errors["bars"] == pytest.approx(1 - alone.score(X[task == "bars"], y[task == "bars"]))
    # Of the 40 sides 69 are drawn: each once, and 29 again.
    wrong = (fitted.predict(X, task=task) != y)[task == "sides"].sum()
    assert wrong / 69 <= errors["sides"] <= 2 * wrong / 69


def test_a_fit_that_fails_leaves_nothing_fitted(two_tasks):
    X, y, task = two_tasks
    classifier = MultiTaskConvNetClassifier(max_epochs=1, **SMALL).fit(X, y, task=task)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        classifier.fit(X, y[:-1], task=task)
    assert not hasattr(classifier, "estimators_")
    with pytest.raises(NotFittedError):
        classifier.predict(X, task=task)


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


# How tasks are mixed


def epoch_of(sizes, batch_size):
    """The samples of each batch, those of the second task numbered on."""
    mix = MultiTaskSampler(sizes, batch_size)
    rows = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    order = mix.order(rows, "shuffle", torch.Generator().manual_seed(0))
    return [order[part] for part in mix.slices()]


def test_small_task_comes_as_often_as_the_geometric_mean():
    batches = epoch_of([10_000, 400, 0], batch_size=100)
    assert [((batch < 10_000).sum(), (batch >= 10_000).sum()) for batch in batches] == [
        (100, 20)
    ] * 100
    assert np.bincount(np.concatenate(batches)).tolist() == [1] * 10_000 + [5] * 400


def test_each_repetition_of_a_small_task_has_an_order_of_its_own():
    small = np.concatenate([batch[batch >= 900] for batch in epoch_of([900, 25], 100)])
    repetitions = small[:150].reshape(6, 25)
    assert [sorted(order) for order in repetitions.tolist()] == [[*range(900, 925)]] * 6
    assert len(np.unique(repetitions, axis=0)) == 6


def test_a_small_task_is_spread_evenly():
    counts = [(batch >= 1000).sum() for batch in epoch_of([1000, 30], batch_size=100)]
    assert (sum(counts), min(counts), max(counts)) == (173, 17, 18)


def test_equal_tasks_come_once():
    batches = epoch_of([1000, 1000], batch_size=100)
    assert np.bincount(np.concatenate(batches)).tolist() == [1] * 2000
    assert [(batch < 1000).sum() for batch in batches] == [100] * 10


@pytest.mark.parametrize(("batch_size", "n_each"), [(1, {0, 1}), (2, {2}), (64, {2})])
def test_no_task_is_drowned(batch_size, n_each):
    batches = epoch_of([5000, 3], batch_size=batch_size)
    assert {(batch >= 5000).sum() for batch in batches} == n_each
    counts = np.bincount(np.concatenate(batches))
    assert counts[:5000].tolist() == [1] * 5000
    assert min(counts[5000:]) >= 40
    assert np.ptp(counts[5000:]) <= 1


def test_a_step_descends_the_sum_of_the_mean_losses(two_tasks):
    X, y, task = two_tasks
    # Of 120 and 30 samples, the smaller come twice beside the others.
    rows = np.concatenate([np.flatnonzero(task == "bars"), np.flatnonzero(task == "sides")[:30]])
    X, y, task = X[rows], y[rows], task[rows]
    params = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "lr_schedule": "constant"}
    params |= {"augmentation": None, "label_smoothing": 0.0, "batch_size": 120, "max_epochs": 1}
    start, end = (
        MultiTaskConvNetClassifier(**{**SMALL, **params, "lr": lr}).fit(X, y, task=task)
        for lr in (1e-30, 0.1)
    )
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


def test_the_rate_falls_to_zero(two_tasks):
    X, y, task = two_tasks
    classifier = MultiTaskConvNetClassifier(max_epochs=3, lr_schedule="cosine", **SMALL)
    classifier.fit(X, y, task=task)
    assert classifier.net_.optimizer_.param_groups[0]["lr"] < 0.02 * SMALL["lr"]  # the last of 12


def test_averages_shifts_in_all_tasks(two_tasks):
    X, y, task = two_tasks
    plain, averaged = (
        MultiTaskConvNetClassifier(max_epochs=2, test_time_augmentation=shifts, **SMALL).fit(
            X, y, task=task
        )
        for shifts in (False, True)
    )
    for name, classifier in averaged.estimators_.items():
        columns = np.searchsorted(averaged.classes_, classifier.classes_)
        joint = averaged.predict_proba(X, task=name)[:, columns]
        np.testing.assert_array_equal(joint, classifier.predict_proba(X))
        assert not np.allclose(joint, plain.predict_proba(X, task=name)[:, columns])


def test_task_weights(two_tasks):
    """A task that counts almost nothing leaves its own layers where they were."""
    X, y, task = two_tasks
    params = {**SMALL, "optimizer": "sgd", "weight_decay": 0.0, "lr_schedule": "constant"}

    def moved(task_weights):
        start, end = (
            MultiTaskConvNetClassifier(max_epochs=n, task_weights=task_weights, **params)
            .fit(X, y, task=task)
            .estimators_["sides"]
            .net_.module_.output.weight.detach()
            for n in (1, 3)
        )
        return float((end - start).abs().max())

    assert moved({"sides": 1e-6}) < 1e-6
    assert moved(None) == moved({"bars": 1}) > 1e-3
    for wrong, message in [
        ({"side": 2}, r"task_weights has \['side'\], but the tasks are \['bars', 'sides'\]"),
        ({"sides": 0}, r"task_weights must be positive numbers. Got \{'sides': 0\} instead"),
        ({"sides": "2"}, r"task_weights must be positive numbers. Got \{'sides': '2'\} instead"),
    ]:
        with pytest.raises(ValueError, match=message):
            MultiTaskConvNetClassifier(task_weights=wrong).fit(X, y, task=task)


def test_weights_of_samples_count_within_their_task(two_tasks):
    X, y, task = two_tasks
    kept = np.where(task == "sides", 5.0, 1.0)
    params = {**SMALL, "max_epochs": 2}
    equal = MultiTaskConvNetClassifier(**params).fit(X, y, task=task)
    scaled = MultiTaskConvNetClassifier(**params).fit(X, y, kept, task=task)
    for name, value in weights(equal).items():
        np.testing.assert_allclose(weights(scaled)[name], value, rtol=1e-4, atol=1e-6)
    kept = (np.arange(160) < 120).astype(float)
    trimmed = MultiTaskConvNetClassifier(**params).fit(X, y, kept, task=task)
    fewer = MultiTaskConvNetClassifier(**params).fit(X[:120], y[:120], task=task[:120])
    np.testing.assert_array_equal(
        trimmed.predict_proba(X, task=task), fewer.predict_proba(X, task=task)
    )


def test_class_weight_balances_each_task(two_tasks):
    X, y, task = two_tasks
    rare = (task == "bars") & (y == "both")
    kept = ~rare | (np.cumsum(rare) <= 2)
    X, y, task = X[kept], y[kept], task[kept]
    params = {**SMALL, "max_epochs": 15, "class_weight": "balanced"}
    balanced = MultiTaskConvNetClassifier(**params).fit(X, y, task=task)
    of_label = {"both": 1.0, "lying": 0.05, "standing": 0.05, "left": 1.0}
    by_hand = MultiTaskConvNetClassifier(**{**params, "class_weight": of_label}).fit(
        X, y, task=task
    )
    for name, value in weights(balanced).items():
        np.testing.assert_allclose(weights(by_hand)[name], value, rtol=1e-3, atol=1e-5)


def test_class_weight_of_labels_by_name(two_tasks):
    X, y, task = two_tasks
    y = np.select([y == "lying", y == "standing"], ["0", "1"], y)  # digits that are strings
    by_name = {"0": 2.0, "left": 3}
    params = {**SMALL, "max_epochs": 2}
    weighted = MultiTaskConvNetClassifier(class_weight=by_name, **params).fit(X, y, task=task)
    by_sample = [by_name.get(label, 1.0) for label in y]
    by_hand = MultiTaskConvNetClassifier(**params).fit(X, y, by_sample, task=task)
    for name, value in weights(by_hand).items():
        np.testing.assert_allclose(weights(weighted)[name], value, rtol=1e-5, atol=1e-6)
    bars = task == "bars"
    weighted.partial_fit(X[bars], y[bars], task="bars")  # where there is no "left"
    copy.deepcopy(weighted.estimators_["bars"]).partial_fit(X[bars], y[bars])
    with pytest.raises(
        ValueError, match=r"class_weight has \['2'\], but the classes are \['0', '1'"
    ):
        MultiTaskConvNetClassifier(class_weight={"2": 2.0}).fit(X, y, task=task)


# Training


def test_same_seed_same_bits(two_tasks):
    X, y, task = two_tasks
    fits = []
    for _ in range(2):
        torch.rand(3)
        fits.append(MultiTaskConvNetClassifier(max_epochs=2, random_state=3).fit(X, y, task=task))
    np.testing.assert_array_equal(*(fit.predict_proba(X, task=task) for fit in fits))


def test_validation_set_of_all_tasks(two_tasks):
    X, y, task = two_tasks
    classifier = MultiTaskConvNetClassifier(max_epochs=2, **SMALL)
    classifier.fit(X, y, task=task, X_val=X[:50], y_val=y[:50], task_val=task[:50])
    for name, of_task in classifier.history_[-1]["tasks"].items():
        rows = np.flatnonzero(task[:50] == name)
        right = classifier.estimators_[name].score(X[rows], y[rows])
        assert of_task["valid_error"] == pytest.approx(1 - right)
    bars = np.flatnonzero(task == "bars")
    for options, message in [
        ({"X_val": X, "y_val": y}, "`task_val` is missing"),
        ({"X_val": X[bars], "y_val": y[bars], "task_val": "bars"}, r"no sample of .*\['sides'\]"),
        ({"X_val": X, "y_val": y, "task_val": "side"}, r"`task_val` has \['side'\], but fit has"),
        ({"task_val": task}, "task_val is provided, but X_val was not"),
        ({"X_val": X, "task_val": task}, "X_val is provided, but y_val was not"),
    ]:
        with pytest.raises(ValueError, match=message):
            classifier.fit(X, y, task=task, **options)


def test_weights_of_validation_samples_count_within_their_task(two_tasks):
    X, y, task = two_tasks
    uneven = np.arange(160) % 5 + 0.5
    classifier = MultiTaskConvNetClassifier(max_epochs=2, **SMALL).fit(
        *(X, y), task=task, X_val=X, y_val=y, task_val=task, sample_weight_val=uneven
    )
    for name in LABELS:
        rows = task == name
        right = classifier.score(X[rows], y[rows], uneven[rows], task=name)
        assert classifier.estimators_[name].history_[-1]["valid_error"] == pytest.approx(1 - right)
    histories = [
        MultiTaskConvNetClassifier(max_epochs=2, **SMALL)
        .fit(X, y, task=task, X_val=X, y_val=y, task_val=task, sample_weight_val=weights)
        .history_
        for weights in (None, np.where(task == "sides", 1000.0, 1.0))
    ]
    for equal, scaled in zip(*histories, strict=True):
        for name in LABELS:
            for key in ("valid_loss", "valid_error"):
                assert scaled["tasks"][name][key] == pytest.approx(equal["tasks"][name][key])
    with pytest.raises(ValueError, match=r"validation set has no sample of the tasks \['sides'\]"):
        MultiTaskConvNetClassifier(**SMALL).fit(
            *(X, y),
            task=task,
            X_val=X,
            y_val=y,
            task_val=task,
            sample_weight_val=(task == "bars").astype(float),
        )


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("names", [[False, True], [2, 3], [0.5, 1.5]])
def test_tasks_that_are_numbers_can_be_saved(two_tasks, names, method, tmp_path):
    X, y, task = two_tasks
    named = np.where(task == "bars", *names)
    classes = dict(zip(names, LABELS.values(), strict=True))
    options = {"classes": classes} if method == "partial_fit" else {}
    classifier = MultiTaskConvNetClassifier(max_epochs=1, **SMALL)
    getattr(classifier, method)(X, y, task=named, **options)
    save_model(classifier, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    np.testing.assert_array_equal(
        loaded.predict_proba(X, task=named), classifier.predict_proba(X, task=named)
    )


def test_random_state_draws_the_samples_held_out(two_tasks):
    X, y, task = two_tasks
    held_out = []

    class Keep(Callback):
        def on_train_begin(self, net, X, y, **kwargs):
            held_out.append(sorted(net.train_split.valid_rows))

    for seed in (0, 1, 0):
        params = {**SMALL, "random_state": seed, "callbacks": [Keep()], "max_epochs": 1}
        MultiTaskConvNetClassifier(early_stopping=True, **params).fit(X, y, task=task)
    assert held_out[0] == held_out[2] != held_out[1]
    labels = [f"{task[row]} {y[row]}" for row in held_out[0]]
    assert {label: labels.count(label) for label in labels} == {
        "bars both": 4,
        "bars lying": 4,
        "bars standing": 4,
        "sides both": 2,
        "sides left": 2,
    }


def test_samples_that_are_too_few_to_hold_out(two_tasks):
    X, y, task = two_tasks
    classifier = MultiTaskConvNetClassifier(early_stopping=True, **SMALL)
    first = np.flatnonzero((task == "sides") & (y == "left"))[0]
    alone = (task == "bars") | (y == "both") | (np.arange(160) == first)
    message = r"only one of \['sides: left'\]. Leave them out, or pass X_val"
    with pytest.raises(ValueError, match=message):
        classifier.fit(X[alone], y[alone], task=task[alone])
    for options in ({}, {"X_val": X, "y_val": y, "task_val": task}):
        with pytest.raises(ValueError, match="got 0 class in the task 'sides', without samples of"):
            classifier.fit(X, y, (task == "bars").astype(float), task=task, **options)
    with pytest.raises(ValueError, match=r"validation_fraction=0.02 divides 160 .* 4 are held out"):
        classifier.set_params(validation_fraction=0.02).fit(X, y, task=task)
    few = (task == "bars") | np.isin(np.arange(160), np.flatnonzero(task == "sides")[:4])
    classifier.set_params(validation_fraction=0.05)
    message = r"no sample of the tasks \['sides'\]: pass X_val, or a larger validation_fraction"
    with pytest.raises(ValueError, match=message):
        classifier.fit(X[few], y[few], task=task[few])


@pytest.mark.parametrize("monitor", ["valid_loss_best", "train_loss_best"])
def test_checkpoint_keeps_the_best_epoch(two_tasks, monitor, tmp_path):
    X, y, task = two_tasks
    best = Checkpoint(monitor=monitor, dirname=tmp_path, load_best=True)
    classifier = MultiTaskConvNetClassifier(max_epochs=4, **{**SMALL, "lr": 0.1}, callbacks=[best])
    classifier.fit(X, y, task=task, X_val=X, y_val=y, task_val=task)
    losses = [epoch[monitor.removesuffix("_best")] for epoch in classifier.history_]
    bests = [epoch[monitor] for epoch in classifier.net_.history]
    assert bests == [loss < min(losses[:i], default=np.inf) for i, loss in enumerate(losses)]
    saved = torch.load(tmp_path / "params.pt")
    for name, value in weights(classifier).items():
        np.testing.assert_array_equal(saved[name], value)


def test_interruption_keeps_the_epochs_done(two_tasks):
    class Interrupted(Callback):
        def on_batch_end(self, net, **kwargs):
            if len(net.history) == 3:
                raise KeyboardInterrupt

    X, y, task = two_tasks
    classifier = MultiTaskConvNetClassifier(callbacks=[Interrupted()], **SMALL)
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(X, y, task=task)
    assert classifier.n_iter_ == 2
    assert [len(c.history_) for c in classifier.estimators_.values()] == [2, 2]
    assert np.isfinite(classifier.predict_log_proba(X, task=task)).any(axis=1).all()


def test_warm_start_goes_on(two_tasks, fitted):
    X, y, task = two_tasks
    classifier = copy.deepcopy(fitted).set_params(warm_start=True, max_epochs=2)
    assert classifier.fit(X, y, task=task).n_iter_ == 22
    with pytest.raises(ValueError, match="warm_start can only be used where each task has the"):
        classifier.fit(X, y, task=np.roll(task, 1))
    assert not np.allclose(
        classifier.predict_proba(X, task=task), fitted.predict_proba(X, task=task)
    )
    new = MultiTaskConvNetClassifier(max_epochs=2, **SMALL).fit(X, y, task=task)
    assert classifier.history_[-1]["train_loss"] < new.history_[-1]["train_loss"]


def test_partial_fit_of_one_task_moves_the_shared_layer_of_all(two_tasks):
    X, y, task = two_tasks
    classifier = MultiTaskConvNetClassifier(**SMALL)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        classifier.partial_fit(X, y, task=task)
    classifier.partial_fit(X, y, LABELS, task=task)
    before = weights(copy.deepcopy(classifier))
    bars = task == "bars"
    classifier.partial_fit(X[bars], y[bars], task="bars")
    moved = {name for name, value in weights(classifier).items() if (value != before[name]).any()}
    assert moved == {
        *(name for name in before if name.startswith("networks.0.")),
        *("networks.1.convolution.weight", "networks.1.convolution.bias"),
    }
    with pytest.raises(ValueError, match="is not the same as on last call to partial_fit"):
        classifier.partial_fit(X, y, {**LABELS, "sides": ["left"]}, task=task)
    with pytest.raises(ValueError, match="`task` is missing"):
        classifier.partial_fit(X, y)
    with pytest.raises(ValueError, match=r"task_weights has \['side'\]"):
        classifier.set_params(task_weights={"side": 2}).partial_fit(X, y, task=task)


def test_classes_of_partial_fit_that_are_none(two_tasks):
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
        ({"bars": LABELS["bars"]}, ValueError, r"`task` has \['sides'\], but fit has seen"),
        ({**LABELS, "sides": ["left"]}, ValueError, r"not in `self.estimators_\['sides'\].class"),
    ]:
        with pytest.raises(error, match=message):
            MultiTaskConvNetClassifier(**SMALL).partial_fit(X, y, classes, task=task)


def test_verbose_prints_the_errors_of_each_task(two_tasks, capsys):
    X, y, task = two_tasks
    classifier = MultiTaskConvNetClassifier(verbose=1, **SMALL).partial_fit(X, y, LABELS, task=task)
    errors = classifier.history_[0]["tasks"]
    of_tasks = ", ".join(f"{name} {errors[name]['train_error']:7.2%}" for name in LABELS)
    assert f"% ({of_tasks})   " in capsys.readouterr().out
    classifier.partial_fit(X[task == "sides"], y[task == "sides"], task="sides")
    assert "(" not in capsys.readouterr().out
    assert "train_error" not in classifier.estimators_["bars"].history_[1]


def test_partial_fit_goes_on_after_loading(two_tasks, tmp_path):
    X, y, task = two_tasks
    whole = MultiTaskConvNetClassifier(**SMALL).partial_fit(X, y, LABELS, task=task)
    save_model(whole, tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops")
    whole.partial_fit(X, y, task=task)
    loaded.partial_fit(X, y, task=task)
    for name, value in weights(whole).items():
        np.testing.assert_array_equal(weights(loaded)[name], value)


@pytest.mark.parametrize("way", ["pickle", "joblib", "skops", "deepcopy"])
def test_what_comes_back_still_shares(two_tasks, fitted, way, tmp_path):
    X, _, task = two_tasks
    if way == "pickle":
        loaded = pickle.loads(pickle.dumps(fitted))
    elif way == "joblib":
        joblib.dump(fitted, tmp_path / "model")
        loaded = joblib.load(tmp_path / "model")
    elif way == "skops":
        save_model(fitted, tmp_path / "model")
        loaded = load_model(tmp_path / "model")
    else:
        loaded = copy.deepcopy(fitted)
    np.testing.assert_array_equal(
        loaded.predict_proba(X, task=task), fitted.predict_proba(X, task=task)
    )
    bars, sides = (c.net_.module_ for c in loaded.estimators_.values())
    assert bars.convolution.weight is sides.convolution.weight
    assert bars.convolution.weight is not fitted.net_.module_.networks[0].convolution.weight
    assert loaded.history_ == fitted.history_
    assert loaded.estimators_["sides"].history_ == fitted.estimators_["sides"].history_


def test_parameters_may_change_before_it_is_pickled(two_tasks, fitted):
    X, _, task = two_tasks
    changed = copy.deepcopy(fitted).set_params(
        network="convnet", shared=3, task_weights={"bars": 2}
    )
    loaded = pickle.loads(pickle.dumps(changed))
    np.testing.assert_array_equal(
        loaded.predict_proba(X, task=task), fitted.predict_proba(X, task=task)
    )


# What is no task


def test_a_call_that_fails_leaves_the_range_of_values(two_tasks):
    X, y, task = two_tasks
    classifier = MultiTaskConvNetClassifier(max_epochs=1, warm_start=True, **SMALL).fit(
        X, y, task=task
    )
    for call in (classifier.fit, classifier.partial_fit):
        with pytest.raises(ValueError, match="class"):
            call(X * 255, y[::-1], task=task)
        with pytest.warns(UserWarning, match="scale X as in fit"):
            classifier.predict(X * 255, task=task)
    classifier.partial_fit(X * 255, y, task=task)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.estimators_["bars"].predict(X * 255)


@pytest.mark.parametrize("container", ["array", "objects", "frame"])
def test_an_empty_validation_set_is_told(two_tasks, container):
    X, y, task = two_tasks
    X, column = with_column(container, X, task)
    classifier = MultiTaskConvNetClassifier(max_epochs=1, task_column=column, **SMALL)
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        classifier.fit(X, y, X_val=X[:0], y_val=y[:0])


def test_tasks_that_are_wrong_or_missing(two_tasks, fitted):
    X, y, task = two_tasks
    with pytest.raises(NotFittedError):
        MultiTaskConvNetClassifier().predict(X, task="bars")
    for wrong, message in [
        (None, r"`task` is missing: .* was fitted on the tasks \['bars', 'sides'\]. Give one of"),
        ("letters", r"`task` has \['letters'\], but fit has seen the tasks \['bars', 'sides'\]"),
        (0, r"`task` has \[0\], but fit has seen"),
        (np.arange(160), r"`task` has \[0, 1, 2, 3, 4\] and 155 more, but fit has seen"),
        (task[:-1], "inconsistent numbers of samples"),
        (np.stack([task, task], axis=1), "`task` must have the shape"),
        ([None, *task[1:]], "`task` must name the task of each sample, but some are missing"),
        ((float("nan"), *task[1:].tolist()), "some are missing"),
        (pd.Series(task).mask(task == "bars"), "some are missing"),
        ([0, *task[1:].tolist()], "`task` has strings and other values"),
    ]:
        wrong = np.array(wrong, dtype=object) if isinstance(wrong, list) else wrong
        with pytest.raises(ValueError, match=message):
            fitted.predict(X, task=wrong)
    unfitted = MultiTaskConvNetClassifier(**SMALL)
    with pytest.raises(ValueError, match="`task` has strings and other values"):
        unfitted.fit(X, y, task=["a", 1] * 80)
    with pytest.raises(TypeError, match=r"`task` must have names that are strings or numbers"):
        unfitted.fit(X, y, task=task.astype("S"))
    for wrong, message in [
        (task[:-1], "inconsistent numbers of samples"),
        (np.where(y == "left", "left", task), "got 1 class in the task 'left'"),
    ]:
        with pytest.raises(ValueError, match=message):
            unfitted.fit(X, y, task=wrong)
    with pytest.raises(ValueError, match="got 1 class in the task 'sides'"):
        unfitted.fit(X, y, np.where(y == "left", 0, 1), task=task)
    with pytest.raises(ValueError, match="got 1 class in the task 'sides'"):
        MultiTaskConvNetClassifier(class_weight={"left": 0}, **SMALL).fit(X, y, task=task)
    by_column = MultiTaskConvNetClassifier(task_column=0, **SMALL)
    columns = np.column_stack([task == "sides", X])
    with pytest.raises(ValueError, match="`task_val` was given beside task_column=0"):
        by_column.fit(columns, y, X_val=columns, y_val=y, task_val=task)


@pytest.mark.parametrize("container", [list, np.array, pd.Series], ids=["list", "array", "Series"])
def test_labels_of_mixed_types(two_tasks, container):
    X, y, task = two_tasks
    mixed = [7 if label == "left" else label for label in y.tolist()]
    mixed = mixed if container is list else container(mixed, dtype=object)
    message = (
        r"y has labels of mixed types.*all of them strings.*y = \[str\(label\) for label in y\]"
    )
    with pytest.raises(ValueError, match=message):
        MultiTaskConvNetClassifier().fit(X, mixed, task=task)


def test_numbers_are_labels_and_tasks(two_tasks):
    X, y, task = two_tasks
    numbers = np.unique(y, return_inverse=True)[1]
    classifier = MultiTaskConvNetClassifier(max_epochs=1, **SMALL)
    classifier.fit(X, numbers, task=(task == "sides").astype(int))
    assert list(classifier.estimators_) == [0, 1]
    assert classifier.predict(X, task=0).dtype == numbers.dtype


@pytest.mark.parametrize("dtype", ["Int64", "boolean"])
def test_nullable_integers_of_pandas_are_integers(two_tasks, dtype):
    X, y, task = two_tasks
    classifier = MultiTaskConvNetClassifier(max_epochs=1, **SMALL)
    classifier.fit(X, y, task=pd.Series(task == "sides").astype(dtype))
    assert str(list(classifier.estimators_)) == "[0, 1]"


# Metadata routing


def routed(**params):
    classifier = MultiTaskConvNetClassifier(max_epochs=12, **SMALL, **params)
    classifier.set_fit_request(task=True).set_score_request(task=True)
    return classifier.set_predict_request(task=True)


@routed_to_pipelines
@pytest.mark.usefixtures("routing")
def test_task_reaches_fit_and_score_in_cross_validation(two_tasks):
    X, y, task = two_tasks
    cv = StratifiedKFold(2)
    model = make_pipeline(ImageNormalizer(), routed())
    scores = cross_val_score(model, X, y, cv=cv, params={"task": task})
    for (train, test), score in zip(cv.split(X, y), scores, strict=True):
        fold = model.fit(X[train], y[train], task=task[train])
        assert score == fold.score(X[test], y[test], task=task[test]) > 0.6


@routed_to_pipelines
@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("Search", [GridSearchCV, BatchedGridSearchCV])
def test_task_reaches_fit_and_score_in_a_search(two_tasks, Search, tmp_path):
    X, y, task = two_tasks
    model = make_pipeline(ImageNormalizer(), routed(), memory=str(tmp_path))
    search = Search(model, {"multitaskconvnetclassifier__shared": ["first", 2]}, cv=2)
    search.fit(X, y, task=task)
    assert search.best_score_ > 0.6
    assert set(search.best_estimator_[-1].estimators_) == {"bars", "sides"}
    best = search.best_estimator_
    assert search.score(X, y, task=task) == best.score(X, y, task=task)
    assert best.score(X, y, task=task) == np.mean(best.predict(X, task=task) == y)


def test_without_routing_a_pipeline_takes_tasks_by_step(two_tasks):
    X, y, task = two_tasks
    model = make_pipeline(ImageNormalizer(), MultiTaskConvNetClassifier(max_epochs=12, **SMALL))
    model.fit(X, y, multitaskconvnetclassifier__task=task)
    assert np.mean(model.predict(X, task=task) == y) > 0.8


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
    classifier = MultiTaskConvNetClassifier(max_epochs=12, task_column=column, **SMALL)
    scores = cross_validate(
        classifier, X_and_task, y, cv=2, scoring=["accuracy", "neg_log_loss"], error_score="raise"
    )
    assert scores["test_accuracy"].min() > 0.6
    assert np.isfinite(scores["test_neg_log_loss"]).all()
    predicted = cross_val_predict(classifier, X_and_task, y, cv=2)
    for name, labels in LABELS.items():
        assert set(predicted[task == name]) <= set(labels)
    classifier.fit(X_and_task, y)
    by_task = MultiTaskConvNetClassifier(max_epochs=12, **SMALL).fit(X, y, task=task)
    np.testing.assert_array_equal(
        classifier.predict_proba(X_and_task), by_task.predict_proba(X, task=task)
    )
    assert classifier.n_features_in_ == 257
    if container == "frame":
        assert list(classifier.feature_names_in_) == list(X_and_task.columns)


def test_task_column_behind_a_transformer_of_the_pixels(two_tasks):
    X, y, task = two_tasks
    frame, column = with_column("frame", X, task)
    pixels = [name for name in frame if name != column]
    model = make_pipeline(
        make_column_transformer(
            (ImageNormalizer(), pixels), remainder="passthrough", verbose_feature_names_out=False
        ).set_output(transform="pandas"),
        MultiTaskConvNetClassifier(max_epochs=12, task_column=column, **SMALL),
    )
    assert cross_val_score(model, frame, y, cv=2, scoring="balanced_accuracy").min() > 0.6


def test_task_columns_that_are_none(two_tasks):
    X, y, task = two_tasks
    X_and_task, _ = with_column("array", X, task)
    for params, data, options, message in [
        ({"task_column": 0}, X_and_task, {"task": task}, "`task` was given beside task_column=0"),
        ({"task_column": 300}, X_and_task, {}, "task_column=300 must be .* Found none"),
        ({"task_column": "task"}, X_and_task, {}, "task_column='task' must be .* Found none"),
        (
            {"task_column": "task"},
            pd.DataFrame(X_and_task, columns=["task", "task", *range(255)]),
            {},
            "task_column='task' must be one column of X.* Found 2",
        ),
        (
            {"task_column": 0},
            X.reshape(-1, 16, 16),
            {},
            "X must have two dimensions. Got the shape",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            MultiTaskConvNetClassifier(**params).fit(data, y, **options)
    fitted = MultiTaskConvNetClassifier(max_epochs=1, task_column=0, **SMALL).fit(X_and_task, y)
    with pytest.raises(
        ValueError, match="X has 256 features, but MultiTaskConvNetClassifier is exp"
    ):
        fitted.predict(X)


def test_what_is_wrong_with_pixels_is_told_by_the_joint_classifier(two_tasks, fitted):
    X, _, _ = two_tasks
    with pytest.raises(
        ValueError, match="X has 255 features, but MultiTaskConvNetClassifier is exp"
    ):
        fitted.predict(X[:, 1:], task="bars")
    with pytest.raises(
        ValueError, match="but MultiTaskConvNetClassifier is expecting images of shape"
    ):
        fitted.predict(X.reshape(-1, 8, 32), task="bars")
    with pytest.warns(UserWarning, match="but MultiTaskConvNetClassifier was fitted on values in"):
        fitted.predict(255 * X, task="bars")


# Real digits and letters


@pytest.mark.real_data
def test_digits_and_letters(roweis, fetch_or_skip):
    letters = fetch_or_skip(fetch_alphadigits, drop_o=True, image_shape=(16, 16))
    train = np.arange(len(letters.target)) % 39 < 30
    digits = np.arange(0, 10_000, 10)
    X = np.concatenate([roweis.data[digits], letters.data[train]])
    y = np.concatenate([roweis.target[digits].astype(str), letters.target[train]])
    task = np.repeat(["digits", "letters"], [1000, 750])
    model = make_pipeline(
        ImageNormalizer(), MultiTaskConvNetClassifier(max_epochs=15, random_state=0)
    )
    model.fit(X, y, multitaskconvnetclassifier__task=task)
    right = model.predict(letters.data[~train], task="letters") == letters.target[~train]
    assert len(right) == 225
    assert right.mean() > 0.85
    others = roweis.data[5::10]
    assert np.mean(model.predict(others, task="digits") == roweis.target[5::10].astype(str)) > 0.96
