"""The local page of a model, in a thread, and pictures as files."""

import io
import threading

import uvicorn

from sklearn_usps.draw._server import listen, make_app


class LocalServer:
    """The server of answers and of a description of their model; entering it gives its address."""

    def __init__(self, answers, about):
        self.listening = listen(0)
        config = uvicorn.Config(make_app(answers, about), log_level="warning", lifespan="off")
        self.server = uvicorn.Server(config)

    def __enter__(self):
        options = {"sockets": [self.listening]}
        self.thread = threading.Thread(target=self.server.run, kwargs=options, daemon=True)
        self.thread.start()
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}/"

    def __exit__(self, *error):
        self.server.should_exit = True
        self.thread.join()


def png(picture):
    """Return a Pillow image as a file."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
