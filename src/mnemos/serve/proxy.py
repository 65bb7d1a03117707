"""A proxy for any OpenAI-compatible API that adds memories to the prompt and stores the exchange.

An error of the memory never breaks a chat: it continues without, and the header X-Mnemos-Memory says so.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from mnemos.distribution import install_command
from mnemos.errors import InvalidInput, MnemosError

try:
    import httpx
    from fastapi import APIRouter
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Send
except ImportError as error:
    raise MnemosError(f"the proxy needs the packages fastapi and httpx: {install_command('serve')}.") from error

from mnemos.serve import chat_answers, chat_format
from mnemos.serve.chat_errors import INVALID, UPSTREAM, error_of, failure
from mnemos.serve.chat_memory import EVENTS, Chat, ChatMemory, OpenSpace, log_error
from mnemos.serve.conversation import Field, Options
from mnemos.serve.relay import ChatCall, ascii_headers
from mnemos.system import Mnemos
from mnemos.text.answers import Answer

PATIENCE = 2.0  # seconds that a prompt waits for the memory
ACCOUNT = ("authorization", "openai-organization", "openai-project")  # headers by which an upstream tells callers apart
ROUTES: Mapping[str, Field | None] = {"/chat/completions": "messages", "/responses": "input", "/models": None}


class Proxy:
    """The upstream, and the memory if there is one to use."""

    def __init__(self, memory: ChatMemory, upstream: str, key: str | None, seconds: float) -> None:
        self.memory = memory
        self.base = _checked(upstream)
        self.key = key
        self.timeout = httpx.Timeout(seconds, connect=min(10.0, seconds))
        # ignore the environment: a proxy named there would read the chats
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=32)
        self.client = httpx.AsyncClient(timeout=self.timeout, limits=limits, trust_env=False)

    @asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[None]:
        """Close the connections and the file of conversations when the server shuts down."""
        yield
        await self.client.aclose()
        self.memory.book.close()

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


class Relay(ChatCall):
    """One call: recall, stream the upstream's response, store. If the client disconnects, cancel the upstream's call."""

    def __init__(self, proxy: Proxy, request: Request, path: str, chat: Chat | None) -> None:
        super().__init__(proxy.memory, chat)
        self.proxy, self.request, self.path = proxy, request, path

    async def answer(self, send: Send) -> Response | None:
        """Call the upstream and stream its response; return an error response if there is none."""
        extra: dict[str, str] = {}
        try:
            body = await self.recalled(extra)
            if self.chat is not None and (found := self.chat.lookup) is not None:
                extra["X-Mnemos-Answer"] = "model" if found.answer is None else "cache"
                if found.answer is not None:
                    await self._again(send, found.answer, extra)
                    return None
            request = self.proxy.upstream_request(self.request, self.path, body)
            response = await self.proxy.client.send(request, stream=True)
        except HTTPException as refused:
            return failure(refused.status_code, refused.detail, code="memory_refused", headers=extra)
        except httpx.TimeoutException:
            return failure(504, "the upstream did not respond in time.", UPSTREAM, "upstream_timeout", extra)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            log_error(error, "the upstream cannot be reached")
            return failure(502, "the upstream cannot be reached.", UPSTREAM, "upstream_unreachable", extra)
        try:
            if response.is_redirect:  # only the configuration decides where chats are sent
                return failure(502, "the upstream redirects elsewhere.", UPSTREAM, "upstream_redirects", extra)
            await self._stream(response, send, extra)
        except OSError:
            pass  # the client has disconnected
        finally:
            await response.aclose()
        return None

    async def _again(self, send: Send, answer: Answer, extra: Mapping[str, str]) -> None:
        """Send a cached answer, as the model would."""
        assert self.chat is not None
        data = json.loads(self.chat.body)
        kind = EVENTS if data.get("stream") else "application/json"
        body = chat_answers.response_of(data, answer, self.chat.at)
        headers = {**extra, "Content-Type": kind, "Content-Length": str(len(body)), "X-Mnemos-Answer-Id": answer.id}
        with suppress(OSError):  # the client has disconnected
            await self.start(send, 200, ascii_headers(headers), kind, True)
            await self.pass_on(send, body)
            await self.finish(send)

    async def _stream(self, response: httpx.Response, send: Send, extra: Mapping[str, str]) -> None:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        headers = chat_format.headers_down(response.headers.raw, extra)
        await self.start(send, response.status_code, headers, kind, response.is_success)
        try:
            async for chunk in response.aiter_bytes():
                await self.pass_on(send, chunk)
        except httpx.HTTPError as error:
            log_error(error, "the upstream broke off")
            if kind == EVENTS:
                data = error_of("the upstream broke off.", UPSTREAM, "upstream_broke_off")
                event = b"\n\ndata: " + json.dumps(data).encode("ascii") + b"\n\n"
                await send({"type": "http.response.body", "body": event, "more_body": True})
            return  # without ending the body, so that the reader notices
        await self.finish(send)


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
    in_place: bool = False,
    answers: bool = False,
) -> APIRouter:
    """Return the routes of a proxy to `upstream`, such as http://127.0.0.1:11434/v1. The caller closes the memory.

    `open_space(request, name, right)` returns a space, or a context manager of one, that the request may read or write.
    If it raises, the chat continues without memory; an HTTPException becomes the response. By default every request may
    use every space. Without `upstream_key` the caller's key is passed on, unless it is a key of Mnemos. A prompt waits up
    to `patience` seconds for the memory, and each step of the upstream may take `seconds`. With `in_place` memories stay
    before the message for which they were recalled, so that the upstream's prefix cache hits. With `answers` an opening
    question that was answered before gets that answer (see `chat_answers`). Raises InvalidInput.
    """
    if answers and memory.embedder is None:
        raise InvalidInput(
            "cached answers need an embedder, which finds similar questions: serve with one, or without them."
        )
    chats = ChatMemory(memory, open_space, patience, in_place, answers)
    try:
        proxy = Proxy(chats, upstream, upstream_key, seconds)
    except InvalidInput:
        chats.book.close()
        raise

    def endpoint(path: str, field: Field | None) -> Callable[[Request], Awaitable[Response]]:
        async def relay(request: Request) -> Response:
            if field is None:
                return Relay(proxy, request, path, None)
            try:
                options = Options.of(request.headers, default_space, budget_tokens)
                chat_answers.check_header(options, answers)
            except InvalidInput as error:
                return failure(400, str(error), INVALID, "invalid_header")
            chat = Chat(request, options, field, await request.body(), memory.clock())
            chat.account = json.dumps(
                [request.url.query, *(request.headers.get(n) for n in (ACCOUNT[1:] if upstream_key else ACCOUNT))]
            )
            return Relay(proxy, request, path, chat)

        return relay

    router = APIRouter(lifespan=proxy.lifespan)
    for path, field in ROUTES.items():
        router.add_api_route(
            "/v1" + path, endpoint(path, field), methods=["POST" if field else "GET"], name=path[1:],
            description="OpenAI's API, with memory.", response_model=None,
        )  # fmt: skip
    return router
