"""Learning, determinism, data, parameters and copies of one classifier."""

import copy
import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from torch import nn

from sklearn_usps import ConvNetClassifier, ImageNormalizer, RandomDeformation
from sklearn_usps.networks._registry import NETWORKS
from sklearn_usps.training.optim._muon import Muon

FAST = {"max_epochs": 2, "batch_size": 32, "augmentation": None, "random_state": 0}


class Linear(nn.Module):
    """A user's network without a generator, which torch initializes."""

    def __init__(self, image_shape, n_classes, *, bias=True, dropout=0.1):
        super().__init__()
        height, width = image_shape
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(height * width, n_classes, bias=bias))
        self.dropout = nn.Dropout(dropout)

    def forward(self, images):
        return self.layers(self.dropout(images))


class SquaredError(Linear):
    """A user's network with a loss and probabilities of its own."""

    def loss(self, logits, targets):
        expected = nn.functional.one_hot(targets, logits.shape[1]).float()
        return (logits - expected).square().sum(1)

    def log_proba(self, logits):
        positive = logits.clamp(min=1e-6)
        return (positive / positive.sum(1, keepdim=True)).log()


def weights(classifier):
    return {
        name: value.numpy().copy() for name, value in classifier.net_.module_.state_dict().items()
    }


def assert_same_bits(first, second):
    first, second = weights(first), weights(second)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


# Learning


@pytest.mark.parametrize("network", sorted(NETWORKS))
def test_learns_to_generalize(network, bars):
    X, y = bars
    params = {**FAST, "network": network, "batch_size": 16, "max_epochs": 20}
    classifier = ConvNetClassifier(**params).fit(2 * X[:90] - 1, y[:90])
    assert classifier.score(2 * X[90:] - 1, y[90:]) > 0.85


@pytest.mark.parametrize("network", [Linear, SquaredError])
def test_learns_with_a_network_of_the_user(network, bars):
    params = {**FAST, "network": network, "batch_size": 16, "max_epochs": 20}
    assert ConvNetClassifier(**params).fit(*bars).score(*bars) > 0.9


@pytest.mark.parametrize(
    ("optimizer", "type_", "taken"),
    [
        ("adamw", torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.25}),
        ("muon", Muon, {"lr": 0.01, "momentum": 0.75, "weight_decay": 0.25}),
        ("sgd", torch.optim.SGD, {"lr": 0.01, "momentum": 0.75, "weight_decay": 0.25}),
        (torch.optim.RMSprop, torch.optim.RMSprop, {"lr": 0.001, "momentum": 0.75}),
        (torch.optim.LBFGS, torch.optim.LBFGS, {"lr": 0.01}),
    ],
)
def test_optimizers_take_the_parameters_that_they_have(optimizer, type_, taken, bars):
    params = {**FAST, "max_epochs": 10, "batch_size": 120, "lr_schedule": "constant"}
    params |= {"lr": taken["lr"], "momentum": 0.75, "weight_decay": 0.25}
    params |= {"network": Linear, "network_params": {"dropout": 0}}  # noise misleads L-BFGS
    classifier = ConvNetClassifier(optimizer=optimizer, **params).fit(*bars)
    (group,) = classifier.net_.optimizer_.param_groups
    assert type(classifier.net_.optimizer_) is type_
    for name, value in taken.items():
        assert group[name] == value
    assert classifier.history_[-1]["train_loss"] < classifier.history_[0]["train_loss"]


def test_probabilities_are_those_of_the_logits(bars):
    X, y = bars
    classifier = ConvNetClassifier(**FAST).fit(X, y)
    log_proba, proba = classifier.predict_log_proba(X), classifier.predict_proba(X)
    np.testing.assert_array_equal(np.exp(log_proba), proba)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(classifier.predict(X), proba.argmax(axis=1))


def test_a_network_may_define_its_loss_and_probabilities(bars):
    X, y = bars
    classifier = ConvNetClassifier(network=SquaredError, **FAST).fit(X, y, X_val=X, y_val=y)
    logits = classifier.net_.forward(X)
    expected = classifier.net_.module_.log_proba(logits).numpy()
    np.testing.assert_allclose(classifier.predict_log_proba(X), expected, atol=1e-6)
    squares = (logits.numpy() - np.eye(3)[y]) ** 2
    assert classifier.history_[-1]["valid_loss"] == pytest.approx(squares.sum(1).mean(), rel=1e-5)


class InPlace(Linear):
    def forward(self, images):
        images -= 0.5
        return super().forward(images)


class OutOfPlace(Linear):
    def forward(self, images):
        return super().forward(images - 0.5)


def test_a_network_may_change_its_input(bars):
    X, y = bars
    options = {**FAST, "test_time_augmentation": True}
    first, second = (
        ConvNetClassifier(network=network, **options).fit(X, y).predict_proba(X)
        for network in (InPlace, OutOfPlace)
    )
    np.testing.assert_array_equal(first, second)


class MeanLoss(Linear):
    def loss(self, logits, targets):
        return nn.functional.cross_entropy(logits, targets)


class FourLogits(Linear):
    def __init__(self, image_shape, n_classes):
        super().__init__(image_shape, 4)


class PairOfLogits(Linear):
    def forward(self, images):
        return super().forward(images), None


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (MeanLoss, r"loss of the network must return a value for each of 32 samples.*reduction="),
        (
            FourLogits,
            r"must return logits of shape \(n_samples, n_classes\) = \(32, 3\)\. Got \(32, 4\)",
        ),
        (PairOfLogits, r"must return logits of shape .* Got tuple instead"),
    ],
)
def test_outputs_of_another_shape_are_refused(network, message, bars):
    with pytest.raises(ValueError, match=message):
        ConvNetClassifier(network=network, **FAST).fit(*bars)


@pytest.mark.parametrize(
    ("augmentation", "message"),
    [
        (lambda images, generator: None, "Got NoneType"),
        (lambda images, generator: images.double(), "Got torch.float64"),
        (lambda images, generator: images[1:], r"of shape \(119, 1, 16, 16\)"),
        (lambda images, generator: images[..., 1:], r"of shape \(120, 1, 16, 15\)"),
    ],
)
def test_augmented_images_of_another_shape_are_refused(augmentation, message, bars):
    with pytest.raises(ValueError, match=f"augmentation must return a tensor of shape.*{message}"):
        ConvNetClassifier(**{**FAST, "augmentation": augmentation}).fit(*bars)


def test_nan_is_refused_also_where_scikit_learn_does_not_look(bars):
    X, y = bars
    weights = np.ones(len(y))
    weights[3] = np.nan
    with config_context(assume_finite=True):
        with pytest.raises(ValueError, match="sample_weight contains NaN"):
            ConvNetClassifier(**FAST).fit(X, y, sample_weight=weights)
        with pytest.raises(ValueError, match="X contains NaN"):
            ImageNormalizer().fit(X).transform(np.where(X > 0.9, np.nan, X))


def test_test_time_augmentation_averages_five_shifts(bars):
    X, y = bars
    classifier = ConvNetClassifier(**FAST).fit(X, y)
    padded = np.pad(X.reshape(-1, 16, 16), ((0, 0), (1, 1), (1, 1)), mode="edge")
    shifted = [
        padded[:, top : top + 16, left : left + 16].reshape(len(X), -1)
        for top, left in [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
    ]
    expected = np.mean([classifier.predict_proba(images) for images in shifted], axis=0)
    assert abs(expected - classifier.predict_proba(X)).max() > 1e-3
    classifier.set_params(test_time_augmentation=True)
    np.testing.assert_allclose(classifier.predict_proba(X), expected, rtol=1e-5)
    np.testing.assert_array_equal(
        classifier.predict(X), classifier.classes_[expected.argmax(axis=1)]
    )


def test_label_smoothing_is_in_the_loss(bars):
    X, y = bars
    classifier = ConvNetClassifier(label_smoothing=0.2, **FAST).fit(X, y, X_val=X, y_val=y)
    log_proba = classifier.predict_log_proba(X)
    expected = 0.8 * log_loss(y, np.exp(log_proba)) - 0.2 * log_proba.mean()
    assert classifier.history_[-1]["valid_loss"] == pytest.approx(expected, rel=1e-5)


def test_network_params_reach_the_network(bars):
    classifier = ConvNetClassifier(network=Linear, network_params={"bias": False}, **FAST)
    assert classifier.fit(*bars).n_parameters_ == 3 * 256
    classifier = ConvNetClassifier(network_params={"n_channels": (4, 4, 4)}, **FAST)
    assert classifier.fit(*bars).n_parameters_ == 36 + 8 + 144 + 8 + 144 + 8 + 256 * 3 + 3


# Determinism


@pytest.mark.parametrize("network", [*sorted(NETWORKS), Linear])
def test_same_seed_same_bits_whatever_the_global_state(network, bars):
    fits = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 (the state that a user's program has)
        before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        classifier = ConvNetClassifier(network=network, max_epochs=2, random_state=7)
        fits.append(classifier.set_params(batch_size=32, early_stopping=True).fit(*bars))
        assert torch.equal(torch.random.get_rng_state(), before[0])
        np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert_same_bits(*fits)


@pytest.mark.parametrize("network", ["convnet", Linear])
def test_other_seed_other_weights(network, bars):
    first, second = (
        weights(ConvNetClassifier(**{**FAST, "random_state": seed}, network=network).fit(*bars))
        for seed in (0, 1)
    )
    assert all(not np.array_equal(first[n], second[n]) for n in first if n.endswith(".weight"))


def test_random_state_instance_advances(bars):
    random_state = np.random.RandomState(0)
    first, second = (
        weights(ConvNetClassifier(**{**FAST, "random_state": random_state}).fit(*bars))
        for _ in range(2)
    )
    assert not np.array_equal(first["output.weight"], second["output.weight"])


# Data


@pytest.mark.parametrize(
    "labels", [np.array(["bar", "cross", "wall"]), np.array([-3, 0, 5]), np.array([True, False])]
)
def test_labels_of_any_kind(labels, bars):
    X, y = bars
    y = labels[y % len(labels)]
    classifier = ConvNetClassifier(**FAST).fit(X, y)
    np.testing.assert_array_equal(classifier.classes_, np.unique(labels))
    predicted = classifier.predict(X)
    assert predicted.dtype == labels.dtype
    assert set(predicted) <= set(labels)


def test_three_dimensions_set_the_shape(bars):
    X, y = bars
    flat = ConvNetClassifier(**FAST, image_shape=(8, 32)).fit(X, y)
    images = X.reshape(-1, 8, 32)
    deep = ConvNetClassifier(**FAST).fit(images, y)
    assert deep.image_shape_ == flat.image_shape_ == (8, 32)
    assert deep.n_features_in_ == 256
    assert_same_bits(flat, deep)
    np.testing.assert_array_equal(deep.predict_proba(images), flat.predict_proba(X))
    np.testing.assert_array_equal(flat.predict_proba(list(images)), deep.predict_proba(X))
    with pytest.raises(ValueError, match=r"images of shape \(16, 16\), .*expecting .*\(8, 32\)"):
        deep.predict(X.reshape(-1, 16, 16))


def test_image_shape_must_fit(bars):
    X, y = bars
    for image_shape in [(16, 15), (16, -16), (256,), (16.0, 16.0)]:
        with pytest.raises(ValueError, match="image_shape"):
            ConvNetClassifier(image_shape=image_shape, **FAST).fit(X, y)


def test_features_that_are_no_square_are_a_row_with_a_warning(bars):
    X, y = bars
    with pytest.warns(UserWarning, match="240 features"):
        classifier = ConvNetClassifier(**FAST).fit(X[:, :240], y)
    assert classifier.image_shape_ == (1, 240)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float16, np.float64, ">f4", bool])
def test_pixels_of_any_dtype_count_by_value(dtype, bars):
    X, y = bars
    X = (X > 0.5).astype(dtype)
    fitted = ConvNetClassifier(**FAST).fit(X, y)
    assert_same_bits(fitted, ConvNetClassifier(**FAST).fit(X.astype(np.float32), y))


def test_memory_maps_and_read_only_arrays_give_the_same_bits(bars, tmp_path):
    X, y = bars
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = ConvNetClassifier(**FAST).fit(mapped, y)
        np.testing.assert_array_equal(fitted.predict_proba(mapped), fitted.predict_proba(X))
    assert_same_bits(fitted, ConvNetClassifier(**FAST).fit(X, y))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_large_memory_map_is_never_copied_whole(method, tmp_path):
    X = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.uint8, (100_000, 256))
    y = np.arange(100_000) % 2
    X[:, :128] = y[:, None]
    classifier = ConvNetClassifier(
        network="luacnn", batch_size=512, max_epochs=1, augmentation=None, random_state=0
    )
    options = {} if method == "fit" else {"classes": [0, 1]}
    tracemalloc.start()
    try:
        getattr(classifier, method)(X, y, **options)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < X.nbytes / 2
    assert classifier.score(X[:100], y[:100]) == 1


def test_invalid_data_is_refused(bars):
    X, y = bars
    classifier = ConvNetClassifier(**FAST)
    with pytest.raises(NotFittedError):
        classifier.predict(X)
    with pytest.raises(TypeError, match="Sparse data was passed for X"):
        classifier.fit(csr_array(X), y)
    with pytest.raises(ValueError, match="number of classes has to be greater than one; got 1"):
        classifier.fit(X, np.zeros(len(X)))
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        classifier.fit(X, np.linspace(0, 1, len(X)))
    with pytest.raises(ValueError, match="X has 100 features, but ConvNetClassifier is expecting"):
        classifier.fit(X, y).predict(X[:, :100])


@pytest.mark.parametrize("row", [0, 5000, 9999])
def test_all_rows_are_checked(row, bars):
    fitted = ConvNetClassifier(**FAST).fit(*bars)
    X, y = np.zeros((10_000, 256)), np.arange(10_000) % 3
    for value, message in [
        (np.nan, "Input X contains NaN"),
        (-np.inf, "Input X contains infinity"),
        (-1e39, "infinity or a value too large for dtype"),
    ]:
        X[row, 255] = value
        for call in (fitted.predict, lambda X: ConvNetClassifier(**FAST).fit(X, y)):
            with pytest.raises(ValueError, match=message):
                call(X)
    X[row, 255] = -2
    with pytest.warns(UserWarning, match=r"values in \[-2, 0\].*fitted on values in \[.*, 1\]"):
        fitted.predict(X)


def test_values_near_the_range_of_fit_give_no_warning(bars):
    X, y = bars
    classifier = ConvNetClassifier(**FAST).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.predict(X * 1.5)


@pytest.mark.parametrize("batch_size", [1, 7, 119, 120, 500])
def test_any_batch_size(batch_size, bars):
    X, y = bars
    classifier = ConvNetClassifier(**{**FAST, "batch_size": batch_size}, network_params={})
    assert classifier.fit(X, y).n_iter_ == 2


class Normalized(Linear):
    """A network that can't train on a batch of one sample, as each with BatchNorm1d."""

    def __init__(self, image_shape, n_classes):
        super().__init__(image_shape, n_classes)
        self.layers.append(nn.BatchNorm1d(n_classes))


def test_a_single_last_sample_joins_the_batch_before_it(bars):
    X, y = bars
    sizes = []

    class Sizes(Callback):
        def on_batch_end(self, net, batch, **kwargs):
            sizes.append(len(batch[0]))

    options = {**FAST, "batch_size": 17, "max_epochs": 1}
    ConvNetClassifier(network=Normalized, callbacks=[Sizes()], **options).fit(X, y)
    assert sizes == [17, 17, 17, 17, 17, 17, 18]


# Parameters


@pytest.mark.parametrize(
    "params",
    [
        {"network": "resnet"},
        {"optimizer": "newton"},
        {"lr": 0},
        {"momentum": 1},
        {"weight_decay": -1},
        {"lr_schedule": "step"},
        {"batch_size": 0},
        {"max_epochs": 0},
        {"label_smoothing": 1},
        {"augmentation": "none"},
        {"validation_fraction": 1.0},
        {"n_iter_no_change": 0},
        {"callbacks": 3},
        {"device": 0},
    ],
)
def test_wrong_parameters_are_named(params, bars):
    (name,) = params
    with pytest.raises(ValueError, match=f"'{name}' parameter of ConvNetClassifier must be"):
        ConvNetClassifier(**params).fit(*bars)


def test_a_loss_that_explodes_names_lr(bars):
    X, y = bars
    classifier = ConvNetClassifier(network=Linear, optimizer="sgd", lr_schedule="constant", **FAST)
    with pytest.raises(ValueError, match=r"loss became (nan|inf).*lr=1e\+30"):
        classifier.set_params(lr=1e30).fit(X, y)


def test_augmentation(bars):
    X, y = bars

    def fit(augmentation, X=X):
        return ConvNetClassifier(**{**FAST, "augmentation": augmentation}).fit(X, y)

    assert_same_bits(fit("default"), fit(RandomDeformation()))
    seen = []

    def mirror(images, generator):
        seen.append((images.shape, images.dtype, type(generator)))
        return images.flip(-1)

    mirrored = X.reshape(-1, 16, 16)[:, :, ::-1].reshape(-1, 256)
    assert_same_bits(fit(mirror), fit(None, mirrored))
    assert seen == [((120, 1, 16, 16), torch.float32, torch.Generator)] * 2


def test_grid_search_reaches_the_augmentation(bars):
    model = ConvNetClassifier(augmentation=RandomDeformation(), batch_size=16, random_state=0)
    grid = {"augmentation__rotation": [0.0, 20.0], "network": ["luacnn", "convnet"]}
    search = GridSearchCV(model, grid, cv=2).fit(*bars)
    assert search.best_score_ > 0.8
    rotation = clone(search.best_estimator_).augmentation.rotation
    assert rotation == search.best_params_["augmentation__rotation"]


# Copies


@pytest.mark.parametrize("network", [*sorted(NETWORKS), Linear])
@pytest.mark.parametrize("copier", [lambda model: pickle.loads(pickle.dumps(model)), copy.deepcopy])
def test_copies_predict_the_same_bits(network, copier, bars):
    X, y = bars
    model = ConvNetClassifier(network=network, early_stopping=True, **FAST).fit(X, y)
    before = torch.random.get_rng_state()
    copied = copier(model)
    assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(copied.predict_proba(X), model.predict_proba(X))
    assert copied.history_ == model.history_
    assert copied.n_parameters_ == model.n_parameters_
    copied.fit(X[::-1], y[::-1])
    assert not np.array_equal(copied.predict_proba(X), model.predict_proba(X))


def test_a_copy_keeps_its_network_when_parameters_change(bars):
    X, y = bars
    model = ConvNetClassifier(**FAST).fit(X, y)
    expected = model.predict_proba(X)
    copied = pickle.loads(pickle.dumps(model.set_params(network="luacnn")))
    np.testing.assert_array_equal(copied.predict_proba(X), expected)


def test_the_state_is_plain(bars):
    state = ConvNetClassifier(**FAST).fit(*bars).__getstate__()
    assert "net_" not in state

    def leaves(value):
        if isinstance(value, dict | list | tuple):
            values = value.values() if isinstance(value, dict) else value
            return set().union(*map(leaves, values))
        return {type(value)}

    allowed = {str, int, float, bool, type(None), np.ndarray}
    assert leaves({k: v for k, v in state.items() if k.endswith("_") or k[0] == "_"}) <= allowed
