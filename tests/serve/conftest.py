"""Servers that tests share: the app in this process, and `mnemos serve` in its own process."""

import os
import re
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest

RUN = "from mnemos.cli import main; main()"


def received(there):
    """Return what comes over a socket until the server hangs up."""
    answer = b""
    try:
        while got := there.recv(65_536):
            answer += got
    except ConnectionResetError:
        pass
    return answer


class Process:
    """`mnemos serve` on a free port, with its log read line by line; `key`, printed if none is given, has all rights."""

    def __init__(self, root, *options, code=RUN, key=None, **env):
        command = [sys.executable, "-c", code, "serve", "--root", str(root), "--port", "0", "--embedder", "none"]
        self.process = subprocess.Popen(
            [*command, *map(str, options)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
        )  # fmt: skip
        self.lines = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.url = re.search(r"https?://[^\s\"]+", self.line("serving")).group()
        self.port = int(self.url.rsplit(":", 1)[1])
        self.key = key or self.process.stdout.readline().strip()

    def _read(self):
        for line in self.process.stderr:
            with self._news:
                self.lines.append(line)
                self._news.notify_all()
        with self._news:
            self.lines.append("")
            self._news.notify_all()

    def line(self, part):
        """Wait for a line of the log that contains a text, and return it."""
        with self._news:
            there = self._news.wait_for(lambda: any(part in line for line in self.lines) or "" in self.lines, 60)
            assert there, self.log
            return next((line for line in self.lines if part in line), self.log)

    @property
    def log(self):
        return "".join(self.lines)

    def end(self, number=signal.SIGTERM):
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self):
        code = self.process.wait(60)
        self._reader.join(60)
        return code

    def close(self):
        self.process.kill()
        self.wait()
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def start(tmp_path):
    """Start servers on one root; those still running at the end of the test are killed."""
    running = []

    def begin(*options, **env):
        running.append(Process(tmp_path / "root", *options, **env))
        return running[-1]

    yield begin
    for process in running:
        process.close()


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """A server that the tests of a module share."""
    server = Process(tmp_path_factory.mktemp("standing") / "root")
    yield server
    server.close()


@pytest.fixture
def server(tmp_path):
    """The app over an empty root; see `tests.serve.apps`."""
    from tests.serve.apps import App

    with App(tmp_path / "root") as app:
        yield app


@pytest.fixture
def client(server):
    """A client with all rights."""
    return server.client()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server on a socket for the tests of the client. The time of its memory is 2024-03-01T12:00Z."""
    from mnemos.serve.limits import ServerLimits
    from tests.serve.apps import ListeningApp

    limits = ServerLimits(rate=10_000, burst=10_000, body=200_000)
    root, clock = tmp_path_factory.mktemp("served"), lambda: datetime(2024, 3, 1, 12, tzinfo=UTC)
    with ListeningApp(root, limits=limits, embedder="hashing", clock=clock) as served:
        yield served
