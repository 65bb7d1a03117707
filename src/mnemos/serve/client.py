"""A client of the REST server whose spaces have the verbs of `Space`: one line moves code from embedded to served.

memory = Client("http://127.0.0.1:8765", key)   # was: Mnemos(root)
memory.space("ana").search("Where does Ana's sister live?")
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self, TypeVar, Unpack

from mnemos.cube import MemCube, Page
from mnemos.distribution import install_command
from mnemos.errors import MnemosError, StoreError
from mnemos.serve import responses
from mnemos.serve.requests import ApiRequest
from mnemos.serve.requests import ServerError as ServerError
from mnemos.serve.verbs import AsyncVerbs, BlockingVerbs
from mnemos.text.forget.policy import Policy
from mnemos.text.recall.filters import Filters

try:
    import httpx
except ImportError as error:
    raise MnemosError(f"the client needs the package httpx: {install_command('serve')}.") from error

T = TypeVar("T")
SECONDS = 60.0
SPACES = ApiRequest("GET", "/v1/spaces", lambda data: list[str](data["spaces"]))
UNREACHABLE = "the server did not answer ({}). Check its address and that `mnemos serve` runs there."


class Unreachable(StoreError):
    """The server did not answer. A write may or may not have happened: its Idempotency-Key makes it safe to repeat."""


class RemoteSpace(BlockingVerbs):
    """A space of a server. Its verbs take, return and raise what those of `Space` do."""

    def __init__(self, client: Client, name: str) -> None:
        super().__init__(name)
        self.client = client

    def carry_out(self, build: Callable[[], ApiRequest[T]]) -> T:
        """Send a request and return its result."""
        return self.client.send(build())

    @property
    def timezone(self) -> str:
        """Where naive times are told and days begin; assign an IANA name, an offset or "UTC" to change it."""
        return self.client.send(ApiRequest("GET", f"{self.path}/timezone", _zone))

    @timezone.setter
    def timezone(self, value: str) -> None:
        self.client.send(ApiRequest("PUT", f"{self.path}/timezone", _zone, {"timezone": value}))

    @property
    def policy(self) -> Policy:
        """Which cubes are archived and erased, and by which law. Assign a `Policy` to change it."""
        return self.client.send(ApiRequest("GET", f"{self.path}/policy", responses.policy))

    @policy.setter
    def policy(self, value: Policy) -> None:
        self.client.send(ApiRequest("PUT", f"{self.path}/policy", responses.policy, asdict(value)))

    def cubes(self, *, limit: int = 100, cursor: int | None = None, **filters: Unpack[Filters]) -> Page:
        """Return current cubes in the order in which they were written; see `Space.cubes`."""
        page = self.client.send(self.page_request(limit=limit, cursor=cursor, **filters))
        return replace(page, read=lambda at: self.cubes(limit=limit, cursor=at, **filters))

    def dump(self) -> Iterator[dict[str, Any]]:
        """Yield every cube with its versions while the response is being received; see `Space.dump`."""
        return self.client.stream(self.dump_request())


@dataclass(frozen=True, slots=True)
class AsyncPage:
    """A page of cubes; `async for` continues over all following pages and reads each when it is reached."""

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


class AsyncRemoteSpace(AsyncVerbs):
    """A space of a server for asyncio: the verbs of `Space`, to be awaited."""

    def __init__(self, client: AsyncClient, name: str) -> None:
        super().__init__(name)
        self.client = client

    async def carry_out(self, build: Callable[[], ApiRequest[T]]) -> T:
        """Send a request and return its result."""
        return await self.client.send(build())

    async def timezone(self) -> str:
        """Return where naive times are told and days begin."""
        return await self.client.send(ApiRequest("GET", f"{self.path}/timezone", _zone))

    async def set_timezone(self, value: str) -> None:
        """Say where naive times are told and days begin: an IANA name, an offset or "UTC". Raises InvalidInput."""
        await self.client.send(ApiRequest("PUT", f"{self.path}/timezone", _zone, {"timezone": value}))

    async def policy(self) -> Policy:
        """Return which cubes are archived and erased, and by which law."""
        return await self.client.send(ApiRequest("GET", f"{self.path}/policy", responses.policy))

    async def set_policy(self, value: Policy) -> None:
        """Change which cubes are archived and erased. Raises InvalidInput."""
        await self.client.send(ApiRequest("PUT", f"{self.path}/policy", responses.policy, asdict(value)))

    async def cubes(self, *, limit: int = 100, cursor: int | None = None, **filters: Unpack[Filters]) -> AsyncPage:
        """Return current cubes in the order in which they were written: `async for cube in await space.cubes()`."""
        page = await self.client.send(self.page_request(limit=limit, cursor=cursor, **filters))
        return AsyncPage(page.items, page.next_cursor, lambda at: self.cubes(limit=limit, cursor=at, **filters))

    def dump(self) -> AsyncIterator[dict[str, Any]]:
        """Yield every cube with its versions while the response is being received; see `Space.dump`."""
        return self.client.stream(self.dump_request())


def _zone(data: Any) -> str:
    return str(data["timezone"])


def _options(url: str, key: str, timeout: float, more: Mapping[str, Any]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}"}
    return {"base_url": url, "headers": headers, "timeout": timeout, "trust_env": False, **more}


def _send_options(request: ApiRequest[Any], timeout: float) -> dict[str, Any]:
    """Return the options of a request. An import may take any time: its response comes once all of it is stored."""
    unlimited = {"timeout": httpx.Timeout(timeout, read=None)} if request.lines is not None else {}
    return {**request.options(), **unlimited}


async def _to_async(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


class Client:
    """The memory of a server, safe to share among threads. `timeout` is in seconds; `more` is passed to `httpx.Client`."""

    def __init__(self, url: str, key: str, *, timeout: float = SECONDS, **more: Any) -> None:
        self._timeout = timeout
        self._http = httpx.Client(**_options(url, key, timeout, more))

    def space(self, name: str) -> RemoteSpace:
        """Return a space; the server creates it with the first `add`."""
        return RemoteSpace(self, name)

    def spaces(self) -> list[str]:
        """Return the names of the spaces that the key may read."""
        return self.send(SPACES)

    def send(self, request: ApiRequest[T]) -> T:
        """Send a request and return its result. Raises Unreachable, ServerError and the errors of the verb."""
        try:
            response = self._http.request(request.method, request.path, **_send_options(request, self._timeout))
        except httpx.HTTPError as error:
            raise Unreachable(UNREACHABLE.format(error)) from error
        return request.result(response)

    def stream(self, request: ApiRequest[T]) -> Iterator[T]:
        """Send a request and yield the result of each line of the response as it is received."""
        try:
            with self._http.stream(request.method, request.path, **request.options()) as response:
                if not response.is_success:
                    response.read()
                    request.result(response)
                for line in response.iter_lines():
                    if line:
                        yield request.read(json.loads(line))
        except httpx.HTTPError as error:
            raise Unreachable(UNREACHABLE.format(error)) from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class AsyncClient:
    """The memory of a server for asyncio. `timeout` is in seconds; `more` is passed to `httpx.AsyncClient`."""

    def __init__(self, url: str, key: str, *, timeout: float = SECONDS, **more: Any) -> None:
        self._timeout = timeout
        self._http = httpx.AsyncClient(**_options(url, key, timeout, more))

    def space(self, name: str) -> AsyncRemoteSpace:
        """Return a space; the server creates it with the first `add`."""
        return AsyncRemoteSpace(self, name)

    async def spaces(self) -> list[str]:
        """Return the names of the spaces that the key may read."""
        return await self.send(SPACES)

    async def send(self, request: ApiRequest[T]) -> T:
        """Send a request and return its result. Raises Unreachable, ServerError and the errors of the verb."""
        try:
            options = _send_options(request, self._timeout)
            if request.lines is not None and not isinstance(request.lines, AsyncIterable):
                options["content"] = _to_async(options["content"])
            response = await self._http.request(request.method, request.path, **options)
        except httpx.HTTPError as error:
            raise Unreachable(UNREACHABLE.format(error)) from error
        return request.result(response)

    async def stream(self, request: ApiRequest[T]) -> AsyncIterator[T]:
        """Send a request and yield the result of each line of the response as it is received."""
        try:
            async with self._http.stream(request.method, request.path, **request.options()) as response:
                if not response.is_success:
                    await response.aread()
                    request.result(response)
                async for line in response.aiter_lines():
                    if line:
                        yield request.read(json.loads(line))
        except httpx.HTTPError as error:
            raise Unreachable(UNREACHABLE.format(error)) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()
