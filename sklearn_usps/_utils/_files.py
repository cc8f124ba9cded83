"""Atomic writing of files."""

import contextlib
import errno
import glob
import os
import time
import uuid
from pathlib import Path

#: Age in seconds at which no writer uses a temporary file any more; clocks of disks may differ.
DAY = 86_400


def write_atomically(path: str | os.PathLike, content: bytes) -> None:
    """Write `content` to `path` completely or, if an error is raised, not at all."""
    path = Path(path)
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "Cannot write to a folder or device", str(path))
    # A unique name, so that two writers of one path do not share a temporary file.
    temporary = path.with_name(f"{_beginning(path)}{uuid.uuid4().hex}.part")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # without it, a power cut may leave an empty file
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_leftovers(path: Path, min_age: float = 0) -> None:
    """Remove temporary files of killed writers of `path` that are older than `min_age` seconds.

    With `min_age=0` the caller must hold a lock. A writer that is suspended for longer than that
    gets an error and leaves the file unchanged.
    """
    for leftover in path.parent.glob(f"{glob.escape(_beginning(path))}{'[0-9a-f]' * 32}.part"):
        with contextlib.suppress(OSError):
            if not min_age or time.time() - leftover.stat().st_mtime > min_age:
                leftover.unlink()


def _beginning(path: Path) -> str:
    """Return the start of the names of temporary files, short, since a name may have 255 bytes."""
    return f".{path.name[:50]}."
