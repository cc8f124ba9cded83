"""Model files made by someone who knows how: nothing of them is run, and little is taken."""

import contextlib
import copy
import io
import itertools
import json
import sys
import textwrap
import tracemalloc
import zipfile

import numpy as np
import pytest
import scipy.sparse
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.svm import SVC
from skops.io._audit import NODE_TYPE_MAPPING

from sklearn_usps import ConvNetClassifier, MultiTaskConvNetClassifier, load_model, save_model
from sklearn_usps.persistence._skops import _OF_SKLEARN

ESTIMATOR = "sklearn_usps.neural_network._classifier.ConvNetClassifier"
SMALL = {"network": "luacnn", "lr": 0.01, "max_epochs": 1, "random_state": 0}


class ModelFile:
    """The members of a model file, and the description of its objects, to be changed."""

    def __init__(self, model, path):
        self.path = path
        save_model(model, path)
        with zipfile.ZipFile(path) as archive:
            self.members = {name: archive.read(name) for name in archive.namelist()}
        self.description = json.loads(self.members["schema.json"])
        self.numbers = itertools.count(1)

    @property
    def state(self):
        """What is described of the attributes of the model, by name."""
        return self.description["content"]["content"]

    def object(self, kind, name, **values):
        """The description of an object by its skops kind and full name."""
        module, _, class_ = name.rpartition(".")
        values.setdefault("__id__", next(self.numbers))
        return {"__class__": class_, "__module__": module, "__loader__": kind, **values}

    def plain(self, value):
        return self.object("JsonNode", "builtins.str", content=json.dumps(value), is_json=True)

    def list(self, *objects, **values):
        return self.object("ListNode", "builtins.list", content=list(objects), **values)

    def array(self, content, name="numpy.ndarray", **values):
        """An array, by the bytes of a file of numpy's; anything else is saved as such."""
        if not isinstance(content, bytes):
            buffer = io.BytesIO()
            np.save(buffer, content)
            content = buffer.getvalue()
        member = f"{next(self.numbers)}.npy"
        self.members[member] = content
        return self.object("NdArrayNode", name, type="numpy", file=member, **values)

    def write(self, compression=zipfile.ZIP_STORED):
        self.members["schema.json"] = json.dumps(self.description).encode()
        with zipfile.ZipFile(self.path, "w", compression) as archive:
            for name, content in self.members.items():
                archive.writestr(name, content)

    def refusal(self):
        """What `load_model` says of the changed file."""
        self.write()
        with pytest.raises(ValueError) as error:
            load_model(self.path)
        return str(error.value)


@pytest.fixture
def file(bars, tmp_path):
    return ModelFile(ConvNetClassifier(**SMALL).fit(*bars), tmp_path / "model.skops")


def test_a_file_that_is_written_again_is_loaded(file, bars):
    expected = load_model(file.path).predict_proba(bars[0])
    file.write()
    np.testing.assert_array_equal(load_model(file.path).predict_proba(bars[0]), expected)


# Becoming more than the file


def test_compressed_files_are_refused(file):
    file.write(zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="it is compressed"):
        load_model(file.path)


def test_members_that_overlap_are_refused(file):
    with zipfile.ZipFile(file.path, "a") as archive:
        largest = max(archive.infolist(), key=lambda member: member.file_size)
        for number in range(100):
            again = copy.copy(largest)
            again.filename = f"{number}.npy"
            archive.filelist.append(again)
        archive.writestr("last", "")  # so that the directory is written
    with pytest.raises(ValueError, match="its members overlap"):
        load_model(file.path)


def test_several_members_of_a_name_are_refused(file):
    with zipfile.ZipFile(file.path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("schema.json", "{}")
    with pytest.raises(ValueError, match="several members of one name"):
        load_model(file.path)


def test_a_member_that_is_many_arrays_is_refused(file):
    array = file.array(np.zeros(1000))
    again = {**array, "__id__": next(file.numbers)}
    file.state["network_params"] = file.list(array, again)
    assert f"two of its arrays are the member {array['file']}" in file.refusal()


def test_an_array_in_many_places_is_refused(file):
    """In a few places it is not: so are the classes of some of scikit-learn's estimators."""
    array = file.array(np.zeros(2**17))
    file.state["network_params"] = file.list(array, array, array)
    file.write()
    first, second, third = load_model(file.path).network_params
    assert first is second is third
    file.state["network_params"] = file.list(*[array] * 100)
    assert "its arrays become far more than its size" in file.refusal()


def test_lists_that_stand_for_others_are_refused(file):
    """Each has the one before it twice: the outermost would be visited a billion times."""
    inner = file.list()
    for _ in range(30):
        inner = file.list(inner, {"__id__": inner["__id__"]})
    file.state["network_params"] = inner
    assert "it has an object of no kind" in file.refusal()


def test_objects_of_one_identity_must_be_the_same(file):
    """skops takes the first that it meets, wherever it stands, for all of them."""
    value = file.plain(1)
    file.state["network_params"] = file.list(value, {**value, "content": "2"})
    assert f"it has two objects of the identity {value['__id__']}" in file.refusal()


def test_an_object_that_is_part_of_itself_is_refused(file):
    inner = file.list()
    file.state["network_params"] = file.list(inner, __id__=inner["__id__"])
    assert f"it has two objects of the identity {inner['__id__']}" in file.refusal()


@pytest.mark.parametrize("identity", [None, 0, -1, 1.0, True, "1", 2**61 - 1])
def test_identities_that_skops_may_take_for_others_are_refused(identity, file):
    file.state["network_params"] = file.list(__id__=identity)
    assert "it has an object of the identity" in file.refusal()


@pytest.mark.parametrize("shape", ["(1000000000000,)", "(7,)", "()"])
def test_arrays_that_are_not_as_large_as_they_claim_are_refused(shape, file):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(8))
    content = buffer.getvalue().replace(b"(8,)", shape.encode())
    length = len(content) - 10 - 64  # of the header
    file.state["network_params"] = file.array(
        content[:8] + length.to_bytes(2, "little") + content[10:]
    )
    assert "has 64 bytes" in file.refusal()


def test_arrays_of_values_without_bytes_are_refused(file):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(9999, dtype="S1"))
    content = buffer.getvalue()[:-9999].replace(b"|S1", b"|S0")
    file.state["classes_"] = file.array(content)
    assert "of shape (9999,) and |S0 has 0 bytes" in file.refusal()


@pytest.mark.parametrize("name", ["void", "bytes_", "object_", "float64"])
def test_scalars_are_made_of_their_own_type_only(name, file):
    """Some types would take the number for that of the bytes to allocate."""
    file.state["network_params"] = file.array(np.array(10**10), name=f"numpy.{name}")
    assert f"of int64 can't be of type {name}" in file.refusal()


def test_structured_arrays_are_refused(file):
    """Their items would become objects by the thousand."""
    dtype = [("a", "u1"), *((f"f{i}", "S0") for i in range(100))]
    file.state["network_params"] = file.array(np.zeros(100, dtype=dtype))
    assert "can't be of type ndarray" in file.refusal()


def test_bytes_are_not_read_before_they_are_trusted(file):
    """They may be one member in many places, of which skops would make copies."""
    file.members["a"] = bytes(2**20)
    tracemalloc.start()
    try:
        file.state["network_params"] = file.list(
            *[file.object("BytesNode", "builtins.bytes", file="a") for _ in range(100)]
        )
        assert "holds types that are not trusted: builtins.bytes." in file.refusal()
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()


def test_archives_in_the_archive_are_refused(file, tmp_path):
    scipy.sparse.save_npz(tmp_path / "zeros.npz", scipy.sparse.csr_matrix((10, 10)))
    file.members["zeros.npz"] = (tmp_path / "zeros.npz").read_bytes()
    matrix = file.object(
        "SparseMatrixNode", "scipy.sparse.spmatrix", type="scipy", file="zeros.npz"
    )
    file.state["network_params"] = matrix
    refusal = file.refusal()
    assert "holds types that are not trusted: scipy.sparse.spmatrix." in refusal
    assert load_model(file.path, trusted=["scipy.sparse.spmatrix"]).network_params.shape == (10, 10)
    # The names that are trusted are those of objects with attributes, and of a function.
    for kind, name in [("SparseMatrixNode", "numpy.interp"), ("SparseMatrixNode", ESTIMATOR)]:
        file.state["network_params"] = file.object(kind, name, type="scipy", file="zeros.npz")
        assert f"holds types that are not trusted: {name}." in file.refusal()


def test_too_many_layers_or_tasks_are_refused(bars, tmp_path):
    params = {"n_channels": (4, 4), "strides": (1, 1)}
    many = {"n_channels": [1] * 1001, "strides": [1] * 1001}
    model = ConvNetClassifier(network_params=params, max_epochs=1).fit(*bars)
    file = ModelFile(model, tmp_path / "model.skops")
    file.state["_network"]["content"][1] = file.object(
        "DictNode",
        "builtins.dict",
        content={name: file.plain(value) for name, value in many.items()},
        key_types=file.list(*[file.object("TypeNode", "builtins.str") for _ in many]),
    )
    assert "the network has more than 1000 layers" in file.refusal()

    file = ModelFile(MultiTaskConvNetClassifier(**SMALL).fit(*bars), tmp_path / "joint.skops")
    file.state["_task_classes"]["content"] *= 1001
    assert "the tasks are not alike, or more than 1000" in file.refusal()


def test_a_history_of_other_tasks_is_refused(bars, tmp_path):
    file = ModelFile(MultiTaskConvNetClassifier(**SMALL).fit(*bars), tmp_path / "joint.skops")
    row = file.state["history_"]["content"][0]["content"]
    row["tasks"] = file.list(*[file.plain({})] * 2)
    assert "history_ is not that of the tasks" in file.refusal()


def test_a_network_that_is_read_in_two_ways_is_refused(file):
    """The sizes would be checked of what is no name, and the network be that of the name."""
    types = [file.object("TypeNode", "builtins.str"), file.object("TypeNode", "builtins.int")]
    network = {"luacnn": file.plain(None), "0": file.plain(1)}
    file.state["_network"] = file.object(
        "DictNode", "builtins.dict", content=network, key_types=file.list(*types)
    )
    assert "_network is no pair" in file.refusal()


# Running what is in the file


def test_a_random_state_beyond_its_numbers_is_refused(bars, tmp_path):
    """numpy takes any position, and would read the memory beyond the numbers."""
    model = ConvNetClassifier(random_state=np.random.RandomState(0))
    file = ModelFile(model, tmp_path / "model.skops")
    state = file.state["random_state"]["content"]["content"]["state"]["content"]
    state["pos"] = file.plain(1_000_000)
    assert "it has a random state at the position 1000000" in file.refusal()
    state["pos"] = {**file.array(np.array(1_000_000)), "content": "0"}
    assert "it has a random state of no numbers" in file.refusal()


def test_a_protocol_that_skops_has_mended_is_refused(file):
    file.description["protocol"] = 1
    assert "it claims an old protocol" in file.refusal()


@pytest.mark.parametrize("name", ["numpy.add", "builtins.list", "numpy.float64"])
def test_a_network_that_is_none_is_refused(name, file):
    """Functions of numpy's are trusted, but would be called with the arguments of the file."""
    kind = "FunctionNode" if name == "numpy.add" else "TypeNode"
    file.state["_network"]["content"][0] = file.object(kind, name)
    assert "network must be one of" in file.refusal()


def test_an_optimizer_that_is_none_is_refused(file):
    file.state["optimizer"] = file.object("TypeNode", "builtins.list")
    assert "optimizer must be one of" in file.refusal()


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_state_that_would_be_written_beyond_is_refused(optimizer, bars, tmp_path):
    """Fused kernels look at no sizes, and would corrupt the memory in `partial_fit`."""
    model = ConvNetClassifier(**{**SMALL, "optimizer": optimizer}).fit(*bars)
    file = ModelFile(model, tmp_path / "model.skops")
    states = file.state["_net_state"]["content"]["optimizer_state"]["content"]
    tensors = next(iter(states.values()))["content"]
    name = {"adamw": "exp_avg", "sgd": "momentum_buffer"}[optimizer]
    tensors[name] = file.array(np.zeros(1, dtype=np.float32))
    assert "the optimizer's state is not that of the weights" in file.refusal()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("device", ["cpu"], "device must be one of"),
        ("image_shape_", [-6, -6], "must be two positive integers"),
        ("image_shape_", [5, 5], "images of 256 pixels have no shape (5, 5)"),
        ("classes_", "ab", "classes_ is no array of labels"),
    ],
)
def test_attributes_that_no_fit_leaves_are_refused(name, value, reason, file):
    file.state[name] = file.plain(value)
    assert reason in file.refusal()


def test_what_can_not_be_shown_is_refused(file):
    file.description = file.object("ObjectNode", ESTIMATOR, protocol=2)
    assert "object has no attribute" in file.refusal()
    file = ModelFile(ConvNetClassifier(**SMALL), file.path)
    key_types = file.description["content"]["key_types"]["content"]
    del key_types[list(file.state).index("lr")], file.state["lr"]
    assert "object has no attribute 'lr'" in file.refusal()


def test_what_is_no_file_is_refused(tmp_path):
    for path in (tmp_path, "/dev/zero"):
        with pytest.raises(ValueError, match="is no file"):
            load_model(path)
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "nothing")


# What is loaded


def test_objects_in_several_places_are_loaded(bars, tmp_path):
    """skops describes what is within them anew in each place, under other identities."""
    X, y = bars
    weights, state = {0: 1.0, 1: 2.0}, np.random.RandomState(0)
    params = {"network": "luacnn", "max_epochs": 1, "class_weight": weights, "random_state": state}
    scaler = StandardScaler().fit(X)
    model = Pipeline([("a", scaler), ("b", scaler), ("c", ConvNetClassifier(**params))])
    model.named_steps["c"].fit(scaler.transform(scaler.transform(X)), y)
    model.steps.append(("d", ConvNetClassifier(**params)))
    save_model(model, tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops")
    assert loaded[0] is loaded[1]
    assert loaded[2].class_weight is loaded[3].class_weight
    assert loaded[3].random_state.randint(10**9) == state.randint(10**9)
    Z = scaler.transform(scaler.transform(X))
    np.testing.assert_array_equal(loaded[2].predict_proba(Z), model[2].predict_proba(Z))


def test_keys_that_have_a_meaning_in_files_are_loaded(tmp_path):
    params = {"__id__": 1, "__loader__": {"__id__": "a"}, "file": [2], "content": {"file": None}}
    save_model(ConvNetClassifier(network_params=params), tmp_path / "model.skops")
    assert load_model(tmp_path / "model.skops").network_params == params


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ({True: 1, False: 2}, "keys that are bools: take 0 and 1"),
        ({1: 5, "1": 6}, "keys of which the texts are equal"),
    ],
)
def test_dicts_that_would_lose_keys_are_not_saved(weights, reason, tmp_path):
    with pytest.raises(TypeError, match=f"could not be loaded again.*{reason}"):
        save_model(ConvNetClassifier(class_weight=weights), tmp_path / "model.skops")
    assert not (tmp_path / "model.skops").exists()


@pytest.mark.parametrize("estimator", _OF_SKLEARN, ids=lambda estimator: estimator.__name__)
def test_estimators_of_scikit_learn_are_loaded(estimator, bars, tmp_path):
    X, y = bars
    inner = StandardScaler()
    arguments = {
        Pipeline: [[("inner", inner), ("network", ConvNetClassifier(**SMALL))]],
        FeatureUnion: [[("inner", inner), ("other", MinMaxScaler())]],
        ColumnTransformer: [[("inner", inner, slice(0, 12)), ("rest", "passthrough", [12, 20])]],
        FunctionTransformer: [np.sqrt],
    }
    options = {"n_quantiles": 10} if estimator is QuantileTransformer else {}
    model = estimator(*arguments.get(estimator, []), **options).fit(X, y)
    save_model(model, tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops")
    method = "predict_proba" if hasattr(model, "predict_proba") else "transform"
    np.testing.assert_array_equal(getattr(loaded, method)(X), getattr(model, method)(X))


def test_other_estimators_of_scikit_learn_must_be_trusted(bars, tmp_path):
    save_model(SVC().fit(*bars), tmp_path / "model.skops")
    with pytest.raises(ValueError, match=r"not trusted: sklearn\.svm\._classes\.SVC\."):
        load_model(tmp_path / "model.skops")
    loaded = load_model(tmp_path / "model.skops", trusted=[SVC])
    np.testing.assert_array_equal(loaded.predict(bars[0]), SVC().fit(*bars).predict(bars[0]))


# Code of the file


@pytest.fixture
def trace(tmp_path, monkeypatch):
    """The path of a file that exists as soon as code of the module `evil` has been run."""
    trace = tmp_path / "trace"
    (tmp_path / "evil.py").write_text(
        textwrap.dedent(f"""
            from pathlib import Path

            def leave(*args, **kwargs):
                Path({str(trace)!r}).touch()
                return args

            class Evil:
                def __new__(cls, *args, **kwargs):
                    leave()
                    return object.__new__(cls)

                __init__ = __call__ = __setstate__ = leave
        """)
    )
    (tmp_path / "evil_when_imported.py").write_text("from evil import *\nleave()\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield trace
    for name in ("evil", "evil_when_imported"):
        sys.modules.pop(name, None)


def contents(file, name, trace):
    """What may be the content of an object of any kind, with what is to be called in it."""
    argument = f"touch {trace}" if name == "os.system" else f"open({str(trace)!r}, 'w')"
    arguments = file.object("TupleNode", "builtins.tuple", content=[file.plain(argument)])
    empty = file.object("DictNode", "builtins.dict", content={}, key_types=file.list())
    function = file.object("FunctionNode", name)
    yield [file.plain(argument)]
    yield {"key": file.plain(argument)}
    yield {"main": empty, "default_factory": function, "obj": function, "func": "__call__"}
    others = dict.fromkeys(["args", "data", "mask"], arguments)
    others |= dict.fromkeys(["kwds", "namespace", "bit_generator", "seed_seq"], empty)
    others |= dict.fromkeys(["start", "stop", "step"])
    yield {**arguments, "__id__": next(file.numbers), "func": function, **others}


def evil_objects(file, trace):
    """Objects of all kinds that skops knows, whose type or function is one that leaves a trace."""
    names = ["evil.leave", "evil.Evil", "evil_when_imported.Evil", "os.system", "builtins.exec"]
    kinds = sorted({kind for kind, _ in NODE_TYPE_MAPPING})
    for kind, name in itertools.product(kinds, names):
        for content in contents(file, name, trace):
            yield file.object(
                kind,
                name,
                content=content,
                attrs=content,
                args=content,
                reduce={"args": content},
                type="numpy",
                file="versions.json",
                key_types=file.list(file.object("TypeNode", name)),
            )


@pytest.mark.parametrize("place", ["root", "attribute"])
def test_no_code_of_a_file_is_run(place, file, trace):
    refused = 0
    whole = copy.deepcopy(file.description)
    for evil in evil_objects(file, trace):
        file.description = copy.deepcopy(whole)
        if place == "root":
            file.description = {**evil, "protocol": whole["protocol"]}
        else:
            file.state["network_params"] = evil
        file.write()
        try:
            load_model(file.path)
        except ValueError:
            refused += 1
        assert not trace.exists(), evil
    assert refused > 300


def test_the_trace_is_left_where_all_types_are_trusted(file, trace):
    """Or else the test before this one would see nothing."""
    kinds_that_ran = set()
    whole = copy.deepcopy(file.description)
    for evil in evil_objects(file, trace):
        file.description = copy.deepcopy(whole)
        file.state["network_params"] = evil
        file.write()
        names = ["evil.leave", "evil.Evil", "evil_when_imported.Evil"]
        with contextlib.suppress(ValueError):
            load_model(file.path, trusted=names)
        if trace.exists():
            kinds_that_ran.add(evil["__loader__"])
            trace.unlink()
        sys.modules.pop("evil_when_imported", None)
    assert kinds_that_ran >= {"ObjectNode", "TypeNode", "FunctionNode", "DictNode"}
    assert "ConstructorFromReduceNode" in kinds_that_ran


def test_a_function_that_is_trusted_is_not_called(tmp_path):
    save_model(FunctionTransformer(np.log1p), tmp_path / "model.skops")
    assert load_model(tmp_path / "model.skops").func is np.log1p
    assert skops.io.get_untrusted_types(file=tmp_path / "model.skops") == []
