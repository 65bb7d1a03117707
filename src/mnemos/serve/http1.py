"""HTTP/1.1 connections: uvicorn's httptools protocol plus the size limits that httptools lacks."""

from __future__ import annotations

from typing import Any

from mnemos.distribution import install_command
from mnemos.errors import MnemosError

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ImportError as error:
    raise MnemosError(f"the server needs the packages uvicorn and httptools: {install_command('serve')}.") from error

MAX_HEAD = 1 << 16  # bytes of a request line with its headers and trailers


class HeadTooLong(Exception):
    """The head of a request exceeds `MAX_HEAD`. httptools wraps it in an error of its own, which uvicorn answers with 400."""


class Http(HttpToolsProtocol):
    """A client connection. Answer 400 and close when a head is too long, whether it arrives at once or in parts."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._head = 0  # bytes of the head parsed so far
        self._unparsed = 0  # bytes received since the parser's last callback: it still buffers them
        self._headers_done = False  # headers that arrive now are trailers

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
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Receive a part of the body."""
        self._unparsed = 0
        super().on_body(body)

    def _count(self, size: int) -> None:
        self._unparsed = 0
        self._head += size
        if self._head > MAX_HEAD:
            raise HeadTooLong
