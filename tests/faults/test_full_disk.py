"""Models and mosaics on disks that are full or cannot be written to."""

import os
import tempfile
from pathlib import Path

import pytest

from sklearn_usps import ConvNetClassifier, save_model, save_mosaic

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits and users of POSIX")

#: Limits the size of a file, as a full disk does.
FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
"""
#: Saves both files elsewhere, so that all modules are imported before the limit applies.
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


def test_full_disk_is_an_error_and_keeps_the_old_files(start, tmp_path):
    save_model(ConvNetClassifier(lr=0.5), tmp_path / "model.skops")
    save_mosaic([[[0.5]]], tmp_path / "mosaic.png")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    output, errors = start(SAVE + FULL + TRY, tmp_path).communicate(timeout=60)
    assert output == 2 * "OSError [Errno 27] File too large\n", errors
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_folder_that_cannot_be_written_to_is_an_error(start):
    # Not tmp_path, which is private: if the tests run as root, the child becomes another user.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        become_nobody = "os.geteuid() or os.seteuid(65534)\n"
        output, errors = start(SAVE + become_nobody + TRY, folder).communicate(timeout=60)
        assert output.count("PermissionError [Errno 13] Permission denied") == 2, errors
        assert not list(Path(folder).iterdir())
        Path(folder).chmod(0o755)
