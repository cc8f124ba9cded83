"""Untrusted model files: refused before they run code or take more memory than their size."""

import contextlib
import copy
import io
import itertools
import json
import sys
import zipfile

import numpy as np
import pytest

from sklearn_usps import ConvNetClassifier, MultiTaskConvNetClassifier, load_model, save_model

SMALL = {"network": "luacnn", "lr": 0.01, "max_epochs": 1, "random_state": 0}


class ModelFile:
    """A model file whose description of objects can be changed."""

    def __init__(self, model, path):
        self.path = path
        save_model(model, path)
        with zipfile.ZipFile(path) as archive:
            self.members = {name: archive.read(name) for name in archive.namelist()}
        self.description = json.loads(self.members["schema.json"])
        self.state = self.description["content"]["content"]

    def array(self, array, name="numpy.ndarray", old=b"", new=b""):
        """Describe an array whose member is that of `array` with `old` replaced by `new`."""
        buffer = io.BytesIO()
        np.save(buffer, array)
        self.members["added.npy"] = buffer.getvalue().replace(old, new)
        return node("NdArrayNode", name, type="numpy", file="added.npy")

    def write(self, compression=zipfile.ZIP_STORED):
        self.members["schema.json"] = json.dumps(self.description).encode()
        with zipfile.ZipFile(self.path, "w", compression) as archive:
            for name, content in self.members.items():
                archive.writestr(name, content)
        return self.path

    def refusal(self, **options):
        with pytest.raises(ValueError) as error:
            load_model(self.write(**options))
        return str(error.value)


def node(kind, name="builtins.list", **values):
    """Describe an object by its skops kind and full name."""
    module, _, class_ = name.rpartition(".")
    return {"__class__": class_, "__module__": module, "__loader__": kind, **values}


def plain(value):
    return node("JsonNode", "builtins.str", content=json.dumps(value))


@pytest.fixture
def file(bars, tmp_path):
    return ModelFile(ConvNetClassifier(**SMALL).fit(*bars), tmp_path / "model.skops")


def test_archives_are_stored_members_of_distinct_names(file, bars):
    load_model(file.write()).predict(bars[0])
    assert "it is compressed" in file.refusal(compression=zipfile.ZIP_DEFLATED)
    for name in ("again.npy", "schema.json"):
        with zipfile.ZipFile(file.write(), "a") as archive:
            again = copy.copy(max(archive.infolist(), key=lambda member: member.file_size))
            again.filename = name
            archive.filelist.append(again)
            archive.writestr("last", "")  # so that the directory is written
        with pytest.raises(ValueError, match="its members overlap or have the same name"):
            load_model(file.path)


def test_old_protocols_are_refused(file):
    file.description["protocol"] = 1
    assert "it claims an old protocol" in file.refusal()


def many(part):
    return node("ListNode", content=[part] * 100)


def sparse(file, name):
    return file.array(np.zeros(1)) | node("SparseMatrixNode", name, type="scipy")


LARGE = np.zeros(2**17)
#: A function of a type that skops trusts, under its name in this version of numpy.
UFUNC = (
    "numpy.add"
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0"
    else ("numpy.core._multiarray_umath.add")
)
CHANGES = [
    # Arrays are plain and as large as they claim, and count in each place.
    ("lr", lambda f: f.array(np.zeros(8), old=b"8,), }     ", new=b"9999999,),}"), "has 64 bytes"),
    ("lr", lambda f: f.array(np.zeros(8), old=b"(8,)", new=b"(7,)"), "has 64 bytes"),
    ("lr", lambda f: f.array(np.zeros(0, "S1"), old=b"S1", new=b"S0"), "|S0 has 0 bytes"),
    ("lr", lambda f: f.array(np.array(10**10), "numpy.void"), "an array of void"),
    ("lr", lambda f: f.array(np.zeros(2, [("a", "u1"), ("b", "u1")])), "has 4 bytes"),
    ("lr", lambda f: many(f.array(LARGE)), "it becomes far more than its size"),
    ("lr", lambda f: many(f.array(LARGE) | {"__loader__": "BytesNode"}), "it becomes far more"),
    # By an identity skops would take one object for another, or visit one a billion times.
    ("lr", lambda _: plain(1) | {"__id__": 1}, "it has an object with an identity"),
    # Types are trusted for one kind of object: others are trusted by skops, or are functions.
    ("lr", lambda f: sparse(f, "numpy.interp"), "not trusted: numpy.interp. If you know them"),
    ("lr", lambda f: sparse(f, "sklearn_usps.ConvNetClassifier"), "trusted: sklearn_usps.ConvNet"),
    ("lr", lambda _: node("ObjectNode", "sklearn.svm._classes.SVC"), "not trusted: sklearn.svm._"),
    # Attributes are those that a fit leaves.
    ("device", lambda _: plain(["cpu"]), "device must be 'auto', 'cpu', 'cuda'"),
    ("image_shape_", lambda _: plain([-6, -6]), "must be two positive integers"),
    ("image_shape_", lambda _: plain([5, 5]), "images of 256 pixels have no shape (5, 5)"),
    ("classes_", lambda _: plain("ab"), "classes_ is not an array of labels"),
    ("optimizer", lambda _: node("FunctionNode", UFUNC), "optimizer must be one of"),
    ("_network", lambda _: plain(["lenet5", None]), "the weights are not those of the network"),
    ("_network", lambda _: plain(["convnet", {"n_channels": [1] * 1001}]), "more than 1000 layers"),
    ("_network", lambda _: plain({"luacnn": None, "0": 1}), "_network is not a pair"),
]


@pytest.mark.parametrize(("name", "describe", "reason"), CHANGES)
def test_changed_attributes_are_refused(name, describe, reason, file):
    file.state[name] = describe(file)
    assert reason in file.refusal()


def test_a_random_state_beyond_its_numbers_is_refused(tmp_path):
    model = ConvNetClassifier(random_state=np.random.RandomState(0))
    file = ModelFile(model, tmp_path / "model.skops")
    assert load_model(file.path).random_state.randint(10**9) == model.random_state.randint(10**9)
    state = file.state["random_state"]["content"]["content"]["state"]["content"]
    for position in (plain(625), {**file.array(np.array(625)), "content": "0"}):
        state["pos"] = position
        assert "it has a random state beyond its numbers" in file.refusal()


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "sgd"])
def test_optimizer_states_have_the_shapes_of_the_weights(optimizer, bars, tmp_path):
    """Fused kernels look at no sizes, and would corrupt the heap in `partial_fit`."""
    model = ConvNetClassifier(**{**SMALL, "optimizer": optimizer}).fit(*bars)
    file = ModelFile(model, tmp_path / "model.skops")
    states = file.state["_net_state"]["content"]["optimizer_state"]["content"]
    name = "exp_avg" if optimizer == "adamw" else "momentum_buffer"
    next(iter(states.values()))["content"][name] = file.array(np.zeros(1, dtype=np.float32))
    assert "the optimizer's state is not that of the weights" in file.refusal()


def test_changed_tasks_are_refused(bars, tmp_path):
    model = MultiTaskConvNetClassifier(ConvNetClassifier(**SMALL)).fit(*bars)
    file = ModelFile(model, tmp_path / "model.skops")
    file.state["history_"]["content"][0]["content"]["tasks"] = plain({})
    assert "can't be loaded" in file.refusal()
    file.state["_task_classes"]["content"] *= 1001
    assert "the weights are not those of the network" in file.refusal()


def test_code_runs_only_if_its_name_is_trusted(file, tmp_path, monkeypatch):
    trace = tmp_path / "trace"
    (tmp_path / "evil.py").write_text(f"open({str(trace)!r}, 'w')\nclass Evil: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    empty = {"content": [], "key_types": node("ListNode", content=[])}
    arguments = {"content": node("TupleNode", "builtins.tuple", content=[])}
    kinds = {"ObjectNode": {}, "TypeNode": {}, "FunctionNode": {}, "ListNode": empty}
    kinds |= {"DictNode": empty | {"content": {}}, "ConstructorFromReduceNode": arguments}
    for (kind, values), name in itertools.product(kinds.items(), ["evil.Evil", "os.system"]):
        file.state["network_params"] = node(kind, name, **values)
        assert f"not trusted: {name}" in file.refusal()
        assert not trace.exists()
        if name == "evil.Evil":  # the trace is left once the name is trusted
            with contextlib.suppress(ValueError):
                load_model(file.path, trusted=[name])
            trace.unlink()
            del sys.modules["evil"]
