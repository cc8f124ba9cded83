"""Model files made by someone who knows how: nothing of them is run, and little is taken."""

import contextlib
import copy
import io
import itertools
import json
import sys
import textwrap
import zipfile

import numpy as np
import pytest
import scipy.sparse
import skops.io
from sklearn.preprocessing import FunctionTransformer
from skops.io._audit import NODE_TYPE_MAPPING

from sklearn_usps import ConvNetClassifier, JointConvNetClassifier, load_model, save_model

SMALL = {"network": "torch7", "lr": 0.01, "max_epochs": 1, "random_state": 0}


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
    file.state["network_params"] = file.list(array, array)
    file.write()
    first, second = load_model(file.path).network_params
    assert first is second
    file.state["network_params"] = file.list(*[array] * 100)
    assert "its arrays become far more than its size" in file.refusal()


def test_lists_that_stand_for_others_are_refused(file):
    """Each has the one before it twice: the outermost would be visited a billion times."""
    inner = file.list()
    for _ in range(30):
        inner = file.list(inner, {"__id__": inner["__id__"]})
    file.state["network_params"] = inner
    assert "it has two objects of the number" in file.refusal()


def test_an_object_array_of_lists_that_stand_for_others_is_refused(file):
    items = file.list(*map(file.plain, range(10)))
    for _ in range(10):
        items = file.list(items, *[{"__id__": items["__id__"]}] * 9)
    shape = file.object("TupleNode", "builtins.tuple", content=[file.plain(10), file.plain(10)])
    array = file.object("NdArrayNode", "numpy.ndarray", type="json", content=[items], shape=shape)
    file.state["network_params"] = array
    assert "it has two objects of the number" in file.refusal()


@pytest.mark.parametrize("number", [0, -1, 1.0, True, "1"])
def test_numbers_of_objects_that_skops_may_take_for_others_are_refused(number, file):
    file.state["network_params"] = file.list(__id__=number)
    assert "it has the object number" in file.refusal()


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


def test_scalars_of_any_size_are_refused(file):
    file.state["network_params"] = file.array(np.array(10**10), name="numpy.void")
    assert "it has an array of no type" in file.refusal()


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


def test_more_layers_or_tasks_than_weights_are_refused(bars, tmp_path):
    params = {"n_planes": (4, 4), "strides": (1, 1)}
    many = {"n_planes": [1] * 1000, "strides": [1] * 1000}
    file = ModelFile(
        ConvNetClassifier(network_params=params, max_epochs=1).fit(*bars), tmp_path / "model.skops"
    )
    file.state["_network"]["content"][1] = file.object(
        "DictNode",
        "builtins.dict",
        content={name: file.plain(value) for name, value in many.items()},
        key_types=file.list(*[file.object("TypeNode", "builtins.str") for _ in many]),
    )
    assert "there are more layers than weights" in file.refusal()

    joint = ModelFile(JointConvNetClassifier(**SMALL).fit(*bars), tmp_path / "joint.skops")
    joint.state["_task_classes"]["content"] *= 1000
    assert "there are more tasks than weights" in joint.refusal()


# Running what is in the file


def test_a_random_state_beyond_its_numbers_is_refused(bars, tmp_path):
    """numpy takes any position, and would read the memory beyond the numbers."""
    model = ConvNetClassifier(random_state=np.random.RandomState(0))
    file = ModelFile(model, tmp_path / "model.skops")
    state = file.state["random_state"]["content"]["content"]["state"]["content"]
    state["pos"]["content"] = "1000000"
    assert "it has a random state at the position 1000000" in file.refusal()


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
