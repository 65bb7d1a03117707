"""The command of the REST server: serve."""

from __future__ import annotations

import ipaddress
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mnemos.cli.command import command
from mnemos.cli.options import CliSettings
from mnemos.cli.terminal import Terminal
from mnemos.config import read_file
from mnemos.credentials import secret
from mnemos.errors import InvalidInput

if TYPE_CHECKING:
    from mnemos.serve.config import ServeSettings

Host = Annotated[str | None, typer.Option("--host", help="The address to listen on. (default: 127.0.0.1)")]
Port = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65535, help="The port to listen on; 0 picks a free one. (default: 8765)"),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        help="A further host name that clients use, as a proxy passes it on; may be repeated.",
    ),
]
AllowRemote = Annotated[
    bool | None,
    typer.Option("--allow-remote/--no-allow-remote", help="Listen on an address that other machines can reach."),
]
TlsCert = Annotated[
    Path | None,
    typer.Option("--tls-cert", metavar="FILE", help="Serve TLS with this certificate (PEM, with its chain)."),
]
TlsKey = Annotated[
    Path | None,
    typer.Option("--tls-key", metavar="FILE", help="The private key of the certificate (PEM, not encrypted)."),
]
Rate = Annotated[
    float | None, typer.Option("--rate", min=1, help="Requests per second that a key may make. (default: 500)")
]
MaxBody = Annotated[
    int | None,
    typer.Option(
        "--max-body", min=1024, help="Bytes of a request body other than an import or a chat. (default: 8388608)"
    ),
]
MaxChatBody = Annotated[
    int | None,
    typer.Option(
        "--max-chat-body",
        min=1024,
        help="Bytes of a chat that the proxy passes on, pictures included. (default: 67108864)",
    ),
]
MaxRequests = Annotated[
    int | None,
    typer.Option("--max-requests", min=4, max=10_000, help="Requests at work at once; others get 503. (default: 256)"),
]
MaxConnections = Annotated[
    int | None,
    typer.Option(
        "--max-connections",
        min=16,
        max=1_000_000,
        help="Open connections; idle ones are closed when more arrive. (default: 4096)",
    ),
]
HeadSeconds = Annotated[
    float | None,
    typer.Option(
        "--head-seconds",
        max=600,
        help="Seconds for which a connection may be idle, and for a head to arrive. (default: 10)",
    ),
]
BodySeconds = Annotated[
    float | None,
    typer.Option(
        "--body-seconds",
        max=3600,
        help="Seconds for a request body to arrive, or for each part of an import. (default: 30)",
    ),
]
Upstream = Annotated[
    str | None,
    typer.Option(
        "--upstream",
        metavar="URL",
        help="Also act as a proxy for this OpenAI-compatible API, such as "
        "http://127.0.0.1:11434/v1; its key is $MNEMOS_UPSTREAM_KEY.",
    ),
]
InPlace = Annotated[
    bool | None,
    typer.Option(
        "--in-place/--no-in-place",
        help="Keep memories before the message for which they were recalled, so that a model's prefix cache "
        "hits (by default for --model, not for --upstream).",
    ),
]
Answers = Annotated[
    bool | None,
    typer.Option(
        "--answers/--no-answers",
        help="With --upstream: answer an opening question that was answered before from a cache, "
        "until a memory that the answer was made of changes.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="PATH",
        help="Also answer chats by a model that runs here: a folder that transformers can load, or smollm2.",
    ),
]
ModelCache = Annotated[
    int | None,
    typer.Option(
        "--model-cache",
        min=1,
        help="MiB for the keys and values of the model, shared by all conversations. (default: 1024)",
    ),
]
ModelKeep = Annotated[
    int | None,
    typer.Option(
        "--model-keep",
        min=64,
        help="Tokens that a conversation keeps of them at most; further pages are evicted. Without it all are kept.",
    ),
]
LogFormat = Annotated[
    Literal["text", "json"] | None,
    typer.Option("--log-format", help="Format of the log: text or json. (default: text)"),
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"] | None,
    typer.Option(
        "--log-level",
        help="Lowest level that is logged: debug, info (a line per request), warning or error. (default: info)",
    ),
]
Drain = Annotated[
    float | None,
    typer.Option(
        "--drain",
        min=0,
        max=600,
        help="Seconds between the stop signal and closing the port, for load balancers. (default: 0)",
    ),
]
Grace = Annotated[
    int | None,
    typer.Option("--grace", min=0, max=600, help="Seconds that running requests have to finish. (default: 10)"),
]


@command("config", "root", "embedder", "reasoner")
def serve(
    t: Terminal,
    host: Host = None,
    port: Port = None,
    name: Names = None,
    allow_remote: AllowRemote = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    rate: Rate = None,
    max_body: MaxBody = None,
    max_chat_body: MaxChatBody = None,
    max_requests: MaxRequests = None,
    max_connections: MaxConnections = None,
    head_seconds: HeadSeconds = None,
    body_seconds: BodySeconds = None,
    upstream: Upstream = None,
    in_place: InPlace = None,
    answers: Answers = None,
    model: Model = None,
    model_cache: ModelCache = None,
    model_keep: ModelKeep = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
    drain: Drain = None,
    grace: Grace = None,
) -> None:
    """Serve the memory over HTTP until Ctrl-C. The first start prints a key once."""
    given = {
        "host": host, "port": port, "names": name or None, "allow_remote": allow_remote, "tls_cert": tls_cert,
        "tls_key": tls_key, "rate": rate, "max_body": max_body, "max_chat_body": max_chat_body,
        "max_requests": max_requests, "max_connections": max_connections, "head_seconds": head_seconds,
        "body_seconds": body_seconds, "upstream": upstream, "in_place": in_place,
        "answers": answers,
        "model": model, "model_cache": model_cache, "model_keep": model_keep,
        "log_format": log_format, "log_level": log_level, "drain": drain, "grace": grace,
    }  # fmt: skip
    from mnemos.serve.config import read
    from mnemos.serve.logs import logging_to_stderr

    settings, _ = read(given, read_file(t.given.config))
    _refuse_bare(settings)
    if settings.upstream is not None and settings.model is not None:
        raise InvalidInput("chats are answered by an upstream or by a model: set --upstream or --model, not both.")
    if settings.answers and settings.upstream is None:
        raise InvalidInput("cached answers stand in front of an upstream: set --upstream, or leave out --answers.")
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
    from mnemos.serve.app import add_model, add_proxy, create_app
    from mnemos.serve.keys import KeyStore
    from mnemos.serve.limits import ServerLimits
    from mnemos.serve.logs import log
    from mnemos.serve.run import Server, run, use_all_descriptors
    from mnemos.system import Mnemos

    zone = general.timezone or "UTC"  # the zone of a server says nothing about its users
    use_all_descriptors()
    with (
        Mnemos(
            general.root, embedder=general.embedder, reasoner=general.reasoner, actor="rest", timezone=zone
        ) as memory,
        closing(KeyStore.under(memory.root)) as store,
    ):
        limits = ServerLimits(
            hosts=(*_called(s.host), *s.names), body=s.max_body, chat_body=s.max_chat_body, rate=s.rate,
            burst=int(2 * s.rate), requests=s.max_requests, connections=s.max_connections,
            head_seconds=s.head_seconds, body_seconds=s.body_seconds,
        )  # fmt: skip
        app = create_app(memory, store, limits)
        with closing(app.state.idempotency), nullcontext() if app.state.rates is None else closing(app.state.rates):
            if s.upstream is not None:
                add_proxy(app, memory, s.upstream, upstream_key, in_place=bool(s.in_place), answers=s.answers)
            if s.model is not None:
                in_place = s.in_place is not False
                add_model(app, memory, s.model, in_place=in_place, cache_mib=s.model_cache, keep=s.model_keep)
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
