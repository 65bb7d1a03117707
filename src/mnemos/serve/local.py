"""OpenAI's API for a model of this process, with memory: the same keys, limits and memory as the proxy has."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Send

from mnemos.activation.paged.engine import Busy, Generation
from mnemos.activation.paged.engine import Request as Job
from mnemos.activation.paged.sampling import Sampler
from mnemos.errors import InvalidInput
from mnemos.serve import local_request
from mnemos.serve.chat_answers import check_header
from mnemos.serve.chat_errors import INVALID, error_of, failure
from mnemos.serve.chat_memory import EVENTS, Chat, ChatMemory, OpenSpace, log_error
from mnemos.serve.conversation import Options
from mnemos.serve.local_model import LocalModel
from mnemos.serve.local_request import Asked, ChatAsked, TextAsked
from mnemos.serve.local_text import TextStream
from mnemos.serve.local_times import TimesOfSpaces
from mnemos.serve.relay import ChatCall, ascii_headers
from mnemos.system import Mnemos
from mnemos.text.recall.further import GROWTH

PATIENCE = 2.0  # seconds that a prompt waits for the memory
MOST = 512  # tokens of an answer whose request does not say
FAILED = "the model failed. Its log says why."
Piece = tuple[str, str | None]  # text, and why it ended


class LocalCall(ChatCall):
    """One call of the model: recall, generate, store. If the client disconnects, the generation is cancelled."""

    def __init__(
        self,
        model: LocalModel,
        memory: ChatMemory,
        times: TimesOfSpaces,
        request: Request,
        chat: Chat | None,
        body: bytes,
    ) -> None:
        super().__init__(memory, chat)
        self.model, self.times, self.request, self.given = model, times, request, body
        self.id = ("cmpl-" if chat is None else "chatcmpl-") + secrets.token_hex(12)
        self.object = "text_completion" if chat is None else "chat.completion"
        self.prompt_tokens = 0

    async def answer(self, send: Send) -> Response | None:
        """Generate an answer and send it, whole or as events; return an error response if there is none."""
        extra: dict[str, str] = {}
        kind: type[Asked] = TextAsked if self.chat is None else ChatAsked
        try:
            asked = local_request.read(kind, self.given)  # before anything is recalled or stored
            if asked.model != self.model.name:
                known = f"there is no model {asked.model!r:.80}. This server has {self.model.name!r}."
                return failure(404, known, INVALID, "model_not_found")
            body = await self.recalled(extra)
            if self.chat is not None:
                asked = local_request.read(kind, body)
            prompt = await anyio.to_thread.run_sync(self._prompt, asked)
            if (program := self._program(extra.get("X-Mnemos-Memory"))) is not None:
                await anyio.to_thread.run_sync(self.times.load, self._space)
            pieces = self._generated(asked, prompt, self._extra(extra.get("X-Mnemos-Memory")), program)
            first = await anext(pieces)
        except HTTPException as refused:
            return failure(refused.status_code, refused.detail, code="memory_refused", headers=extra)
        except InvalidInput as error:
            return failure(400, str(error), INVALID, "invalid_request", extra)
        except Busy as error:
            return failure(503, str(error), code="overloaded", headers=extra | {"Retry-After": "1"})
        except RuntimeError as error:
            log_error(error, "a generation failed")
            return failure(500, FAILED, headers=extra)
        try:
            send_it = self._events if asked.stream else self._whole
            await send_it(send, asked, first, pieces, extra)
        except OSError:
            pass  # the client has disconnected
        finally:
            await pieces.aclose()
        return None

    def _prompt(self, asked: Any) -> list[int]:
        if isinstance(asked, ChatAsked):
            return self.model.prompt(local_request.messages_of(asked))
        return self.model.tokens(asked.prompt) if isinstance(asked.prompt, str) else list(asked.prompt)

    async def _generated(
        self, asked: Asked, prompt: list[int], extra: Mapping[str, str], program: str | None
    ) -> AsyncGenerator[Piece, None]:
        """Yield pieces of text as the engine makes them, the last one with the reason of the end."""
        self.prompt_tokens = len(prompt)
        text = TextStream(self.model.decode, asked.stops)
        loop, news = asyncio.get_running_loop(), asyncio.Queue[str | None]()

        def tell(piece: str | None) -> None:
            loop.call_soon_threadsafe(news.put_nowait, piece)

        def on_token(token: int) -> bool:
            if piece := text.add(token):
                tell(piece)
            return text.stopped

        sampler = Sampler(_or(asked.temperature, 1.0), _or(asked.top_p, 1.0), asked.seed)
        most = asked.most or max(1, min(MOST, self.model.room - len(prompt)))
        job = Job(prompt, most, sampler, self.model.ends, extra, program, self._space)
        self.made: Generation = self.model.engine.submit(job, on_token, lambda: tell(None))
        try:
            while (piece := await news.get()) is not None:
                yield piece, None
            if self.made.reason not in ("stop", "length"):
                raise RuntimeError(FAILED) from self.made.error
            yield text.end(), self.made.reason
        finally:
            self.made.cancel()

    @property
    def _space(self) -> str:
        return "" if self.chat is None else self.chat.options.space

    def _extra(self, told: str | None) -> dict[str, str]:
        """Return what parts caches: the space, for who may read it; else the key, so that nobody learns of others."""
        if told in ("ok", "none") and self.chat is not None and self.chat.options.mode != "off":
            return {"space": self._space}
        key = getattr(self.request.state, "key", None)
        return {"key": "" if key is None else str(key.id)}

    def _program(self, told: str | None) -> str | None:
        place = None if self.chat is None else self.chat.place
        return None if place is None or told not in ("ok", "none") else f"{self._space}/{place.root}"

    @property
    def usage(self) -> dict[str, Any]:
        """The tokens of the call."""
        prompt, made = self.prompt_tokens, self.made.count
        return {
            "prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made,
            "prompt_tokens_details": {"cached_tokens": self.made.cached},
        }  # fmt: skip

    async def _whole(self, send: Send, asked: Asked, first: Piece, pieces: AsyncIterator[Piece], extra: Any) -> None:
        found = [first]
        try:
            found += [piece async for piece in pieces]
        except RuntimeError as error:
            log_error(error, "a generation failed")
            await failure(500, FAILED, headers=extra)({"type": "http"}, None, send)  # type: ignore[arg-type]
            return
        said = "".join(text for text, _ in found)
        content = {"text": said} if self.chat is None else {"message": {"role": "assistant", "content": said}}
        choice = {"index": 0, **content, "logprobs": None, "finish_reason": found[-1][1]}
        data = json.dumps(self._head(self.object) | {"choices": [choice], "usage": self.usage}).encode("ascii")
        headers = {"Content-Type": "application/json", "Content-Length": str(len(data)), **extra}
        await self.start(send, 200, ascii_headers(headers), "application/json", True)
        await self.pass_on(send, data)
        await self.finish(send)

    async def _events(self, send: Send, asked: Asked, first: Piece, pieces: AsyncIterator[Piece], extra: Any) -> None:
        headers = {"Content-Type": f"{EVENTS}; charset=utf-8", **extra}
        await self.start(send, 200, ascii_headers(headers), EVENTS, True)
        if self.chat is not None:
            await self._event(send, self._chunk({"role": "assistant", "content": ""}, None))
        try:
            await self._piece(send, first)
            async for piece in pieces:
                await self._piece(send, piece)
        except RuntimeError as error:
            log_error(error, "a generation failed")
            await self._event(send, error_of(FAILED, "server_error", "error"))
            return  # without ending the body, so that the reader notices
        if asked.with_usage:
            await self._event(send, self._head(self._part) | {"choices": [], "usage": self.usage})
        await self.pass_on(send, b"data: [DONE]\n\n")
        await self.finish(send)

    @property
    def _part(self) -> str:
        return self.object if self.chat is None else "chat.completion.chunk"

    async def _piece(self, send: Send, piece: Piece) -> None:
        text, reason = piece
        if text:
            await self._event(send, self._chunk({"content": text}, None))
        if reason is not None:
            await self._event(send, self._chunk({}, reason))

    def _chunk(self, delta: Mapping[str, str], reason: str | None) -> dict[str, Any]:
        content = {"text": delta.get("content", "")} if self.chat is None else {"delta": delta}
        return self._head(self._part) | {
            "choices": [{"index": 0, **content, "logprobs": None, "finish_reason": reason}]
        }

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": int(time.time()), "model": self.model.name}

    async def _event(self, send: Send, data: Mapping[str, Any]) -> None:
        await self.pass_on(send, b"data: " + json.dumps(data).encode("ascii") + b"\n\n")


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def make_local(
    memory: Mnemos,
    model: LocalModel,
    *,
    budget_tokens: int = 800,
    default_space: str = "default",
    open_space: OpenSpace | None = None,
    patience: float = PATIENCE,
    in_place: bool = True,
) -> APIRouter:
    """Return the routes of OpenAI's API for a model: chat completions, completions, models. Its options are the proxy's.

    The model is closed with the app that has the routes; the caller closes the memory.
    """
    chats = ChatMemory(memory, open_space, patience, in_place)
    if chats.in_place is not None:
        chats.in_place.on_erase = model.forget
        chats.in_place.most = min(GROWTH * budget_tokens, model.room // 2)  # the rest is for the conversation
    times = TimesOfSpaces(memory, model.engine)

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        yield
        await anyio.to_thread.run_sync(times.save_all)
        await anyio.to_thread.run_sync(model.close)
        chats.book.close()

    def endpoint(has_memory: bool) -> Callable[[Request], Awaitable[Response]]:
        async def call(request: Request) -> Response:
            body = await request.body()
            if not has_memory:
                return LocalCall(model, chats, times, request, None, body)
            try:
                options = Options.of(request.headers, default_space, budget_tokens)
                check_header(options, False)
            except InvalidInput as error:
                return failure(400, str(error), INVALID, "invalid_header")
            chat = Chat(request, options, "messages", body, memory.clock())
            return LocalCall(model, chats, times, request, chat, body)

        return call

    async def models(request: Request) -> Response:
        entry = {"id": model.name, "object": "model", "created": model.created, "owned_by": "local"}
        return JSONResponse({"object": "list", "data": [entry]})

    router = APIRouter(lifespan=lifespan)
    described: dict[str, Any] = {"description": "OpenAI's API, by a model of this server.", "response_model": None}
    router.add_api_route("/v1/chat/completions", endpoint(True), methods=["POST"], name="chat/completions", **described)
    router.add_api_route("/v1/completions", endpoint(False), methods=["POST"], name="completions", **described)
    router.add_api_route("/v1/models", models, methods=["GET"], name="models", **described)
    return router
