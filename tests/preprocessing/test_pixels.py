"""read_pixels: files, Pillow images and arrays in any layout, mode and range."""

import io

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import torch
from PIL import Image, ImageDraw

from sklearn_usps import prepare_image
from sklearn_usps.preprocessing._pixels import read_pixels

#: Black strokes on white, of which a mirrored or turned reading would differ.
DRAWING = Image.new("L", (60, 40), 255)
ImageDraw.Draw(DRAWING).line([(14, 8), (40, 8), (22, 31)], fill=0, width=4)
PIXELS = np.asarray(DRAWING)
EXPECTED = PIXELS[:, :, np.newaxis] / 255


def assert_shows_the_drawing(image, tolerance=1e-6):
    pixels = read_pixels(image)
    assert pixels.shape[:2] == (40, 60)
    np.testing.assert_allclose(pixels, np.broadcast_to(EXPECTED, pixels.shape), atol=tolerance)


# Layouts, ranges and types of arrays


def with_channels(n_channels, maximum=255):
    pixels = np.repeat(PIXELS[:, :, np.newaxis], n_channels, axis=2)
    if n_channels in (2, 4):
        pixels = pixels.copy()
        pixels[:, :, -1] = maximum
    return pixels


@pytest.mark.parametrize("n_channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["bool", "u1", "u2", "i8", "f2", "f4", ">f8"])
def test_channels_come_first_or_last(n_channels, dtype):
    pixels = with_channels(n_channels)
    if dtype != "u1":
        pixels = (pixels // 255).astype(dtype) * {"u2": 65535}.get(dtype, 1)
    before = pixels.copy()
    assert_shows_the_drawing(pixels)
    assert_shows_the_drawing(pixels.transpose(2, 0, 1))
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize(
    "image",
    [
        PIXELS.astype(np.int64),
        PIXELS.astype(np.uint16),
        PIXELS.astype(np.float32),
        PIXELS.astype(np.float64) / 255,
        (PIXELS > 0).astype(np.int32),
        PIXELS > 0,
        PIXELS.tolist(),
        tuple(map(tuple, PIXELS.tolist())),
        PIXELS.astype(object),
        np.asfortranarray(PIXELS),
        PIXELS[::-1][::-1],
        1.04 * (PIXELS / 255) - 0.02,  # sharp resampling exceeds the range
    ],
)
def test_ranges_and_array_likes(image):
    assert_shows_the_drawing(image, tolerance=0.021 if np.min(image) < 0 else 1e-6)


@pytest.mark.parametrize(("black", "white"), [(0, 4080), (300, 500), (30_000, 31_000)])
def test_only_differences_matter_in_16_bits(black, white):
    pixels = (black + (white - black) * (PIXELS // 255).astype(int)).astype(np.uint16)
    assert_shows_the_drawing(pixels)
    assert_shows_the_drawing(pixels.astype(np.int32))
    picture = Image.fromarray(pixels)
    assert picture.mode == "I;16"
    assert_shows_the_drawing(picture)
    picture.save(file := io.BytesIO(), "PNG")
    assert_shows_the_drawing(file)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float16, torch.bfloat16])
def test_tensors(dtype):
    tensor = torch.from_numpy(PIXELS.copy())
    tensor = tensor if dtype == torch.uint8 else (tensor / 255).to(dtype).requires_grad_()
    assert_shows_the_drawing(tensor)
    assert_shows_the_drawing(tensor.expand(3, -1, -1))
    assert_shows_the_drawing(torch.stack([tensor] * 3, dim=2))


def test_objects_with_the_array_protocol():
    class Picture:
        def __array__(self, dtype=None, copy=None):
            return PIXELS

    assert_shows_the_drawing(Picture())


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros(256), r"Got the shape \(256,\) instead. Pass image.reshape\(16, 16\)"),
        (np.zeros((1, 1, 40, 60)), r"Got the shape \(1, 1, 40, 60\) .* such as image\[0\]"),
        (np.zeros((10, 40, 60)), r"Got the shape \(10, 40, 60\) .* one picture at a time"),
        (np.zeros((0, 40)), "none of them 0"),
        (np.zeros((3, 40, 3)), r"at least 8 rows and columns .* \(3, 40\)"),  # channels last
        (PIXELS / 127.5 - 1, r"Got float64 from -1.0 to 1.0 instead: pass \(image - image.min"),
        (PIXELS * 4.0, "floats from 0 to 1 or from 0 to 255. Got float64 from 0.0 to 1020.0"),
        (np.full((40, 40), 1.5), "Got float64 from 1.5 to 1.5"),
        (PIXELS.astype(int) - 128, "integers from 0"),
        (np.where(PIXELS > 0, np.nan, 0), r"from nan to nan: .* np.nan_to_num\(image\)"),
        (PIXELS * 1j, "Got complex128"),
        (PIXELS.astype(str), "must have numbers"),
        ([[1, 2], [3]], "lists of equal lengths"),
    ],
)
def test_unsupported_arrays(image, message):
    with pytest.raises(ValueError, match=message):
        read_pixels(image)


@pytest.mark.parametrize("image", [None, 3.5, {1, 2}, b"bytes"])
def test_other_types(image):
    with pytest.raises((TypeError, ValueError), match=r"`?image`? must"):
        prepare_image(image)


@pytest.mark.parametrize(
    "image",
    [
        (PIXELS > 0).astype(np.uint8),
        np.where(PIXELS > 0, 11, 0),
        Image.fromarray(np.where(PIXELS > 0, 11, 0).astype(np.int32)),
        np.where(PIXELS > 0, 0.04, 0),
        np.where(PIXELS > 0, 11.0, 0),
        Image.fromarray(np.where(PIXELS > 0, 0.04, 0).astype(np.float32)),
    ],
)
def test_values_in_a_small_part_of_the_range(image):
    assert_shows_the_drawing(image)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ([DRAWING, DRAWING], "a list of 2 pictures: pass one"),
        ([PIXELS, PIXELS, PIXELS], "a list of 3 pictures: pass one"),
        (["2.png", "3.png"], "a list of 2 pictures: pass one"),
        (b"PNG", "io.BytesIO"),
        (None, "NoneType"),
        (scipy.sparse.csr_array(PIXELS), "csr_array"),
    ],
)
def test_what_is_no_picture_is_refused(image, message):
    with pytest.raises(TypeError, match=f"image must be a path.*{message}"):
        read_pixels(image)


def test_tables_of_pixels():
    assert_shows_the_drawing(pd.DataFrame(PIXELS))
    assert_shows_the_drawing(pl.DataFrame(PIXELS))


# Modes of Pillow and files of several frames


@pytest.mark.parametrize(
    "mode",
    ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"],
)
def test_modes_of_pillow(mode):
    steps = {"La": ["LA"], "RGBa": ["RGBA"], "LAB": ["RGB"], "HSV": ["RGB"]}.get(mode, [])
    picture = DRAWING
    for step in [*steps, mode]:
        picture = picture.convert(step)
    assert_shows_the_drawing(picture, tolerance=0.01)


@pytest.mark.parametrize("mode", ["I", "I;16", "I;16B", "I;16L", "F"])
def test_modes_of_more_than_8_bits(mode):
    if mode in ("I;16B", "I;16L"):
        content = (PIXELS * 16.0).astype(">u2" if mode == "I;16B" else "<u2").tobytes()
        picture = Image.frombytes(mode, DRAWING.size, content)
    else:
        dtype, white = {"I": (np.int32, 65535), "I;16": (np.uint16, 65535), "F": ("f4", 1)}[mode]
        picture = Image.fromarray((PIXELS / 255 * white).astype(dtype))
    assert picture.mode == mode
    assert_shows_the_drawing(picture)


@pytest.mark.parametrize("level", [0, 255])
def test_ink_on_a_transparent_picture(level):
    opacity = Image.fromarray(255 - PIXELS)
    picture = Image.merge("LA", [Image.new("L", opacity.size, level), opacity])
    expected = EXPECTED if level == 0 else 1 - EXPECTED
    for image in (picture, np.asarray(picture), np.asarray(picture.convert("RGBA"))):
        pixels = read_pixels(image)
        np.testing.assert_allclose(pixels, np.broadcast_to(expected, pixels.shape), atol=1e-6)


def test_transparent_color_of_a_palette():
    picture = Image.fromarray((PIXELS == 0).astype(np.uint8)).convert("P")
    picture.putpalette([0, 0, 0, 0, 0, 0])  # black on black, but for the transparency
    picture.save(file := io.BytesIO(), "PNG", transparency=0)
    assert_shows_the_drawing(file)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_noted_by_a_camera_is_applied(orientation):
    from rendering import _TURNS, ORIENTATION

    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    turned = DRAWING.transpose(_TURNS[orientation]) if orientation > 1 else DRAWING
    turned.save(file := io.BytesIO(), "PNG", exif=exif)
    assert_shows_the_drawing(file)


def frames_file(picture_format, frames):
    file = io.BytesIO()
    options = {"lossless": True} if picture_format == "WEBP" else {}
    frames[0].save(file, picture_format, save_all=True, append_images=frames[1:], **options)
    return file


WHITE = Image.new("L", DRAWING.size, 255)


@pytest.mark.parametrize("picture_format", ["GIF", "PNG", "TIFF", "WEBP"])
def test_first_frame_that_shows_something(picture_format, tmp_path):
    file = frames_file(picture_format, [WHITE, WHITE, DRAWING, DRAWING.rotate(180)])
    assert_shows_the_drawing(file, tolerance=0.01)
    path = tmp_path / "frames"
    path.write_bytes(file.getvalue())
    assert_shows_the_drawing(path, tolerance=0.01)
    with Image.open(file) as picture:
        assert_shows_the_drawing(picture, tolerance=0.01)
        assert picture.tell() == 0
    with Image.open(path) as picture:
        picture.seek(picture.n_frames - 1)  # a frame that somebody chose
        assert np.abs(read_pixels(picture) - EXPECTED).max() > 0.9
    assert_shows_the_drawing(frames_file(picture_format, [DRAWING, WHITE]), tolerance=0.01)


@pytest.mark.parametrize("picture_format", ["GIF", "PNG", "TIFF", "WEBP"])
def test_blank_frames_only(picture_format):
    with pytest.raises(ValueError, match="shows no ink"):
        prepare_image(frames_file(picture_format, [WHITE, Image.new("L", WHITE.size, 250)]))


def test_later_frame_that_is_too_large(monkeypatch):
    file = frames_file("TIFF", [WHITE, Image.new("L", (400, 400), 255)])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(ValueError, match="more pixels than"):
        read_pixels(file)
