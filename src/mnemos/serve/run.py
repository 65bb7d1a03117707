"""The server process: startup, shutdown and signals.

The first SIGTERM or SIGINT makes /ready answer 503, waits `drain` seconds for load balancers to notice, closes the port,
lets running requests finish for `grace` seconds, and returns so that what is only in memory can be written. A second
signal exits immediately, which loses recall counts that were not written yet but nothing that was acknowledged. SIGHUP
reloads the certificate.
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
from dataclasses import replace
from types import FrameType
from typing import Any

from mnemos import __version__
from mnemos.distribution import install_command
from mnemos.errors import MnemosError
from mnemos.serve import logs
from mnemos.serve.config import ServeSettings
from mnemos.serve.http1 import uvicorn_options
from mnemos.serve.limits import ServerLimits
from mnemos.serve.logs import log
from mnemos.serve.tls import KeyPair

try:
    import uvicorn
except ImportError as error:
    raise MnemosError(f"the server needs the package uvicorn: {install_command('serve')}.") from error

M_ARENA_MAX = -8  # from glibc's malloc.h
MAX_FILES = 65_536  # that a server ever needs
OVERTIME = 5.0  # seconds after `grace` for work that cannot be cancelled, such as a busy thread; then the process exits


class Server(uvicorn.Server):
    """uvicorn's server with the startup and shutdown of this module."""

    def __init__(self, app: Any, serve: ServeSettings) -> None:
        self.pair = KeyPair(serve.tls_cert, serve.tls_key) if serve.tls_cert and serve.tls_key else None
        context = self.pair.context() if self.pair else None
        limits: ServerLimits = app.state.limits
        if files := use_all_descriptors():  # half of them for files of spaces and calls of the upstream
            limits = replace(limits, connections=min(limits.connections, files // 2))
        super().__init__(
            uvicorn.Config(
                app, host=serve.host, port=serve.port, log_config=None, lifespan="on",
                timeout_graceful_shutdown=serve.grace,
                ssl_context_factory=None if context is None else lambda config, default: context,
                **uvicorn_options(limits),
            )
        )  # fmt: skip
        self.app = app
        self.drain, self.grace = serve.drain, serve.grace
        self.stop_signal: int | None = None  # the first one received
        self.close_at: float | None = None  # when the port closes, once shutdown has begun
        self.reload_requested = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on the port and report readiness."""
        await super().startup(sockets)
        self._check_certificate()
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        address = f"{'https' if self.pair else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
        root = str(self.app.state.pool.memory.root)
        more = {"address": address, "root": root, "version": __version__, "pid": os.getpid()}
        log.info("serving", extra={"more": more})
        notify_systemd("READY=1")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note the first signal, from which `on_tick` starts the shutdown; exit at the second. Takes no lock."""
        if self.stop_signal is not None:
            os._exit(128 + sig)  # without flushing the log: this thread may hold its lock
        self.stop_signal = sig

    async def on_tick(self, counter: int) -> bool:
        """Return whether to stop serving; called ten times a second."""
        logs.flush()
        if self.stop_signal is not None and self.close_at is None:
            self._start_shutdown(signal.Signals(self.stop_signal).name)
        if self.close_at is not None and time.monotonic() >= self.close_at:
            self.should_exit = True
        if self.reload_requested:
            self.reload_requested = False
            self._reload_certificate()
        return await super().on_tick(counter)

    def _start_shutdown(self, name: str) -> None:
        self.app.state.stopping = True
        self.close_at = time.monotonic() + self.drain
        log.info("stopping: %s", name)
        notify_systemd("STOPPING=1")
        timer = threading.Timer(self.drain + self.grace + OVERTIME, _abort)
        timer.daemon = True
        timer.start()

    def _reload_certificate(self) -> None:
        """Reload the certificate; keep the old one if the new one cannot be used."""
        if self.pair is None or self.config.ssl is None:
            return
        try:
            self.pair.context()  # check both files first: loading a mismatched pair would replace only one of them
            self.pair.load(self.config.ssl)
        except MnemosError as error:
            log.error("the certificate was not reloaded: %s", error)
        else:
            log.info("the certificate was reloaded")
            self._check_certificate()

    def _check_certificate(self) -> None:
        if self.pair is not None and (warning := self.pair.warning()):
            log.warning("%s", warning)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `run`, which handles them until everything is closed."""
        yield


def run(server: Server, close: Callable[[], None]) -> None:
    """Serve until a signal, then call `close`. Signals are handled until it returns. Raises MnemosError at startup."""
    use_one_malloc_arena()
    handlers: dict[int, Any] = dict.fromkeys((signal.SIGINT, signal.SIGTERM), server.handle_exit)
    if hasattr(signal, "SIGHUP"):
        handlers[signal.SIGHUP] = lambda number, frame: setattr(server, "reload_requested", True)
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        try:
            server.run()
        except SystemExit as failed:  # uvicorn has logged why
            raise MnemosError("the server could not start. Its log says why.") from failed
        close()
        log.info("stopped")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def use_one_malloc_arena() -> None:
    """Make all threads allocate from one glibc arena: with an arena per thread, fragmented memory is never reused.

    Without it the resident memory of a server keeps growing, at a falling rate (benchmarks/serve/soak.py).
    """
    with suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).mallopt(ctypes.c_int(M_ARENA_MAX), ctypes.c_int(1))


def use_all_descriptors() -> int:
    """Raise the number of files and connections that this process may open to the limit of the system.

    Return it, or 0 if it is unknown.
    """
    try:
        import resource
    except ImportError:  # another system
        return 0
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if most == resource.RLIM_INFINITY else min(most, MAX_FILES)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), most))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def notify_systemd(state: str) -> None:
    """Report the state of the process to systemd if the unit has Type=notify; see sd_notify(3)."""
    if not (path := os.environ.get("NOTIFY_SOCKET")):
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.sendto(state.encode(), "\0" + path[1:] if path.startswith("@") else path)
    except OSError as error:
        log.warning("cannot notify systemd of %s (%s)", state, error.strerror)


def _abort() -> None:
    log.error("running requests did not finish in time: exiting without them")
    os._exit(1)
