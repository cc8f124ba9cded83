"""Writing a file so that no reader ever sees half of it."""

import os
import uuid
from pathlib import Path


def write_atomically(path: str | os.PathLike, content: bytes) -> None:
    """Write `content` to `path`: afterwards the file is whole, or as it was before.

    The bytes go to a temporary file beside `path` that is then renamed over it; when
    anything fails, the temporary file is removed and the error goes on to the caller.
    """
    path = Path(path)
    # A name of its own keeps two writers of one path out of each other's temporary file.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # or else a power cut may leave the name without the bytes
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_leftovers(path: Path) -> None:
    """Remove what writers of `path` left that were killed; the caller holds a lock on it."""
    for leftover in path.parent.glob(f".{path.name}.*.part"):
        leftover.unlink(missing_ok=True)
