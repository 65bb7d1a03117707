"""The command of the MCP server: mcp."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
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
            "--http",
            metavar="PORT",
            min=1,
            max=65535,
            help="Serve http://127.0.0.1:PORT/mcp instead of stdio, for clients with a key; the first start prints one.",
        ),
    ] = None,
) -> None:
    """Serve the memory to an agent over MCP on stdin and stdout, until the agent disconnects."""
    from mnemos.serve.mcp import make_server
    from mnemos.system import Mnemos

    s = t.settings
    name = s.space or "default"
    with Mnemos(s.root, embedder=s.embedder, reasoner=s.reasoner, actor="mcp", timezone=s.timezone) as memory:
        server = make_server(memory, name, all_spaces=all_spaces, keyed=http is not None)
        memory.space(name)  # a damaged file is reported now
        with _serving(memory):
            if http is not None:
                _serve_http(t, server, memory, http)
                return
            if sys.stdin.isatty():
                t.note("standard input is for an agent: see `mnemos mcp --help`. Ctrl-C stops the server.")
            server.run("stdio")


def _serve_http(t: Terminal, server: Any, memory: Mnemos, port: int) -> None:
    from mnemos.serve import mcp_http
    from mnemos.serve.keys import KeyStore
    from mnemos.store.open import open_rates

    with closing(KeyStore.under(memory.root)) as keys:
        if (token := keys.first()) is not None:
            t.note("the first key, with all rights, is on standard output. It is shown only once")
            print(token, flush=True)
        with nullcontext() if (rates := open_rates(memory.root)) is None else closing(rates):
            mcp_http.serve(server, keys, port, rates)


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
