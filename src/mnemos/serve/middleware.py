"""Checks of every request before any route: host, origin, key, rate and size. It also counts and logs requests."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mnemos.errors import StoreError
from mnemos.serve import logs, problems, static
from mnemos.serve.bodies import LimitedBody, Seat, too_large
from mnemos.serve.callers import Callers
from mnemos.serve.chat_errors import is_chat
from mnemos.serve.keys import Key, KeyStore
from mnemos.serve.limits import Room, ServerLimits
from mnemos.serve.metrics import Metrics
from mnemos.store.server import Rates

CHECKS = frozenset({"/health", "/ready"})  # of the server, answered however much it has to do
OPEN_PATHS = CHECKS | {"/openapi.json"}  # need no key, like the page's files
MAX_DIGITS = 15  # of a Content-Length
DRAINED_DIGITS = 7  # a refused body is still read to its end if its Content-Length has at most this many digits
IN_SPACE = re.compile(
    r"/v1/spaces/([^/]+)(/import(?:/file)?\Z)?"
)  # the space, percent-encoded, and whether it is an import
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
API_HEADERS = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
PAGE_HEADERS = [
    (name.lower().encode(), value.encode()) for name, value in (SECURITY_HEADERS | static.SECURITY_HEADERS).items()
]
RESERVED_HEADERS = {b"x-request-id", *(name for name, _ in PAGE_HEADERS)}  # dropped if a route or an upstream sets them
SINGLE_HEADERS = ("host", "origin", "authorization", "content-length", "idempotency-key")  # at most one of each


class Guard:
    """ASGI middleware that checks host, origin, key, rate and size of every request before it reaches a route.

    It also counts and logs each request, matched by a route or not, and answers errors that no handler caught. Chats
    have a room of their own, since they mostly wait for the upstream.
    """

    def __init__(
        self, app: ASGIApp, keys: KeyStore, limits: ServerLimits, metrics: Metrics, rates: Rates | None = None
    ) -> None:
        self.app = app
        self.limits = limits
        self.metrics = metrics
        self.callers = Callers(keys, limits, rates)
        self.room, self.chats = (Room(limits.requests, limits.requests_of_space, limits.held) for _ in range(2))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        start, status = time.perf_counter(), 0
        request = logs.request_id(Headers(scope=scope).get("x-request-id"))
        token = logs.REQUEST.set(request)
        # route the path as it was sent, so that a name may contain a slash
        raw = scope.get("raw_path")
        scope["path"] = raw.decode("ascii", "replace") if raw else quote(scope["path"])
        path = scope["path"]
        limited = self._limited(receive, path)

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                ours = PAGE_HEADERS if static.is_page(path) else API_HEADERS
                headers = [pair for pair in message["headers"] if pair[0] not in RESERVED_HEADERS]
                message["headers"] = [*headers, *ours, (b"x-request-id", request.encode())]
                if not limited.done and _too_long_to_drain(Headers(scope=scope)):
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        try:
            if (problem := await self._serve(scope, limited, answer)) is not None and not status:
                await problem(scope, receive, answer)  # else the response is cut off, which the reader notices
        finally:
            limited.seat.free()
            done = (_method(scope), _route(scope), status, time.perf_counter() - start)
            self.metrics.count(*done)
            logs.log_request(*done, key.id if (key := _key(scope)) is not None else None)
            logs.REQUEST.reset(token)

    async def _serve(self, scope: Scope, receive: LimitedBody, send: Send) -> Response | None:
        """Serve a request; return a response to send if it failed, else None."""
        path = scope["path"]
        try:
            headers = await self._admit(scope, receive.max_size)
            if not is_open(path) and (receive.streamed or not _has_body(headers)):
                receive.seat.take()  # others take it when their body has arrived
            await self.app(scope, receive, send)
        except HTTPException as error:
            return problems.of_http(error, path)
        except ClientDisconnect:
            pass
        except StoreError as error:
            return problems.of_store(error, path)
        except Exception as error:
            return problems.of_defect(error, _route(scope), path)
        return None

    async def _admit(self, scope: Scope, max_size: int) -> Mapping[str, str]:
        """Return the headers of a request. Raises HTTPException for one that is refused, as for a body above `max_size`."""
        headers, path = _headers(scope), scope["path"]
        self._check_source(headers)
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            raise HTTPException(400, "Content-Length must be a number.")
        if len(length) > MAX_DIGITS or int(length) > max_size:
            raise too_large(max_size)
        address = (scope.get("client") or ("",))[0]
        if is_open(path):
            if path not in CHECKS:
                _refuse_for(await self.callers.count(f"pages from {address}"))
            return headers
        scheme, _, token = headers.get("authorization", "").partition(" ")
        key, wait = await self.callers.identify(token.strip() if scheme.lower() == "bearer" else None, address)
        _refuse_for(wait)
        if key is None:
            raise HTTPException(
                401,
                "a valid key is required. Send the header Authorization: Bearer KEY.",
                {"WWW-Authenticate": 'Bearer realm="mnemos"'},
            )
        scope.setdefault("state", {})["key"] = key
        return headers

    def _check_source(self, headers: Mapping[str, str]) -> None:
        """Refuse unknown host names (DNS rebinding) and requests from pages of other sites."""
        host = headers.get("host", "")
        if _host_name(host) not in self.limits.names:
            raise HTTPException(421, "unknown host name. Start the server with --name HOST to accept it.")
        origin = headers.get("origin")
        site = headers.get("sec-fetch-site", "none")
        if site not in ("none", "same-origin") or (origin is not None and _netloc(origin) != host.lower()):
            raise HTTPException(403, "requests from pages of other sites are not allowed.")

    def _limited(self, receive: Receive, path: str) -> LimitedBody:
        """Return what receives the body of a request to a path, within the limits of its route."""
        limits, chat, in_space = self.limits, is_chat(path), IN_SPACE.match(path)
        streamed = in_space is not None and in_space[2] is not None
        max_size = limits.import_body if streamed else limits.chat_body if chat else limits.body
        seat = Seat(self.chats if chat else self.room, in_space[1] if in_space else "")
        return LimitedBody(receive, max_size, limits.body_seconds, streamed, seat)


def _refuse_for(wait: int) -> None:
    """Raise HTTPException when a caller has to wait for some seconds."""
    if wait:
        raise HTTPException(
            429, f"too many requests. Try again in {wait} seconds (see Retry-After).", {"Retry-After": str(wait)}
        )


def _headers(scope: Scope) -> dict[str, str]:
    """Return the first header of each name. Raises HTTPException when one of `SINGLE_HEADERS` was sent twice."""
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name = raw.decode("latin-1").lower()
        if name in found and name in SINGLE_HEADERS:
            raise HTTPException(400, f"the header {name} was sent more than once. Send it once.")
        found.setdefault(name, value.decode("latin-1"))
    return found


def is_open(path: str) -> bool:
    """Tell whether a path is served without a key; its response reveals nothing about any memory."""
    return path in OPEN_PATHS or static.is_page(path)


def _key(scope: Scope) -> Key | None:
    key: Key | None = scope.get("state", {}).get("key")
    return key


def _has_body(headers: Mapping[str, str]) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip("0") != ""


def _too_long_to_drain(headers: Headers) -> bool:
    """Tell whether to close the connection instead of reading a refused body, whose sender then may miss the response."""
    return "transfer-encoding" in headers or len(headers.get("content-length", "")) > DRAINED_DIGITS


def _host_name(host: str) -> str:
    """Return the name in a Host header, lower case and without the port."""
    return re.sub(r":\d*$", "", host.strip().lower()).removesuffix(".")


def _netloc(origin: str) -> str:
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return ""
    return parts.netloc if parts.scheme in ("http", "https") else ""


def _route(scope: Mapping[str, Any]) -> str:
    if scope["path"] in OPEN_PATHS:
        return str(scope["path"])
    route = scope.get("route")
    return route.path if isinstance(route, Route) else "none"


def _method(scope: Mapping[str, Any]) -> str:
    method = str(scope["method"])
    return method if method in ("GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS") else "other"
