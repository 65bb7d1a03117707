# ruff: noqa: D102, D103  (the verbs are those of Space, whose docstrings say what they do)
"""The requests that the verbs of a space make, and how their answers are read."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack
from urllib.parse import quote

from mnemos import errors
from mnemos.arguments import check_texts
from mnemos.cube import Hit, MemCube, Page, SessionHit
from mnemos.errors import InvalidInput, MnemosError
from mnemos.facts import Decision, KnownFact, Link
from mnemos.guard.erasure import Receipt
from mnemos.text.consolidate.runs import Consolidation
from mnemos.text.forget.policy import Faded
from mnemos.text.recall.filters import Filters, Time
from mnemos.text.recall.view import SearchMethod

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
Rows = Iterable[Mapping[str, Any]]
TYPE = "urn:mnemos:error:"


class ServerError(MnemosError):
    """The server refused a request for a reason that an embedded memory does not have, such as a wrong key.

    `status` is that of HTTP; `wait` the seconds after which to try again, where the server said so.
    """

    def __init__(self, message: str, status: int, wait: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.wait = wait


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and how its answer is read. `lines` are sent as they come, one JSON object a line."""

    method: str
    path: str
    read: Callable[[Any], T]
    body: Any = None
    query: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    lines: Rows | AsyncIterable[Mapping[str, Any]] | None = None

    def options(self) -> dict[str, Any]:
        """Return what httpx takes."""
        found: dict[str, Any] = {"headers": dict(self.headers or {})}
        if self.query:
            found["params"] = {k: json.dumps(v) if isinstance(v, bool) else v for k, v in self.query.items()}
        if self.body is not None:
            found["content"] = _encoded(self.body)
            found["headers"]["Content-Type"] = "application/json"
        elif self.lines is not None:
            found["content"] = _later(self.lines) if isinstance(self.lines, AsyncIterable) else _now(self.lines)
            found["headers"]["Content-Type"] = "application/x-ndjson"
        return found

    def result(self, response: httpx.Response) -> T:
        """Return what an answer says; raises the error that it says."""
        try:
            data = response.json()
            if response.is_success:
                return self.read(data)
            kind, detail = str(data["type"]).removeprefix(TYPE), str(data["detail"])
        except (KeyError, TypeError, ValueError) as error:
            raise ServerError(f"the answer is not of a Mnemos server ({error}).", response.status_code) from error
        known = getattr(errors, kind, None)
        if isinstance(known, type) and issubclass(known, MnemosError):
            raise known(detail)
        wait = response.headers.get("Retry-After", "")
        raise ServerError(detail, response.status_code, float(wait) if wait.isdecimal() else None)


class Calls:
    """The requests that the verbs of a space make."""

    def __init__(self, name: str) -> None:
        self.path = f"/v1/spaces/{_part(name)}"

    def add(
        self, /, content: Any, *, decide: bool = True, idempotency_key: str | None = None, **more: Any
    ) -> Call[MemCube]:
        message = {"content": content, **_given(more)}
        return self._add([message], decide, idempotency_key, lambda data: _cubes(data)[0])

    def add_many(
        self, /, messages: Iterable[Mapping[str, Any]], *, decide: bool = True, idempotency_key: str | None = None
    ) -> Call[list[MemCube]]:
        return self._add(list(messages), decide, idempotency_key, _cubes)

    def _add(self, messages: list[Any], decide: bool, key: str | None, read: Callable[[Any], T]) -> Call[T]:
        headers = {"Idempotency-Key": key or secrets.token_urlsafe(16)}
        return Call("POST", f"{self.path}/cubes", read, {"messages": messages, "decide": decide}, headers=headers)

    def search(
        self,
        /,
        query: str,
        k: int = 10,
        *,
        asked_at: Time = None,
        method: SearchMethod = "hybrid",
        **filters: Unpack[Filters],
    ) -> Call[list[Hit]]:
        body = {"query": query, "k": k, "asked_at": asked_at, "method": method, **filters}
        return Call("POST", f"{self.path}/search", _hits, _given(body))

    def search_sessions(
        self,
        /,
        query: str,
        k: int = 10,
        *,
        asked_at: Time = None,
        method: SearchMethod = "hybrid",
        **filters: Unpack[Filters],
    ) -> Call[Sequence[SessionHit]]:
        body = {"query": query, "k": k, "asked_at": asked_at, "method": method, **filters}
        return Call("POST", f"{self.path}/search_sessions", _session_hits, _given(body))

    def context(
        self,
        /,
        question: str,
        *,
        tokens: int = 800,
        k: int = 40,
        asked_at: Time = None,
        quarantine: bool = True,
        **filters: Unpack[Filters],
    ) -> Call[str]:
        body = {
            "question": question, "tokens": tokens, "k": k, "asked_at": asked_at, "quarantine": quarantine, **filters
        }  # fmt: skip
        return Call("POST", f"{self.path}/context", lambda d: str(d["context"]), _given(body))

    def get(self, /, cube_id: str) -> Call[MemCube]:
        return Call("GET", self._cube(cube_id), MemCube.from_dict)

    def cubes(self, /, *, limit: int = 100, cursor: int | None = None, **filters: Unpack[Filters]) -> Call[Page]:
        query = _given({"limit": limit, "cursor": cursor, **filters})
        if "where" in query:
            query["where"] = json.dumps(query["where"])
        return Call("GET", f"{self.path}/cubes", _page, query=_flat(query))

    def update(self, /, cube_id: str, **changes: Any) -> Call[MemCube]:
        return Call("PATCH", self._cube(cube_id), MemCube.from_dict, changes)

    def history(self, /, cube_id: str) -> Call[Sequence[MemCube]]:
        return Call("GET", self._cube(cube_id) + "/history", _cubes)

    def rollback(self, /, cube_id: str, version: int) -> Call[MemCube]:
        return Call("POST", self._cube(cube_id) + "/rollback", MemCube.from_dict, {"version": version})

    def delete(self, /, cube_id: str) -> Call[Sequence[str]]:
        return Call("DELETE", self._cube(cube_id), lambda data: list(data["removed"]))

    def forget(
        self,
        /,
        ids: Sequence[str] = (),
        *,
        query: str | None = None,
        everything: bool = False,
        **filters: Unpack[Filters],
    ) -> Call[Receipt]:
        return Call("POST", f"{self.path}/forget", _receipt, _chosen(ids, query, everything, filters, preview=False))

    def forget_preview(
        self,
        /,
        ids: Sequence[str] = (),
        *,
        query: str | None = None,
        everything: bool = False,
        **filters: Unpack[Filters],
    ) -> Call[Sequence[MemCube]]:
        return Call("POST", f"{self.path}/forget", _cubes, _chosen(ids, query, everything, filters, preview=True))

    def facts(
        self, /, subject: str | None = None, attribute: str | None = None, **options: Any
    ) -> Call[Sequence[KnownFact]]:
        query = _given({"subject": subject, "attribute": attribute, **options})
        return Call("GET", f"{self.path}/facts", _facts, query=_flat(query))

    def decisions(self, /, cube_id: str | None = None, *, limit: int = 100) -> Call[Sequence[Decision]]:
        return Call("GET", f"{self.path}/decisions", _decisions, query=_given({"cube": cube_id, "limit": limit}))

    def links(self, /, cube_id: str | None = None, *, kind: str | None = None) -> Call[Sequence[Link]]:
        path = self.path if cube_id is None else self._cube(cube_id)
        return Call("GET", f"{path}/links", lambda d: [Link(**x) for x in d["links"]], query=_given({"kind": kind}))

    def count(self) -> Call[int]:
        return Call("GET", f"{self.path}/stats", lambda data: int(data["cubes"]))

    def stats(self) -> Call[dict[str, Any]]:
        return Call("GET", f"{self.path}/stats", dict)

    def consolidate(self, /, **options: Any) -> Call[Consolidation]:
        return Call("POST", f"{self.path}/consolidate", _consolidation, _given(options))

    def fade(self, /, *, preview: bool = False) -> Call[Faded]:
        return Call("POST", f"{self.path}/fade", _faded, {"preview": preview})

    def pin(self, /, cube_id: str, *, on: bool = True) -> Call[None]:
        return Call("POST", self._cube(cube_id) + "/pin", lambda _: None, {"on": on})

    def archive(self, /, ids: Sequence[str]) -> Call[Sequence[str]]:
        return self._archive(ids, False)

    def unarchive(self, /, ids: Sequence[str]) -> Call[Sequence[str]]:
        return self._archive(ids, True)

    def _archive(self, ids: Sequence[str], back: bool) -> Call[Sequence[str]]:
        body = {"ids": check_texts(ids, "ids"), "back": back}
        return Call("POST", f"{self.path}/archive", lambda data: list(data["changed"]), body)

    def dump(self) -> Call[dict[str, Any]]:
        """The answer has a row a line."""
        return Call("GET", f"{self.path}/export", dict)

    def restore(self, /, rows: Rows | AsyncIterable[Mapping[str, Any]]) -> Call[tuple[int, int]]:
        return Call("POST", f"{self.path}/import", lambda d: (d["added"], d["skipped"]), lines=rows)

    def _cube(self, cube_id: str) -> str:
        return f"{self.path}/cubes/{_part(cube_id)}"


def _part(name: str) -> str:
    """Return a name as one part of a path; "." and ".." are no steps in it."""
    if not isinstance(name, str) or not name:
        raise InvalidInput(f"expected a name, got {name!r}.")
    try:
        quoted = quote(name, safe="")
    except UnicodeEncodeError as error:
        raise InvalidInput(f"the name {name!r} holds a lone surrogate. Use valid Unicode.") from error
    return quoted.replace(".", "%2E") if name in (".", "..") else quoted


def _encoded(data: Any) -> bytes:
    try:
        return json.dumps(data, allow_nan=False, default=_time).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"this cannot be sent as JSON ({error}). Nothing was stored.") from error


def _now(rows: Rows) -> Iterator[bytes]:
    for row in rows:
        yield _encoded(row) + b"\n"


async def _later(rows: AsyncIterable[Mapping[str, Any]]) -> AsyncIterator[bytes]:
    async for row in rows:
        yield _encoded(row) + b"\n"


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _chosen(ids: Sequence[str], query: str | None, everything: bool, filters: Filters, preview: bool) -> dict[str, Any]:
    body = {"ids": check_texts(ids, "ids"), "query": query, "everything": everything, "preview": preview, **filters}
    return _given(body)


def _flat(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _time(value) if isinstance(value, date) else value for name, value in query.items()}


def _time(value: object) -> str:
    """Return a time as ISO 8601; naive means UTC, as everywhere."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")


def _moment(text: str | None) -> Any:
    return None if text is None else datetime.fromisoformat(text)


def spaces_of(data: Any) -> list[str]:
    return list(data["spaces"])


def _cubes(data: Any) -> list[MemCube]:
    return [MemCube.from_dict(cube) for cube in data["cubes"]]


def _page(data: Any) -> Page:
    return Page([MemCube.from_dict(cube) for cube in data["items"]], data["next_cursor"])


def _hits(data: Any) -> list[Hit]:
    return [Hit(MemCube.from_dict(hit["cube"]), hit["score"], hit["why"]) for hit in data["hits"]]


def _session_hits(data: Any) -> list[SessionHit]:
    return [SessionHit(**hit) for hit in data["sessions"]]


def _facts(data: Any) -> list[KnownFact]:
    times = ("valid_from", "valid_to")
    return [KnownFact(**{**fact, **{name: _moment(fact[name]) for name in times}}) for fact in data["facts"]]


def _decisions(data: Any) -> list[Decision]:
    return [Decision(**{**d, "made": _moment(d["made"]), "others": tuple(d["others"])}) for d in data["decisions"]]


def _receipt(data: Any) -> Receipt:
    return Receipt.from_json(json.dumps({name: value for name, value in data.items() if name != "verified"}))


def _consolidation(data: Any) -> Consolidation:
    return Consolidation(**{**data, "faded": _faded(data["faded"]), "ids_waiting": frozenset(data["ids_waiting"])})


def _faded(data: Any) -> Faded:
    return Faded(**{name: tuple(ids) for name, ids in data.items()})
