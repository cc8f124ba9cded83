"""A web server on the loopback interface that fails in the ways that tests ask for."""

import hashlib
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sklearn_usps.datasets import _fetch
from sklearn_usps.datasets._fetch import HttpMirror, RemoteFile

#: The content of the server's file.
CONTENT = b"".join(hashlib.sha256(bytes([i])).digest() for i in range(256))[:8191] * 13


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        behavior = self.path.split("/")[1]
        self.server.requests[behavior] += 1
        self.server.agents.add(self.headers["User-Agent"])
        getattr(self, "do_" + behavior)()

    def _send(self, content, length=None, status=200, **headers):
        self.send_response(status)
        self.send_header("Content-Length", len(content) if length is None else length)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def do_good(self):
        self._send(CONTENT)

    def do_slow(self, pause=0.02):
        self._send(b"", length=len(CONTENT))
        for start in range(0, len(CONTENT), 8191):
            self.wfile.write(CONTENT[start : start + 8191])
            time.sleep(pause)

    def do_slower(self):  # more than a second, after which the progress bar appears
        self.do_slow(pause=0.12)

    def do_stalled(self):
        self._send(CONTENT[:1000], length=len(CONTENT))
        self.server.closing.wait(30)

    def do_silent(self):
        self.server.closing.wait(30)

    def do_cut(self):
        self._send(CONTENT[:1000], length=len(CONTENT))
        self.close_connection = True

    def do_wrong(self):
        self._send(CONTENT[::-1])

    def do_endless(self):
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        while not self.server.closing.is_set():
            self.wfile.write(CONTENT)

    def do_labelled(self):  # as servers that label a .gz file as a compressed page
        self._send(CONTENT, Content_Encoding="gzip")

    def do_missing(self):
        self._send(b"not here", status=404)

    def do_broken(self):
        self._send(b"try later", status=503)

    def do_recovering(self):
        if self.server.requests["recovering"] < 3:
            self.do_broken()
        else:
            self.do_good()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def serve():
    """Make a context in which a server on the loopback interface uses a handler."""

    @contextmanager
    def serve(handler):
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # clients that disconnect are expected
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
        server.server_close()

    return serve


@pytest.fixture
def server(serve):
    """The server; `requests` counts the requests for each behavior."""
    with serve(_Handler) as server:
        server.requests, server.agents, server.closing = Counter(), set(), threading.Event()
        yield server
        server.closing.set()


@pytest.fixture
def remote(server, monkeypatch):
    """Make a RemoteFile whose mirrors have the behaviors given."""
    monkeypatch.setattr(_fetch, "TIMEOUT", (5, 0.5))

    def remote(*behaviors):
        address = f"http://127.0.0.1:{server.server_address[1]}"
        return RemoteFile(
            name="data.bin",
            sha256=hashlib.sha256(CONTENT).hexdigest(),
            size=len(CONTENT),
            mirrors=tuple(HttpMirror(f"{address}/{name}/data.bin") for name in behaviors),
        )

    return remote


@pytest.fixture
def content():
    """The content of the server's file."""
    return CONTENT
