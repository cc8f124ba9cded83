"""Small files whose content takes gigabytes, or claims to."""

import os
import re
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from factor import FACTOR
from PIL import Image, features

from sklearn_usps import ConvNetClassifier
from sklearn_usps.persistence._skops import _dump

#: Limit in bytes on the memory that reading a file takes, beyond that of Python and its imports.
LIMIT = 768 * 2**20
#: A picture just within PIL.Image.MAX_IMAGE_PIXELS.
SIDE = 9456

CHILD = """
import re, sys
from pathlib import Path
from PIL import Image
import sklearn_usps
from sklearn_usps import load_mosaic, load_model, prepare_image
path, call = sys.argv[1:]

def memory(name):
    # Not from getrusage, whose maximum includes the memory of the parent.
    status = Path("/proc/self/status").read_text()
    return int(re.search(name + r":\\s*(\\d+) kB", status)[1]) * 1024

before = memory("VmRSS")
try:
    result = eval(call)
    print("answer")
except (ValueError, OSError) as error:
    print(type(error).__name__, error)
print(memory("VmHWM") - before)
"""

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="reads the memory of a process from /proc"
)


def run(path, call):
    """Evaluate `call` in a process whose memory must not grow to the limit; return its output."""
    finished = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), call],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "MALLOC_ARENA_MAX": "1"},
    )
    assert finished.returncode == 0, finished.stderr
    *lines, growth = finished.stdout.splitlines()
    assert int(growth) < LIMIT
    return "\n".join(lines)


def png(width, height, depth, color, n_channels):
    """A PNG file of zeros, which decompresses to a thousand times its size."""

    def chunk(name, body):
        checksum = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    compressor = zlib.compressobj(1)
    row = bytes(1 + width * n_channels * depth // 8)
    body = b"".join(compressor.compress(row) for _ in range(height)) + compressor.flush()
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(name, part) for name, part in [(b"IHDR", header), (b"IDAT", body), (b"IEND", b"")]
    )


@pytest.mark.parametrize("claim", ["image_shape", "n_channels", "strides"])
def test_model_that_claims_a_huge_network(tmp_path, claim):
    X, y = np.random.default_rng(0).random((8, 256)), [0, 1] * 4
    params = {"n_channels": [16], "strides": [30_000]} if claim == "strides" else {}
    model = ConvNetClassifier(max_epochs=1, augmentation=None, network_params=params).fit(X, y)
    expected = "ValueError .*the weights are not those of the network"
    if claim == "n_channels":
        model._network = ("convnet", {"n_channels": [4000] * 9})
    else:
        side = 4096 if claim == "image_shape" else 30_000
        model.image_shape_, model.n_features_in_ = (side, side), side * side
    if claim == "strides":  # the shapes of the weights are right; fan-in scaling reads the inputs
        model.lr_scaling, expected = "fan-in", "answer"
    (tmp_path / "bomb.skops").write_bytes(_dump(model, {}))  # save_model would refuse it
    assert re.match(expected, run(tmp_path / "bomb.skops", "sklearn_usps.load_model(path)"))


#: Calls, and the bit depth, color type and number of channels of PNG files.
LARGE = [
    ("prepare_image(path)", 8, 6, 4),
    ("load_mosaic(path)", 8, 0, 1),
    ("load_mosaic(path)", 8, 6, 4),
    ("prepare_image(path)", 8, 0, 1),
    ("prepare_image(path)", 16, 0, 1),
    ("prepare_image(path)", 16, 2, 3),
]


@pytest.mark.parametrize(("call", "depth", "color", "n_channels"), LARGE[: 1 if FACTOR == 1 else 6])
def test_largest_pictures(tmp_path, call, depth, color, n_channels):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(SIDE, SIDE, depth, color, n_channels))
    assert path.stat().st_size < 2**22
    output = run(path, call)
    if call.startswith("load"):
        assert output == "answer" if n_channels == 1 else "mode" in output
    else:
        assert output.startswith("ValueError The picture shows no ink")


@pytest.mark.skipif(FACTOR == 1, reason="only in long runs")
def test_webp_may_have_half_as_many_pixels(tmp_path):
    if not features.check("webp"):
        pytest.skip("this Pillow reads no WEBP")
    path = tmp_path / "bomb.webp"
    Image.new("L", (SIDE, SIDE // 2 + 10)).save(path, method=0)
    assert "(half as many for WEBP)" in run(path, "prepare_image(path)")
    Image.new("L", (SIDE, SIDE // 2 - 10)).save(path, method=0)
    assert run(path, "prepare_image(path)").startswith("ValueError The picture shows no ink")


@pytest.mark.skipif(FACTOR == 1, reason="only in long runs")
@pytest.mark.parametrize("picture_format", ["TIFF", "GIF", "JPEG"])
def test_largest_pictures_of_other_formats(tmp_path, picture_format):
    path = tmp_path / "bomb"
    options = {"compression": "tiff_lzw"} if picture_format == "TIFF" else {}
    Image.new("L", (SIDE, SIDE)).save(path, picture_format, **options)
    assert run(path, "prepare_image(path)").startswith("ValueError The picture shows no ink")


def test_picture_that_claims_a_huge_size(tmp_path):
    side = 2**31 - 1
    path = tmp_path / "claim.png"
    content = bytearray(png(16, 16, 8, 0, 1))
    content[16:24] = struct.pack(">II", side, side)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    assert "has more pixels than" in run(path, "load_mosaic(path)")
