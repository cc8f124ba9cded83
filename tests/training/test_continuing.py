"""Continued training by warm_start and partial_fit, also of a copy, and the hidden layer."""

import copy
import pickle
import warnings
from itertools import product

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from skorch.callbacks import LRScheduler
from torch import nn

from sklearn_usps import ConvNetClassifier

PLAIN = {"lr_schedule": "constant", "batch_size": 32, "augmentation": None, "random_state": 0}


class Linear(nn.Module):
    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.linear = nn.Linear(image_shape[0] * image_shape[1], n_classes)

    def forward(self, images):
        return self.linear(images.flatten(1))


def assert_same_bits(first, second):
    first, second = (c.net_.module_.state_dict() for c in (first, second))
    for name in first:
        np.testing.assert_array_equal(first[name].numpy(), second[name].numpy())


def figures(classifier):
    return [{k: v for k, v in row.items() if k != "dur"} for row in classifier.history_]


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "sgd", torch.optim.LBFGS])
@pytest.mark.parametrize("network", ["convnet", "luacnn"])
def test_calls_of_partial_fit_are_epochs_of_fit(optimizer, network, bars):
    X, y = bars
    params = {"network": network, "optimizer": optimizer, "lr": 0.001, **PLAIN}
    whole = ConvNetClassifier(max_epochs=3, **params).fit(X, y)
    parts = ConvNetClassifier(**params)
    for _ in range(3):
        parts.partial_fit(X, y, classes=[0, 1, 2])
    assert_same_bits(whole, parts)
    assert figures(whole) == figures(parts)
    assert parts.n_iter_ == 3


def test_a_call_that_fails_leaves_the_pixel_values(bars):
    X, y = bars
    classifier = ConvNetClassifier(max_epochs=1, warm_start=True, **PLAIN).fit(X, y)
    for call in (classifier.fit, classifier.partial_fit):
        with pytest.raises(ValueError, match="classes"):
            call(X * 255, y + 1)
        with pytest.raises(ValueError, match="sample_weight"):
            call(X * 255, y, sample_weight=-y)
        with pytest.warns(UserWarning, match="Scale X as in fit"):
            classifier.predict(X * 255)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.partial_fit(X * 1.5, y).predict(X * 2)
        classifier.fit(X * 2.5, y).predict(X * 3)


class ChannelsLast(nn.Module):
    """A network whose weights have the memory format "channels last"."""

    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, n_classes, 3), nn.AdaptiveAvgPool2d(1)
        ).to(memory_format=torch.channels_last)

    def forward(self, images):
        return self.layers(images).flatten(1)


class Counting(torch.optim.Optimizer):
    """An optimizer whose rate falls with its number of steps, which its state has as an int."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure):
        with torch.enable_grad():
            loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                state["step"] = state.get("step", 0) + 1
                parameter -= group["lr"] / state["step"] * parameter.grad
        return loss


def through_pickle(classifier):
    return pickle.loads(pickle.dumps(classifier))


@pytest.mark.parametrize(
    ("network", "optimizer", "copier"),
    [
        *product(
            ["convnet", Linear, ChannelsLast],
            ["adamw", "muon", "sgd", Counting],
            [through_pickle],
        ),
        ("convnet", "adamw", copy.deepcopy),
        (Linear, torch.optim.LBFGS, through_pickle),  # torch's L-BFGS refuses ChannelsLast
    ],
)
def test_partial_fit_of_a_copy_continues(network, optimizer, copier, bars):
    X, y = bars
    params = {"network": network, "optimizer": optimizer, "lr_scaling": "fan-in", **PLAIN}
    if optimizer is torch.optim.LBFGS:
        params |= {"lr_scaling": "none", "lr": 0.001}  # L-BFGS has one rate only
    straight = ConvNetClassifier(**params).fit(X, y)
    copied = copier(straight)
    for classifier in (straight, copied):
        classifier.partial_fit(X, y).partial_fit(X[::-1], y[::-1])
    assert_same_bits(straight, copied)
    assert figures(straight) == figures(copied)


def test_partial_fit_needs_all_classes_but_not_in_each_call(bars):
    X, y = bars
    classifier = ConvNetClassifier(**PLAIN)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        classifier.partial_fit(X, y)
    with pytest.raises(ValueError, match="Negative values"):
        classifier.partial_fit(X, y, classes=[0, 1, 2, 3], sample_weight=-y)
    classifier.partial_fit(X[y == 0], y[y == 0], classes=[0, 1, 2])
    classifier.partial_fit(X[y > 0], y[y > 0])
    assert classifier.predict_proba(X).shape == (120, 3)
    with pytest.raises(ValueError, match="not the same as on last call"):
        classifier.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="`y` has classes not in"):
        classifier.partial_fit(X, y + 1)


def test_partial_fit_uses_weights_and_the_current_lr(bars):
    X, y = bars
    weight = np.where(y == 0, 0.0, 1.0)
    weighted = ConvNetClassifier(**PLAIN).partial_fit(X, y, [0, 1, 2], weight)
    fewer = ConvNetClassifier(**PLAIN).partial_fit(X[y > 0], y[y > 0], [0, 1, 2])
    assert_same_bits(weighted, fewer)
    weighted.set_params(lr=0.5).partial_fit(X, y)
    assert [row["lr"] for row in weighted.history_] == [0.025, 0.5]


def test_partial_fit_refuses_what_needs_all_data(bars):
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        ConvNetClassifier(early_stopping=True).partial_fit(*bars, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        ConvNetClassifier(class_weight="balanced").partial_fit(*bars, classes=[0, 1, 2])


def test_warm_start_continues_with_the_weights(bars):
    X, y = bars
    params = {"optimizer": "sgd", "momentum": 0, **PLAIN}
    whole = ConvNetClassifier(max_epochs=5, **params).fit(X, y)
    warm = ConvNetClassifier(max_epochs=2, warm_start=True, **params).fit(X, y)
    warm.set_params(max_epochs=3).fit(X, y)
    assert_same_bits(whole, warm)
    assert figures(whole) == figures(warm)
    cold = ConvNetClassifier(max_epochs=2, **params).fit(X, y).set_params(max_epochs=5).fit(X, y)
    assert_same_bits(whole, cold)


def test_warm_start_restarts_the_schedule_and_early_stopping(bars):
    X, y = bars
    params = {**PLAIN, "lr_schedule": "cosine", "lr": 0.01, "max_epochs": 2}
    classifier = ConvNetClassifier(warm_start=True, early_stopping=True, **params)
    classifier.fit(X, y).fit(X, y)
    assert [row["lr"] for row in classifier.history_] == pytest.approx([0.01, 0.005] * 2)
    losses = [row["valid_loss"] for row in classifier.history_]
    assert classifier.best_epoch_ == 3 + np.argmin(losses[2:])
    classifier.set_params(early_stopping=False).fit(X, y)
    assert not hasattr(classifier, "best_epoch_")


def test_warm_start_needs_the_same_data(bars):
    X, y = bars
    classifier = ConvNetClassifier(warm_start=True, max_epochs=1, **PLAIN).fit(X, y)
    with pytest.raises(ValueError, match="warm_start can only be used where `y` has the same"):
        classifier.fit(X, y + 1)
    with pytest.raises(ValueError, match="X has 100 features, but ConvNetClassifier is expecting"):
        classifier.fit(X[:, :100], y)


def test_verbose_continues_to_count(bars, capsys):
    classifier = ConvNetClassifier(warm_start=True, max_epochs=2, verbose=1, **PLAIN).fit(*bars)
    classifier.fit(*bars).partial_fit(*bars)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["1/2", "2/2", "3/4", "4/4", "5/5"]


# The hidden layer


@pytest.mark.parametrize(
    ("network", "n_features"),
    [("convnet", 1024), ("luacnn", 216), ("lecun1989", 30), ("lenet5", 84)],
)
def test_transform_returns_the_last_hidden_layer(network, n_features, bars):
    X, y = bars
    classifier = ConvNetClassifier(network=network, max_epochs=1, **PLAIN).fit(X, y)
    features = classifier.transform(X)
    assert features.shape == (120, n_features)
    assert features.dtype == np.float32
    with torch.no_grad():
        logits = classifier.net_.module_.output(torch.tensor(features)).numpy()
    np.testing.assert_allclose(logits, classifier.net_.forward(X), rtol=1e-4, atol=1e-5)
    names = classifier.get_feature_names_out()
    assert [names[0], names[-1]] == ["convnetclassifier0", f"convnetclassifier{n_features - 1}"]


def test_no_transform_without_features(bars):
    classifier = ConvNetClassifier(network=Linear, max_epochs=1, **PLAIN)
    assert not hasattr(classifier, "transform")
    classifier.fit(*bars)
    with pytest.raises(AttributeError, match="'ConvNetClassifier' has no attribute 'transform'"):
        classifier.transform(bars[0])
    with pytest.raises(NotFittedError):
        ConvNetClassifier().transform(bars[0])


def test_copy_after_partial_fit_with_a_scheduler(bars):
    """`partial_fit` has a constant rate, whatever `lr_schedule` the copy is restored with."""
    X, y = bars
    classifier = ConvNetClassifier(callbacks=[LRScheduler("StepLR", step_size=1)], **PLAIN)
    classifier.partial_fit(X, y, classes=np.unique(y))
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))


def test_subclass_with_fewer_parameters(bars):
    class Small(ConvNetClassifier):
        def __init__(self, lr=0.01):
            super().__init__(network="luacnn", max_epochs=1, lr=lr, random_state=0)

    small = Small().fit(*bars)
    same = ConvNetClassifier(network="luacnn", max_epochs=1, lr=0.01, random_state=0).fit(*bars)
    np.testing.assert_array_equal(small.predict_proba(bars[0]), same.predict_proba(bars[0]))
