"""The command of the MCP server: mcp."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnemos.cli.command import command
from mnemos.cli.terminal import Terminal

if TYPE_CHECKING:
    from mnemos.system import Mnemos


@command("root", "space", "embedder")
def mcp(
    t: Terminal,
    all_spaces: Annotated[
        bool, typer.Option("--all-spaces", help="Allow the agent to use other spaces as well.")
    ] = False,
    http: Annotated[
        int | None,
        typer.Option(
            "--http", metavar="PORT", min=1, max=65535, help="Serve http://127.0.0.1:PORT/mcp instead of stdio."
        ),
    ] = None,
) -> None:
    """Serve the memory to an agent over MCP on stdin and stdout, until the agent disconnects."""
    from mnemos.serve.mcp import make_server
    from mnemos.system import Mnemos

    s = t.settings
    name = s.space or "default"
    with Mnemos(s.root, embedder=s.embedder, reasoner=s.reasoner, actor="mcp", timezone=s.timezone) as memory:
        server = make_server(memory, name, all_spaces=all_spaces)
        memory.space(name)  # a damaged file is reported now
        with _serving(memory):
            if http is not None:
                server.run("streamable-http", host="127.0.0.1", port=http)
                return
            if sys.stdin.isatty():
                t.note("standard input is for an agent: see `mnemos mcp --help`. Ctrl-C stops the server.")
            server.run("stdio")


@contextmanager
def _serving(memory: Mnemos) -> Iterator[None]:
    """Log warnings to stderr and exit immediately on a signal: a thread waiting for stdin keeps the process alive."""

    def stop(number: int, frame: Any) -> None:
        memory.close()
        os._exit(128 + number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        for number, handler in before.items():
            signal.signal(number, handler)
