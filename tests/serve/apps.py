"""Servers for tests: the app over a root in this process, called directly or over a socket."""

import contextlib
import socket
import threading
import time

from starlette.testclient import TestClient

from mnemos import Mnemos
from mnemos.cube import utc_now
from mnemos.serve.app import create_app
from mnemos.serve.keys import RIGHTS, KeyStore

URL = "http://127.0.0.1:8765"


class App(contextlib.AbstractContextManager):
    """A root, its keys, and the app that serves it, which can be stopped and started again."""

    def __init__(self, root, *, limits=None, embedder="none", clock=utc_now, key_clock=utc_now):
        self.root, self.limits, self.embedder, self.clock = root, limits, embedder, clock
        self.keys = KeyStore.under(root, key_clock)
        self.start()

    def start(self):
        self.memory = Mnemos(self.root, embedder=self.embedder, clock=self.clock)
        self.app = create_app(self.memory, self.keys, self.limits)

    def stop(self):
        self.memory.close()
        self.app.state.idempotency.close()

    def close(self):
        self.stop()
        self.keys.close()

    def __exit__(self, *error):
        self.close()

    def key(self, rights=RIGHTS, spaces=("*",), name="test", **more):
        """Create a key and return its token."""
        return self.keys.add(name, spaces=spaces, rights=rights, **more)[0]

    def client(self, rights=RIGHTS, spaces=("*",), token=None, **options):
        """Return a client with a token, or with a new key."""
        headers = {"Authorization": f"Bearer {token or self.key(rights, spaces)}"}
        return TestClient(self.app, URL, headers=headers, **options)


class ListeningApp(App):
    """The app on a port of the loopback, the same one after a restart."""

    port = 0

    def start(self):
        super().start()
        self.listen()

    def listen(self):
        import uvicorn

        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # so that asyncio sets NODELAY
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.server = uvicorn.Server(
            uvicorn.Config(self.app, log_level="warning", lifespan="off", ws="none", timeout_graceful_shutdown=1)
        )
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listener]})
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def hang_up(self):
        """Stop listening; the memory stays open."""
        self.server.should_exit = True
        self.thread.join(20)

    def stop(self):
        self.hang_up()
        super().stop()


def is_problem(response, status):
    """Tell whether a response is a problem document with this status."""
    data = response.json()
    return (
        response.status_code == status == data["status"]
        and response.headers["content-type"] == "application/problem+json"
        and {"type", "title", "detail"} <= data.keys()
    )
