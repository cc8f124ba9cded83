"""The local server of the page: for this machine alone, and no other page can use it."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ._answer import Answers

STATIC = Path(__file__).parent / "static"
HOST = "127.0.0.1"
#: Largest file of a picture, in bytes.
_MAX_BYTES = 2**25
#: Number of answers at once: each holds the pixels of a picture.
_N_WORKERS = 2
#: Time in which a picture must arrive, so that a stalled one does not keep others waiting.
_SECONDS = 20
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def make_app(answers: Answers, about: dict[str, Any]) -> Starlette:
    """Return the application with the page, its description `about` and the answers.

    A name other than that of this machine as the host is refused, so that a name that leads here
    gives no page access (DNS rebinding), and so is a picture that another page posts.
    """
    turns = asyncio.Semaphore(_N_WORKERS)

    def endpoint(function: Callable[[bytes], dict[str, Any]]) -> Callable:
        async def respond(request: Request) -> Response:
            origin = request.headers.get("origin")
            if origin is not None and origin != f"http://{request.headers['host']}":
                return _refusal(403, "This server answers its own page alone.")
            async with turns:
                try:
                    async with asyncio.timeout(_SECONDS):
                        picture = await _read_body(request)
                except TimeoutError:
                    return _refusal(408, f"The file did not arrive within {_SECONDS} seconds.")
                except ClientDisconnect:  # the page was closed or reloaded
                    return Response(status_code=400)
                if picture is None:
                    return _refusal(413, f"The file is larger than {_MAX_BYTES // 2**20} MiB.")
                return JSONResponse(await run_in_threadpool(function, picture))

        return respond

    async def describe(request: Request) -> JSONResponse:
        return JSONResponse({**about, "backend": "python"})

    return Starlette(
        routes=[
            Route("/answer", endpoint(answers.answer), methods=["POST"]),
            Route("/views", endpoint(answers.views), methods=["POST"]),
            Route("/about.json", describe),
            Mount("/", StaticFiles(directory=STATIC, html=True)),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"]),
            Middleware(BaseHTTPMiddleware, dispatch=_add_headers),
        ],
    )


async def _add_headers(request: Request, call_next) -> Response:
    """Add headers by which a browser runs nothing but the files of the page."""
    response = await call_next(request)
    response.headers.update(_HEADERS)
    return response


async def _read_body(request: Request) -> bytes | None:
    """Return the body of a request, None if it is too large."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MAX_BYTES:
            return None
    return bytes(body)


def _refusal(status: int, words: str) -> JSONResponse:
    return JSONResponse({"refusal": words}, status_code=status)


def listen(port: int) -> socket.socket:
    """Return a socket on a port of this machine; 0 is any free one.

    Raises
    ------
    OSError
        If the port is in use or not allowed.
    """
    try:
        return socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        in_use = getattr(error, "errno", None) == errno.EADDRINUSE
        reason = "is in use by another program" if in_use else f"can't be used: {error}"
        raise OSError(f"port {port} {reason}. Choose another by --port, or 0 for any.") from None


def serve(app: Starlette, listening: socket.socket, *, opens_browser: bool) -> None:
    """Serve the page until Ctrl-C."""
    url = f"http://{HOST}:{listening.getsockname()[1]}/"
    print(f"The page: {url} (Ctrl-C ends)", flush=True)
    if opens_browser:
        # In a thread, since a browser in the terminal would wait; requests wait for the server.
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    config = uvicorn.Config(app, log_level="warning", lifespan="off")
    uvicorn.Server(config).run(sockets=[listening])
