"""What is in a model file, checked before anything is made of it.

skops checks which types a file names, but not how much they become: a few thousand bytes may
describe gigabytes, by objects that are named many times or archives within the archive. Here a file
is refused that becomes far more than its size, as none does that :func:`save_model` writes.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from typing import Any

import numpy as np

#: The member of the archive that says which versions it was written with.
VERSIONS = "versions.json"
#: The protocol of the oldest skops that we take. Files may claim an older one, whose code is older.
_MIN_PROTOCOL = 2
#: What skops calls the kinds of objects that become no more than they are and, but for functions of
#: numpy's and scipy's, call nothing.
_KINDS = {
    *("DictNode", "DTypeNode", "FunctionNode", "JsonNode", "ListNode", "NdArrayNode", "ObjectNode"),
    *("RandomStateNode", "SetNode", "SliceNode", "TupleNode", "TypeNode"),
}
#: An array may be in several places. All places together may have this many times the bytes of the
#: file, and some more.
_MAX_RATIO, _SLACK = 2, 2**22
#: Numbers in the state of numpy's Mersenne Twister.
_TWISTER_SIZE = 624


def check_archive(content: bytes) -> tuple[dict[str, str], set[str]]:
    """Check the content of a model file.

    Returns
    -------
    versions : dict
        The versions of the libraries that it was written with.

    unusual : set of str
        The types of its objects that are of other kinds than estimators hold as a rule.

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
        if damaged := archive.testzip():
            raise ValueError(f"bad checksum of {damaged}")
        versions = dict(json.loads(archive.read(VERSIONS)))
        description = json.loads(archive.read("schema.json"))
        if description["protocol"] < _MIN_PROTOCOL:
            raise ValueError("it claims an old protocol")
        walk = _Walk(archive)
        if walk.size_of(description) > _MAX_RATIO * len(content) + _SLACK:
            raise ValueError("its arrays become far more than its size")
        return versions, walk.unusual


class _Walk:
    """A walk over the description of an object, which for skops is JSON."""

    def __init__(self, archive: zipfile.ZipFile):
        self.archive = archive
        #: The objects by their numbers, and how many bytes of arrays they have.
        self.objects: dict[int, dict] = {}
        self.sizes: dict[int, int] = {}
        self.files: set[str] = set()
        self.unusual: set[str] = set()

    def size_of(self, part: Any) -> int:
        """How many bytes of arrays a part has, those in several places as often."""
        if isinstance(part, list):
            return sum(map(self.size_of, part))
        if not isinstance(part, dict):
            return 0
        number = part.get("__id__")
        # Keys of a user's dict may have the names of ours. Their values are objects.
        if number is None or isinstance(number, dict):
            return self._size_of_new(part)
        if type(number) is not int or number <= 0:
            raise ValueError(f"it has the object number {number!r}")
        if number not in self.objects:
            self.objects[number] = part
            self.sizes[number] = self._size_of_new(part)
        elif self.objects[number] != part:
            # skops writes it in full again, but reads the number only: objects that contain each
            # other by short names would become many.
            raise ValueError(f"it has two objects of the number {number}")
        return self.sizes[number]

    def _size_of_new(self, part: dict) -> int:
        kind = part.get("__loader__")
        size = sum(map(self.size_of, part.values()))
        if isinstance(kind, str):
            if kind not in _KINDS:
                self.unusual.add(f"{part['__module__']}.{part['__class__']}")
            if kind == "RandomStateNode":
                _check_random_state(part)
            if kind == "NdArrayNode" and part["type"] == "numpy":
                size += self._check_array(part)
        return size

    def _check_array(self, part: dict) -> int:
        """The size of an array, after a check that it is as large as it claims, and alone."""
        if part["__class__"] == "void":  # would take an integer for the bytes to allocate
            raise ValueError("it has an array of no type")
        name = part["file"]
        if name in self.files:
            raise ValueError(f"two of its arrays are the member {name}")
        self.files.add(name)
        with self.archive.open(name) as file:
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[np.lib.format.read_magic(file)]
            shape, _, dtype = read_header(file)
            n_values, there = math.prod(int(side) for side in shape), len(file.read())
        if n_values * dtype.itemsize != there or (n_values and not there):
            raise ValueError(f"the array {name} of shape {shape} and {dtype} has {there} bytes")
        return there


def _check_random_state(part: dict) -> None:
    """Check where a generator is in its numbers: numpy does not, and reads memory beyond them."""
    state = part["content"]["content"]["state"]["content"]
    position = json.loads(state["pos"]["content"])
    if type(position) is not int or not 0 <= position <= _TWISTER_SIZE:
        raise ValueError(f"it has a random state at the position {position!r}")
