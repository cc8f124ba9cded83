"""Writing a file so that no reader ever sees half of it."""

import contextlib
import errno
import glob
import os
import time
import uuid
from pathlib import Path

#: Seconds after which no writer is at work any more: a day, since clocks of disks may differ.
DAY = 86_400


def write_atomically(path: str | os.PathLike, content: bytes) -> None:
    """Write `content` to `path`: afterwards the file is whole, or as it was before.

    The bytes go to a temporary file beside `path` that is then renamed over it; when
    anything fails, the temporary file is removed and the error goes on to the caller.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "A folder or device is no file to write", str(path))
    # A name of its own keeps two writers of one path out of each other's temporary file.
    temporary = path.with_name(f"{_beginning(path)}{uuid.uuid4().hex}.part")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # or else a power cut may leave the name without the bytes
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_leftovers(path: Path, min_age: float = 0) -> None:
    """Remove what writers of `path` left that were killed; without an age, the caller has a lock.

    A writer that is stopped for longer than the age gets an error and leaves the file as it was.
    """
    for leftover in path.parent.glob(f"{glob.escape(_beginning(path))}{'[0-9a-f]' * 32}.part"):
        with contextlib.suppress(OSError):
            if not min_age or time.time() - leftover.stat().st_mtime > min_age:
                leftover.unlink()


def _beginning(path: Path) -> str:
    """How the names of temporary files begin: short, since a name may have 255 bytes in all."""
    return f".{path.name[:50]}."
