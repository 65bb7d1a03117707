"""HTTP/1.1 as it is read off the wire: uvicorn's protocol over httptools, with the bounds that httptools does not have."""

from __future__ import annotations

from typing import Any

from mnemos.errors import MnemosError

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ImportError as gone:
    raise MnemosError("the server needs the packages uvicorn and httptools: pip install 'mnemos[serve]'.") from gone

HEAD = 1 << 16  # bytes of a request line with its headers and trailers


class TooLong(Exception):
    """The head of a request is longer than `HEAD`. httptools turns it into one of its errors, and uvicorn that into a 400."""


class Http(HttpToolsProtocol):
    """The connection of a client. A head that is too long, whole or in parts, is answered by 400 and a closed connection."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._head = 0  # bytes of the head that have been handed on
        self._waiting = 0  # bytes since anything was handed on: the parser holds them
        self._begun = False  # the headers are complete: those that come now are trailers

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        self._waiting += len(data)
        super().data_received(data)
        if self._waiting > HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._head = self._waiting = 0
        self._begun = False
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer, which uvicorn would take for one, is left out."""
        self._count(len(name) + len(value))
        if not self._begun:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._begun = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._waiting = 0
        super().on_body(body)

    def _count(self, size: int) -> None:
        self._waiting = 0
        self._head += size
        if self._head > HEAD:
            raise TooLong
