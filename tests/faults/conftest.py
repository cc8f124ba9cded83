"""Processes of their own that a test kills, interrupts or limits, and a server for them to ask."""

import hashlib
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

#: The file that the server has, of which a download takes about a tenth of a second.
CONTENT = b"".join(hashlib.sha256(bytes([i])).digest() for i in range(256)) * 16


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.n_requests += 1
        self.send_response(200)
        self.send_header("Content-Length", len(CONTENT))
        self.end_headers()
        for start in range(0, len(CONTENT), 8192):
            self.wfile.write(CONTENT[start : start + 8192])
            time.sleep(0.005)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """A server on the loopback interface; `n_requests` counts what was asked."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # clients that go away are what the tests are about
    server.n_requests = 0
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def content():
    """What the server's file has."""
    return CONTENT


@pytest.fixture
def fetch_code(server):
    """Code that fetches the server's file into the folder `path`."""
    url = f"http://127.0.0.1:{server.server_address[1]}/data.bin"
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    return f"""
from sklearn_usps.datasets._mirrors import HttpMirror
from sklearn_usps.datasets._fetch import RemoteFile, fetch_file
import filelock, requests, tqdm
remote = RemoteFile("data.bin", {sha256!r}, {len(CONTENT)}, (HttpMirror({url!r}),))
fetch = lambda: fetch_file(remote, path)
"""


@pytest.fixture
def start():
    """Start Python on some code, after `path`; what still runs in the end is killed."""
    children = []

    def start(code, path, **options):
        before = f"import os, sys\nfrom pathlib import Path\npath = Path({str(path)!r})\n"
        child = subprocess.Popen(
            [sys.executable, "-c", before + code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            **options,
        )
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()
