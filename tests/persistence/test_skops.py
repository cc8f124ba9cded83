import json
import zipfile

import numpy as np
import pytest
import sklearn
import torch
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from torch import nn

from sklearn_usps import (
    ConvNetClassifier,
    ImageNormalizer,
    MultiTaskConvNetClassifier,
    RandomDeformation,
    load_model,
    save_model,
)
from sklearn_usps.networks._registry import NETWORKS

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

    def __getstate__(self):
        raise RuntimeError("can't be saved")

    __reduce__ = __getstate__


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.skops"


@pytest.mark.parametrize("network", sorted(NETWORKS))
@pytest.mark.parametrize("labels", [np.array(["a", "b", "c"]), np.array([-1, 0, 4])])
def test_a_pipeline_comes_back_as_it_was(network, labels, bars, path):
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


def test_the_file_holds_no_pickle(bars, path):
    save_model(ConvNetClassifier(**FAST).fit(*bars), path)
    with zipfile.ZipFile(path) as archive:
        assert {name.rpartition(".")[2] for name in archive.namelist()} == {"json", "npy"}
        for name in archive.namelist():
            if name.endswith(".npy"):
                with archive.open(name) as file:
                    np.lib.format.read_array(file, allow_pickle=False)


def test_an_unfitted_model_comes_back_unfitted(bars, path):
    save_model(ConvNetClassifier(lr=0.25), path)
    loaded = load_model(path)
    assert loaded.lr == 0.25
    with pytest.raises(NotFittedError):
        loaded.predict(bars[0])


def test_a_network_of_the_user_must_be_trusted(bars, path):
    X, y = bars
    model = ConvNetClassifier(network=Linear, **FAST).fit(X, y)
    save_model(model, path)
    name = f"{Linear.__module__}.Linear"
    with pytest.raises(ValueError, match="not trusted") as error:
        load_model(path)
    assert name in str(error.value)
    for trusted in ([name], [Linear]):
        loaded = load_model(path, trusted=trusted)
        np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_requests_for_metadata_come_back(bars, path):
    X, y = bars
    classifier = MultiTaskConvNetClassifier(network="luacnn", **FAST)
    with sklearn.config_context(enable_metadata_routing=True):
        classifier.set_fit_request(task=True).set_score_request(task=False)
        save_model(make_pipeline(ImageNormalizer(), classifier).fit(X, y), path)
        loaded = load_model(path)[-1]
        requests = loaded.get_metadata_routing()
        assert requests.fit.requests["task"] is True
        assert requests.score.requests["task"] is False
        assert loaded.set_score_request(task=True).get_metadata_routing().score.requests["task"]
    np.testing.assert_array_equal(loaded.predict_proba(X), classifier.predict_proba(X))


@pytest.mark.parametrize("trusted", ["a.b", Linear, [3], {Linear}, np.array(["a.b", "c.d"])])
def test_what_is_trusted_is_a_list(path, trusted):
    save_model(ConvNetClassifier(), path)
    with pytest.raises(TypeError, match="trusted must be a list of str and types"):
        load_model(path, trusted=trusted)


def test_a_missing_file_is_named(path):
    with pytest.raises(FileNotFoundError, match=r"model\.skops"):
        load_model(path)


def test_a_damaged_file_is_named(bars, path):
    save_model(ConvNetClassifier(**FAST).fit(*bars), path)
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 0xFF
    for damaged in (b"", b"no archive", content[: len(content) // 2], bytes(flipped)):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"model\.skops is damaged or was not written by"):
            load_model(path)


def rewrite(path, name, change):
    """Change a JSON member of a saved model."""
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    content = json.loads(members[name])
    change(content)
    members[name] = json.dumps(content).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for member, value in members.items():
            archive.writestr(member, value)


def test_other_versions_are_told(path):
    save_model(ConvNetClassifier(), path)
    rewrite(path, "versions.json", lambda versions: versions.update({"torch": "1.0"}))
    with pytest.warns(UserWarning, match=rf"written with torch 1\.0 \({torch.__version__[:3]}"):
        load_model(path)
    rewrite(path, "schema.json", lambda schema: schema.update({"content": 3}))
    with pytest.raises(ValueError, match=r"can't be loaded: .* written with torch 1\.0"):
        load_model(path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_model_from_a_machine_with_a_gpu_predicts_on_the_cpu(bars, path):
    X, y = bars
    model = ConvNetClassifier(**FAST).fit(X, y)
    expected = model.predict_proba(X)
    save_model(model.set_params(device="cuda"), path)
    with pytest.warns(UserWarning, match="predicts on the CPU"):
        loaded = load_model(path)
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)


def test_a_failed_save_leaves_the_file_as_it_was(path):
    save_model(ConvNetClassifier(lr=0.5), path)
    with pytest.raises(RuntimeError, match="can't be saved"):
        save_model(ConvNetClassifier(augmentation=Unsavable()), path)
    assert load_model(path).lr == 0.5
    assert [file.name for file in path.parent.iterdir()] == [path.name]
