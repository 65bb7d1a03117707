"""Commands that serve other programs: mcp."""

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
        bool, typer.Option("--all-spaces", help="Let the agent name other spaces too; else they are refused.")
    ] = False,
    http: Annotated[
        int | None,
        typer.Option(
            "--http", metavar="PORT", min=1, max=65535, help="Serve http://127.0.0.1:PORT/mcp instead of stdio."
        ),
    ] = None,
) -> None:
    """Serve the memory to an agent over MCP: on stdin and stdout, until the agent hangs up."""
    from mnemos.serve.mcp import make_server
    from mnemos.system import Mnemos

    s = t.settings
    name = s.space or "default"
    with Mnemos(s.root, embedder=s.embedder, reasoner=s.reasoner, actor="mcp") as memory:
        server = make_server(memory, name, all_spaces=all_spaces)
        memory.space(name)  # what is wrong with the file is told at once
        with _serving(memory):
            if http is not None:
                server.run("streamable-http", host="127.0.0.1", port=http)
                return
            if sys.stdin.isatty():
                t.note("an agent is expected on stdin, not a person: see `mnemos mcp --help`. Ctrl-C ends it.")
            server.run("stdio")


@contextmanager
def _serving(memory: Mnemos) -> Iterator[None]:
    """Send warnings to stderr, and end at a signal at once: a thread that waits for stdin would hold the process."""

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
