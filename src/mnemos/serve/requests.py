"""Requests to the REST API as data: what to send, and how to read the response."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

from mnemos import errors
from mnemos.errors import InvalidInput, MnemosError

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
Row = Mapping[str, Any]
ERROR_TYPE = "urn:mnemos:error:"


class ServerError(MnemosError):
    """The server refused a request for a reason that an embedded memory does not have, such as an invalid key.

    `status` is the HTTP status, `wait` the number of seconds after which to try again, if the server sent one.
    """

    def __init__(self, message: str, status: int, wait: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.wait = wait


@dataclass(frozen=True)
class ApiRequest(Generic[T]):
    """One request, and the function that reads its response."""

    method: str
    path: str
    read: Callable[[Any], T]  # makes the result from the JSON of a successful response
    body: Any = None
    query: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    lines: Iterable[Row] | AsyncIterable[Row] | None = None  # streamed instead of `body`, one JSON object a line

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments for httpx."""
        options: dict[str, Any] = {"headers": dict(self.headers or {})}
        if self.query:
            options["params"] = {k: json.dumps(v) if isinstance(v, bool) else v for k, v in self.query.items()}
        if self.body is not None:
            options["content"] = _encode(self.body)
            options["headers"]["Content-Type"] = "application/json"
        elif self.lines is not None:
            lines = self.lines
            options["content"] = _encode_async(lines) if isinstance(lines, AsyncIterable) else _encode_lines(lines)
            options["headers"]["Content-Type"] = "application/x-ndjson"
        return options

    def result(self, response: httpx.Response) -> T:
        """Return what the response contains. Raises the error of Mnemos that it names, else ServerError."""
        try:
            data = response.json()
            if response.is_success:
                return self.read(data)
            kind, detail = str(data["type"]).removeprefix(ERROR_TYPE), str(data["detail"])
        except MnemosError:  # what was asked for is not in the response
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise ServerError(
                f"the response is not from a Mnemos server ({error}). Check the address.", response.status_code
            ) from error
        if (known := ERRORS.get(kind)) is not None:
            raise known(detail)
        wait = response.headers.get("Retry-After", "")
        raise ServerError(detail, response.status_code, float(wait) if wait.isdecimal() else None)


ERRORS: Mapping[str, type[MnemosError]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, MnemosError)
}


def path_segment(name: str) -> str:
    """Return a name percent-encoded as one segment of a path, "." and ".." included. Raises InvalidInput."""
    if not isinstance(name, str) or not name:
        raise InvalidInput(f"expected a name, got {name!r}.")
    try:
        quoted = quote(name, safe="")
    except UnicodeEncodeError as error:
        raise InvalidInput(f"the name {name!r} contains a lone surrogate. Use valid Unicode.") from error
    return quoted.replace(".", "%2E") if name in (".", "..") else quoted


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def query_string(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are not None, with times in ISO 8601 and `where` as JSON, for a query string."""
    found = given(options)
    if "where" in found:
        found["where"] = _encode(found["where"]).decode("ascii")
    return {name: _iso(value) if isinstance(value, date) else value for name, value in found.items()}


def _encode(data: Any) -> bytes:
    try:
        return json.dumps(data, allow_nan=False, default=_iso).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"this cannot be sent as JSON ({error}). Nothing was stored.") from error


def _encode_lines(rows: Iterable[Row]) -> Iterator[bytes]:
    for row in rows:
        yield _encode(row) + b"\n"


async def _encode_async(rows: AsyncIterable[Row]) -> AsyncIterator[bytes]:
    async for row in rows:
        yield _encode(row) + b"\n"


def _iso(value: object) -> str:
    """Return a time in ISO 8601; a naive one stays naive: the server tells it in the zone of the space."""
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")
