"""The REST server. Needs `mnemos[serve]`; run it with `mnemos serve`."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from mnemos import __version__
from mnemos.errors import MnemosError
from mnemos.serve.limits import IdempotencyStore, Metrics, RateLimiter, ServerLimits
from mnemos.system import Mnemos

try:
    from fastapi import FastAPI
    from starlette.datastructures import Headers
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
except ImportError as gone:
    raise MnemosError("the server needs the packages fastapi and uvicorn: pip install 'mnemos[serve]'.") from gone

from mnemos.serve import key_routes, logs, models, page_models, page_routes, problems, routes, static
from mnemos.serve.dispatch import QUESTIONS, Direct, Dispatcher
from mnemos.serve.keys import Access, Forbidden, KeyStore, SpacePool
from mnemos.serve.problems import Problem

OPEN_PATHS = frozenset({"/health", "/ready", "/openapi.json"})  # and those of the page
LINGER = 7  # digits of the length of a body that is read to its end though it was refused
IMPORT = re.compile(r"/v1/spaces/[^/]+/import")
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
SENT = [(name.lower().encode(), value.encode()) for name, value in SAFE.items()]
SENT_PAGE = [(name.lower().encode(), value.encode()) for name, value in (SAFE | static.SAFE).items()]
OURS = {b"x-request-id", *(name for name, _ in SENT_PAGE)}  # what a route, or an upstream, says of these is left out
ONCE = ("host", "origin", "authorization", "content-length", "idempotency-key")


class Guard:
    """What every request passes before any route: its host, its origin, its key, its rate and its size.

    Requests of no route are counted too, and errors that no handler knows end here.
    """

    def __init__(self, app: ASGIApp, keys: KeyStore, limits: ServerLimits, metrics: Metrics) -> None:
        self.app = app
        self.keys = keys
        self.limits = limits
        self.metrics = metrics
        self.limiter = RateLimiter(limits.rate, limits.burst)

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
        # routed as it was sent, so that a name may hold a slash
        raw = scope.get("raw_path")
        scope["path"] = raw.decode("ascii", "replace") if raw else quote(scope["path"])
        limited = Limited(receive, self._most(scope), self.limits.seconds, _is_import(scope))

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                safe = SENT_PAGE if static.is_page(scope["path"]) else SENT
                headers = [pair for pair in message["headers"] if pair[0] not in OURS]
                message["headers"] = [*headers, *safe, (b"x-request-id", request.encode())]
                if not limited.done and _endless(Headers(scope=scope)):
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        try:
            if (problem := await self._served(scope, limited, answer)) is not None and not status:
                await problem(scope, receive, answer)  # else the answer is cut off, which the reader notices
        finally:
            done = (_method(scope), _route(scope), status, time.perf_counter() - start)
            self.metrics.count(*done)
            logs.note(*done, getattr(scope.get("state", {}).get("key"), "id", None))
            logs.REQUEST.reset(token)

    async def _served(self, scope: Scope, receive: Receive, send: Send) -> Response | None:
        """Serve a request; return the answer to one that failed."""
        try:
            self._admit(scope)
            await self.app(scope, receive, send)
        except HTTPException as error:
            return problems.of_http(error)
        except ClientDisconnect:
            pass
        except Exception as error:
            return problems.of_defect(error, _route(scope))
        return None

    def _admit(self, scope: Scope) -> None:
        headers = _headers(scope)
        self._check_source(headers)
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            raise HTTPException(400, "Content-Length is not a number.")
        if int(length) > self._most(scope):
            raise _too_large(self._most(scope))
        address = f"from {(scope.get('client') or ('',))[0]}"
        if is_open(scope["path"]):
            self._take(address)
            return
        scheme, _, token = headers.get("authorization", "").partition(" ")
        key = self.keys.find(token.strip()) if scheme.lower() == "bearer" else None
        self._take(address if key is None else key.id)
        if key is None:
            raise HTTPException(
                401, "a valid key is needed: Authorization: Bearer KEY.", {"WWW-Authenticate": 'Bearer realm="mnemos"'}
            )
        scope.setdefault("state", {})["key"] = key

    def _check_source(self, headers: Mapping[str, str]) -> None:
        """Refuse names that are not the server's (DNS rebinding), and what pages of other sites ask for."""
        host = headers.get("host", "")
        if _name(host) not in self.limits.names:
            raise HTTPException(421, "this server is not called so. Start it with --name to allow another name.")
        origin = headers.get("origin")
        site = headers.get("sec-fetch-site", "none")
        if site not in ("none", "same-origin") or (origin is not None and _netloc(origin) != host.lower()):
            raise HTTPException(403, "requests from pages of other sites are refused.")

    def _take(self, name: str) -> None:
        if wait := self.limiter.take(name):
            raise HTTPException(429, "too many requests. Wait as Retry-After says.", {"Retry-After": str(wait)})

    def _most(self, scope: Scope) -> int:
        return self.limits.import_body if _is_import(scope) else self.limits.body


class Limited:
    """What comes in, counted: a body may be longer than it says, or not say; and it may never come.

    A body has `seconds` to come, a streamed one that long for each part.
    """

    def __init__(self, receive: Receive, most: int, seconds: float, streamed: bool) -> None:
        self.receive = receive
        self.most = most
        self.seconds = seconds
        self.streamed = streamed
        self.until = asyncio.get_running_loop().time() + seconds
        self.size = 0
        self.done = False

    async def __call__(self) -> Message:
        """Receive the next part."""
        if self.done:  # what comes now is the end of the connection, whenever it comes
            return await self.receive()
        try:
            async with asyncio.timeout(self.seconds) if self.streamed else asyncio.timeout_at(self.until):
                message = await self.receive()
        except TimeoutError as error:
            raise HTTPException(408, "the body did not come in time.") from error
        self.size += len(message.get("body", b""))
        self.done = not message.get("more_body", False)
        if self.size > self.most:
            raise _too_large(self.most)
        return message


def _headers(scope: Scope) -> dict[str, str]:
    """Return the headers, the first of each name. Raises HTTPException where one of `ONCE` came twice."""
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name = raw.decode("latin-1").lower()
        if name in found and name in ONCE:
            raise HTTPException(400, f"the header {name} is given more than once.")
        found.setdefault(name, value.decode("latin-1"))
    return found


def is_open(path: str) -> bool:
    """Tell whether a path answers without a key: it tells nothing of any memory."""
    return path in OPEN_PATHS or static.is_page(path)


def _too_large(most: int) -> HTTPException:
    return HTTPException(413, f"the body is larger than {most:,} bytes. Send it in parts.")


def _is_import(scope: Scope) -> bool:
    return IMPORT.fullmatch(scope["path"]) is not None


def _endless(headers: Headers) -> bool:
    """Tell whether a body is too long to be waited for: else its sender gets to read the answer."""
    return "transfer-encoding" in headers or len(headers.get("content-length", "")) > LINGER


def _name(host: str) -> str:
    """Return the name in a Host header, in small letters, without the port."""
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
    return str(getattr(scope.get("route"), "path", "none"))


def _method(scope: Mapping[str, Any]) -> str:
    method = str(scope["method"])
    return method if method in ("GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS") else "other"


SPACE, CUBE = "/v1/spaces/{space}", "/v1/spaces/{space}/cubes/{id}"
# looked through in this order: what is asked often comes first
ROUTES: tuple[tuple[str, str, Callable[..., Any], Any], ...] = (
    ("POST", f"{SPACE}/search", routes.search, models.Hits),
    ("POST", f"{SPACE}/cubes", routes.add, models.Cubes),
    ("POST", f"{SPACE}/context", routes.context, None),
    ("GET", "/health", routes.health, None),
    ("GET", "/metrics", routes.metrics, None),
    ("GET", "/ready", page_routes.ready, None),
    ("GET", "/v1/key", key_routes.own_key, None),
    ("GET", "/v1/keys", key_routes.list_keys, None),
    ("POST", "/v1/keys", key_routes.add_key, None),
    ("DELETE", "/v1/keys/{id}", key_routes.revoke_key, None),
    ("GET", "/v1/spaces", routes.spaces, None),
    ("DELETE", SPACE, routes.remove_space, None),
    ("GET", f"{SPACE}/cubes", routes.list_cubes, models.Page),
    ("GET", CUBE, routes.get, models.Cube),
    ("PATCH", CUBE, routes.update, models.Cube),
    ("DELETE", CUBE, routes.delete, None),
    ("GET", f"{CUBE}/history", routes.history, models.Cubes),
    ("GET", f"{CUBE}/links", routes.links_of, None),
    ("POST", f"{CUBE}/rollback", routes.rollback, models.Cube),
    ("POST", f"{SPACE}/search_sessions", routes.search_sessions, None),
    ("GET", f"{SPACE}/facts", routes.facts, None),
    ("GET", f"{SPACE}/decisions", routes.decisions, None),
    ("GET", f"{SPACE}/links", routes.links, None),
    ("POST", f"{SPACE}/consolidate", routes.consolidate, None),
    ("POST", f"{SPACE}/forget", routes.forget, None),
    ("GET", f"{SPACE}/timeline", page_routes.timeline, page_models.TimelineShape),
    ("GET", f"{SPACE}/graph", page_routes.graph, page_models.GraphShape),
    ("GET", f"{CUBE}/curve", page_routes.curve, page_models.CurveShape),
    ("GET", f"{SPACE}/fading", page_routes.due_soon, page_models.FadingShape),
    ("GET", f"{SPACE}/forms", page_routes.forms, None),
    ("GET", f"{SPACE}/runs", page_routes.runs, None),
    ("POST", f"{CUBE}/pin", page_routes.pin, models.Cube),
    ("POST", f"{SPACE}/archive", page_routes.archive, None),
    ("POST", f"{SPACE}/apply-policy", page_routes.apply_policy, None),
    ("GET", f"{SPACE}/policy", page_routes.policy, page_models.PolicyShape),
    ("PUT", f"{SPACE}/policy", page_routes.set_policy, page_models.PolicyShape),
    ("GET", f"{SPACE}/stats", routes.stats, None),
    ("GET", f"{SPACE}/audit", routes.audit, None),
    ("GET", f"{SPACE}/export", routes.export, None),
    ("POST", f"{SPACE}/import", routes.import_, None),
)


def create_app(memory: Mnemos, keys: KeyStore, limits: ServerLimits | None = None) -> FastAPI:
    """Return the server of a memory as an ASGI app. The caller closes the memory and the keys."""
    limits, metrics = limits or ServerLimits(), Metrics()
    app = FastAPI(
        title="Mnemos", version=__version__, description="A memory for AI agents.",
        docs_url=None, redoc_url=None, redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # else a variable of the environment could turn it on
    )  # fmt: skip
    app.state.pool = SpacePool(memory)
    app.state.limits = limits
    app.state.metrics = metrics
    app.state.stopping = False  # set when the server is told to end: /ready then says 503
    app.state.keys = keys
    app.state.page = static.load()
    app.state.idempotency = IdempotencyStore(keys.path.with_name("answers.sqlite"), limits.kept)
    dispatcher = Dispatcher()
    error = {"model": models.ProblemShape, "description": "An error, as application/problem+json."}
    for method, path, route, model in ROUTES:
        status = 201 if route.__name__ in ("add", "add_key") else 200
        responses: dict[int | str, dict[str, Any]] = {"default": error} | ({status: {"model": model}} if model else {})
        secured: dict[str, Any] | None = None if path in OPEN_PATHS else {"security": [{"HTTPBearer": []}]}
        asks = route in QUESTIONS
        app.router.add_api_route(
            path, dispatcher.wrap(route) if asks else route, methods=[method], status_code=status, responses=responses,
            response_model=None, name=route.__name__.strip("_"), openapi_extra=secured,
            route_class_override=Direct if asks else None,
        )  # fmt: skip
    for path, route in (("/", static.home), (static.BASE, static.file), (static.BASE + "{name:path}", static.file)):
        app.add_api_route(path, route, methods=["GET", "HEAD"], include_in_schema=False, response_model=None)
    problems.install(app, str(memory.root))

    async def forbidden(request: Any, error: Any) -> Response:
        return Problem(403, str(error), "Forbidden")

    app.add_exception_handler(Forbidden, forbidden)
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        """Describe the key that the guard asks for, before any route is looked at."""
        described = describe()
        described.setdefault("components", {})["securitySchemes"] = {"HTTPBearer": {"type": "http", "scheme": "bearer"}}
        return described

    app.openapi = openapi  # type: ignore[method-assign]
    app.add_middleware(Guard, keys=keys, limits=limits, metrics=metrics)
    return app


def add_proxy(app: FastAPI, memory: Mnemos, upstream: str, upstream_key: str | None) -> None:
    """Add the routes of the OpenAI-compatible proxy: any valid key may chat, its scopes say what is recalled and kept.

    Raises InvalidInput for an upstream that is no address.
    """
    from mnemos.serve.proxy import make_proxy

    def open_space(request: Any, name: str, right: str) -> Any:
        return Access(request.app.state.pool, request.state.key, name).open(right, create=right == "write")

    app.include_router(make_proxy(memory, upstream, upstream_key=upstream_key, open_space=open_space))
