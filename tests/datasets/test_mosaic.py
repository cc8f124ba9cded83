"""Mosaics of small images."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from sklearn_usps import load_mosaic, save_mosaic


@pytest.fixture
def images():
    """1,100 images of noise, every gray level among them."""
    return np.random.default_rng(0).integers(0, 256, (1100, 16, 16), dtype=np.uint8)


def picture_file(pixels, picture_format="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, picture_format, **options)
    return file


def numbered_tiles(n_rows, n_columns, height, width):
    """A picture in which tile (row, column) has the gray level 10 * row + column."""
    numbers = 10 * np.arange(n_rows)[:, None] + np.arange(n_columns)
    return np.kron(numbers, np.ones((height, width))).astype(np.uint8)


@pytest.mark.parametrize(
    ("order", "first_tiles"), [("F", [0, 10, 20, 1, 11, 21, 2]), ("C", [0, 1, 2, 3, 10, 11, 12])]
)
def test_order_of_the_tiles(order, first_tiles):
    file = picture_file(numbered_tiles(3, 4, height=5, width=2))
    tiles = load_mosaic(file, tile_shape=(5, 2), order=order)
    assert (tiles.shape, tiles.dtype) == ((12, 5, 2), np.float32)
    assert (tiles == tiles[:, :1, :1]).all()
    np.testing.assert_array_equal(np.rint(tiles[:7, 0, 0] * 255), first_tiles)


def test_tiles_keep_their_orientation():
    tile = np.arange(256, dtype=np.uint8).reshape(16, 16)
    (loaded,) = load_mosaic(picture_file(tile))
    np.testing.assert_array_equal(loaded, tile / np.float32(255))
    assert loaded.max() == 1


def test_n_tiles():
    file = picture_file(numbered_tiles(3, 4, 16, 16))
    np.testing.assert_array_equal(load_mosaic(file, n_tiles=5), load_mosaic(file)[:5])
    with pytest.raises(ValueError, match=r"n_tiles=13, but the picture has 12 tiles"):
        load_mosaic(file, n_tiles=13)


@pytest.mark.parametrize("as_path", [str, lambda path: path])
def test_paths_and_binary_files_are_read(tmp_path, as_path):
    path = tmp_path / "mosaic.png"
    path.write_bytes(picture_file(numbered_tiles(2, 2, 16, 16)).getvalue())
    with path.open("rb") as file:
        file.seek(40)
        np.testing.assert_array_equal(load_mosaic(file), load_mosaic(as_path(path)))
        assert not file.closed


def test_size_must_be_a_multiple_of_the_tile():
    with pytest.raises(ValueError, match=r"\(20, 32\) .* not multiples of tile_shape=\(16, 16\)"):
        load_mosaic(picture_file(np.zeros((20, 32), np.uint8)))


@pytest.mark.parametrize("mode", ["1", "LA", "P", "RGB", "RGBA", "I;16"])
def test_modes_other_than_gray_are_refused(mode):
    file = io.BytesIO()
    Image.new("L", (16, 16)).convert(mode).save(file, "PNG")
    with pytest.raises(ValueError, match=rf"Got mode '{mode}' instead: .*convert\('L'\)"):
        load_mosaic(file)


@pytest.mark.parametrize("tile_shape", [(16,), (0, 16), (16.0, 16), (-1, 1)])
def test_wrong_tile_shape(tile_shape):
    with pytest.raises(ValueError, match="tile_shape must be two positive integers"):
        load_mosaic(picture_file(np.zeros((16, 16), np.uint8)), tile_shape=tile_shape)


# Pillow itself only warns at more than the limit, and raises an error at more than twice as many.
@pytest.mark.parametrize("side", [15, 50])
def test_pictures_above_the_limit_of_pillow(tmp_path, monkeypatch, recwarn, side):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    path = tmp_path / "large.png"
    path.write_bytes(picture_file(np.zeros((side, side), np.uint8)).getvalue())
    with pytest.raises(ValueError, match=r"large.png has more pixels than PIL.Image.MAX_IMAGE_PIX"):
        load_mosaic(path)
    assert not recwarn


NOISE = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
HALF = picture_file(NOISE).getvalue()[:2000]
NO_PICTURE = r"is not a picture in a supported format \(PNG"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HALF, "is damaged or truncated"),
        (b"", NO_PICTURE),
        (b"no picture", NO_PICTURE),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", NO_PICTURE),
    ],
)
def test_files_that_are_no_pictures(tmp_path, content, message):
    path = tmp_path / "other.png"
    path.write_bytes(content)
    with pytest.raises(OSError, match=f"other.png {message}"):
        load_mosaic(path)


@pytest.mark.parametrize("order", ["F", "C"])
@pytest.mark.parametrize("ending", [".png", ".PNG", ".bmp", ".pgm", ".tif", ".tiff"])
def test_saving_and_loading_keep_every_gray_level(tmp_path, images, order, ending):
    path = tmp_path / f"mosaic{ending}"
    save_mosaic(images, path, order=order)
    tiles = load_mosaic(path, order=order)
    np.testing.assert_array_equal(np.rint(tiles[:1100] * 255), images)
    assert not tiles[1100:].any()


@pytest.mark.parametrize(
    ("n_images", "shape"), [(1, (1, 1)), (2, (2, 1)), (3, (3, 1)), (12, (4, 3)), (1100, (34, 33))]
)
def test_default_grid(tmp_path, images, n_images, shape):
    save_mosaic(images[:n_images], tmp_path / "mosaic.png")
    with Image.open(tmp_path / "mosaic.png") as picture:
        assert picture.size == (shape[1] * 16, shape[0] * 16)
        assert picture.mode == "L"
    assert len(load_mosaic(tmp_path / "mosaic.png")) == shape[0] * shape[1]


def test_grid_shape(tmp_path, images):
    path = tmp_path / "mosaic.png"
    save_mosaic(images[:5], path, grid_shape=(2, 4), order="C")
    with Image.open(path) as picture:
        pixels = np.asarray(picture)
    np.testing.assert_array_equal(pixels[16:, :16], images[4])
    assert not pixels[16:, 16:].any()
    with pytest.raises(ValueError, match=r"grid_shape=\(2, 4\) has 8 tiles, too few for 9 images"):
        save_mosaic(images[:9], path, grid_shape=(2, 4))


@pytest.mark.parametrize("grid_shape", [(10**5, 10**5), (1, 10**12), (10**30, 10**30)])
def test_grids_above_the_limit_of_pillow(tmp_path, images, grid_shape):
    with pytest.raises(ValueError, match=r"more pixels than PIL\.Image\.MAX_IMAGE_PIXELS"):
        save_mosaic(images, tmp_path / "mosaic.png", grid_shape=grid_shape)
    assert not list(tmp_path.iterdir())


def test_floats_are_rounded_to_the_nearest_level(tmp_path):
    images = (np.array([0, 0.4, 0.6, 1.4, 254.6, 255]) / 255).reshape(6, 1, 1)
    save_mosaic(images, tmp_path / "mosaic.png", grid_shape=(1, 6))
    with Image.open(tmp_path / "mosaic.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), [[0, 0, 1, 1, 255, 255]])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((1, 2, 2), np.nan), "from nan to nan"),
        (np.full((1, 2, 2), 1.01), r"in \[0, 1\]. Got values from 1.01 to 1.01"),
        (np.full((1, 2, 2), -0.1), "Got values from -0.1"),
        (np.zeros((1, 2, 2), dtype=np.int64), "Got dtype int64"),
        (np.zeros((1, 256)), r"Got the shape \(1, 256\) instead: .*reshape\(-1, height, width\)"),
        (np.zeros((0, 16, 16)), r"Got the shape \(0, 16, 16\)"),
    ],
)
def test_images_that_cannot_be_saved(tmp_path, images, message):
    path = tmp_path / "mosaic.png"
    with pytest.raises(ValueError, match=message):
        save_mosaic(images, path)
    assert not path.exists()


@pytest.mark.parametrize("name", ["mosaic.jpg", "mosaic.xyz", "mosaic"])
def test_extensions_of_other_formats(tmp_path, name):
    with pytest.raises(ValueError, match=rf"path='.*{name}' must have .* lossless format: .png"):
        save_mosaic(np.zeros((1, 16, 16)), tmp_path / name)


def test_threads_that_write_one_path_leave_a_complete_file(tmp_path):
    path = tmp_path / "mosaic.png"
    pictures = [np.full((4, 16, 16), level, np.uint8) for level in range(40)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda images: save_mosaic(images, path), pictures))
    levels = np.unique(load_mosaic(path) * 255)
    assert len(levels) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["mosaic.png"]
