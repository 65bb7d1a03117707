"""One chat call: recall, answer, store. Who answers is a subclass's: an upstream (`proxy`) or a model of this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mnemos.serve.chat_memory import EVENTS, MAX_STORED, Chat, ChatMemory


class ChatCall(Response):
    """Answers a chat and stores it. If the client disconnects, what computes the answer is cancelled."""

    def __init__(self, memory: ChatMemory, chat: Chat | None) -> None:
        super().__init__()
        self.memory, self.chat = memory, chat
        self.kind: str | None = None  # the media type of a successful response, once its headers are known
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
            if (failed := await self.answer(send)) is not None:
                await failed(scope, receive, send)
            group.cancel_scope.cancel()
        if self.kind is not None and self.chat is not None and self.chat.options.mode == "read-write":
            streamed = self.kind == EVENTS
            # clients may disconnect after the last event, so a stream of events need not be complete
            whole = self.size <= MAX_STORED and (self.complete or streamed)
            self.chat.answered = self.complete
            await self.memory.remember(self.chat, streamed, b"".join(self.parts) if whole else b"")

    async def answer(self, send: Send) -> Response | None:
        """Send the answer, and return None; or return an error response when nothing was sent."""
        raise NotImplementedError

    async def recalled(self, extra: dict[str, str]) -> bytes:
        """Return the body with what the memory knows; the header that says so is added to `extra`."""
        if self.chat is None:
            return b""
        body, extra["X-Mnemos-Memory"] = await self.memory.recall(self.chat)
        return body

    async def start(self, send: Send, status: int, headers: Any, kind: str, success: bool) -> None:
        """Send the head of the response."""
        self.kind = kind if success else None
        await send({"type": "http.response.start", "status": status, "headers": headers})

    async def pass_on(self, send: Send, chunk: bytes) -> None:
        """Send a part of the body, and keep it for the memory."""
        self.size += len(chunk)
        if self.size <= MAX_STORED and self.chat is not None:
            self.parts.append(chunk)
        await send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def finish(self, send: Send) -> None:
        """End the body."""
        self.complete = True
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def ascii_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Return headers as a server sends them."""
    return [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
