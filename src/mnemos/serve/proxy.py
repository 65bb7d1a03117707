"""A proxy before any OpenAI-compatible API that recalls into the prompt and remembers the exchange.

Trouble with the memory never breaks a chat: it goes on without, and the header X-Mnemos-Memory says so.
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

from mnemos.errors import InvalidInput, MnemosError, NotFound
from mnemos.serve import conversation as x
from mnemos.serve.conversation import Choice, Exchange, Field
from mnemos.space import Space
from mnemos.system import Mnemos

try:
    import httpx
    from fastapi import APIRouter
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.types import Receive, Scope, Send
except ImportError as gone:
    raise MnemosError("the proxy needs the packages fastapi and httpx: pip install 'mnemos[serve]'.") from gone

log = logging.getLogger("mnemos.serve")

Right = Literal["read", "write"]
OpenSpace: TypeAlias = Callable[[Request, str, Right], Space | AbstractContextManager[Space]]

KEPT = 16 * 1024 * 1024  # bytes of an answer; a longer one is passed on, but not remembered
PATIENCE = 2.0  # seconds that a prompt waits for the memory
REST = 5.0  # seconds for which a space that was too slow is not asked, so that not every chat waits for it
WAITING = 64  # exchanges that wait to be stored; further ones are not
EVENTS = "text/event-stream"
ROUTES: Mapping[str, Field | None] = {"/chat/completions": "messages", "/responses": "input", "/models": None}


class Proxy:
    """The upstream, the memory, and what calls share."""

    def __init__(
        self, memory: Mnemos, upstream: str, key: str | None, open_space: OpenSpace | None, patience: float, seconds: float
    ) -> None:  # fmt: skip
        self.memory = memory
        self.base = _checked(upstream)
        self.key = key
        self.secret = x.secret_of(memory.root)
        self.patience = patience
        self.timeout = httpx.Timeout(seconds, connect=min(10.0, seconds))
        # the environment has no say: a proxy named there would read the chats
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=32)
        self.client = httpx.AsyncClient(timeout=self.timeout, limits=limits, trust_env=False)
        # threads of their own, so that a space which hangs holds up nothing else
        self.recalls, self.writes = anyio.CapacityLimiter(16), anyio.CapacityLimiter(8)
        self.resting: dict[str, float] = {}
        self._open = open_space or self._permissive
        self._lock = threading.Lock()

    @asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[None]:
        """Close the connections at the end, where the server tells of it."""
        yield
        await self.client.aclose()

    def _permissive(self, request: Request, name: str, right: Right) -> Space:
        if right == "read" and name not in self.memory:
            raise NotFound(f"there is no space {name!r}.")
        with self._lock:
            return self.memory.space(name)

    def opened(self, request: Request, name: str, right: Right) -> AbstractContextManager[Space]:
        """Return a space, to be entered, by way of whoever enforces keys."""
        given = self._open(request, name, right)
        return nullcontext(given) if isinstance(given, Space) else given

    def up(self, request: Request, path: str, body: bytes) -> httpx.Request:
        """Return the request to the upstream: to its address, and with its key."""
        query = request.scope.get("query_string", b"")
        url = self.base.copy_with(raw_path=self.base.raw_path.rstrip(b"/") + path.encode() + (query and b"?" + query))
        # not made by the client, which would add the cookies of other callers
        return httpx.Request(
            request.method, url, headers=x.headers_up(request.headers.raw, self.key), content=body,
            extensions={"timeout": self.timeout.as_dict()},
        )  # fmt: skip


def _checked(upstream: str) -> httpx.URL:
    try:
        url = httpx.URL(upstream)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment or url.userinfo:
        raise InvalidInput("the upstream is to be http(s)://HOST/PATH, such as http://127.0.0.1:11434/v1.")
    return url


class Relay(Response):
    """One call: recall, pass the answer on as it comes, remember. When the client goes, the upstream's call ends."""

    def __init__(
        self, proxy: Proxy, request: Request, path: str, choice: Choice, body: bytes = b"", field: Field | None = None
    ) -> None:
        super().__init__()
        self.proxy, self.request, self.path, self.choice = proxy, request, path, choice
        self.sent, self.field = body, field
        self.at = proxy.memory.clock()
        self.kind: str | None = None  # the media type of the answer, once the upstream has agreed to give one
        self.answer: list[bytes] = []
        self.size = 0
        self.whole = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        async with anyio.create_task_group() as group:

            async def until_gone() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                group.cancel_scope.cancel()

            group.start_soon(until_gone)
            if (failed := await self._call(send)) is not None:
                await failed(scope, receive, send)
            group.cancel_scope.cancel()
        if self.kind is not None and self.field is not None and self.choice.mode == "read-write":
            await self._remember(self.field, self.kind)

    async def _call(self, send: Send) -> Response | None:
        """Call the upstream; return what to answer where it has not."""
        shown: dict[str, str] = {}
        try:
            body = self.sent
            if self.field is not None:
                body, shown["X-Mnemos-Memory"] = await self._recall(self.field)
            answer = await self.proxy.client.send(self.proxy.up(self.request, self.path, body), stream=True)
        except HTTPException as refused:
            return failure(refused.status_code, refused.detail, "invalid_request_error", "memory_refused", shown)
        except httpx.TimeoutException:
            return failure(504, "the upstream did not answer in time.", "upstream_error", "upstream_timeout", shown)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            _note(error, "the upstream cannot be reached")
            return failure(502, "the upstream cannot be reached.", "upstream_error", "upstream_unreachable", shown)
        try:
            if answer.is_redirect:  # nobody but the configuration says where chats go
                return failure(502, "the upstream redirects elsewhere.", "upstream_error", "upstream_redirects", shown)
            await self._pass_on(answer, send, shown)
        except OSError:
            pass  # the client is gone
        finally:
            await answer.aclose()
        return None

    async def _pass_on(self, answer: httpx.Response, send: Send, shown: Mapping[str, str]) -> None:
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        self.kind = kind if answer.is_success else None
        headers = x.headers_down(answer.headers.raw, shown)
        await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
        try:
            async for chunk in answer.aiter_bytes():
                self.size += len(chunk)
                if self.size <= KEPT and self.choice.mode == "read-write":
                    self.answer.append(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except httpx.HTTPError as error:
            _note(error, "the upstream broke off")
            if kind == EVENTS:
                told = _error("the upstream broke off.", "upstream_error", "upstream_broke_off")
                event = b"\n\ndata: " + json.dumps(told).encode("ascii") + b"\n\n"
                await send({"type": "http.response.body", "body": event, "more_body": True})
            return  # without an end: the reader shall notice
        self.whole = True
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _recall(self, field: Field) -> tuple[bytes, str]:
        """Return the body with what the memory knows, and how it went."""
        if self.choice.mode == "off":
            return self.sent, "none"
        resting, now = self.proxy.resting, anyio.current_time()
        if resting.get(self.choice.space, 0) > now:
            return self.sent, "failed"
        try:
            with anyio.fail_after(self.proxy.patience):
                return await anyio.to_thread.run_sync(
                    partial(self._with_memory, field), abandon_on_cancel=True, limiter=self.proxy.recalls
                )
        except HTTPException:
            raise
        except Exception as error:
            _note(error, "nothing could be recalled into a chat")
            if isinstance(error, TimeoutError):
                self.proxy.resting = {name: until for name, until in resting.items() if until > now}
                self.proxy.resting[self.choice.space] = anyio.current_time() + REST
            return self.sent, "failed"

    def _with_memory(self, field: Field) -> tuple[bytes, str]:
        choice, ok, none = self.choice, "ok", "none"
        if choice.mode == "read-write":
            try:  # makes the space, and tells now what the header cannot tell after the answer
                with self.proxy.opened(self.request, choice.space, "write"):
                    pass
            except MnemosError as error:
                _note(error, "a chat cannot be remembered")
                ok = none = "failed"
        exchange = Exchange.read(self.sent, field, self.proxy.secret, choice.session)
        if not exchange.question or not choice.tokens:
            return self.sent, none
        with self.proxy.opened(self.request, choice.space, "read") as space:
            block = x.recalled(space, exchange, choice.tokens)
        return (exchange.with_memory(block), ok) if block else (self.sent, none)

    async def _remember(self, field: Field, kind: str) -> None:
        if self.proxy.writes.statistics().tasks_waiting >= WAITING:
            log.warning("a chat could not be remembered: %d others wait for it", WAITING)
            return
        try:
            await anyio.to_thread.run_sync(partial(self._store, field, kind), limiter=self.proxy.writes)
        except Exception as error:
            _note(error, "a chat could not be remembered")

    def _store(self, field: Field, kind: str) -> None:
        text = ""
        # clients hang up once they have read the last event, so that of events the end need not have been seen
        if self.size <= KEPT and (self.whole or kind == EVENTS):
            try:
                text = x.answer_of(kind == EVENTS, b"".join(self.answer))
            except Exception as error:
                _note(error, "an answer could not be read")
        exchange = Exchange.read(self.sent, field, self.proxy.secret, self.choice.session)
        if messages := exchange.to_remember(text, self.at, self.proxy.memory.clock()):
            with self.proxy.opened(self.request, self.choice.space, "write") as space:
                x.store(space, messages)


def failure(status: int, message: str, kind: str, code: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return an error in the shape of OpenAI's."""
    return JSONResponse(_error(message, kind, code), status, headers)


def _error(message: str, kind: str, code: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _note(error: BaseException, what: str) -> None:
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

    `open_space(request, name, right)` gives a space, or a context manager of one, if the request may read or write it.
    What it raises is trouble with the memory, except an HTTPException, which is the answer. By default all is allowed.
    Without `upstream_key` the caller's key is passed on, unless it is a key of Mnemos. A prompt waits `patience` seconds
    for the memory, and each step of the upstream may take `seconds`. Raises InvalidInput.
    """
    proxy = Proxy(memory, upstream, upstream_key, open_space, patience, seconds)

    def endpoint(path: str, field: Field | None) -> Callable[[Request], Awaitable[Response]]:
        async def relay(request: Request) -> Response:
            try:
                choice = Choice.of(request.headers, default_space, budget_tokens)
            except InvalidInput as error:
                return failure(400, str(error), "invalid_request_error", "invalid_header")
            return Relay(proxy, request, path, choice, await request.body(), field)

        return relay

    router = APIRouter(lifespan=proxy.lifespan)
    for path, field in ROUTES.items():
        router.add_api_route(
            "/v1" + path, endpoint(path, field), methods=["POST" if field else "GET"], name=path[1:],
            description="As OpenAI's API, with what the memory knows.", response_model=None,
        )  # fmt: skip
    return router
