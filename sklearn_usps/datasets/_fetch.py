"""Files from elsewhere, never used before their sha256 is right, and kept in a folder."""

import contextlib
import hashlib
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from .._utils._files import remove_leftovers, write_atomically
from ._mirrors import Mirror, MirrorError

#: Seconds to wait for another process that fetches the same file; after that, both do.
LOCK_TIMEOUT = 120.0
#: From a warning here up to the caller of the public function.
_STACKLEVEL = 7


@dataclass(frozen=True)
class RemoteFile:
    """A file that is known by its content, and the mirrors that have it, best first."""

    name: str
    sha256: str
    size: int
    mirrors: tuple[Mirror, ...]

    def is_content(self, content: bytes) -> bool:
        """Tell whether `content` is this file's."""
        return hashlib.sha256(content).hexdigest() == self.sha256


def fetch_file(
    remote: RemoteFile,
    folder: Path | None,
    *,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    progressbar: bool = True,
) -> bytes:
    """Return the verified content of `remote`, from `folder` or else from a mirror.

    Parameters
    ----------
    remote : RemoteFile
        The file.

    folder : Path or None
        Where verified files are kept; None where there is no such place.

    download_if_missing : bool, default=True
        If False, raise an OSError where `folder` does not have the file.

    n_retries : int, default=3
        How often mirrors that failed for a passing reason are tried again, all others having
        failed as well.

    delay : float, default=1.0
        Seconds before the first new try, doubled before each further one.

    progressbar : bool, default=True
        Whether a download of more than a second shows a bar on a terminal's stderr.

    Returns
    -------
    content : bytes
        The file's bytes; their sha256 is `remote.sha256`.

    Raises
    ------
    OSError
        If there is no whole copy in `folder` and none may or can be downloaded.
    """
    content = _read(remote, folder, strict=not download_if_missing)
    if content is not None and remote.is_content(content):
        return content
    if not download_if_missing:
        if content is None:
            raise OSError("Data not found and `download_if_missing` is False")
        raise OSError(
            f"{folder}/{remote.name} is damaged (its sha256 is not {remote.sha256}) and "
            "`download_if_missing` is False"
        )
    with contextlib.ExitStack() as stack:
        # Without a lock processes may download twice; each keeps a whole file all the same.
        with contextlib.suppress(OSError, NotImplementedError, Timeout):
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                lock = FileLock(folder / f".{remote.name}.lock", timeout=LOCK_TIMEOUT)
                stack.enter_context(lock)
                remove_leftovers(folder / remote.name)
        content = _read(remote, folder, strict=False)
        if content is not None:
            if remote.is_content(content):  # another process was first
                return content
            # Where there is content, there is a folder.
            _set_aside(folder / remote.name, content)  # type: ignore[operator]
        content = _download(remote, folder, n_retries, delay, progressbar)
        _set_fitted_attributes(remote, folder, content)
    return content


def _read(remote: RemoteFile, folder: Path | None, *, strict: bool) -> bytes | None:
    """Return what lies in the file's place; None for nothing and, unless strict, unreadable."""
    if folder is None:
        return None
    try:
        with (folder / remote.name).open("rb") as file:
            # One byte more than the file has is enough to see that another lies in its place.
            return file.read(remote.size + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:  # no permission, a folder in its place, a disk that is away
        if strict:
            raise
        return None


def _set_aside(path: Path, content: bytes) -> None:
    """Give a damaged file a name of its own, made from its content, and say so."""
    aside = path.with_name(f"{path.name}.damaged-{hashlib.sha256(content).hexdigest()[:8]}")
    try:
        path.replace(aside)
        where = f"It was set aside as {aside}"
    except OSError as error:
        where = f"It could not be set aside ({error})"
    warnings.warn(
        f"{path} is damaged: its sha256 is not the published one. {where}, and a new copy is "
        "fetched.",
        stacklevel=_STACKLEVEL,
    )


def _set_fitted_attributes(remote: RemoteFile, folder: Path | None, content: bytes) -> None:
    """Write `content` into `folder`, or warn that it cannot be kept."""
    reason: object = "the folder for data cannot be made"
    if folder is not None:
        path = folder / remote.name
        try:
            write_atomically(path, content)
            return
        except OSError as error:
            reason = error
    warnings.warn(
        f"{remote.name} was fetched, but could not be kept ({reason}). It will be fetched again "
        "the next time; pass a `data_home` that can be written to.",
        stacklevel=_STACKLEVEL,
    )


def _download(
    remote: RemoteFile, folder: Path | None, n_retries: int, delay: float, progressbar: bool
) -> bytes:
    """Ask the mirrors in turn; after each round wait, and ask again those that may recover."""
    reasons: dict[Mirror, str] = {}
    open_mirrors = list(remote.mirrors)
    for attempt in range(n_retries + 1):
        if attempt and open_mirrors:
            time.sleep(delay * 2 ** (attempt - 1))
        for mirror in list(open_mirrors):
            try:
                content = mirror.download(remote.size, progressbar=progressbar)
            except MirrorError as error:
                reasons[mirror] = str(error)
                if not error.temporary:
                    open_mirrors.remove(mirror)
                continue
            if remote.is_content(content):
                return content
            digest = hashlib.sha256(content).hexdigest()
            reasons[mirror] = f"sent other content ({len(content)} bytes, sha256 {digest[:16]}…)"
            open_mirrors.remove(mirror)
    tried = "\n".join(f"  - {mirror}: {reasons[mirror]}" for mirror in remote.mirrors)
    place = folder or "the subfolder 'usps' of a folder that you pass as `data_home`"
    raise OSError(
        f"{remote.name} could not be downloaded from any of its mirrors:\n{tried}\n"
        f"To do it by hand, put the file (sha256 {remote.sha256}) into\n  {place}\n"
        "and call again: it is verified and used."
    )
