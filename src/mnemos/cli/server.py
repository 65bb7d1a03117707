"""Commands of the REST server: serve, keys."""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnemos.cli.options import EmbedderSpec, Json, ReasonerSpec, Root
from mnemos.cli.safe import styled
from mnemos.cli.terminal import Terminal, terminal
from mnemos.errors import InvalidInput, MnemosError

if TYPE_CHECKING:
    from mnemos.serve.keys import Key, KeyStore

keys = typer.Typer(help="The keys of the REST server.", no_args_is_help=True)


def serve(
    ctx: typer.Context,
    host: Annotated[str, typer.Option("--host", help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The port to listen at.")] = 8765,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="A name by which clients call the server, as a proxy passes it; may be repeated."),
    ] = None,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Listen at an address that other machines can reach.")
    ] = False,
    rate: Annotated[float, typer.Option("--rate", min=1, help="Requests a second that a key may make.")] = 500.0,
    upstream: Annotated[
        str | None,
        typer.Option(
            "--upstream",
            metavar="URL",
            help="Also be a proxy before this OpenAI-compatible API, such as "
            "http://127.0.0.1:11434/v1; its key is $MNEMOS_UPSTREAM_KEY.",
        ),
    ] = None,
    root: Root = None,
    embedder: EmbedderSpec = None,
    reasoner: ReasonerSpec = None,
) -> None:
    """Serve the memory over HTTP, until Ctrl-C. The first start prints a key, once."""
    with terminal(ctx, root, None, embedder, False, reasoner=reasoner) as t:
        local = _loopback(host)
        if not local and not allow_remote:
            raise InvalidInput(
                f"other machines can reach {host}. Add --allow-remote if you mean it, and put a proxy with TLS before it: "
                "keys and memories go over the wire as they are."
            )
        from mnemos.serve.app import add_proxy, create_app
        from mnemos.serve.keys import KeyStore
        from mnemos.serve.limits import Settings
        from mnemos.system import Mnemos

        try:
            import uvicorn
        except ImportError as gone:
            raise MnemosError("the server needs the package uvicorn: pip install 'mnemos[serve]'.") from gone

        s = t.settings
        with (
            Mnemos(s.root, embedder=s.embedder, reasoner=s.reasoner, actor="rest") as memory,
            closing(KeyStore.under(memory.root)) as store,
        ):
            if (token := store.first()) is not None:
                t.note("The first key, with all rights. It is shown this once:", "bold")
                print(token, flush=True)
            shown = f"[{host}]" if ":" in host else host
            t.note(f"Mnemos serves {memory.root} at http://{shown}:{port} (Ctrl-C ends it)")
            app = create_app(
                memory, store, Settings(hosts=(*_called(host), *(name or ())), rate=rate, burst=int(2 * rate))
            )
            if upstream is not None:
                add_proxy(app, memory, upstream, os.environ.get("MNEMOS_UPSTREAM_KEY"))
            with _serving():
                uvicorn.run(
                    app, host=host, port=port, log_level="warning", access_log=False, server_header=False,
                    proxy_headers=False, ws="none", lifespan="off", timeout_keep_alive=5,
                    timeout_graceful_shutdown=10, limit_concurrency=256,
                )  # fmt: skip


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _called(host: str) -> tuple[str, ...]:
    """Return the names that an address gives the server; "all addresses" is not one that anybody calls."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return (host,)
    return () if address.is_unspecified else (f"[{address}]" if address.version == 6 else str(address),)


@contextmanager
def _serving() -> Iterator[None]:
    """Send warnings to the log, and make SIGTERM an orderly end: what is in RAM only is written."""

    def stop(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _store(t: Terminal) -> Iterator[KeyStore]:
    from mnemos.serve.keys import KeyStore

    with closing(KeyStore.under(t.memory.root)) as store:
        yield store


def _shown(key: Key) -> dict[str, Any]:
    data = asdict(key)
    del data["seal"]
    return {k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in data.items()}


@keys.command("list")
def list_keys(ctx: typer.Context, root: Root = None, as_json: Json = False) -> None:
    """Show all keys: their ids, spaces, rights and times. The keys themselves are not kept."""
    with terminal(ctx, root, None, "none", as_json) as t, _store(t) as store:
        found = store.all()
        if t.json:
            t.say([_shown(key) for key in found])
            return
        if not found:
            t.note("there are no keys yet: `mnemos serve` makes the first one, `mnemos keys add` others")
        from rich.table import Table

        table = Table("id", "name", "spaces", "rights", "expires", "state", box=None)
        for key in found:
            state = "valid" if key.valid(store.clock()) else "revoked" if key.revoked else "expired"
            until = "never" if key.expires is None else key.expires.isoformat(" ", "minutes")
            row = (key.id, key.name, ", ".join(key.spaces), ", ".join(key.rights), until, state)
            table.add_row(*(styled(cell) for cell in row))
        if found:
            t.out.print(table)


@keys.command("add")
def add_key(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Whose key it is, for people.")],
    space: Annotated[
        list[str], typer.Option("--space", "-s", help="A space, or a pattern such as 'team-*'; may be repeated.")
    ],
    right: Annotated[list[str], typer.Option("--right", "-r", help="read, write, erase or admin; may be repeated.")],
    days: Annotated[float | None, typer.Option("--days", help="Expire after so many days.")] = None,
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Make a key and print it, for the only time."""
    with terminal(ctx, root, None, "none", as_json) as t, _store(t) as store:
        token, key = store.add(name, spaces=space, rights=right, days=days)
        if t.json:
            t.say({**_shown(key), "key": token})
        else:
            t.note(f"key {key.id}; it is shown this once:")
            print(token)


@keys.command("revoke")
def revoke_key(
    ctx: typer.Context,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The id that `mnemos keys list` shows.")],
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Make a key invalid, at once, for a server that runs too."""
    with terminal(ctx, root, None, "none", as_json) as t, _store(t) as store:
        key = store.revoke(key_id)
        if t.json:
            t.say(_shown(key))
        else:
            t.note(f"key {key.id} ({key.name}) is revoked", "green")
