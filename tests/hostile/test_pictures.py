"""Mutated and random pictures and fonts."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from outcomes import Refused, outcome
from PIL import Image, ImageDraw, ImageFont, features
from values import LAYOUTS, junk

from sklearn_usps import load_mosaic, make_letters, prepare_image, save_mosaic


def drawing(mode="L", size=(32, 32)):
    picture = Image.new("L", size, 255)
    ImageDraw.Draw(picture).ellipse((8, 6, size[0] - 9, size[1] - 7), outline=0, width=3)
    if mode.startswith("I;16"):
        return Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
    return picture.convert(mode)


def encoded(picture, picture_format, **options):
    file = io.BytesIO()
    picture.save(file, picture_format, **options)
    return file.getvalue()


def _pictures():
    frames = [drawing().rotate(30 * i) for i in range(3)]
    animated = {"save_all": True, "append_images": frames[1:]}
    files = [encoded(drawing(mode), "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")]
    files += [encoded(drawing(mode), "TIFF") for mode in ("L", "RGB", "I;16", "F", "CMYK")]
    files += [encoded(drawing(), "TIFF", compression=name) for name in ("tiff_lzw", "jpeg")]
    files += [encoded(drawing(), name) for name in ("BMP", "GIF", "JPEG", "PPM")]
    files += [encoded(frames[0], "PNG", **animated), encoded(frames[0], "GIF", **animated)]
    if features.check("webp"):
        files.append(encoded(drawing("RGBA"), "WEBP", lossless=True))
    return files


PICTURES = _pictures()


def _with_right_checksums(content):
    """Return a PNG file with correct checksums of its chunks."""
    parts, at = [content[:8]], 8
    while at + 12 <= len(content):
        size = struct.unpack(">I", content[at : at + 4])[0]
        body = content[at + 4 : at + 8 + size]
        parts.append(struct.pack(">I", size) + body + struct.pack(">I", zlib.crc32(body)))
        at += 12 + size
    return b"".join(parts)


@st.composite
def mutated(draw, contents):
    """Draw files with some bytes changed, removed, moved or added."""
    content = bytearray(draw(st.sampled_from(contents)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        kind = draw(st.sampled_from(["set", "cut", "drop", "insert", "move", "size"]))
        if kind == "set":
            content[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif kind == "cut":
            del content[at:]
        elif kind == "drop":
            del content[at : at + draw(st.integers(1, 64))]
        elif kind == "insert":
            content[at:at] = draw(st.binary(max_size=16))
        elif kind == "move":
            content[at : at + 16] = content[: len(content[at : at + 16])]
        else:
            number = draw(st.sampled_from([0, 1, 2**16, 2**24, 2**31 - 1, 2**32 - 1]))
            content[at : at + 4] = struct.pack(draw(st.sampled_from("<>")) + "I", number)
    content = bytes(content)
    if content.startswith(b"\x89PNG") and draw(st.booleans()):
        content = _with_right_checksums(content)
    return content


def check_tiles(tiles):
    if not isinstance(tiles, Refused):
        assert tiles.dtype == np.float32
        assert tiles.ndim == 3
        assert 0 <= tiles.min() <= tiles.max() <= 1


def check_prepared(image):
    if not isinstance(image, Refused):
        assert image.shape == (16, 16)
        assert 0 <= image.min() <= image.max() == 1


@given(content=st.one_of(mutated(PICTURES), st.sampled_from(PICTURES), st.binary()))
def test_any_bytes_as_mosaic(content):
    check_tiles(outcome(load_mosaic, io.BytesIO(content), tile_shape=(4, 4)))
    check_tiles(outcome(load_mosaic, io.BytesIO(content), n_tiles=3, order="C"))


@given(content=st.one_of(mutated(PICTURES), st.binary()))
def test_any_bytes_as_picture(content):
    check_prepared(outcome(prepare_image, io.BytesIO(content)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F", "HSV"])
def test_every_mode_gives_the_same_image(mode):
    picture = drawing("L").convert("RGB") if mode == "HSV" else drawing("L")
    other = drawing(mode) if mode == "I;16" else picture.convert(mode)
    if mode == "F":
        other = Image.fromarray(np.asarray(picture, dtype=np.float32) / 255)
    np.testing.assert_allclose(prepare_image(other), prepare_image(drawing()), atol=0.02)


@given(
    dtype=st.sampled_from(["u1", "f2", ">f4", "f8", "g", ">f8"]),
    layout=st.sampled_from(sorted(LAYOUTS)),
    n_channels=st.sampled_from([None, 1, 3]),
)
def test_dtype_and_layout_of_an_array_do_not_matter(dtype, layout, n_channels):
    pixels = np.asarray(drawing())
    values = pixels if dtype == "u1" else (pixels // 255).astype(dtype)
    array = LAYOUTS[layout](values)
    if n_channels:
        array = np.stack([array] * n_channels, axis=2)
    np.testing.assert_array_equal(prepare_image(array), prepare_image(pixels))


@example(image=np.ma.masked_array(np.ones((16, 16)), np.eye(16)))
@example(image=np.broadcast_to(np.float32(1), (10**7, 10**7)))
@example(image=np.broadcast_to(np.uint8(1), (10**6, 10**6, 4)))
@given(
    image=st.one_of(
        junk((16, 16), (16, 16, 3)),
        hnp.arrays(
            st.sampled_from(["f4", "f8", "f2", "g", "u1"]), st.sampled_from([(16, 16), (9, 40, 4)])
        ),
    )
)
def test_any_array_is_used_or_refused(image, tmp_path_factory):
    if isinstance(image, (str, bytes)):
        return
    check_prepared(outcome(prepare_image, image))
    path = tmp_path_factory.getbasetemp() / "junk.png"
    path.unlink(missing_ok=True)
    if isinstance(image, np.ndarray) and image.nbytes < 10**6 and image.size < 10**6:
        saved = outcome(save_mosaic, image, path)
        assert path.exists() != isinstance(saved, Refused)


# Fonts


def _font():
    font = ImageFont.load_default(size=16)
    return font.font_bytes if hasattr(font, "font_bytes") else Path(font.path.name).read_bytes()


@pytest.fixture(scope="module")
def font_path(tmp_path_factory):
    return tmp_path_factory.mktemp("fonts") / "font.ttf"


FONT = _font()


@given(content=st.one_of(mutated([FONT]), mutated(PICTURES), st.binary()))
def test_any_bytes_as_font(font_path, content):
    font_path.write_bytes(content)
    letters = outcome(make_letters, 4, classes="AB", fonts=[font_path], random_state=0)
    if not isinstance(letters, Refused):
        assert letters[0].shape == (4, 256)
        assert 0 <= letters[0].min() < letters[0].max() <= 1


@pytest.mark.parametrize(
    "font", [None, 3, b"font.ttf", ["a"], "a\0b", "", ".", "/dev/null", "x.ttf"]
)
def test_fonts_that_are_no_paths_of_fonts(font):
    assert isinstance(outcome(make_letters, 4, classes="AB", fonts=[font]), Refused)
