"""HTTP/1.1 connections: uvicorn's httptools protocol plus the limits of size, time and number that it lacks."""

from __future__ import annotations

import math
from asyncio import TimerHandle, Transport
from collections.abc import Callable
from functools import partial
from typing import Any

from mnemos.distribution import install_command
from mnemos.errors import MnemosError
from mnemos.serve.limits import ServerLimits

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ImportError as error:
    raise MnemosError(f"the server needs the packages uvicorn and httptools: {install_command('serve')}.") from error

MAX_HEAD = 1 << 16  # bytes of a request line with its headers and trailers
TOO_SLOW = b"The head of the request did not arrive in time."
TIMEOUT = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(TOO_SLOW), TOO_SLOW)
)


class HeadTooLong(Exception):
    """The head of a request exceeds `MAX_HEAD`. httptools wraps it in an error of its own, which uvicorn answers with 400."""


def uvicorn_options(limits: ServerLimits) -> dict[str, Any]:
    """Return what every server of Mnemos asks of `uvicorn.Config`: these connections, and headers of its own alone."""
    return {
        "http": partial(Http, shared=Connections(limits)), "ws": "none", "access_log": False, "server_header": False,
        "proxy_headers": False, "timeout_keep_alive": math.ceil(limits.head_seconds) + 1,  # `Http` is first
    }  # fmt: skip


class Connections:
    """What the connections of a server share: limits, and which of them are idle, the longest idle first.

    A connection is idle unless the head of a request has arrived whose response has not been sent.
    """

    def __init__(self, limits: ServerLimits) -> None:
        self.limits = limits
        self.idle: dict[Http, None] = {}


class Http(HttpToolsProtocol):
    """A client connection with limits.

    It answers 400 when a head is too long, whether it arrives at once or in parts, and 408 when a head is late. It is
    closed when it is idle for too long, when it is idle and others need the room, or when the client reads nothing.
    """

    def __init__(self, *args: Any, shared: Connections, **more: Any) -> None:
        super().__init__(*args, **more)
        self._shared, self._limits = shared, shared.limits
        self._head = 0  # bytes of the head parsed so far
        self._unparsed = 0  # bytes received since the parser's last callback: it still buffers them
        self._headers_done = False  # headers that arrive now are trailers
        self._in_head = self._in_body = False
        self._timer: TimerHandle | None = None  # of an idle connection
        self._stalled: TimerHandle | None = None  # set while the client does not read

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Start the connection; close the longest idle one if there are too many, which may be this one."""
        super().connection_made(transport)
        self._become_idle()
        if len(self.connections) > self._limits.connections:
            next(iter(self._shared.idle)).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection."""
        self._leave_idle()
        self._stop(self._stalled)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes."""
        self._unparsed += len(data)
        super().data_received(data)
        if self._unparsed > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        """Start a request."""
        self._head = self._unparsed = 0
        self._headers_done = False
        self._in_head = True
        self._expire_in(self._limits.head_seconds)  # for the whole head, however many bytes arrive
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Receive a part of the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Receive a header; drop a trailer, which uvicorn would treat as a header."""
        self._count(len(name) + len(value))
        if not self._headers_done:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the response."""
        self._headers_done = True
        self._in_head, self._in_body = False, True
        self._leave_idle()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Receive a part of the body."""
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Start the next pipelined request, or be idle. The rest of a refused body is still read for a while."""
        pipelined = bool(self.pipeline)
        super().on_response_complete()
        if not pipelined and not self._in_head:
            self._become_idle()

    def pause_writing(self) -> None:
        """Stop sending because the client does not read; hang up if it stays so."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self._limits.stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Send again."""
        self._stop(self._stalled)
        super().resume_writing()

    def _become_idle(self) -> None:
        self._shared.idle.pop(self, None)
        self._shared.idle[self] = None
        self._expire_in(self._limits.body_seconds if self._in_body else self._limits.head_seconds)

    def _leave_idle(self) -> None:
        self._shared.idle.pop(self, None)
        self._stop(self._timer)

    def _expire_in(self, seconds: float, expire: Callable[[], None] | None = None) -> None:
        self._stop(self._timer)
        self._timer = self.loop.call_later(seconds, expire or self._expire)

    def _expire(self) -> None:
        """Hang up, after an answer if a part of a head has arrived."""
        if self.cycle is not None and not self.cycle.response_complete:  # the late head is that of a pipelined request
            self._expire_in(self._limits.head_seconds)
        elif self._in_head:
            self.transport.write(TIMEOUT)
            self.transport.close()
            self._expire_in(self._limits.head_seconds, self.transport.abort)
        elif self.transport.get_write_buffer_size():  # of the last response
            self._expire_in(self._limits.stall_seconds, self.transport.abort)
        else:
            self.transport.abort()

    def _stop(self, timer: TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()

    def _count(self, size: int) -> None:
        self._unparsed = 0
        self._head += size
        if self._head > MAX_HEAD:
            raise HeadTooLong
