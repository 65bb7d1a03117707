"""A real `mnemos serve` in its own process, for the benchmarks of the server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from itertools import islice
from pathlib import Path
from typing import IO, Self

from mnemos import Mnemos
from mnemos.bench.text.synthetic import Corpus

PATIENCE = 60.0  # seconds that a server may take to start or stop


class Served:
    """A server of a root that can be killed and restarted on the same port; a context manager."""

    def __init__(self, root: Path, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        program = "from mnemos.cli import main; main()"
        self._command = [sys.executable, "-c", program, "serve", "--root", str(root), "--port", str(self.port),
                         "--rate", "100000", *options]  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None
        self.log: deque[bytes] = deque(maxlen=200_000)  # lines of its log, across restarts

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and wait until it listens; do nothing if it runs."""
        if self.process is not None:
            return
        environment = {**os.environ, "PYTHONFAULTHANDLER": "1"}
        self.process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
        )
        assert self.process.stderr is not None
        self._reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self._reader.start()
        until = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    self.kill()
                    raise SystemExit(f"the server did not start:\n{b''.join(self.log).decode()}") from None
                time.sleep(0.05)

    def _read(self, stream: IO[bytes]) -> None:
        self.log.extend(stream)
        stream.close()

    def kill(self) -> None:
        """Kill the server without warning (SIGKILL)."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Shut the server down (SIGTERM)."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE)
            self._reader.join(PATIENCE)
            self.process = None

    def rss_mb(self) -> float:
        """Return the resident memory of the server in MB (10^6 bytes)."""
        assert self.process is not None
        statm = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii")
        return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def fill(root: Path, cubes: int, embedder: str | None = None, batch: int = 2_000) -> None:
    """Fill the space "load" of a root with synthetic conversation."""
    with Mnemos(root, embedder=embedder) as memory:
        space, messages = memory.space("load"), Corpus(0).messages(cubes)
        while part := list(islice(messages, batch)):
            space.add_many(part, reconcile=False)
