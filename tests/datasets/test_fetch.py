"""Downloads from servers that fail, and cache folders that do."""

import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from factor import FACTOR

from sklearn_usps import __version__
from sklearn_usps.datasets import _fetch
from sklearn_usps.datasets._fetch import HttpMirror, RemoteFile, fetch_file

# The child prints "ready" after its imports, and then fetches into the folder.
CHILD = """
import os, sys
import filelock, requests, tqdm
from pathlib import Path
from sklearn_usps.datasets._fetch import HttpMirror, RemoteFile, fetch_file
url, sha256, size, folder, before = sys.argv[1:]
exec(before)
print("ready", flush=True)
content = fetch_file(RemoteFile("data.bin", sha256, int(size), (HttpMirror(url),)), Path(folder))
print(len(content))
"""


def start_child(remote, folder, before="", stderr=subprocess.PIPE):
    (mirror,) = remote.mirrors
    arguments = [mirror.url, remote.sha256, str(remote.size), str(folder), before]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def files_in(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


@pytest.mark.parametrize("behavior", ["good", "slow", "labelled"])
def test_download_is_verified_kept_and_not_repeated(remote, server, tmp_path, content, behavior):
    folder = tmp_path / "new" / "folder"
    assert fetch_file(remote(behavior), folder) == content
    assert (folder / "data.bin").read_bytes() == content
    assert files_in(folder) == ["data.bin"]
    assert fetch_file(remote(behavior), folder) == content
    assert server.requests == {behavior: 1}
    assert server.agents == {f"sklearn-usps/{__version__} (python-requests)"}


@pytest.mark.parametrize(
    ("behavior", "reason"),
    [
        ("cut", "IncompleteRead"),
        ("wrong", r"sent other content \(106483 bytes"),
        ("endless", "sent more than 106483 bytes"),
        ("stalled", "timed out"),
        ("silent", "timed out"),
        ("missing", "HTTP status 404"),
        ("broken", "HTTP status 503"),
    ],
)
def test_error_names_the_mirror_and_the_reason(remote, tmp_path, behavior, reason):
    file = remote(behavior)
    with pytest.raises(OSError, match=reason) as error:
        fetch_file(file, tmp_path, n_retries=0)
    message = str(error.value)
    assert message.startswith("data.bin could not be downloaded from any of its mirrors:")
    assert file.mirrors[0].url in message
    assert f"put the file (sha256 {file.sha256}) into\n  {tmp_path}\n" in message
    assert files_in(tmp_path) == []


def test_error_lists_every_mirror_in_order(tmp_path):
    mirrors = tuple(HttpMirror(f"http://host{i}.invalid/data.bin") for i in range(3))
    with pytest.raises(OSError, match="any of its mirrors") as error:
        fetch_file(RemoteFile("data.bin", "0" * 64, 1, mirrors), tmp_path, n_retries=0)
    for line, mirror in zip(str(error.value).splitlines()[1:4], mirrors, strict=True):
        assert line.startswith(f"  - {mirror.url}: ConnectionError")


def test_total_time_of_a_download_is_limited(remote, tmp_path, monkeypatch):
    monkeypatch.setattr(_fetch, "TOTAL_TIMEOUT", 0.5)
    with pytest.raises(OSError, match=r"did not end within 0\.5 s"):
        fetch_file(remote("slower"), tmp_path, n_retries=0)


def test_next_mirror_is_tried_without_delay(remote, server, tmp_path, content):
    # A delay of an hour would be noticed.
    assert fetch_file(remote("broken", "cut", "good"), tmp_path, delay=3600) == content
    assert server.requests == {"broken": 1, "cut": 1, "good": 1}


def test_only_temporary_failures_are_retried(remote, server, tmp_path, content):
    file = remote("missing", "wrong", "recovering")
    with pytest.raises(OSError, match="HTTP status 503"):
        fetch_file(file, tmp_path, n_retries=1, delay=0.01)
    assert server.requests == {"missing": 1, "wrong": 1, "recovering": 2}
    assert fetch_file(file, tmp_path, n_retries=0) == content


def test_download_if_missing_is_false(remote, server, tmp_path, content):
    with pytest.raises(OSError, match=r"^Data not found: .*data\.bin is missing, and `downl.* Set"):
        fetch_file(remote("good"), tmp_path, download_if_missing=False)
    (tmp_path / "data.bin").write_bytes(content[:-1])
    with pytest.raises(OSError, match=r"data\.bin is damaged .* `download_if_missing` is False"):
        fetch_file(remote("good"), tmp_path, download_if_missing=False)
    assert (tmp_path / "data.bin").read_bytes() == content[:-1]
    assert not server.requests


def test_file_placed_by_hand_is_used(remote, server, tmp_path, content):
    (tmp_path / "data.bin").write_bytes(content)
    assert fetch_file(remote("good"), tmp_path) == content
    assert not server.requests


def test_folder_in_the_place_of_the_file(remote, tmp_path, content):
    (tmp_path / "data.bin").mkdir()
    with pytest.warns(UserWarning, match="could not be kept"):
        assert fetch_file(remote("good"), tmp_path) == content
    with pytest.raises(OSError, match=r"data\.bin"):
        fetch_file(remote("good"), tmp_path, download_if_missing=False)


@pytest.mark.parametrize("damage", [lambda c: c[:-1], lambda c: c + b"x", lambda c: b"y" + c[1:]])
def test_damaged_file_is_named_set_aside_and_fetched_again(remote, tmp_path, content, damage):
    path = tmp_path / "data.bin"
    path.write_bytes(damage(content))
    with pytest.warns(UserWarning, match=r"data\.bin is damaged.*set aside as .*damaged-"):
        assert fetch_file(remote("good"), tmp_path) == content
    assert path.read_bytes() == content
    (aside,) = tmp_path.glob("data.bin.damaged-*")
    assert aside.read_bytes() == damage(content)


def test_folder_that_cannot_be_made(remote, tmp_path, content):
    (tmp_path / "file").write_bytes(b"not a folder")
    with pytest.warns(UserWarning, match="could not be kept") as warnings:
        assert fetch_file(remote("good"), tmp_path / "file" / "folder") == content
    assert len(warnings) == 1
    assert (tmp_path / "file").read_bytes() == b"not a folder"


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
@pytest.mark.filterwarnings("ignore:.*is damaged")
@pytest.mark.parametrize("name", ["data.bin", ".data.bin.lock"])
def test_links_in_the_folder_are_not_followed_for_writing(remote, tmp_path, content, name):
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.write_bytes(b"not to be touched")
    folder.mkdir()
    (folder / name).symlink_to(outside)
    assert fetch_file(remote("good"), folder) == content
    assert outside.read_bytes() == b"not to be touched"
    assert (folder / "data.bin").read_bytes() == content
    assert not (folder / "data.bin").is_symlink()


@pytest.mark.skipif(os.name != "posix", reason="permissions and limits of POSIX")
@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("os.chmod(folder, 0o555); os.geteuid() or os.seteuid(65534)", "Permission denied"),
        ("import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))", "too large"),
    ],
    ids=["read-only", "full"],
)
def test_folder_that_cannot_be_written_to(remote, content, before, reason):
    # Not tmp_path, which is private: if the tests run as root, the child becomes another user.
    with tempfile.TemporaryDirectory() as folder:
        child = start_child(remote("good"), folder, before)
        output, errors = child.communicate(timeout=60)
        assert output == f"ready\n{len(content)}\n", errors
        assert "UserWarning: data.bin was downloaded, but could not be kept" in errors
        assert reason in errors
        assert files_in(Path(folder)) == []


def test_eight_processes_make_one_download(remote, server, tmp_path, content):
    children = [start_child(remote("slow"), tmp_path) for _ in range(8)]
    for child in children:
        output, errors = child.communicate(timeout=120)
        assert output == f"ready\n{len(content)}\n", errors
    assert server.requests == {"slow": 1}
    assert files_in(tmp_path) == ["data.bin"]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_killed_process_leaves_a_complete_file_or_none(remote, tmp_path, content):
    for moment in range(10 * FACTOR):
        child = start_child(remote("slow"), tmp_path)
        child.stdout.readline()
        time.sleep(0.05 * (moment % 10 + moment / (10 * FACTOR)))  # a download takes about 0.3 s
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=60)
        path = tmp_path / "data.bin"
        assert not path.exists() or path.read_bytes() == content
        path.unlink(missing_ok=True)
    assert fetch_file(remote("good"), tmp_path) == content
    assert files_in(tmp_path) == ["data.bin"]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_process_killed_before_it_renames_the_temporary_file(remote, tmp_path, content):
    kill = "Path.replace = lambda *_: os.kill(os.getpid(), 9)"
    child = start_child(remote("good"), tmp_path, kill)
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    assert [name for name in files_in(tmp_path) if name.endswith(".part")]
    assert fetch_file(remote("good"), tmp_path) == content
    assert files_in(tmp_path) == ["data.bin"]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_interrupt_leaves_the_folder_clean(remote, tmp_path):
    child = start_child(remote("slow"), tmp_path)
    child.stdout.readline()
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert errors.strip().endswith("KeyboardInterrupt")
    assert files_in(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="terminals of POSIX")
@pytest.mark.parametrize(
    ("behavior", "before", "shows"),
    [
        ("slower", "", True),
        ("slower", "fetch_file.__kwdefaults__['progressbar'] = False", False),
        ("good", "", False),
    ],
    ids=["long", "switched off", "short"],
)
def test_progress_bar_on_a_terminal(remote, tmp_path, behavior, before, shows):
    import fcntl
    import termios

    terminal, child_side = os.openpty()
    fcntl.ioctl(child_side, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    child = start_child(remote(behavior), tmp_path, before, stderr=child_side)
    child.communicate(timeout=60)
    os.close(child_side)
    os.set_blocking(terminal, False)
    try:
        shown = os.read(terminal, 10000).decode()
    except OSError:  # nothing was written
        shown = ""
    os.close(terminal)
    assert ("data.bin" in shown) == shows, shown


def test_no_progress_bar_without_a_terminal(remote, tmp_path):
    _, errors = start_child(remote("slower"), tmp_path).communicate(timeout=60)
    assert errors == ""
