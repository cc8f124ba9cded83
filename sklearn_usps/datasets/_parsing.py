"""Reading files whose content may be anything, in bounded memory."""

import contextlib
import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np

#: Bytes that a compressed file may become: the originals are 15 MB at most.
_MAX_SIZE = 2**26
_MAT_HEADER_SIZE = 128
_MAT_COMPRESSED = 15


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """Say of which file it was that something went wrong with."""
    try:
        yield
    except MemoryError:
        raise
    # What parsers raise on content that they were not made for is anything.
    except Exception as error:
        raise OSError(f"{name} is damaged or not the file that it should be: {error}") from error


def decompress_gzip(content: bytes) -> bytes:
    """Decompress a gzip file, but no bomb."""
    return _decompress(content, wbits=31)


def read_mat(content: bytes, **shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Read the variables with the names and shapes given from a MATLAB file of version 5."""
    from scipy.io import loadmat, whosmat

    elements = []
    left = _MAX_SIZE
    for is_compressed, element in _mat_elements(content):
        elements.append(_decompress(element[8:], max_size=left) if is_compressed else element)
        left -= len(elements[-1])
    plain = content[:_MAT_HEADER_SIZE] + b"".join(elements)
    if any(is_compressed for is_compressed, _ in _mat_elements(plain)):
        raise ValueError("it is compressed twice")  # which scipy would decompress without a limit
    found = {name: shape for name, shape, _ in whosmat(io.BytesIO(plain))}
    for name, shape in shapes.items():
        if found.get(name) != shape:
            raise ValueError(
                f"its variable {name!r} must have the shape {shape}, not that of "
                f"{found.get(name, 'none')}"
            )
    variables = loadmat(io.BytesIO(plain), variable_names=list(shapes))
    for name in shapes:
        if variables[name].dtype.kind not in "uf":
            raise ValueError(f"its variable {name!r} has no numbers")
    return [variables[name] for name in shapes]


def _mat_elements(content: bytes) -> Iterator[tuple[bool, bytes]]:
    """The elements of a MATLAB file, and whether each is compressed."""
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise ValueError("it is no MATLAB file of version 5")
    start = _MAT_HEADER_SIZE
    while start < len(content):
        kind, size = struct.unpack_from(order + "II", content, start)
        element = content[start : start + 8 + size]
        if len(element) < 8 + size:
            raise ValueError("it is truncated")
        yield kind == _MAT_COMPRESSED, element
        start += 8 + size


def _decompress(content: bytes, wbits: int = zlib.MAX_WBITS, max_size: int = _MAX_SIZE) -> bytes:
    decompressor = zlib.decompressobj(wbits)
    plain = decompressor.decompress(content, max_size + 1)
    if len(plain) > max_size:
        raise ValueError(f"it becomes more than {max_size} bytes when it is decompressed")
    if not decompressor.eof:
        raise ValueError("it is truncated")
    return plain
