"""Paths of saved models and mosaics."""

import os
import time

import numpy as np
import pytest

from sklearn_usps import ConvNetClassifier, load_model, load_mosaic, save_model, save_mosaic

LEFT = f".model.skops.{'0' * 32}.part"
MODEL = ConvNetClassifier(lr=0.5)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, an empty one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("path", [".", "", "..", "/", "sub", "sub/", "./sub/.", "sub/.."])
def test_folder_is_refused(folder, path):
    (folder / "sub").mkdir()
    with pytest.raises(OSError, match="Cannot write to a folder or device: '"):
        save_model(MODEL, path)
    assert names_in(folder) == ["sub"]
    assert names_in(folder / "sub") == []


@pytest.mark.skipif(os.name != "posix", reason="devices of POSIX")
def test_device_is_refused(folder):
    os.mkfifo("pipe.png")
    with pytest.raises(OSError, match=r"Cannot write to a folder or device: 'pipe\.png'"):
        save_mosaic(np.zeros((1, 2, 2)), "pipe.png")
    assert names_in(folder) == ["pipe.png"]


@pytest.mark.parametrize("letter", ["a", "é", "字", "[", "*"])
def test_longest_names(folder, letter):
    n_letters = 249 // len(letter.encode())
    name = letter * n_letters
    for lr in (0.5, 0.25):
        save_model(ConvNetClassifier(lr=lr), f"{name}.skops")
        assert load_model(f"{name}.skops").lr == lr
    save_mosaic(np.ones((1, 2, 2)), f"{name}.png")
    assert load_mosaic(f"{name}.png", tile_shape=(2, 2)).all()
    with pytest.raises(OSError, match="name too long"):
        save_model(MODEL, f"{name * 2}.skops")
    assert names_in(folder) == sorted([f"{name}.png", f"{name}.skops"])


def test_files_of_a_killed_writer_are_removed_a_day_later(folder):
    for name in (LEFT, LEFT.replace("model", "other"), ".model.skops.mine.part"):
        (folder / name).write_bytes(b"half")
    others = names_in(folder)
    save_model(MODEL, "model.skops")  # another writer may still use them
    assert names_in(folder) == sorted([*others, "model.skops"])
    for name in others:
        os.utime(name, (time.time() - 90_000,) * 2)
    save_model(MODEL, "model.skops")
    assert names_in(folder) == sorted({*others, "model.skops"} - {LEFT})


def test_path_is_a_str_or_a_path(folder):
    for path in ("model.skops", folder / "model.skops"):
        save_model(MODEL, path)
        assert load_model(path).lr == 0.5
