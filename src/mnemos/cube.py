"""MemCube, the unit of memory: a payload and a header."""

from __future__ import annotations

import base64
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Literal

from mnemos.zones import check_zone, load_zone

Form = Literal["text", "activation", "parametric"]
State = Literal["active", "superseded", "archived"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
_TIMES = ("at", "learned", "replaced", "valid_from", "valid_to", "recalled_at")


def new_id() -> str:
    """Return a random id: 16 characters of base 32 (80 bits), short enough to cite in a prompt."""
    return base64.b32encode(os.urandom(10)).decode("ascii").lower()


def utc_now() -> datetime:
    """Return the current time, timezone-aware: the default clock."""
    return datetime.now(UTC)


def to_micros(moment: datetime) -> int:
    """Return the exact number of microseconds since 1970 (UTC) of an aware datetime."""
    return (moment - EPOCH) // MICROSECOND


def from_micros(micros: int, offset: int = 0) -> datetime:
    """Return the aware datetime `micros` microseconds since 1970, in the time zone `offset` seconds east of UTC."""
    moment = EPOCH + timedelta(microseconds=micros)
    return moment.astimezone(timezone(timedelta(seconds=offset))) if offset else moment


def to_jsonable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as JSON has them: times in ISO 8601."""
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class MemCube:
    """One memory: `text` is the payload, the other fields are the header.

    Cubes are immutable: an update writes another one with the same `id` and the next `version`. All times are aware.
    """

    id: str
    text: str
    space: str  # the space it belongs to
    at: datetime  # when it happened, with the offset of its speaker's clock
    learned: datetime  # when this version was written
    form: Form = "text"
    kind: str = "turn"  # turn, fact, note, episode, summary, profile, kv, carrier, ...
    state: State = "active"  # superseded: newer cubes replace all it states; archived: out of search, restorable
    version: int = 1
    session: str | None = None
    speaker: str | None = None
    role: str | None = None
    source: str | None = None
    parents: tuple[str, ...] = ()  # ids of the cubes it was derived from
    replaced: datetime | None = None  # when a later version was written; None for the current one
    valid_from: datetime | None = None  # the time in which its statement is true, if known
    valid_to: datetime | None = None
    strength: float = 1.0  # strength, recalls, recalled_at and layer are updated by the forgetting law
    recalls: int = 0
    recalled_at: datetime | None = None
    pinned: bool = False  # exempt from the policy: never archived or erased by it
    layer: int = 0  # 0 short-term, 1 mid-term, 2 long-term
    timezone: str | None = None  # IANA name of the zone in which it was said; None: only the offset of `at` is known
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def local_at(self) -> datetime:
        """When it happened, in the zone in which it was said: its days may have 23 or 25 hours."""
        if self.timezone is None:
            return self.at
        try:
            return self.at.astimezone(load_zone(self.timezone))
        except (LookupError, ValueError, OSError):  # this machine does not know the zone
            return self.at

    @property
    def content(self) -> str:
        """The payload, under the name that `add` and chat APIs use."""
        return self.text

    def to_dict(self) -> dict[str, Any]:
        """Return the cube as JSON-ready data: times in ISO 8601, parents as a list."""
        data = {name: getattr(self, name) for name in _FIELDS}
        for name in _TIMES:
            if data[name] is not None:
                data[name] = data[name].isoformat()
        data["parents"] = list(self.parents)
        data["metadata"] = dict(self.metadata)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MemCube:
        """Return the cube that `to_dict` wrote. Raises TypeError for unknown keys and ValueError for bad times and zones."""
        values = dict(data)
        for name in _TIMES:
            if values.get(name) is not None:
                moment = datetime.fromisoformat(values[name])
                values[name] = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        values["parents"] = tuple(values.get("parents") or ())
        if values.get("timezone") is not None:
            values["timezone"] = check_zone(values["timezone"])
        return cls(**values)


_FIELDS = tuple(f.name for f in dataclasses.fields(MemCube))


@dataclass(frozen=True, slots=True)
class Hit:
    """A result of a search. `why` maps each signal to its share of the score: the values sum to `score`."""

    cube: MemCube
    score: float
    why: Mapping[str, float]
    also: tuple[MemCube, ...] = ()  # the same words by the same speaker at other times, oldest first
    earlier: tuple[MemCube, ...] = ()  # matching cubes that it supersedes, oldest first
    relevance: float | None = None  # the probability that it answers the question; None: not a result of a search

    @property
    def space(self) -> str:
        """The name of the space of the cube."""
        return self.cube.space

    def to_dict(self) -> dict[str, Any]:
        """Return the hit as JSON-ready data."""
        return {
            "cube": self.cube.to_dict(), "score": self.score, "relevance": self.relevance, "why": dict(self.why),
            "also": [cube.to_dict() for cube in self.also], "earlier": [cube.to_dict() for cube in self.earlier],
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Hit:
        """Return the hit that `to_dict` wrote."""
        also, earlier = (tuple(map(MemCube.from_dict, data.get(name, ()))) for name in ("also", "earlier"))
        cube, relevance = MemCube.from_dict(data["cube"]), data.get("relevance")
        return cls(cube, data["score"], data["why"], also, earlier, relevance)


class Hits(list[Hit]):
    """The hits of a search, best first, and whether any of them answers.

    `confidence` is the probability that one does by words and vectors, and `answerable` whether one seems to. Both are of
    the whole search: they do not change with the list, and a slice of it is a plain list. Where `confidence` leaves it open,
    `answerable` looks closer at the first hits when it is first read, which costs about 10 ms.
    """

    def __init__(
        self, hits: Iterable[Hit] = (), confidence: float = 0.0, answerable: bool | Callable[[], bool] = False
    ) -> None:
        super().__init__(hits)
        self.confidence = confidence
        self._answerable = answerable

    @property
    def answerable(self) -> bool:
        """Whether one of the hits seems to answer."""
        if callable(self._answerable):
            self._answerable = self._answerable()
        return self._answerable

    @answerable.setter
    def answerable(self, value: bool) -> None:
        self._answerable = value

    def __reduce__(self) -> tuple[type[Hits], tuple[list[Hit], float, bool]]:
        return Hits, (list(self), self.confidence, self.answerable)


@dataclass(frozen=True, slots=True)
class SessionHit:
    """A session found by `Space.search_sessions`; `best` is the id of its best matching cube."""

    session: str
    score: float
    why: Mapping[str, float]
    best: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page of cubes. Iterating over it continues with all following pages, each read when it is reached."""

    items: list[MemCube]  # the cubes of this page alone
    next_cursor: int | None  # the `cursor` of the following page; None: this is the last one
    read: Callable[[int], Page] | None = field(default=None, repr=False, compare=False)  # reads the page at a cursor

    def __iter__(self) -> Iterator[MemCube]:
        page = self
        yield from page.items
        while page.read is not None and page.next_cursor is not None:
            page = page.read(page.next_cursor)
            yield from page.items
