"""Commands of the REST server: serve, keys."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mnemos.cli.command import command
from mnemos.cli.escape import styled
from mnemos.cli.options import CliSettings
from mnemos.cli.terminal import Terminal
from mnemos.config import read_file
from mnemos.credentials import secret
from mnemos.errors import InvalidInput

if TYPE_CHECKING:
    from mnemos.serve.config import ServeSettings
    from mnemos.serve.keys import KeyStore

keys = typer.Typer(help="The keys of the REST server.", no_args_is_help=True)


@command("config", "root", "embedder", "reasoner")
def serve(
    t: Terminal,
    host: Annotated[str | None, typer.Option("--host", help="The address to listen on. (default: 127.0.0.1)")] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="The port to listen on; 0 picks a free one. (default: 8765)"),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--name",
            help="A further host name that clients use, as a proxy passes it on; may be repeated.",
        ),
    ] = None,
    allow_remote: Annotated[
        bool | None,
        typer.Option("--allow-remote/--no-allow-remote", help="Listen on an address that other machines can reach."),
    ] = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option("--tls-cert", metavar="FILE", help="Serve TLS with this certificate (PEM, with its chain)."),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option("--tls-key", metavar="FILE", help="The private key of the certificate (PEM, not encrypted)."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", min=1, help="Requests per second that a key may make. (default: 500)")
    ] = None,
    max_body: Annotated[
        int | None,
        typer.Option("--max-body", min=1024, help="Bytes of a request body other than an import. (default: 8388608)"),
    ] = None,
    upstream: Annotated[
        str | None,
        typer.Option(
            "--upstream",
            metavar="URL",
            help="Also act as a proxy for this OpenAI-compatible API, such as "
            "http://127.0.0.1:11434/v1; its key is $MNEMOS_UPSTREAM_KEY.",
        ),
    ] = None,
    log_format: Annotated[
        Literal["text", "json"] | None,
        typer.Option("--log-format", help="Format of the log: text or json. (default: text)"),
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None,
        typer.Option(
            "--log-level",
            help="Lowest level that is logged: debug, info (a line per request), warning or error. (default: info)",
        ),
    ] = None,
    drain: Annotated[
        float | None,
        typer.Option(
            "--drain",
            min=0,
            max=600,
            help="Seconds between the stop signal and closing the port, for load balancers. (default: 0)",
        ),
    ] = None,
    grace: Annotated[
        int | None,
        typer.Option("--grace", min=0, max=600, help="Seconds that running requests have to finish. (default: 10)"),
    ] = None,
) -> None:
    """Serve the memory over HTTP until Ctrl-C. The first start prints a key once."""
    given = {
        "host": host, "port": port, "names": name or None, "allow_remote": allow_remote, "tls_cert": tls_cert,
        "tls_key": tls_key, "rate": rate, "max_body": max_body, "upstream": upstream, "log_format": log_format,
        "log_level": log_level, "drain": drain, "grace": grace,
    }  # fmt: skip
    from mnemos.serve.config import read
    from mnemos.serve.logs import logging_to_stderr

    settings, _ = read(given, read_file(t.given.config))
    _refuse_bare(settings)
    upstream_key = secret("MNEMOS_UPSTREAM_KEY")
    with logging_to_stderr(settings.log_format, settings.log_level):
        _serve(t.settings, settings, upstream_key)


def _refuse_bare(s: ServeSettings) -> None:
    """Raise InvalidInput if other machines can reach the address and `allow_remote` is not set."""
    if _loopback(s.host) or s.allow_remote:
        return
    tls = "" if s.tls_cert else (
        ", and use --tls-cert and --tls-key or a proxy with TLS in front: without TLS keys and memories are sent "
        "unencrypted"
    )  # fmt: skip
    raise InvalidInput(f"other machines can reach {s.host}. Add --allow-remote to permit that{tls}.")


def _serve(general: CliSettings, s: ServeSettings, upstream_key: str | None) -> None:
    from mnemos.serve.app import add_proxy, create_app
    from mnemos.serve.keys import KeyStore
    from mnemos.serve.limits import ServerLimits
    from mnemos.serve.logs import log
    from mnemos.serve.run import Server, run
    from mnemos.system import Mnemos

    with (
        Mnemos(general.root, embedder=general.embedder, reasoner=general.reasoner, actor="rest") as memory,
        closing(KeyStore.under(memory.root)) as store,
    ):
        limits = ServerLimits(hosts=(*_called(s.host), *s.names), body=s.max_body, rate=s.rate, burst=int(2 * s.rate))
        app = create_app(memory, store, limits)
        with closing(app.state.idempotency):
            if s.upstream is not None:
                add_proxy(app, memory, s.upstream, upstream_key)
            server = Server(app, s)
            if not _loopback(s.host) and s.tls_cert is None:
                log.warning(
                    "no TLS: keys and memories are sent unencrypted unless a proxy in front of the server adds TLS"
                )
            if (token := store.first()) is not None:
                log.warning("the first key, with all rights, is on standard output. It is shown only once")
                print(token, flush=True)
            run(server, memory.close)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _called(host: str) -> tuple[str, ...]:
    """Return the host names that an address implies; none for "all addresses"."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return (host,)
    return () if address.is_unspecified else (f"[{address}]" if address.version == 6 else str(address),)


@contextmanager
def _store(t: Terminal) -> Iterator[KeyStore]:
    from mnemos.serve.keys import KeyStore

    with closing(KeyStore.under(t.memory.root)) as store:
        yield store


@keys.command("list")
@command("root", "json")
def list_keys(
    t: Terminal,
) -> None:
    """Show all keys: their ids, spaces, rights and times. The keys themselves are not stored."""
    with _store(t) as store:
        found = store.all()
        if t.json:
            t.say([key.public() for key in found])
            return
        if not found:
            t.note("there are no keys yet: `mnemos serve` creates the first one, `mnemos keys add` others")
        from rich.table import Table

        table = Table("id", "name", "spaces", "rights", "expires", "state", box=None)
        for key in found:
            until = "never" if key.expires is None else key.expires.isoformat(" ", "minutes")
            row = (key.id, key.name, ", ".join(key.spaces), ", ".join(key.rights), until, key.state(store.clock()))
            table.add_row(*(styled(cell) for cell in row))
        if found:
            t.out.print(table)


@keys.command("add")
@command("root", "json")
def add_key(
    t: Terminal,
    name: Annotated[str, typer.Argument(help="A name for people, such as the owner's.")],
    space: Annotated[
        list[str], typer.Option("--space", "-s", help="A space, or a pattern such as 'team-*'; may be repeated.")
    ],
    right: Annotated[list[str], typer.Option("--right", "-r", help="read, write, erase or admin; may be repeated.")],
    days: Annotated[float | None, typer.Option("--days", help="Days until the key expires.")] = None,
) -> None:
    """Create a key and print it. It is shown only once."""
    with _store(t) as store:
        token, key = store.add(name, spaces=space, rights=right, days=days)
        if t.json:
            t.say({**key.public(), "key": token})
        else:
            t.note(f"key {key.id}; it is shown only once:")
            print(token)


@keys.command("revoke")
@command("root", "json")
def revoke_key(
    t: Terminal,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The id that `mnemos keys list` shows.")],
) -> None:
    """Revoke a key. Running servers reject it immediately."""
    with _store(t) as store:
        key = store.revoke(key_id)
        if t.json:
            t.say(key.public())
        else:
            t.note(f"key {key.id} ({key.name}) is revoked", "green")
