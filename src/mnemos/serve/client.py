"""A client of the REST server whose spaces have the verbs of `Space`: code moves from embedded to served by one line.

memory = Client("http://127.0.0.1:8765", key)   # was: Mnemos(root)
memory.space("ana").search("Where does Ana's sister live?")
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, Unpack

from mnemos.cube import MemCube, Page
from mnemos.errors import MnemosError, StoreError
from mnemos.serve.requests import Call, Calls, spaces_of
from mnemos.serve.requests import ServerError as ServerError
from mnemos.space import Space
from mnemos.text.recall.filters import Filters

try:
    import httpx
except ImportError as gone:
    raise MnemosError("the client needs the package httpx: pip install 'mnemos[serve]'.") from gone

T = TypeVar("T")
P = ParamSpec("P")
SECONDS = 60.0


class Unreachable(StoreError):
    """The server did not answer. A write may have happened or not: its Idempotency-Key makes it safe to repeat."""


def _now(call: Callable[Concatenate[Calls, P], Call[T]]) -> Callable[Concatenate[RemoteSpace, P], T]:
    @wraps(call)
    def verb(self: RemoteSpace, /, *args: P.args, **options: P.kwargs) -> T:
        return self.client.send(call(self.calls, *args, **options))

    verb.__doc__ = getattr(Space, call.__name__).__doc__
    return verb


def _later(call: Callable[Concatenate[Calls, P], Call[T]]) -> Callable[Concatenate[AsyncRemoteSpace, P], Awaitable[T]]:
    @wraps(call)
    async def verb(self: AsyncRemoteSpace, /, *args: P.args, **options: P.kwargs) -> T:
        return await self.client.send(call(self.calls, *args, **options))

    verb.__doc__ = getattr(Space, call.__name__).__doc__
    return verb


class RemoteSpace:
    """A space of a server. Its verbs take, return and raise what those of `Space` do."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name
        self.calls = Calls(name)

    add = _now(Calls.add)
    add_many = _now(Calls.add_many)
    search = _now(Calls.search)
    search_sessions = _now(Calls.search_sessions)
    context = _now(Calls.context)
    get = _now(Calls.get)
    update = _now(Calls.update)
    history = _now(Calls.history)
    rollback = _now(Calls.rollback)
    delete = _now(Calls.delete)
    forget = _now(Calls.forget)
    forget_preview = _now(Calls.forget_preview)
    facts = _now(Calls.facts)
    decisions = _now(Calls.decisions)
    links = _now(Calls.links)
    count = _now(Calls.count)
    stats = _now(Calls.stats)
    consolidate = _now(Calls.consolidate)
    fade = _now(Calls.fade)
    pin = _now(Calls.pin)
    archive = _now(Calls.archive)
    unarchive = _now(Calls.unarchive)
    restore = _now(Calls.restore)

    def cubes(self, *, limit: int = 100, cursor: int | None = None, **filters: Unpack[Filters]) -> Page:
        """Return current cubes in the order in which they were written; see `Space.cubes`."""
        page = self.client.send(self.calls.cubes(limit=limit, cursor=cursor, **filters))
        return replace(page, read=lambda at: self.cubes(limit=limit, cursor=at, **filters))

    def dump(self) -> Iterator[dict[str, Any]]:
        """Yield every cube with its versions, as it comes in; see `Space.dump`."""
        return self.client.stream(self.calls.dump())


@dataclass(frozen=True, slots=True)
class AsyncPage:
    """A page of cubes; `async for` goes on over all pages that follow, each read when it is reached."""

    items: list[MemCube]  # the cubes of this page alone
    next_cursor: int | None  # the `cursor` of the following page; None: this is the last one
    read: Callable[[int], Awaitable[AsyncPage]] = field(repr=False, compare=False)  # reads the page at a cursor

    async def __aiter__(self) -> AsyncIterator[MemCube]:
        page = self
        while True:
            for cube in page.items:
                yield cube
            if page.next_cursor is None:
                return
            page = await page.read(page.next_cursor)


class AsyncRemoteSpace:
    """A space of a server, for asyncio: the verbs of `Space`, awaited."""

    def __init__(self, client: AsyncClient, name: str) -> None:
        self.client = client
        self.name = name
        self.calls = Calls(name)

    add = _later(Calls.add)
    add_many = _later(Calls.add_many)
    search = _later(Calls.search)
    search_sessions = _later(Calls.search_sessions)
    context = _later(Calls.context)
    get = _later(Calls.get)
    update = _later(Calls.update)
    history = _later(Calls.history)
    rollback = _later(Calls.rollback)
    delete = _later(Calls.delete)
    forget = _later(Calls.forget)
    forget_preview = _later(Calls.forget_preview)
    facts = _later(Calls.facts)
    decisions = _later(Calls.decisions)
    links = _later(Calls.links)
    count = _later(Calls.count)
    stats = _later(Calls.stats)
    consolidate = _later(Calls.consolidate)
    fade = _later(Calls.fade)
    pin = _later(Calls.pin)
    archive = _later(Calls.archive)
    unarchive = _later(Calls.unarchive)
    restore = _later(Calls.restore)

    async def cubes(self, *, limit: int = 100, cursor: int | None = None, **filters: Unpack[Filters]) -> AsyncPage:
        """Return current cubes in the order in which they were written: `async for cube in await space.cubes()`."""
        page = await self.client.send(self.calls.cubes(limit=limit, cursor=cursor, **filters))
        return AsyncPage(page.items, page.next_cursor, lambda at: self.cubes(limit=limit, cursor=at, **filters))

    def dump(self) -> AsyncIterator[dict[str, Any]]:
        """Yield every cube with its versions, as it comes in; see `Space.dump`."""
        return self.client.stream(self.calls.dump())


def _options(url: str, key: str, timeout: float, more: Mapping[str, Any]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}"}
    return {"base_url": url, "headers": headers, "timeout": timeout, "trust_env": False, **more}


def _patient(call: Call[Any], timeout: float) -> dict[str, Any]:
    """Return the options of a request: an import is answered when all of it is embedded and stored, however long it takes."""
    return {**call.options(), **({"timeout": httpx.Timeout(timeout, read=None)} if call.lines is not None else {})}


async def _awaited(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


class Client:
    """A server's memory. Safe among threads. `timeout` is in seconds; `more` goes to `httpx.Client`."""

    def __init__(self, url: str, key: str, *, timeout: float = SECONDS, **more: Any) -> None:
        self._timeout = timeout
        self._http = httpx.Client(**_options(url, key, timeout, more))

    def space(self, name: str) -> RemoteSpace:
        """Return a space; it is made when something is added to it."""
        return RemoteSpace(self, name)

    def spaces(self) -> list[str]:
        """Return the names of the spaces that the key may read."""
        return self.send(Call("GET", "/v1/spaces", spaces_of))

    def send(self, call: Call[T]) -> T:
        """Send a request and return what its answer says."""
        try:
            response = self._http.request(call.method, call.path, **_patient(call, self._timeout))
        except httpx.HTTPError as error:
            raise Unreachable(_UNREACHABLE.format(error)) from error
        return call.result(response)

    def stream(self, call: Call[T]) -> Iterator[T]:
        """Send a request and yield what the lines of its answer say, as they come in."""
        try:
            with self._http.stream(call.method, call.path, **call.options()) as response:
                if not response.is_success:
                    response.read()
                    call.result(response)
                for line in response.iter_lines():
                    if line:
                        yield call.read(json.loads(line))
        except httpx.HTTPError as error:
            raise Unreachable(_UNREACHABLE.format(error)) from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class AsyncClient:
    """A server's memory, for asyncio."""

    def __init__(self, url: str, key: str, *, timeout: float = SECONDS, **more: Any) -> None:
        self._timeout = timeout
        self._http = httpx.AsyncClient(**_options(url, key, timeout, more))

    def space(self, name: str) -> AsyncRemoteSpace:
        """Return a space; it is made when something is added to it."""
        return AsyncRemoteSpace(self, name)

    async def spaces(self) -> list[str]:
        """Return the names of the spaces that the key may read."""
        return await self.send(Call("GET", "/v1/spaces", spaces_of))

    async def send(self, call: Call[T]) -> T:
        """Send a request and return what its answer says."""
        try:
            options = _patient(call, self._timeout)
            if call.lines is not None and not isinstance(call.lines, AsyncIterable):
                options["content"] = _awaited(options["content"])
            response = await self._http.request(call.method, call.path, **options)
        except httpx.HTTPError as error:
            raise Unreachable(_UNREACHABLE.format(error)) from error
        return call.result(response)

    async def stream(self, call: Call[T]) -> AsyncIterator[T]:
        """Send a request and yield what the lines of its answer say, as they come in."""
        try:
            async with self._http.stream(call.method, call.path, **call.options()) as response:
                if not response.is_success:
                    await response.aread()
                    call.result(response)
                async for line in response.aiter_lines():
                    if line:
                        yield call.read(json.loads(line))
        except httpx.HTTPError as error:
            raise Unreachable(_UNREACHABLE.format(error)) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


_UNREACHABLE = "the server did not answer ({}). Check its address and that `mnemos serve` runs there."
