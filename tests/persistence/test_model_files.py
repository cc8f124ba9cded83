"""Model files in other processes and versions, and changed files."""

import io
import json
import multiprocessing
import os
import pickle
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from factor import FACTOR
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_usps import (
    ConvNetClassifier,
    ImageNormalizer,
    MultiTaskConvNetClassifier,
    load_model,
    read_metadata,
    save_model,
)
from sklearn_usps.persistence._skops import _dump

SMALL = {"network": "luacnn", "lr": 0.01, "max_epochs": 1, "random_state": 0}

LOAD_AND_PREDICT = """
import pickle, sys, joblib, numpy as np, torch
torch.set_num_threads(int(sys.argv[4]))
way, model_file, data_file = sys.argv[1:4]
if way == "skops":
    from sklearn_usps import load_model as load
else:
    load = joblib.load if way == "joblib" else lambda path: pickle.load(open(path, "rb"))
np.save(data_file, load(model_file).predict_proba(np.load(data_file)))
"""


def dump(way, model, path):
    if way == "skops":
        save_model(model, path)
    elif way == "joblib":
        joblib.dump(model, path)
    else:
        path.write_bytes(pickle.dumps(model))


@pytest.fixture(scope="module")
def models(bars):
    X, y = bars
    pipeline = make_pipeline(ImageNormalizer(), ConvNetClassifier(max_epochs=1, random_state=0))
    with_column = np.column_stack([X, np.repeat([0, 1], 60)])
    multi_task = MultiTaskConvNetClassifier(ConvNetClassifier(**SMALL), task_column=-1)
    return {
        "classifier": (ConvNetClassifier(**SMALL).fit(X, y), X),
        "pipeline": (pipeline.fit(X, y), X),
        "multi-task": (multi_task.fit(with_column, y), with_column),
    }


@pytest.mark.parametrize("way", ["skops", "pickle", "joblib"])
@pytest.mark.parametrize("name", ["classifier", "pipeline", "multi-task"])
def test_predicts_the_same_bits_in_another_process(name, way, models, tmp_path):
    model, X = models[name]
    dump(way, model, tmp_path / "model")
    np.save(tmp_path / "data.npy", X)
    files = [str(tmp_path / "model"), str(tmp_path / "data.npy")]
    code = [sys.executable, "-c", LOAD_AND_PREDICT, way, *files, str(torch.get_num_threads())]
    subprocess.run(code, check=True, timeout=300)
    np.testing.assert_array_equal(np.load(tmp_path / "data.npy"), model.predict_proba(X))


def predict(model, X, queue):
    queue.put(model.predict_proba(X))


def fit(model, X, y, queue):
    queue.put(model.fit(X, y).predict_proba(X))


def in_process(method, function, *arguments):
    """Return the item that a function puts into a queue, in a process of its own."""
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=function, args=(*arguments, queue))
    process.start()
    try:
        return queue.get(timeout=120)
    finally:
        process.kill()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_after_several_threads_does_not_hang(models, bars):
    """It uses one thread, since GNU OpenMP would wait for threads that a fork does not copy."""
    model, X = models["pipeline"]
    n_threads = torch.get_num_threads()
    many = np.tile(X, (20, 1))
    try:
        torch.set_num_threads(2)
        here = model.predict_proba(many)
        np.testing.assert_allclose(in_process("fork", predict, model, many), here, atol=1e-5)
        torch.set_num_threads(1)
        alone = ConvNetClassifier(**SMALL).fit(*bars).predict_proba(X)
        torch.set_num_threads(2)
        fitted_there = in_process("fork", fit, ConvNetClassifier(**SMALL), *bars)
        np.testing.assert_array_equal(fitted_there, alone)
    finally:
        torch.set_num_threads(n_threads)


def test_a_spawned_process_predicts_the_same_bits(models, monkeypatch):
    model, X = models["pipeline"]
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    np.testing.assert_array_equal(in_process("spawn", predict, model, X), model.predict_proba(X))


def schema(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("schema.json"))


def nodes(part):
    """Return all objects in the description of an object."""
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else []
    found = [part] if isinstance(part, dict) and "__loader__" in part else []
    return found + [node for value in inner for node in nodes(value)]


def test_files_hold_arrays_and_names_of_public_modules(models, tmp_path):
    for model, _ in models.values():
        save_model(model, tmp_path / "model")
        with zipfile.ZipFile(tmp_path / "model") as archive:
            assert {name.rpartition(".")[2] for name in archive.namelist()} == {"json", "npy"}
            for name in archive.namelist():
                if name.endswith(".npy"):
                    with archive.open(name) as file:
                        np.lib.format.read_array(file, allow_pickle=False)
        modules = {node["__module__"] for node in nodes(schema(tmp_path / "model"))}
        ours = {module for module in modules if module.split(".")[0] not in ("sklearn", "numpy")}
        assert ours == {"builtins", "sklearn_usps"}


def test_skops_describes_objects_as_it_did(models, tmp_path):
    """A change of skops must be looked at before its next version is allowed in pyproject.toml."""
    save_model(models["pipeline"][0], tmp_path / "model")
    description = schema(tmp_path / "model")
    assert description["protocol"] == 2
    common = {"__class__", "__module__", "__loader__"}
    keys = {node["__loader__"]: set(node) - common for node in nodes(description["content"])}
    assert keys == {
        "DictNode": {"content", "key_types"},
        "JsonNode": {"content", "is_json"},
        "ListNode": {"content"},
        "NdArrayNode": {"type", "file"},
        "ObjectNode": {"content"},
        "TupleNode": {"content"},
        "TypeNode": set(),
    }


@pytest.mark.filterwarnings("ignore:.* was written with")
def test_a_file_of_the_first_format_is_loaded():
    """It was made by make_first_format.py."""
    path = Path(__file__).parent / "data" / "first-format.skops"
    X, y = load_digits(return_X_y=True)
    model, metadata = load_model(path), read_metadata(path)
    assert metadata["data"] == "load_digits"
    np.testing.assert_allclose(model.predict_proba(X[:10]), metadata["probabilities"], atol=1e-6)
    model[-1].partial_fit(model[0].transform(X), y)
    assert len(model[-1].history_) == 2
    assert model.score(X, y) > 0.5
    modules = {node["__module__"] for node in nodes(schema(path))}
    ours = [module for module in modules if module.split(".")[0] not in ("sklearn", "numpy")]
    assert not [module for module in ours if module.startswith("_") or "._" in module]


def test_a_search_gives_its_best_estimator(bars, tmp_path):
    X, y = bars
    model = make_pipeline(ImageNormalizer(), ConvNetClassifier(**SMALL))
    search = GridSearchCV(model, {"convnetclassifier__lr": [0.001, 0.02]}, cv=2).fit(X, y)
    save_model(search, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded[-1].lr == search.best_params_["convnetclassifier__lr"]
    np.testing.assert_array_equal(loaded.predict_proba(X), search.predict_proba(X))


def test_what_is_no_estimator_is_refused(tmp_path):
    (tmp_path / "model").write_bytes(_dump({"an": "estimator?"}, {}))
    with pytest.raises(ValueError, match=r"holds no estimator, but an object of <class 'dict'>"):
        load_model(tmp_path / "model")


def change_bytes(content, rng):
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 3, 50])):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def cut(content, rng):
    at = rng.randrange(len(content))
    return content[:at] if rng.random() < 0.5 else content[at:]


def change_members(content, rng):
    """Leave out, rename, double or cut a member of the archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    at = rng.randrange(len(members))
    name, data = members[at]
    changes = [[], [("../" + name, data)], [(name, data), (name, data[::-1])], [(name, b"")]]
    members[at : at + 1] = rng.choice([*changes, [(name, data[: len(data) // 2])]])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore")  # about other versions, and members of one name
@pytest.mark.parametrize("change", [change_bytes, cut, change_members])
def test_changed_files_are_refused_or_predict_the_same(change, models, tmp_path):
    model, X = models["classifier"]
    save_model(model, tmp_path / "model")
    content = (tmp_path / "model").read_bytes()
    rng = random.Random(change.__name__)
    n_refused = 0
    for _ in range(25 * FACTOR):
        (tmp_path / "changed").write_bytes(change(content, rng))
        try:
            loaded = load_model(tmp_path / "changed")
        except ValueError:  # any other error is a failure
            n_refused += 1
        else:
            np.testing.assert_array_equal(loaded.predict_proba(X[:5]), model.predict_proba(X[:5]))
    assert n_refused > 0
    print(change.__name__, n_refused)
