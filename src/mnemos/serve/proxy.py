"""A proxy for any OpenAI-compatible API that adds memories to the prompt and stores the exchange.

An error of the memory never breaks a chat: it continues without, and the header X-Mnemos-Memory says so.
"""

from __future__ import annotations

import json
import logging
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from functools import partial
from typing import Any, Literal, TypeAlias

import anyio
import anyio.to_thread

from mnemos.distribution import install_command
from mnemos.errors import InvalidInput, MnemosError, NotFound
from mnemos.serve import chat_format, conversation
from mnemos.serve.chat_errors import error_of, failure
from mnemos.serve.conversation import Exchange, Field, Options
from mnemos.space import Space
from mnemos.system import Mnemos

try:
    import httpx
    from fastapi import APIRouter
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send
except ImportError as error:
    raise MnemosError(f"the proxy needs the packages fastapi and httpx: {install_command('serve')}.") from error

log = logging.getLogger("mnemos.serve")

Right = Literal["read", "write"]
OpenSpace: TypeAlias = Callable[[Request, str, Right], Space | AbstractContextManager[Space]]

MAX_STORED = 16 * 1024 * 1024  # bytes of a response; a longer one is passed on but not stored
PATIENCE = 2.0  # seconds that a prompt waits for the memory
COOLDOWN = 5.0  # seconds for which a space that timed out is not searched, so that not every chat waits for it
MAX_QUEUED = 64  # exchanges waiting to be stored; further ones are dropped
EVENTS = "text/event-stream"
ROUTES: Mapping[str, Field | None] = {"/chat/completions": "messages", "/responses": "input", "/models": None}


class Proxy:
    """The upstream, the memory, and the state that requests share."""

    def __init__(
        self, memory: Mnemos, upstream: str, key: str | None, open_space: OpenSpace | None, patience: float, seconds: float
    ) -> None:  # fmt: skip
        self.memory = memory
        self.base = _checked(upstream)
        self.key = key
        self.secret = conversation.secret_of(memory.root)
        self.patience = patience
        self.timeout = httpx.Timeout(seconds, connect=min(10.0, seconds))
        # ignore the environment: a proxy named there would read the chats
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=32)
        self.client = httpx.AsyncClient(timeout=self.timeout, limits=limits, trust_env=False)
        # separate threads, so that a space that hangs blocks nothing else
        self.recalls, self.writes = anyio.CapacityLimiter(16), anyio.CapacityLimiter(8)
        self.cooling: dict[str, float] = {}  # space -> time until which it is not searched
        self._open = open_space or self._permissive
        self._lock = threading.Lock()

    @asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[None]:
        """Close the connections when the server shuts down."""
        yield
        await self.client.aclose()

    def _permissive(self, request: Request, name: str, right: Right) -> Space:
        if right == "read" and name not in self.memory:
            raise NotFound(f"there is no space {name!r}.")
        with self._lock:
            return self.memory.space(name)

    def opened(self, request: Request, name: str, right: Right) -> AbstractContextManager[Space]:
        """Return a context manager of a space, checked by `open_space`."""
        given = self._open(request, name, right)
        return nullcontext(given) if isinstance(given, Space) else given

    def upstream_request(self, request: Request, path: str, body: bytes) -> httpx.Request:
        """Return the request to send to the upstream, with its address and key."""
        query = request.scope.get("query_string", b"")
        url = self.base.copy_with(raw_path=self.base.raw_path.rstrip(b"/") + path.encode() + (query and b"?" + query))
        # not built by the client, which would add the cookies of other callers
        return httpx.Request(
            request.method, url, headers=chat_format.headers_up(request.headers.raw, self.key), content=body,
            extensions={"timeout": self.timeout.as_dict()},
        )  # fmt: skip


def _checked(upstream: str) -> httpx.URL:
    try:
        url = httpx.URL(upstream)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment or url.userinfo:
        raise InvalidInput("the upstream must be http(s)://HOST/PATH, for example http://127.0.0.1:11434/v1.")
    return url


class Relay(Response):
    """One call: recall, stream the upstream's response, store. If the client disconnects, cancel the upstream's call."""

    def __init__(
        self, proxy: Proxy, request: Request, path: str, options: Options, body: bytes = b"", field: Field | None = None
    ) -> None:
        super().__init__()
        self.proxy, self.request, self.path, self.options = proxy, request, path, options
        self.sent, self.field = body, field
        self.at = proxy.memory.clock()
        self.kind: str | None = None  # the media type of a successful response, once its headers have arrived
        self.parts: list[bytes] = []  # of the response
        self.size = 0
        self.complete = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        async with anyio.create_task_group() as group:

            async def cancel_on_disconnect() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                group.cancel_scope.cancel()

            group.start_soon(cancel_on_disconnect)
            if (failed := await self._call(send)) is not None:
                await failed(scope, receive, send)
            group.cancel_scope.cancel()
        if self.kind is not None and self.field is not None and self.options.mode == "read-write":
            await self._remember(self.field, self.kind)

    async def _call(self, send: Send) -> Response | None:
        """Call the upstream and stream its response; return an error response if there is none."""
        extra: dict[str, str] = {}
        try:
            body = self.sent
            if self.field is not None:
                body, extra["X-Mnemos-Memory"] = await self._recall(self.field)
            request = self.proxy.upstream_request(self.request, self.path, body)
            response = await self.proxy.client.send(request, stream=True)
        except HTTPException as refused:
            return failure(refused.status_code, refused.detail, "invalid_request_error", "memory_refused", extra)
        except httpx.TimeoutException:
            return failure(504, "the upstream did not respond in time.", "upstream_error", "upstream_timeout", extra)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            _log(error, "the upstream cannot be reached")
            return failure(502, "the upstream cannot be reached.", "upstream_error", "upstream_unreachable", extra)
        try:
            if response.is_redirect:  # only the configuration decides where chats are sent
                return failure(502, "the upstream redirects elsewhere.", "upstream_error", "upstream_redirects", extra)
            await self._stream(response, send, extra)
        except OSError:
            pass  # the client has disconnected
        finally:
            await response.aclose()
        return None

    async def _stream(self, response: httpx.Response, send: Send, extra: Mapping[str, str]) -> None:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        self.kind = kind if response.is_success else None
        headers = chat_format.headers_down(response.headers.raw, extra)
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        try:
            async for chunk in response.aiter_bytes():
                self.size += len(chunk)
                if self.size <= MAX_STORED and self.options.mode == "read-write":
                    self.parts.append(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except httpx.HTTPError as error:
            _log(error, "the upstream broke off")
            if kind == EVENTS:
                data = error_of("the upstream broke off.", "upstream_error", "upstream_broke_off")
                event = b"\n\ndata: " + json.dumps(data).encode("ascii") + b"\n\n"
                await send({"type": "http.response.body", "body": event, "more_body": True})
            return  # without ending the body, so that the reader notices
        self.complete = True
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _recall(self, field: Field) -> tuple[bytes, str]:
        """Return the body with what the memory knows, and "ok", "none" or "failed"."""
        if self.options.mode == "off":
            return self.sent, "none"
        cooling, now = self.proxy.cooling, anyio.current_time()
        if cooling.get(self.options.space, 0) > now:
            return self.sent, "failed"
        try:
            with anyio.fail_after(self.proxy.patience):
                return await anyio.to_thread.run_sync(
                    partial(self._with_memory, field), abandon_on_cancel=True, limiter=self.proxy.recalls
                )
        except HTTPException:
            raise
        except Exception as error:
            _log(error, "recall for a chat failed")
            if isinstance(error, TimeoutError):
                self.proxy.cooling = {name: until for name, until in cooling.items() if until > now}
                self.proxy.cooling[self.options.space] = anyio.current_time() + COOLDOWN
            return self.sent, "failed"

    def _with_memory(self, field: Field) -> tuple[bytes, str]:
        options, ok, none = self.options, "ok", "none"
        if options.mode == "read-write":
            try:  # creates the space, and finds errors now: after the response it is too late for the header
                with self.proxy.opened(self.request, options.space, "write"):
                    pass
            except MnemosError as error:
                _log(error, "a chat cannot be stored")
                ok = none = "failed"
        exchange = Exchange.read(self.sent, field, self.proxy.secret, options.session)
        if not exchange.question or not options.tokens:
            return self.sent, none
        with self.proxy.opened(self.request, options.space, "read") as space:
            block = conversation.recall(space, exchange, options.tokens)
        return (exchange.with_memory(block), ok) if block else (self.sent, none)

    async def _remember(self, field: Field, kind: str) -> None:
        if self.proxy.writes.statistics().tasks_waiting >= MAX_QUEUED:
            log.warning("a chat was not stored: %d others are waiting", MAX_QUEUED)
            return
        try:
            await anyio.to_thread.run_sync(partial(self._store, field, kind), limiter=self.proxy.writes)
        except Exception as error:
            _log(error, "a chat was not stored")

    def _store(self, field: Field, kind: str) -> None:
        text = ""
        # clients may disconnect after the last event, so a stream of events need not be complete
        if self.size <= MAX_STORED and (self.complete or kind == EVENTS):
            try:
                text = chat_format.answer_of(kind == EVENTS, b"".join(self.parts))
            except Exception as error:
                _log(error, "a response could not be parsed")
        exchange = Exchange.read(self.sent, field, self.proxy.secret, self.options.session)
        if messages := exchange.to_store(text, self.at, self.proxy.memory.clock()):
            with self.proxy.opened(self.request, self.options.space, "write") as space:
                conversation.store(space, messages)


def _log(error: BaseException, what: str) -> None:
    """Log an error without its message, which may quote a memory."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    log.warning("%s: %s, raised at %s:%s", what, type(error).__name__, frame.filename, frame.lineno)


def make_proxy(
    memory: Mnemos,
    upstream: str,
    *,
    upstream_key: str | None = None,
    budget_tokens: int = 800,
    default_space: str = "default",
    open_space: OpenSpace | None = None,
    patience: float = PATIENCE,
    seconds: float = 600.0,
) -> APIRouter:
    """Return the routes of a proxy to `upstream`, such as http://127.0.0.1:11434/v1. The caller closes the memory.

    `open_space(request, name, right)` returns a space, or a context manager of one, that the request may read or write.
    If it raises, the chat continues without memory; an HTTPException becomes the response. By default every request may
    use every space. Without `upstream_key` the caller's key is passed on, unless it is a key of Mnemos. A prompt waits up
    to `patience` seconds for the memory, and each step of the upstream may take `seconds`. Raises InvalidInput.
    """
    proxy = Proxy(memory, upstream, upstream_key, open_space, patience, seconds)

    def endpoint(path: str, field: Field | None) -> Callable[[Request], Awaitable[Response]]:
        async def relay(request: Request) -> Response:
            try:
                options = Options.of(request.headers, default_space, budget_tokens)
            except InvalidInput as error:
                return failure(400, str(error), "invalid_request_error", "invalid_header")
            return Relay(proxy, request, path, options, await request.body(), field)

        return relay

    router = APIRouter(lifespan=proxy.lifespan)
    for path, field in ROUTES.items():
        router.add_api_route(
            "/v1" + path, endpoint(path, field), methods=["POST" if field else "GET"], name=path[1:],
            description="OpenAI's API, with memory.", response_model=None,
        )  # fmt: skip
    return router
