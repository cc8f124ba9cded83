"""save_model, load_model and read_metadata."""

import json
import zipfile

import numpy as np
import pytest
import sklearn
import skops.io
import torch
from sklearn import preprocessing
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.svm import SVC
from torch import nn

from sklearn_usps import (
    ConvNetClassifier,
    ImageNormalizer,
    MultiTaskConvNetClassifier,
    RandomDeformation,
    load_model,
    read_metadata,
    save_model,
)
from sklearn_usps.networks._registry import NETWORKS
from sklearn_usps.persistence import trusted_types
from sklearn_usps.persistence._skops import UntrustedTypesError
from sklearn_usps.persistence._trusted_types import _OF_SKLEARN
from sklearn_usps.recipes import RECIPES, recipe

FAST = {"max_epochs": 2, "batch_size": 32, "random_state": 0}


class Linear(nn.Module):
    def __init__(self, image_shape, n_classes):
        super().__init__()
        self.linear = nn.Linear(image_shape[0] * image_shape[1], n_classes)

    def forward(self, images):
        return self.linear(images.flatten(1))


class Unsavable:
    def __call__(self, images, generator):
        return images

    def __reduce__(self):
        raise RuntimeError("no state")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.skops"


def rewrite(path, name, **changes):
    """Change a JSON member of a saved model."""
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    members[name] = json.dumps(json.loads(members[name]) | changes).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for member, value in members.items():
            archive.writestr(member, value)


@pytest.mark.parametrize("network", sorted(NETWORKS))
@pytest.mark.parametrize("labels", [np.array(["a", "b", "c"]), np.array([-1, 0, 4])])
def test_pipeline_predicts_and_reports_the_same(network, labels, bars, path):
    X, y = bars
    classifier = ConvNetClassifier(
        network=network, augmentation=RandomDeformation(rotation=5), early_stopping=True, **FAST
    )
    model = make_pipeline(ImageNormalizer(), classifier).fit(X, labels[y])
    save_model(model, path)
    before = torch.random.get_rng_state()
    loaded = load_model(path)
    assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert str(loaded) == str(model)
    assert loaded[-1].history_ == classifier.history_
    assert loaded[-1].best_epoch_ == classifier.best_epoch_
    assert loaded[-1].image_shape_ == (16, 16)
    loaded.fit(X, y)


@pytest.mark.parametrize("estimator", _OF_SKLEARN, ids=lambda estimator: estimator.__name__)
def test_estimators_of_scikit_learn(estimator, bars, path):
    X, y = bars
    scaler, classifier = preprocessing.StandardScaler(), ConvNetClassifier(network="luacnn", **FAST)
    arguments = {
        Pipeline: [[("scaler", scaler), ("network", classifier)]],
        FeatureUnion: [[("scaler", scaler), ("other", preprocessing.MinMaxScaler())]],
        ColumnTransformer: [[("scaler", scaler, slice(0, 12)), ("rest", "passthrough", [12, 20])]],
        preprocessing.FunctionTransformer: [np.sqrt],
    }
    options = {"n_quantiles": 10} if estimator is preprocessing.QuantileTransformer else {}
    model = estimator(*arguments.get(estimator, []), **options).fit(X, y)
    save_model(model, path)
    method = "predict_proba" if hasattr(model, "predict_proba") else "transform"
    for loaded in (load_model(path), skops.io.load(path, trusted=trusted_types())):
        np.testing.assert_array_equal(getattr(loaded, method)(X), getattr(model, method)(X))


@pytest.mark.parametrize(
    "model",
    [
        *(recipe(name) for name in RECIPES),
        ConvNetClassifier(augmentation=RandomDeformation(), device=torch.device("cpu")),
        ConvNetClassifier(network_params={"n_channels": (2, 3)}, class_weight={0: 1.0, 1: 2.0}),
        MultiTaskConvNetClassifier(ConvNetClassifier(image_shape=(4, 4)), task_weights={"a": 2.0}),
    ],
    ids=[*RECIPES, "augmentation and device", "parameters of plain values", "several tasks"],
)
def test_skops_loads_a_model_with_the_trusted_types(model, path):
    if hasattr(model, "lr") or hasattr(model, "task_column"):
        with sklearn.config_context(enable_metadata_routing=True):
            model.set_fit_request(X_val=True)
    save_model(model, path)
    loaded = skops.io.load(path, trusted=trusted_types())
    others = load_model(path), load_model(path, trusted=trusted_types())
    assert [repr(other) for other in others] == [repr(loaded)] * 2
    assert str(loaded).replace("'cpu'", "device(type='cpu')") == str(model)


def test_trusted_types_are_those_that_need_no_trust(bars, path):
    assert trusted_types() == sorted(set(trusted_types()))
    assert {"sklearn_usps.ConvNetClassifier", "sklearn.pipeline.Pipeline"} < set(trusted_types())
    save_model(SVC().fit(*bars), path)
    with pytest.raises(UntrustedTypesError, match="SVC") as caught:
        load_model(path, trusted=trusted_types())
    assert caught.value.types == ["sklearn.svm._classes.SVC"]
    assert set(trusted_types()).isdisjoint(caught.value.types)
    loaded = load_model(path, trusted=trusted_types() + caught.value.types)
    assert loaded.predict(bars[0]).tolist() == SVC().fit(*bars).predict(bars[0]).tolist()


def test_other_types_must_be_trusted(bars, path):
    X, y = bars
    network = ConvNetClassifier(network=Linear, **FAST).fit(X, y)
    for model, type_ in [(SVC().fit(X, y), SVC), (network, Linear)]:
        save_model(model, path)
        name = f"{type_.__module__}.{type_.__qualname__}"
        with pytest.raises(ValueError, match=f"holds types that are not trusted: {name}"):
            load_model(path)
        for trusted in ([name], [type_]):
            loaded = load_model(path, trusted=trusted)
            np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


@pytest.mark.parametrize("trusted", ["a.b", Linear, [3], {Linear}, np.array(["a.b", "c.d"])])
def test_trusted_is_a_list(path, trusted):
    save_model(ConvNetClassifier(), path)
    with pytest.raises(TypeError, match="trusted must be a list of str and types"):
        load_model(path, trusted=trusted)


def test_metadata_requests_come_back(bars, path):
    X, y = bars
    classifier = MultiTaskConvNetClassifier(ConvNetClassifier(network="luacnn", **FAST))
    with sklearn.config_context(enable_metadata_routing=True):
        classifier.set_fit_request(task=True).set_score_request(task=False)
        save_model(make_pipeline(ImageNormalizer(), classifier).fit(X, y), path)
        loaded = load_model(path)[-1]
        requests = loaded.get_metadata_routing()
        assert requests.fit.requests["task"] is True
        assert requests.score.requests["task"] is False
        assert loaded.set_score_request(task=True).get_metadata_routing().score.requests["task"]


def test_keys_of_dicts_come_back_or_are_refused(path):
    params = {"__id__": 1, "__loader__": {"__id__": "a"}, "file": [2], "content": {"file": None}}
    save_model(ConvNetClassifier(network_params=params, class_weight={0: 1, 1: 2}), path)
    assert load_model(path).network_params == params
    assert load_model(path).class_weight == {0: 1, 1: 2}
    for weights in ({True: 1, False: 2}, {1: 5, "1": 6}):
        with pytest.raises(TypeError, match=r"can't be saved.* keys that are bools, or"):
            save_model(ConvNetClassifier(class_weight=weights), path)


def test_metadata_is_read_without_the_model(path):
    save_model(ConvNetClassifier(lr=0.25), path)
    assert read_metadata(path) == {}
    assert load_model(path).lr == 0.25
    assert not hasattr(load_model(path), "net_")
    metadata = {"data": "roweis", "error": 0.02, "seeds": [1, None], "more": {"shuffled": True}}
    save_model(ConvNetClassifier(network=Linear), path, metadata=metadata)
    assert read_metadata(path) == metadata  # although Linear is not trusted
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="is damaged or was not written by save_model"):
        read_metadata(path)


@pytest.mark.parametrize("value", [np.int64(1), (1, 2), {1: 2}, float("nan"), b"a", np.zeros(2)])
def test_metadata_is_plain(value, path):
    with pytest.raises(TypeError, match=rf"Got .* of {type(value)} for the key 'a'"):
        save_model(ConvNetClassifier(), path, metadata={"a": value})
    with pytest.raises(TypeError, match=r"for the key 3"):
        save_model(ConvNetClassifier(), path, metadata={3: "a"})
    with pytest.raises(TypeError, match="metadata must be a dict"):
        save_model(ConvNetClassifier(), path, metadata=["a"])


def test_newer_formats_and_other_versions_are_reported(path):
    save_model(ConvNetClassifier(), path)
    rewrite(path, "sklearn-usps.json", versions={"torch": "1.0"})
    with pytest.warns(UserWarning, match=rf"written with torch 1\.0 \({torch.__version__[:3]}"):
        load_model(path)
    rewrite(path, "schema.json", content=3)
    with pytest.raises(ValueError, match=r"can't be loaded: .* written with torch 1\.0"):
        load_model(path)
    rewrite(path, "sklearn-usps.json", format=2)
    for read in (load_model, read_metadata):
        with pytest.raises(ValueError, match=r"has the format 2, .* update sklearn-usps"):
            read(path)


def test_files_that_are_missing_empty_or_not_regular(path, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"model\.skops"):
        load_model(path)
    for folder in (tmp_path, "/dev/zero"):
        with pytest.raises(ValueError, match="is not a regular file"):
            load_model(folder)
    for content in (b"", b"no archive"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"model\.skops is damaged or was not written by"):
            load_model(path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_model_for_a_gpu_predicts_on_the_cpu(bars, path):
    X, y = bars
    model = ConvNetClassifier(**FAST).fit(X, y)
    expected = model.predict_proba(X)
    save_model(model.set_params(device="cuda"), path)
    with pytest.warns(UserWarning, match="predicts with device='cpu'"):
        loaded = load_model(path)
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)


def test_a_failed_save_leaves_the_file_as_it_was(path):
    save_model(ConvNetClassifier(lr=0.5), path)

    class Local(RandomDeformation):
        """A class that is not found in its module."""

    for model, message in [
        (ConvNetClassifier(augmentation=Unsavable()), "can't be saved .* no state"),
        (ConvNetClassifier(augmentation=Local()), "can't be saved .*Local"),
        (ConvNetClassifier(augmentation=lambda images, _: images), "can't be saved .*lambda"),
        ({"an": "estimator?"}, "model must be an estimator. Got an instance of <class 'dict'>"),
    ]:
        with pytest.raises(TypeError, match=message):
            save_model(model, path)
    assert load_model(path).lr == 0.5
    assert [file.name for file in path.parent.iterdir()] == [path.name]
