"""What is in a model file, checked before anything is made of it.

skops checks which types a file names, but not how much they become, nor all that is done with
values: a few thousand bytes may describe gigabytes, by objects that are named many times or
archives within the archive. Here such files are refused, as none is that :func:`save_model` writes.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import sys
import zipfile
from typing import Any

import numpy as np

#: The member of the archive that says which versions it was written with.
VERSIONS = "versions.json"
#: The protocol of the oldest skops that we take. Files may claim an older one, whose code is older.
_MIN_PROTOCOL = 2
#: What skops calls the kinds of objects that are made of values without a call of anything that the
#: file names, as checked here.
_PLAIN_KINDS = {
    *("DictNode", "DTypeNode", "FunctionNode", "JsonNode", "ListNode", "NdArrayNode"),
    *("RandomStateNode", "SliceNode", "TupleNode", "TypeNode"),
}
#: An array may be in several places. All places together may have this many times the bytes of the
#: file, and some more.
_MAX_RATIO, _SLACK = 2, 2**22
#: Numbers in the state of numpy's Mersenne Twister.
_TWISTER_SIZE = 624


def check_archive(content: bytes) -> tuple[dict[str, str], set[str], set[str]]:
    """Check the content of a model file.

    Returns
    -------
    versions : dict
        The versions of the libraries that it was written with.

    types : set of str
        The types of its objects that have attributes.

    special : set of str
        The types of what is made in other ways, such as by a call or from an archive.

    Raises
    ------
    Exception
        Of any type, if it is damaged, becomes too much, or was not written by `save_model`.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("it is compressed")
        if sum(member.file_size for member in members) > len(content):
            raise ValueError("its members overlap")
        if len({member.filename for member in members}) < len(members):
            raise ValueError("it has several members of one name")
        versions = dict(json.loads(archive.read(VERSIONS)))
        description = json.loads(archive.read("schema.json"))
        if description["protocol"] < _MIN_PROTOCOL:
            raise ValueError("it claims an old protocol")
        walk = _Walk(archive, max_bytes=_MAX_RATIO * len(content) + _SLACK)
        walk.digest(description)
        return versions, walk.types, walk.special


class _Walk:
    """A walk over the description of an object, which for skops is JSON.

    An object in several places has the same `__id__` in all of them, and skops takes one of them
    for all. It writes each of them in full: they must be the same, or else what was checked in one
    place would not be what is made there, and by short names few objects would stand for many.
    """

    def __init__(self, archive: zipfile.ZipFile, max_bytes: int):
        self.archive = archive
        self.digests: dict[int, str] = {}
        #: The arrays that the members are.
        self.arrays: dict[str, int] = {}
        self.bytes_left = max_bytes
        self.types: set[str] = set()
        self.special: set[str] = set()

    def digest(self, part: Any) -> str:
        """Check a part, and tell it from others, whatever the identities and files in it."""
        if isinstance(part, list):
            described = repr([self.digest(value) for value in part])
        elif isinstance(part, dict):
            described = repr(
                {
                    key: self.digest(value)
                    for key, value in part.items()
                    if key not in ("__id__", "file") or isinstance(value, dict)
                }
            )
        else:
            return repr(part)
        digest = hashlib.sha256(described.encode()).hexdigest()
        # Keys of a user's dict may have the names of ours. Their values are objects.
        if isinstance(part, dict) and isinstance(part.get("__loader__"), str):
            self._check_object(part, digest)
        elif isinstance(part, dict) and not isinstance(part.get("__id__", {}), dict):
            raise ValueError("it has an object of no kind")
        return digest

    def _check_object(self, part: dict, digest: str) -> None:
        identity = part.get("__id__")
        # Those beyond might be of one hash, and take long to tell apart.
        if type(identity) is not int or not 0 < identity < sys.hash_info.modulus:
            raise ValueError(f"it has an object of the identity {identity!r}")
        if self.digests.setdefault(identity, digest) != digest:
            raise ValueError(f"it has two objects of the identity {identity}")
        kind = part["__loader__"]
        name = f"{part['__module__']}.{part['__class__']}"
        if kind == "ObjectNode":
            self.types.add(name)
        elif kind not in _PLAIN_KINDS:
            self.special.add(name)
        elif kind == "DictNode":
            _check_keys(part)
        elif kind == "RandomStateNode":
            _check_random_state(part)
        elif kind == "NdArrayNode" and part["type"] == "numpy":
            self._check_array(part)

    def _check_array(self, part: dict) -> None:
        """Check that an array is plain, as large as it claims, and the only one of its member."""
        name, identity = part["file"], part["__id__"]
        if name in self.arrays and self.arrays[name] != identity:
            raise ValueError(f"two of its arrays are the member {name}")
        self.bytes_left -= self.archive.getinfo(name).file_size
        if self.bytes_left < 0:
            raise ValueError("its arrays become far more than its size")
        if name in self.arrays:
            return
        self.arrays[name] = identity
        with self.archive.open(name) as file:
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[np.lib.format.read_magic(file)]
            shape, _, dtype = read_header(file)
            n_values, n_bytes = math.prod(int(side) for side in shape), len(file.read())
        if n_values * dtype.itemsize != n_bytes or (n_values and not n_bytes):
            raise ValueError(f"the array {name} of shape {shape} and {dtype} has {n_bytes} bytes")
        # A scalar is made by its type, of which some take numbers for sizes.
        is_scalar = shape == () and part["__class__"] == dtype.type.__name__
        if dtype.names is not None or not (part["__class__"] == "ndarray" or is_scalar):
            raise ValueError(f"the array {name} of {dtype} can't be of type {part['__class__']}")


def _check_keys(part: dict) -> None:
    """Check that the keys of a dict, which are texts in the file, come back as they were."""
    types = [type_["__class__"] for type_ in part["key_types"]["content"]]
    if len(types) != len(part["content"]):
        raise ValueError("it has a dict with keys of which the texts are equal")
    if {"bool", "bool_"}.intersection(types):
        raise ValueError("it has a dict with keys that are bools: take 0 and 1")


def _check_random_state(part: dict) -> None:
    """Check where a generator is in its numbers: numpy does not, and reads memory beyond them."""
    state = _content(_content(part["content"], "DictNode")["state"], "DictNode")
    position = json.loads(_content(state["pos"], "JsonNode"))
    if type(position) is not int or not 0 <= position <= _TWISTER_SIZE:
        raise ValueError(f"it has a random state at the position {position!r}")


def _content(part: dict, kind: str) -> Any:
    if part["__loader__"] != kind:
        raise ValueError("it has a random state of no numbers")
    return part["content"]
