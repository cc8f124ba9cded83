"""Disks that are full or can't be written to, and caches with other content."""

import os
import tempfile
from pathlib import Path

import pytest

from sklearn_usps import ConvNetClassifier, save_model, save_mosaic

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits and users of POSIX")

#: No file may become larger than this many bytes.
FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
"""
#: Saves both files once elsewhere, so that all is imported, and then into the folder.
SAVE = """
import tempfile
import numpy as np
from sklearn_usps import ConvNetClassifier, save_model, save_mosaic
savers = {
    "model.skops": lambda path: save_model(ConvNetClassifier(), path),
    "mosaic.png": lambda path: save_mosaic(np.random.rand(100, 16, 16), path),
}
with tempfile.TemporaryDirectory() as folder:
    for name, save in savers.items():
        save(Path(folder, name))
"""
TRY = """
for name, save in savers.items():
    try:
        save(path / name)
    except OSError as error:
        print(type(error).__name__, error)
"""


def test_a_full_disk_is_an_error_and_the_old_files_stay(start, tmp_path):
    save_model(ConvNetClassifier(lr=0.5), tmp_path / "model.skops")
    save_mosaic([[[0.5]]], tmp_path / "mosaic.png")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    output, errors = start(SAVE + FULL + TRY, tmp_path).communicate(timeout=60)
    assert output == 2 * "OSError [Errno 27] File too large\n", errors
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_may_not_be_written_to_is_an_error(start):
    # Not in tmp_path, which is for root alone where the tests run as root.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        become_nobody = "os.geteuid() or os.seteuid(65534)\n"
        output, errors = start(SAVE + become_nobody + TRY, folder).communicate(timeout=60)
        assert output.count("PermissionError [Errno 13] Permission denied") == 2, errors
        assert not list(Path(folder).iterdir())
        Path(folder).chmod(0o755)


def test_a_file_in_the_place_of_the_cache_gives_the_data_with_a_warning(
    start, fetch_code, content, tmp_path
):
    path = tmp_path / "cache"
    path.write_bytes(b"a file, no folder")
    output, errors = start(fetch_code + "print(len(fetch()))", path).communicate(timeout=60)
    assert output == f"{len(content)}\n", errors
    assert "could not be kept" in errors
    assert path.read_bytes() == b"a file, no folder"


def test_two_versions_share_a_cache(start, fetch_code, content, server, tmp_path):
    """A file of the same name with other content is set aside each time, and never used."""
    other = b"the file of another version" * 1000
    path = tmp_path / "data.bin"
    path.write_bytes(other)
    for n_requests in (1, 2):
        output, errors = start(fetch_code + "print(len(fetch()))", tmp_path).communicate(timeout=60)
        assert output == f"{len(content)}\n", errors
        assert "set aside" in errors
        assert path.read_bytes() == content
        assert server.n_requests == n_requests
        (aside,) = tmp_path.glob("data.bin.damaged-*")
        assert aside.read_bytes() == other
        path.write_bytes(other)


@pytest.mark.parametrize("name", ["data.bin", ".data.bin.lock"])
def test_links_in_the_cache_lead_nowhere(start, fetch_code, content, tmp_path, name):
    outside, folder = tmp_path / "outside", tmp_path / "cache"
    outside.write_bytes(b"not to be touched")
    folder.mkdir()
    (folder / name).symlink_to(outside)
    output, errors = start(fetch_code + "print(len(fetch()))", folder).communicate(timeout=60)
    assert output == f"{len(content)}\n", errors
    assert outside.read_bytes() == b"not to be touched"
    assert (folder / "data.bin").read_bytes() == content
    assert not (folder / "data.bin").is_symlink()
