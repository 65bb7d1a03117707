# ruff: noqa: D102  (each verb has the docstring of the verb of Space with its name)
"""The verbs of a served space: each builds the request that carries it out."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, Unpack, cast, overload

from mnemos.arguments import check_texts
from mnemos.cube import Hit, Hits, MemCube, Page, SessionHit
from mnemos.errors import InvalidInput
from mnemos.facts import Decision, KnownFact, Link
from mnemos.guard.erasure import Receipt
from mnemos.guard.preview import Preview
from mnemos.serve import responses
from mnemos.serve.remote_agents import RemoteAnswers, RemoteBeliefs, RemoteCases, RemoteTask, RemoteWorking
from mnemos.serve.remote_inspector import RemoteInspector
from mnemos.serve.remote_labels import RemoteLabels
from mnemos.serve.requests import ApiRequest, Row, given, path_segment, query_string
from mnemos.space import Space
from mnemos.store.audit import AuditEntry
from mnemos.text.consolidate.report import Consolidation, Forgotten
from mnemos.text.recall.filters import Filters, Time
from mnemos.text.recall.snapshot import SearchMethod

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Verb(Protocol[P, T_co]):
    """A method that returns its result in a blocking space, and a coroutine in an asynchronous one."""

    @overload
    def __get__(self, space: BlockingVerbs, owner: Any = None) -> Callable[P, T_co]: ...
    @overload
    def __get__(self, space: AsyncVerbs, owner: Any = None) -> Callable[P, Coroutine[Any, Any, T_co]]: ...


def verb(build: Callable[Concatenate[SpaceVerbs, P], ApiRequest[T]]) -> Verb[P, T]:
    """Make a method that sends the request that `build` returns."""

    @wraps(build)
    def method(space: SpaceVerbs, /, *args: Any, **options: Any) -> Any:
        return space.carry_out(lambda: build(space, *args, **options))

    method.__doc__ = getattr(Space, build.__name__).__doc__
    return cast("Verb[P, T]", method)


class SpaceVerbs(ABC):
    """The verbs that blocking and asynchronous spaces share. They take, return and raise what those of `Space` do."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = f"/v1/spaces/{path_segment(name)}"

    @abstractmethod
    def carry_out(self, build: Callable[[], ApiRequest[Any]]) -> Any:
        """Send a request and return its result, or a coroutine that does."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse to set what the server would not learn of, such as `trust` and `secrets`."""
        if name not in ("name", "path", "client") and not isinstance(getattr(type(self), name, None), property):
            raise AttributeError(f"a served space has no {name!r} to set. Set it where the memory is: Space.{name}.")
        super().__setattr__(name, value)

    def task(self, name: str, *, agent: str | None = None) -> RemoteTask:
        """Return the state of a task; see `Space.task`."""
        return RemoteTask(self.path, self.carry_out, name, agent)

    def working(
        self, name: str, *, tokens: int = 2_000, policy: str = "short-and-long-term", agent: str | None = None
    ) -> RemoteWorking:
        """Return the context of a long task within `tokens`; see `Space.working`. A policy is given by name."""
        return RemoteWorking(self.path, self.carry_out, name, tokens, policy, agent)

    def cases(self, name: str = "cases", *, agent: str | None = None) -> RemoteCases:
        """Return a bank of cases; see `Space.cases`."""
        return RemoteCases(self.path, self.carry_out, name, agent)

    def labels(self, name: str = "labels") -> RemoteLabels:
        """Return a classifier of texts; see `Space.labels`."""
        return RemoteLabels(self.path, self.carry_out, name)

    def beliefs(self, name: str, *, agent: str | None = None, sources: Sequence[str] = ()) -> RemoteBeliefs:
        """Return what a team of agents learned; see `Space.beliefs`."""
        return RemoteBeliefs(self.path, self.carry_out, name, agent, sources)

    @property
    def answers(self) -> RemoteAnswers:
        """The cache of answers; see `Space.answers`."""
        return RemoteAnswers(self.path, self.carry_out)

    @property
    def inspect(self) -> RemoteInspector:
        """The space seen as a whole; see `Space.inspect`."""
        return RemoteInspector(self.path, self.carry_out)

    @verb
    def add(
        self,
        /,
        content: Any,
        *,
        speaker: str | None = None,
        session: str | None = None,
        at: Time = None,
        timezone: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        source: str | None = None,
        role: str | None = None,
        kind: str = "turn",
        id: str | None = None,
        reconcile: bool = True,
        idempotency_key: str | None = None,
    ) -> ApiRequest[MemCube]:
        message = given({
            "content": content, "speaker": speaker, "session": session, "at": at, "timezone": timezone,
            "metadata": metadata, "source": source, "role": role, "kind": kind, "id": id,
        })  # fmt: skip
        return self._add([message], reconcile, idempotency_key, lambda data: responses.cubes(data)[0])

    @verb
    def add_many(
        self, /, messages: Iterable[Row], *, reconcile: bool = True, idempotency_key: str | None = None
    ) -> ApiRequest[list[MemCube]]:
        return self._add(list(messages), reconcile, idempotency_key, responses.cubes)

    @verb
    def search(
        self,
        /,
        query: str,
        k: int | None = None,
        *,
        asked_at: Time = None,
        method: SearchMethod = "hybrid",
        min_score: float | None = None,
        **filters: Unpack[Filters],
    ) -> ApiRequest[Hits]:
        options = {"asked_at": asked_at, "method": method, "min_score": min_score, **filters}
        return self._post("search", responses.hits, query=query, k=k, **options)

    @verb
    def search_sessions(
        self,
        /,
        query: str,
        k: int = 10,
        *,
        asked_at: Time = None,
        method: SearchMethod = "hybrid",
        **filters: Unpack[Filters],
    ) -> ApiRequest[Sequence[SessionHit]]:
        options = {"asked_at": asked_at, "method": method, **filters}
        return self._post("search_sessions", responses.sessions, query=query, k=k, **options)

    @verb
    def context(
        self,
        /,
        question: str,
        *,
        tokens: int = 800,
        k: int = 40,
        asked_at: Time = None,
        min_score: float | None = None,
        quarantine: bool = True,
        shown: str = "",
        most: int | None = None,
        **filters: Unpack[Filters],
    ) -> ApiRequest[str]:
        own = {"asked_at": asked_at, "min_score": min_score, "quarantine": quarantine, "shown": shown, "most": most}
        options = {"tokens": tokens, "k": k, **own, **filters}
        return self._post("context", lambda data: str(data["context"]), question=question, **options)

    @verb
    def quarantined(self, /, question: str, found: Sequence[Hit] | None = None) -> ApiRequest[Mapping[str, str]]:
        ids = None if found is None else [cube.id for hit in found for cube in (hit.cube, *hit.earlier)]
        return self._post("quarantined", lambda data: dict(data["withheld"]), question=question, ids=ids)

    @verb
    def used(self, /, question: str, ids: Sequence[str]) -> ApiRequest[MemCube]:
        return self._post("used", MemCube.from_dict, question=question, ids=check_texts(ids, "ids"))

    @verb
    def verify(self, /, receipt: Receipt) -> ApiRequest[list[str]]:
        if not isinstance(receipt, Receipt):
            raise InvalidInput(
                f"receipt is {receipt!r:.60}, expected what forget() returned, or Receipt.from_json(text)."
            )
        return self._post("verify", lambda data: list(data["found"]), **asdict(receipt))

    @verb
    def get(self, /, cube_id: str) -> ApiRequest[MemCube]:
        return ApiRequest("GET", self._cube(cube_id), MemCube.from_dict)

    @verb
    def update(self, /, cube_id: str, **changes: Any) -> ApiRequest[MemCube]:
        return ApiRequest("PATCH", self._cube(cube_id), MemCube.from_dict, changes)

    @verb
    def history(self, /, cube_id: str) -> ApiRequest[Sequence[MemCube]]:
        return ApiRequest("GET", f"{self._cube(cube_id)}/history", responses.cubes)

    @verb
    def rollback(self, /, cube_id: str, version: int) -> ApiRequest[MemCube]:
        return ApiRequest("POST", f"{self._cube(cube_id)}/rollback", MemCube.from_dict, {"version": version})

    @verb
    def delete(self, /, cube_id: str) -> ApiRequest[Sequence[str]]:
        return ApiRequest("DELETE", self._cube(cube_id), lambda data: list(data["removed"]))

    @verb
    def forget(
        self,
        /,
        ids: Sequence[str] = (),
        *,
        query: str | None = None,
        everything: bool = False,
        **filters: Unpack[Filters],
    ) -> ApiRequest[Receipt]:
        return self._forget(responses.receipt, ids, query=query, everything=everything, **filters, preview=False)

    @verb
    def forget_preview(
        self,
        /,
        ids: Sequence[str] = (),
        *,
        query: str | None = None,
        everything: bool = False,
        **filters: Unpack[Filters],
    ) -> ApiRequest[Preview]:
        return self._forget(responses.preview, ids, query=query, everything=everything, **filters, preview=True)

    @verb
    def facts(
        self,
        /,
        subject: str | None = None,
        attribute: str | None = None,
        *,
        as_of: Time = None,
        true_at: Time = None,
        include_ended: bool = False,
        timezone: str | None = None,
        min_confidence: float = 1.0,
    ) -> ApiRequest[Sequence[KnownFact]]:
        options = {"as_of": as_of, "true_at": true_at, "include_ended": include_ended, "timezone": timezone}
        options["min_confidence"] = min_confidence
        return self._get("facts", responses.facts, subject=subject, attribute=attribute, **options)

    @verb
    def decisions(self, /, cube_id: str | None = None, *, limit: int = 100) -> ApiRequest[Sequence[Decision]]:
        return self._get("decisions", responses.decisions, cube=cube_id, limit=limit)

    @verb
    def links(self, /, cube_id: str | None = None, *, kind: str | None = None) -> ApiRequest[Sequence[Link]]:
        path = self.path if cube_id is None else self._cube(cube_id)
        return ApiRequest("GET", f"{path}/links", responses.links, query=given({"kind": kind}))

    @verb
    def tasks(self) -> ApiRequest[list[str]]:
        return self._get("tasks", lambda data: list(data["tasks"]))

    @verb
    def count(self) -> ApiRequest[int]:
        return self._get("stats", lambda data: int(data["cubes"]))

    @verb
    def stats(self) -> ApiRequest[dict[str, Any]]:
        return self._get("stats", dict)

    @verb
    def consolidate(self, /, *, limit: int | None = None) -> ApiRequest[Consolidation]:
        return self._post("consolidate", responses.consolidation, limit=limit)

    @verb
    def apply_policy(self, /, *, preview: bool = False) -> ApiRequest[Forgotten]:
        return self._post("apply-policy", responses.forgotten, preview=preview)

    @verb
    def pin(self, /, cube_id: str) -> ApiRequest[None]:
        return ApiRequest("POST", f"{self._cube(cube_id)}/pin", lambda _: None, {"on": True})

    @verb
    def unpin(self, /, cube_id: str) -> ApiRequest[None]:
        return ApiRequest("POST", f"{self._cube(cube_id)}/pin", lambda _: None, {"on": False})

    @verb
    def archive(self, /, ids: Sequence[str]) -> ApiRequest[Sequence[str]]:
        return self._post("archive", lambda data: list(data["changed"]), ids=check_texts(ids, "ids"), back=False)

    @verb
    def unarchive(self, /, ids: Sequence[str]) -> ApiRequest[Sequence[str]]:
        return self._post("archive", lambda data: list(data["changed"]), ids=check_texts(ids, "ids"), back=True)

    @verb
    def audit(self, /, *, after: int = 0, limit: int = 100) -> ApiRequest[Sequence[AuditEntry]]:
        return self._get("audit", responses.audit, after=after, limit=limit)

    @verb
    def verify_audit(self, /, head: str | None = None) -> ApiRequest[tuple[int, list[str]]]:
        return self._get("audit", lambda data: (data["count"], data["problems"]), limit=1, verify=True, head=head)

    @verb
    def restore(self, /, rows: Iterable[Row] | AsyncIterable[Row]) -> ApiRequest[tuple[int, int]]:
        return ApiRequest("POST", f"{self.path}/import", lambda data: (data["added"], data["skipped"]), lines=rows)

    def page_request(self, **options: Any) -> ApiRequest[Page]:
        """Build the request for a page of cubes."""
        return self._get("cubes", responses.page, **options)

    def dump_request(self) -> ApiRequest[dict[str, Any]]:
        """Build the request for all cubes; the response has a row a line."""
        return self._get("export", dict)

    def _add(self, messages: list[Any], reconcile: bool, key: str | None, read: Callable[[Any], T]) -> ApiRequest[T]:
        headers = {"Idempotency-Key": key or secrets.token_urlsafe(16)}
        body = {"messages": messages, "reconcile": reconcile}
        return ApiRequest("POST", f"{self.path}/cubes", read, body, headers=headers)

    def _forget(self, read: Callable[[Any], T], ids: Sequence[str], **chosen: Any) -> ApiRequest[T]:
        return self._post("forget", read, ids=check_texts(ids, "ids"), **chosen)

    def _post(self, route: str, read: Callable[[Any], T], /, **body: Any) -> ApiRequest[T]:
        return ApiRequest("POST", f"{self.path}/{route}", read, given(body))

    def _get(self, route: str, read: Callable[[Any], T], /, **query: Any) -> ApiRequest[T]:
        return ApiRequest("GET", f"{self.path}/{route}", read, query=query_string(query))

    def _cube(self, cube_id: str) -> str:
        return f"{self.path}/cubes/{path_segment(cube_id)}"


class BlockingVerbs(SpaceVerbs):
    """Verbs that return their result."""

    @abstractmethod
    def carry_out(self, build: Callable[[], ApiRequest[T]]) -> T:
        """Send a request and return its result."""


class AsyncVerbs(SpaceVerbs):
    """Verbs to be awaited."""

    @abstractmethod
    async def carry_out(self, build: Callable[[], ApiRequest[T]]) -> T:
        """Send a request and return its result."""
