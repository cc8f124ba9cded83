"""Saved models in other processes, and files that were changed."""

import io
import json
import multiprocessing
import os
import pickle
import random
import subprocess
import sys
import zipfile

import joblib
import numpy as np
import pytest
import skops.io
import torch
from factor import FACTOR
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_usps import (
    ConvNetClassifier,
    ImageNormalizer,
    MultiTaskConvNetClassifier,
    RandomDeformation,
    load_model,
    save_model,
)

SMALL = {"network": "luacnn", "lr": 0.01, "max_epochs": 1, "random_state": 0}

LOAD_AND_PREDICT = """
import pickle, sys, joblib, numpy as np, torch
torch.set_num_threads(int(sys.argv[4]))
way, model_file, data_file = sys.argv[1:4]
if way == "skops":
    from sklearn_usps import load_model as load
elif way == "joblib":
    load = joblib.load
else:
    load = lambda path: pickle.loads(open(path, "rb").read())
model = load(model_file)
data = np.load(data_file)
np.save(data_file, model.predict_proba(data))
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
    return {
        "classifier": (ConvNetClassifier(**SMALL).fit(X, y), X),
        "pipeline": (pipeline.fit(X, y), X),
        "joint": (
            MultiTaskConvNetClassifier(task_column=-1, **SMALL).fit(with_column, y),
            with_column,
        ),
    }


# Other processes


@pytest.mark.parametrize("way", ["skops", "pickle", "joblib"])
@pytest.mark.parametrize("name", ["classifier", "pipeline", "joint"])
def test_predicts_the_same_bits_in_another_process(name, way, models, tmp_path):
    model, X = models[name]
    dump(way, model, tmp_path / "model")
    np.save(tmp_path / "data.npy", X)
    files = [str(tmp_path / "model"), str(tmp_path / "data.npy")]
    code = [sys.executable, "-c", LOAD_AND_PREDICT, way, *files, str(torch.get_num_threads())]
    subprocess.run(code, check=True, timeout=300)
    np.testing.assert_array_equal(np.load(tmp_path / "data.npy"), model.predict_proba(X))


def predict(model, X, n_threads, queue):
    if n_threads:
        torch.set_num_threads(n_threads)
    queue.put(model.predict_proba(X))


def fit(model, X, y, queue):
    queue.put(model.fit(X, y).predict_proba(X))


def in_process(method, function, *arguments):
    """What a function puts into a queue in a process of its own; an error after two minutes."""
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=function, args=(*arguments, queue))
    process.start()
    try:
        return queue.get(timeout=120)
    finally:
        process.kill()


def test_predicts_the_same_bits_in_a_spawned_process(models):
    model, X = models["pipeline"]
    n_threads = torch.get_num_threads()
    there = in_process("spawn", predict, model, X, n_threads)
    np.testing.assert_array_equal(there, model.predict_proba(X))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_after_several_threads_does_not_hang(models, bars):
    """It computes in one thread: with two, GNU OpenMP would wait for threads that are not there."""
    model, X = models["pipeline"]
    n_threads = torch.get_num_threads()
    many = np.tile(X, (20, 1))
    try:
        torch.set_num_threads(2)
        here = model.predict_proba(many)
        there = in_process("fork", predict, model, many, None)
        np.testing.assert_allclose(there, here, atol=1e-5)
        torch.set_num_threads(1)
        alone = ConvNetClassifier(**SMALL).fit(*bars).predict_proba(X)
        torch.set_num_threads(2)
        fitted_there = in_process("fork", fit, ConvNetClassifier(**SMALL), *bars)
        np.testing.assert_array_equal(fitted_there, alone)
    finally:
        torch.set_num_threads(n_threads)


# What is in the file


def test_untrusted_types_are_our_own_public_classes(models, tmp_path):
    for model, _ in models.values():
        save_model(model, tmp_path / "model")
        found = skops.io.get_untrusted_types(file=tmp_path / "model")
        ours = {ConvNetClassifier, ImageNormalizer, MultiTaskConvNetClassifier, RandomDeformation}
        assert set(found) <= {f"{cls.__module__}.{cls.__qualname__}" for cls in ours}
        assert found


def test_a_search_gives_its_best_estimator(bars, tmp_path):
    X, y = bars
    model = make_pipeline(ImageNormalizer(), ConvNetClassifier(**SMALL))
    search = GridSearchCV(model, {"convnetclassifier__lr": [0.001, 0.02]}, cv=2).fit(X, y)
    save_model(search, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded[-1].lr == search.best_params_["convnetclassifier__lr"]
    np.testing.assert_array_equal(loaded.predict_proba(X), search.predict_proba(X))


def test_what_is_no_estimator_is_refused(tmp_path):
    skops.io.dump({"an": "estimator?"}, tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "model", "a") as archive:
        archive.writestr("versions.json", "{}")
    with pytest.raises(ValueError, match=r"holds no estimator, but an object of <class 'dict'>"):
        load_model(tmp_path / "model")
    with pytest.raises(TypeError, match=r"model must be an estimator. Got an instance of <class"):
        save_model({"an": "estimator?"}, tmp_path / "other")
    with pytest.raises(TypeError, match=r"could not be loaded again.*<lambda>"):
        save_model(ConvNetClassifier(augmentation=lambda images, _: images), tmp_path / "other")

    class Deformer(RandomDeformation):
        """Not to be found in any module."""

    with pytest.raises(TypeError, match=r"could not be loaded again.*Deformer"):
        save_model(ConvNetClassifier(augmentation=Deformer()), tmp_path / "other")
    assert not (tmp_path / "other").exists()


# Changed files

EVIL = ["os.system", "builtins.eval", "subprocess.Popen", "posix.system", "no.such.Class", 7, None]


def change_bytes(content, rng):
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 3, 50])):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def cut(content, rng):
    at = rng.randrange(len(content))
    return content[:at] if rng.random() < 0.5 else content[at:]


def change_members(content, rng):
    """Leave out, rename, double or empty a member of the archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    at = rng.randrange(len(members))
    name, data = members[at]
    members[at : at + 1] = rng.choice(
        [
            [],
            [("../" + name, data)],
            [(name, data), (name, data[::-1])],
            [(name, b"")],
            [(name, data[: len(data) // 2])],
        ]
    )
    return zipped(members)


def change_schema(content, rng):
    """Change a value anywhere in the description of the objects."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members["schema.json"])
    places = []

    def collect(node):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            places.append((node, key))
            if isinstance(value, (dict, list)):
                collect(value)

    collect(schema)
    kinds = ("__class__", "__module__", "__loader__")
    named = [place for place in places if place[1] in kinds]
    node, key = rng.choice(named if rng.random() < 0.6 else places)
    if rng.random() < 0.2:
        del node[key]
    else:
        node[key] = rng.choice(EVIL)
        if key == "__class__" and rng.random() < 0.7:
            node["__module__"], _, node["__class__"] = rng.choice(EVIL[:5]).rpartition(".")
    return zipped({**members, "schema.json": json.dumps(schema).encode()}.items())


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore")  # of other versions, and of names that come twice
@pytest.mark.parametrize("change", [change_bytes, cut, change_members, change_schema])
def test_changed_files_are_refused_or_predict_the_same(change, models, tmp_path):
    """By accident or on purpose; that no code is run is tested in test_archive.py."""
    model, X = models["classifier"]
    save_model(model, tmp_path / "model")
    content = (tmp_path / "model").read_bytes()
    expected = model.predict_proba(X[:5])
    rng = random.Random(change.__name__)
    counts = {"refused": 0, "the same": 0, "another": 0}
    for _ in range(25 * FACTOR):
        (tmp_path / "changed").write_bytes(change(content, rng))
        try:
            loaded = load_model(tmp_path / "changed")
        except ValueError:  # any other error is a failure
            counts["refused"] += 1
            continue
        # A description may be changed into that of another estimator; bytes may not.
        try:
            same = np.array_equal(loaded.predict_proba(X[:5]), expected)
        except (ValueError, TypeError, AttributeError):
            same = False
        counts["the same" if same else "another"] += 1
    if change is not change_schema:
        assert counts["another"] == 0
    assert counts["refused"] > 0
    print(change.__name__, counts)
