"""MCP over HTTP: the checks of the REST server before every request, its keys and their rights."""

from __future__ import annotations

from typing import Any

from mnemos.distribution import install_command
from mnemos.errors import MnemosError
from mnemos.serve.caller import CALLER
from mnemos.serve.keys import KeyStore
from mnemos.serve.limits import ServerLimits
from mnemos.store.server import Rates

try:
    import uvicorn
    from starlette.types import ASGIApp, Receive, Scope, Send

    from mnemos.serve.http1 import uvicorn_options
    from mnemos.serve.metrics import Metrics
    from mnemos.serve.middleware import Guard
except ImportError as error:
    raise MnemosError(f"MCP over HTTP needs the server's packages: {install_command('mcp,serve')}.") from error


class WithKey:
    """ASGI app that makes the key of a request known to the tools; `Guard` has found it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            CALLER.set(scope["state"].get("key"))  # of this task, which serves one request
        await self.app(scope, receive, send)


def make_app(server: Any, keys: KeyStore, limits: ServerLimits | None = None, rates: Rates | None = None) -> ASGIApp:
    """Return an app that serves an MCP server made with `keyed=True` at /mcp.

    Hosts other than the loopback, pages of other sites and requests without a valid key are refused. Each call is
    served on its own (no sessions), so that it has the rights of the key that it was sent with.
    """
    app = WithKey(server.streamable_http_app(stateless_http=True))
    return Guard(app, keys, limits or ServerLimits(), Metrics(), rates)


def serve(server: Any, keys: KeyStore, port: int, rates: Rates | None = None) -> None:
    """Serve http://127.0.0.1:PORT/mcp until a signal."""
    limits = ServerLimits()
    uvicorn.Server(
        uvicorn.Config(
            make_app(server, keys, limits, rates), host="127.0.0.1", port=port, log_level="warning",
            timeout_graceful_shutdown=5, **uvicorn_options(limits),
        )
    ).run()  # fmt: skip
