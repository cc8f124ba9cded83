"""Weights of samples and classes, sampling, and learning rates of layers."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from sklearn_usps import ConvNetClassifier

FAST = {"max_epochs": 2, "batch_size": 32, "augmentation": None, "random_state": 0}


def assert_same_bits(first, second):
    first, second = (c.net_.module_.state_dict() for c in (first, second))
    for name in first:
        np.testing.assert_array_equal(first[name].numpy(), second[name].numpy())


@pytest.mark.parametrize("early_stopping", [False, True])
def test_samples_of_weight_zero_change_nothing(early_stopping, bars):
    X, y = bars
    weight = np.random.default_rng(0).integers(0, 3, size=len(y)) / 2
    classifier = ConvNetClassifier(early_stopping=early_stopping, **FAST)
    weighted = classifier.fit(X, y, weight)
    kept = weight > 0
    fewer = ConvNetClassifier(**classifier.get_params()).fit(X[kept], y[kept], weight[kept])
    assert_same_bits(weighted, fewer)
    assert [row["train_loss"] for row in weighted.history_] == [
        row["train_loss"] for row in fewer.history_
    ]


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({"a": 1, "z": 1}, r"class_weight has \['z'\], but the classes are \['a', 'b', 'c'\]"),
        ({0: 1}, r"class_weight has \[0\], but the classes are"),
        ({"a": -1}, "class_weight must have weights of 0 or more"),
        ({"a": np.inf}, "class_weight must have weights of 0 or more"),
        ({"a": "1"}, "class_weight must have weights of 0 or more"),
        ({"a": 1j}, "class_weight must have weights of 0 or more"),
        ({"a": 10**400}, "class_weight must have weights of 0 or more"),
        ({"a": 0, "b": 0}, "got 1 class after sample_weight and class_weight trimmed"),
    ],
)
def test_wrong_class_weights(class_weight, message, bars):
    X, y = bars
    with pytest.raises(ValueError, match=message):
        ConvNetClassifier(class_weight=class_weight, **FAST).fit(X, np.array(["a", "b", "c"])[y])


def test_equal_weights_are_no_weights(bars):
    X, y = bars
    plain = ConvNetClassifier(**FAST).fit(X, y)
    assert_same_bits(plain, ConvNetClassifier(**FAST).fit(X, y, np.full(len(y), 2.5)))


def test_the_loss_and_the_error_are_weighted(bars):
    X, y = bars
    weight = np.random.default_rng(0).uniform(0.5, 3, size=len(y))
    classifier = ConvNetClassifier(**FAST, label_smoothing=0)
    classifier.fit(X, y, X_val=X, y_val=y, sample_weight_val=weight)
    row = classifier.history_[-1]
    proba = classifier.predict_proba(X)
    assert row["valid_loss"] == pytest.approx(log_loss(y, proba, sample_weight=weight), rel=1e-5)
    accuracy = accuracy_score(y, proba.argmax(1), sample_weight=weight)
    assert row["valid_error"] == pytest.approx(1 - accuracy)
    assert classifier.score(X, y, sample_weight=weight) == pytest.approx(accuracy)


def test_a_gradient_step_is_that_of_the_weighted_loss(bars):
    """In one step on one batch, a sample of weight two is the sample twice."""
    X, y = bars
    one_step = {"max_epochs": 1, "batch_size": 300, "augmentation": None, "random_state": 0}
    params = {"network": "luacnn", "optimizer": "sgd", "lr": 0.1, "lr_schedule": "constant"}
    weight = np.where(y == 0, 2.0, 1.0)
    weighted = ConvNetClassifier(**one_step, **params).fit(X, y, weight)
    twice = np.concatenate([np.arange(len(y)), np.flatnonzero(y == 0)])
    repeated = ConvNetClassifier(**one_step, **params).fit(X[twice], y[twice])
    np.testing.assert_allclose(
        weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("class_weight", [{"b": 3, "c": 0.5}, "balanced"])
def test_class_weights_are_sample_weights(class_weight, bars):
    X, y = bars
    keep = (y > 0) | (np.arange(len(y)) % 2 == 0)
    X, y = X[keep], np.array(["a", "b", "c"])[y[keep]]
    balanced = {label: len(y) / (3 * (y == label).sum()) for label in "abc"}
    values = balanced if class_weight == "balanced" else {"a": 1, **class_weight}
    by_class = ConvNetClassifier(class_weight=class_weight, **FAST).fit(X, y)
    by_sample = ConvNetClassifier(**FAST).fit(X, y, [values[label] for label in y])
    assert_same_bits(by_class, by_sample)
    weight = np.random.default_rng(0).uniform(0.5, 3, size=len(y))
    both = ConvNetClassifier(class_weight=class_weight, **FAST).fit(X, y, weight)
    by_sample = ConvNetClassifier(**FAST).fit(X, y, weight * [values[label] for label in y])
    np.testing.assert_allclose(both.predict_proba(X), by_sample.predict_proba(X), rtol=1e-3)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.r_[-1.0, np.ones(119)], "Negative values in data passed to `sample_weight`"),
        (np.zeros(120), "at least one non-zero"),
        (np.ones(7), r"sample_weight.shape == \(7,\), expected \(120,\)!"),
        (np.r_[1.0, np.zeros(119)], "got 1 class after sample_weight and class_weight trimmed"),
        (np.r_[np.nan, np.ones(119)], "Input sample_weight contains NaN"),
    ],
)
def test_wrong_weights_are_refused(weight, message, bars):
    with pytest.raises(ValueError, match=message):
        ConvNetClassifier(**FAST).fit(*bars, weight)


def test_weights_of_a_score(bars):
    X, y = bars
    classifier = ConvNetClassifier(**FAST).fit(X, y)
    y = np.r_[(classifier.predict(X[:2]) + 1) % 3, classifier.predict(X[2:4])]  # half are wrong
    for weight, expected in [
        ([3, 0, 1, 0], 0.25),
        ([1e308, 1e308, 1e308, 1e308], 0.5),  # whose sum is no number
        ([-1e308, -1e308, -1e308, -1e308], 0.5),
        ([1, 0, -1, 2], 0.5),  # scikit-learn's scores allow it
    ]:
        assert classifier.score(X[:4], y, weight) == expected
    for weight, message in [
        ([1, -1, 0, 0], "Sample weights must not sum to zero"),
        # The first message is scikit-learn's; 1.6 has none, so that ours follows.
        ([0, 0, 0, 0], "at least one non-zero|must not sum to zero"),
        ([1, 1, 1], r"sample_weight.shape == \(3,\), expected \(4,\)!"),
    ]:
        with pytest.raises(ValueError, match=message):
            classifier.score(X[:4], y, weight)


def test_partial_fit_with_class_weights(bars):
    X, y = bars
    classifier = ConvNetClassifier(class_weight={0: 0}, **FAST)
    with pytest.raises(ValueError, match=r"no sample to train on: .* class_weight is zero for all"):
        classifier.partial_fit(X[y == 0], y[y == 0], classes=[0, 1, 2])
    classifier.partial_fit(X[y == 1], y[y == 1], classes=[0, 1, 2])  # no label of the dict


# Sampling


class Seen(Callback):
    """Records the first pixel, which numbers the sample, of all samples of each epoch."""

    def on_train_begin(self, net, **kwargs):
        self.epochs = []

    def on_epoch_begin(self, net, **kwargs):
        self.epochs.append([])

    def on_batch_end(self, net, batch, training, **kwargs):
        if training:
            self.epochs[-1] += batch[0][:, 0, 0, 0].tolist()


@pytest.mark.parametrize("sampling", ["shuffle", "replacement"])
def test_sampling(sampling, bars):
    X, y = bars
    seen = Seen()
    X = X.copy()
    X[:, 0] = np.arange(120) / 128  # without rounding
    ConvNetClassifier(sampling=sampling, callbacks=[seen], **FAST).fit(X, y)
    first, second = np.array(seen.epochs)
    assert len(first) == len(second) == 120
    assert not np.array_equal(first, second)
    if sampling == "shuffle":
        np.testing.assert_array_equal(np.sort(first), X[:, 0])
        np.testing.assert_array_equal(np.sort(second), X[:, 0])
    else:
        assert set(first) <= set(X[:, 0])
        # (1 - 1/n)^n of the samples are left out on average: 1/e.
        assert 0.5 < len(set(first)) / 120 < 0.75


# Per-layer learning rates


@pytest.mark.parametrize("scaling", ["none", "fan-in", "efficient-backprop"])
@pytest.mark.parametrize("lr_schedule", ["constant", "one-cycle"])
def test_layers_learn_at_their_rates(scaling, lr_schedule, bars):
    classifier = ConvNetClassifier(
        network="luacnn", lr=0.02, lr_scaling=scaling, lr_schedule=lr_schedule, **FAST
    ).fit(*bars)
    rates = {}
    for group in classifier.net_.optimizer_.param_groups:
        rates.update(dict.fromkeys(group["params"], group["lr"]))
    rates = {name: rates[p] for name, p in classifier.net_.module_.named_parameters()}
    first, last = rates["convolution.weight"], rates["output.bias"]
    ratio = {"none": 1, "fan-in": 216 / 25, "efficient-backprop": (144 / 216) ** 0.5}[scaling]
    assert first / last == pytest.approx(ratio)
    begin = 0.02 if lr_schedule == "constant" else 0.02 / 25
    assert classifier.history_[0]["lr"] == pytest.approx(begin)


# Metadata routing


def test_weights_are_routed(bars):
    X, y = bars
    weight = np.where(np.arange(120) < 100, 1.0, 0.0)
    with config_context(enable_metadata_routing=True):
        classifier = ConvNetClassifier(**FAST)
        classifier.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(classifier, {"lr": [0.02]}, cv=2).fit(X, y, sample_weight=weight)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        model = Pipeline([("scale", scaler), ("net", classifier)]).fit(X, y, sample_weight=weight)
    expected = ConvNetClassifier(lr=0.02, **FAST).fit(X, y, weight)
    assert_same_bits(search.best_estimator_, expected)
    expected = ConvNetClassifier(**FAST).fit(model[:-1].transform(X), y, weight)
    assert_same_bits(model[-1], expected)


def test_a_validation_set_is_transformed_in_a_pipeline(bars):
    X, y = bars
    with config_context(enable_metadata_routing=True):
        classifier = ConvNetClassifier(**FAST).set_fit_request(X_val=True, y_val=True)
        steps = [("scale", StandardScaler()), ("net", classifier)]
        model = Pipeline(steps, transform_input=["X_val"])
        model.fit(X[:90], y[:90], X_val=X[90:], y_val=y[90:])
        error = 1 - model.score(X[90:], y[90:])
    assert model[-1].history_[-1]["valid_error"] == pytest.approx(error)
