"""Small files that claim or become gigabytes."""

import gzip
import os
import re
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest
import skops.io
from factor import FACTOR
from PIL import Image, features

from sklearn_usps import ConvNetClassifier

#: Bytes that a process may take that reads a file, with all that it imports.
LIMIT = 2**30
#: A picture just within PIL.Image.MAX_IMAGE_PIXELS.
SIDE = 9456

CHILD = """
import re, sys
from pathlib import Path
from PIL import Image
import sklearn_usps
from sklearn_usps import load_mosaic, prepare_image
from sklearn_usps.datasets._alphadigits import parse_alphadigits
from sklearn_usps.datasets._usps_files import parse_luacnn, parse_roweis, parse_zip
path, call = sys.argv[1:]
content = Path(path).read_bytes()
try:
    result = eval(call)
    print("answer")
except (ValueError, OSError) as error:
    print(type(error).__name__, error)
# Not of getrusage, which begins with the memory of the parent.
print(int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024)
"""

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the memory of a process as Linux tells it"
)


def run(path, call):
    """What a process of its own says of a file, which must not take more than the limit."""
    finished = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), call],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "MALLOC_ARENA_MAX": "1"},
    )
    assert finished.returncode == 0, finished.stderr
    *lines, memory = finished.stdout.splitlines()
    assert int(memory) < LIMIT
    return "\n".join(lines)


def png(width, height, depth, colour, n_channels):
    """A PNG file of zeros, a thousandth of what it becomes."""

    def chunk(name, body):
        checksum = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    compressor = zlib.compressobj(1)
    row = bytes(1 + width * n_channels * depth // 8)
    body = b"".join(compressor.compress(row) for _ in range(height)) + compressor.flush()
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(name, part) for name, part in [(b"IHDR", header), (b"IDAT", body), (b"IEND", b"")]
    )


@pytest.mark.parametrize("claim", ["image_shape", "n_channels", "planes"])
def test_a_model_that_claims_a_huge_network_takes_no_memory(tmp_path, claim):
    X, y = np.random.default_rng(0).random((8, 256)), [0, 1] * 4
    params = {"n_channels": [16], "strides": [30_000]} if claim == "planes" else {}
    model = ConvNetClassifier(max_epochs=1, augmentation=None, network_params=params).fit(X, y)
    expected = "ValueError .*the weights are not those of the network"
    if claim == "n_channels":
        model._network = ("convnet", {"n_channels": [4000] * 9})
    else:
        side = 4096 if claim == "image_shape" else 30_000
        model.image_shape_, model.n_features_in_ = (side, side), side * side
    if claim == "planes":  # they have the weights of small ones, and would be looked at
        model.lr_scaling, expected = "fan-in", "answer"
    skops.io.dump(model, tmp_path / "bomb.skops")
    with zipfile.ZipFile(tmp_path / "bomb.skops", "a") as archive:
        archive.writestr("versions.json", "{}")
    assert re.match(expected, run(tmp_path / "bomb.skops", "sklearn_usps.load_model(path)"))


#: What is read of them, depth, colour type and channels of the pixels of PNG files.
LARGE = [
    ("prepare_image(path)", 8, 6, 4),
    ("load_mosaic(path)", 8, 0, 1),
    ("load_mosaic(path)", 8, 6, 4),
    ("prepare_image(path)", 8, 0, 1),
    ("prepare_image(path)", 16, 0, 1),
    ("prepare_image(path)", 16, 2, 3),
]


@pytest.mark.parametrize(
    ("call", "depth", "colour", "n_channels"), LARGE[: 1 if FACTOR == 1 else 6]
)
def test_the_largest_pictures_take_bounded_memory(tmp_path, call, depth, colour, n_channels):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(SIDE, SIDE, depth, colour, n_channels))
    assert path.stat().st_size < 2**22
    said = run(path, call)
    if call.startswith("load"):
        assert said == "answer" if n_channels == 1 else "mode" in said
    else:
        assert said.startswith("ValueError The picture shows no ink")


@pytest.mark.skipif(FACTOR == 1, reason="in the long run only")
def test_a_webp_that_takes_more_memory_may_be_half_as_large(tmp_path):
    if not features.check("webp"):
        pytest.skip("this Pillow reads no WEBP")
    path = tmp_path / "bomb.webp"
    Image.new("L", (SIDE, SIDE // 2 + 10)).save(path, method=0)
    assert "of which a WEBP may have half" in run(path, "prepare_image(path)")
    Image.new("L", (SIDE, SIDE // 2 - 10)).save(path, method=0)
    assert run(path, "prepare_image(path)").startswith("ValueError The picture shows no ink")


@pytest.mark.skipif(FACTOR == 1, reason="in the long run only")
@pytest.mark.parametrize("picture_format", ["TIFF", "GIF", "JPEG"])
def test_large_pictures_of_other_formats_take_bounded_memory(tmp_path, picture_format):
    path = tmp_path / "bomb"
    options = {"compression": "tiff_lzw"} if picture_format == "TIFF" else {}
    Image.new("L", (SIDE, SIDE)).save(path, picture_format, **options)
    assert run(path, "prepare_image(path)").startswith("ValueError The picture shows no ink")


def test_claims_are_refused(tmp_path):
    side = 2**31 - 1
    path = tmp_path / "claim.png"
    content = bytearray(png(16, 16, 8, 0, 1))
    content[16:24] = struct.pack(">II", side, side)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    assert "has more pixels than" in run(path, "load_mosaic(path)")


def test_a_gzip_bomb_is_refused(tmp_path):
    path = tmp_path / "zip.train.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(17):
            file.write(bytes(2**26))
    assert path.stat().st_size < 2**23
    said = run(path, "parse_zip(content)")
    assert said.startswith("OSError zip.*.gz is damaged or not the file that it should be: it beco")


def mat_bomb(n_elements, times=1):
    """A MATLAB file of variables that are long strings of zeros, compressed several times."""
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    compressor = zlib.compressobj(1)
    body = compressor.compress(struct.pack("<II", 14, 2**30))
    body += b"".join(compressor.compress(bytes(2**20)) for _ in range(1024)) + compressor.flush()
    for _ in range(times - 1):
        body = zlib.compress(struct.pack("<II", 15, len(body)) + body)
    return header + (struct.pack("<II", 15, len(body)) + body) * n_elements


@pytest.mark.parametrize(
    ("n_elements", "times", "message"),
    [(2, 1, "it becomes more than"), (1, 2, "compressed twice"), (1, 3, "compressed twice")],
)
def test_a_matlab_bomb_is_refused(tmp_path, n_elements, times, message):
    path = tmp_path / "bomb.mat"
    path.write_bytes(mat_bomb(n_elements, times))
    assert message in run(path, "parse_roweis(content)")


def test_a_matlab_file_that_claims_much_is_refused(tmp_path):
    """A variable of 4 GB by its header, of which nothing is there."""
    body = struct.pack("<IIII", 6, 8, 9, 0) + struct.pack("<IIiiii", 5, 12, 256, 1100, 16384, 0)
    body += struct.pack("<II", 1, 4) + b"data" + bytes(4) + struct.pack("<II", 2, 2**32 - 1)
    content = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    content += struct.pack("<II", 14, len(body)) + body
    path = tmp_path / "claim.mat"
    path.write_bytes(content)
    assert "must have the shape (256, 1100, 10)" in run(path, "parse_roweis(content)")
