"""Model files whose description has any value in any place."""

import json
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from outcomes import Refused, outcome

from sklearn_usps import ConvNetClassifier, MultiTaskConvNetClassifier, load_model, save_model

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["__id__", "__loader__", "content", "a"]), inner),
    ),
    max_leaves=6,
)
#: A change puts a value, an attribute with a plain value, or a part from elsewhere into a place.
CHANGES = st.one_of(
    st.tuples(st.just("value"), JSON),
    st.tuples(st.just("plain"), JSON),
    st.tuples(st.just("part"), st.integers(0, 2**16)),
)
SMALL = {"lr": 0.01, "max_epochs": 1, "lr_scaling": "fan-in", "random_state": 0}
CLASSIFIER = ConvNetClassifier(network="luacnn", **SMALL)


@pytest.fixture(scope="module", params=[CLASSIFIER, MultiTaskConvNetClassifier(CLASSIFIER)])
def members(request, tmp_path_factory):
    """Return the members of the archive of a fitted model."""
    path = tmp_path_factory.mktemp("models") / "model.skops"
    X, y = np.random.default_rng(0).random((8, 36)), [0, 1] * 4
    save_model(request.param.fit(X, y), path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(members, description: bytes, folder):
    with zipfile.ZipFile(folder / "changed.skops", "w") as archive:
        for name, content in {**members, "schema.json": description}.items():
            archive.writestr(name, content)
    return folder / "changed.skops"


def places(part):
    """Return all places in a description: a container and a key or an index."""
    items = part.items() if isinstance(part, dict) else enumerate(part)
    for key, value in list(items):
        yield part, key
        if isinstance(value, (dict, list)):
            yield from places(value)


@given(changes=st.lists(st.tuples(st.integers(0, 2**16), CHANGES), min_size=1, max_size=3))
def test_a_changed_description_is_a_model_or_refused(members, tmp_path_factory, changes):
    description = json.loads(members["schema.json"])
    for at, (kind, value) in changes:
        all_places = list(places(description))
        part, key = all_places[at % len(all_places)]
        if kind == "part":
            other, other_key = all_places[value % len(all_places)]
            part[key] = json.loads(json.dumps(other[other_key]))
        elif kind == "plain" and isinstance(part[key], dict) and "__loader__" in part[key]:
            kind = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode"}
            part[key] = {**kind, "content": json.dumps(value)}
        else:
            part[key] = value
    path = write(members, json.dumps(description).encode(), tmp_path_factory.getbasetemp())
    model = outcome(load_model, path)
    assert isinstance(model, (Refused, ConvNetClassifier, MultiTaskConvNetClassifier))


@given(content=st.binary(max_size=200))
def test_any_bytes_for_a_description_are_refused(members, tmp_path_factory, content):
    path = write(members, content, tmp_path_factory.getbasetemp())
    assert isinstance(outcome(load_model, path), Refused)
