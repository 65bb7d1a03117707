"""The process of the server: it tells when it is ready, and ends in order when it is told to.

The first SIGTERM or SIGINT makes /ready say 503, waits `drain` seconds for balancers to notice, closes the port, lets the
requests under way end for `grace` seconds, and returns: what is in RAM only is then written. A second one ends at once,
which loses the recalls that were not written yet and nothing that was answered. SIGHUP reads the certificate anew.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from mnemos import __version__
from mnemos.errors import MnemosError
from mnemos.serve import logs
from mnemos.serve.config import Serve
from mnemos.serve.http1 import Http
from mnemos.serve.logs import log
from mnemos.serve.tls import Pair

try:
    import uvicorn
except ImportError as gone:
    raise MnemosError("the server needs the package uvicorn: pip install 'mnemos[serve]'.") from gone

M_ARENA_MAX = -8  # of glibc's malloc.h
OVERTIME = 5.0  # seconds after `grace` for what cannot be cancelled, such as a thread at work; then the process ends


class Server(uvicorn.Server):
    """uvicorn's server with our end of it."""

    def __init__(self, app: Any, serve: Serve) -> None:
        self.pair = Pair(serve.tls_cert, serve.tls_key) if serve.tls_cert and serve.tls_key else None
        context = self.pair.context() if self.pair else None
        super().__init__(
            uvicorn.Config(
                app, host=serve.host, port=serve.port, log_config=None, access_log=False, server_header=False,
                proxy_headers=False, ws="none", lifespan="on", timeout_keep_alive=5, limit_concurrency=256,
                http=Http,
                timeout_graceful_shutdown=serve.grace,
                ssl_context_factory=None if context is None else lambda config, default: context,
            )
        )  # fmt: skip
        self.app = app
        self.drain, self.patience = serve.drain, serve.grace
        self.told: int | None = None  # the signal to end
        self.close_at: float | None = None
        self.renew = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and tell so."""
        await super().startup(sockets)
        self._check_certificate()
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        address = f"{'https' if self.pair else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
        root = str(self.app.state.pool.memory.root)
        more = {"address": address, "root": root, "version": __version__, "pid": os.getpid()}
        log.info("serving", extra={"more": more})
        tell_manager("READY=1")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the end; at the second signal, end. What takes a lock is left to `on_tick`."""
        if self.told is not None:
            os._exit(128 + sig)  # lines that wait may hold the lock that this thread has: they are not written
        self.told = sig

    async def on_tick(self, counter: int) -> bool:
        """Tell whether to end; called ten times a second."""
        logs.flush()
        if self.told is not None and self.close_at is None:
            self._begin_end(signal.Signals(self.told).name)
        if self.close_at is not None and time.monotonic() >= self.close_at:
            self.should_exit = True
        if self.renew:
            self.renew = False
            self._read_certificate()
        return await super().on_tick(counter)

    def _begin_end(self, name: str) -> None:
        self.app.state.stopping = True
        self.close_at = time.monotonic() + self.drain
        log.info("stopping: %s", name)
        tell_manager("STOPPING=1")
        last = threading.Timer(self.drain + self.patience + OVERTIME, _give_up)
        last.daemon = True
        last.start()

    def _read_certificate(self) -> None:
        """Read the certificate anew; the old one stays where the new one cannot be used."""
        if self.pair is None or self.config.ssl is None:
            return
        try:
            self.pair.context()  # a pair that does not fit would be half in use
            self.pair.load(self.config.ssl)
        except MnemosError as error:
            log.error("the certificate was not renewed: %s", error)
        else:
            log.info("the certificate was read anew")
            self._check_certificate()

    def _check_certificate(self) -> None:
        if self.pair is not None and (warning := self.pair.warning()):
            log.warning("%s", warning)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `run`, which has them until all is closed."""
        yield


def run(server: Server, close: Callable[[], None]) -> None:
    """Serve until a signal says to end, then close what the server used. The signals are ours until that is done.

    Raises MnemosError when it cannot listen.
    """
    share_arena()
    handlers: dict[int, Any] = dict.fromkeys((signal.SIGINT, signal.SIGTERM), server.handle_exit)
    if hasattr(signal, "SIGHUP"):
        handlers[signal.SIGHUP] = lambda number, frame: setattr(server, "renew", True)
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        try:
            server.run()
        except SystemExit as failed:  # uvicorn has logged why
            raise MnemosError("the server could not start: its log says why.") from failed
        close()
        log.info("stopped")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def share_arena() -> None:
    """Let all threads take memory from one place: glibc gives each its own, and what falls between them is never used again.

    Without it the resident memory of a server goes on growing, ever more slowly (benchmarks/serve/soak.py).
    """
    with suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).mallopt(ctypes.c_int(M_ARENA_MAX), ctypes.c_int(1))


def tell_manager(state: str) -> None:
    """Tell systemd, where it asks for that (Type=notify), how the process is; see sd_notify(3)."""
    if not (path := os.environ.get("NOTIFY_SOCKET")):
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as there:
            there.sendto(state.encode(), "\0" + path[1:] if path.startswith("@") else path)
    except OSError as error:
        log.warning("systemd could not be told %s (%s)", state, error.strerror)


def _give_up() -> None:
    log.error("requests under way did not end in time: the process ends without them")
    os._exit(1)
