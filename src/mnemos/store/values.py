"""What a store takes and returns. Times are microseconds since 1970 unless they are `datetime`s."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemos.cube import MemCube, from_micros
from mnemos.facts import Reading

Vector = NDArray[np.float16] | None
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
# Kinds of cubes that are derived from others, or the state of an agent's work: a search finds them by `kind=` only.
AGENT = (
    "task-step", "working-state", "working-note", "agent-case", "agent-outcome", "agent-episode", "agent-belief", "agent-file",
    "checkpoint", "checkpoint-value", "checkpoint-write",
)  # fmt: skip
DERIVED = (
    "episode",
    "summary",
    "profile",
    "reflection",
    "kv",
    "carrier",
    "state",
    "feedback",
    "tuning",
    "answer",
    "label",
    *AGENT,
)
WEIGHTS = "carrier"  # the kind of cubes whose payload is weights: backups hold it, since it cannot be computed again for nothing
STATES = "state"  # the kind of cubes whose payload is what a model with a memory of its own remembers
WITH_PAYLOAD = ("kv", WEIGHTS, STATES)  # kinds of cubes whose payload is in `Store.blobs`
OnErase = Callable[[Mapping[str, str]], None]  # takes the forms of the erased cubes, by id
IMPLIED = ("derived from", "follows", "same entity")  # kinds of links that follow from other rows and are not stored


@dataclass(frozen=True, slots=True)
class DateRow:
    """A date that a text mentions: half-open [start, end).

    `phrase` is text[span_start:span_end]. `relative` when the phrase means nothing without the time of the message
    ("yesterday").
    """

    start: int
    end: int
    phrase: str
    span_start: int
    span_end: int
    granularity: str
    relative: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A version to write, with what recall needs."""

    cube: MemCube
    terms: tuple[str, ...]
    vector: Vector = None  # (D,), or (1 + parts, D); None: the cube is found by words only
    dates: tuple[DateRow, ...] = ()
    readings: tuple[Reading, ...] = ()  # what heads read in it


@dataclass(frozen=True, slots=True)
class IndexRow:
    """What the index in RAM reads of one version."""

    key: int
    session: str | None
    speaker: str | None
    role: str | None
    kind: str
    at: int
    text: str
    terms: tuple[str, ...]
    vector: Vector
    dates: tuple[tuple[int, int], ...]
    superseded: bool = False
    archived: bool = False
    learned: int = 0  # when it was written
    replaced: int | None = None  # when the next version was; None: it is the current one

    @property
    def searched(self) -> bool:
        """True when a search of the present sees it."""
        return self.replaced is None and not self.archived


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened after a sequence number, seen in one consistent read."""

    seq: int
    rows: list[IndexRow]
    gone: list[
        int
    ]  # keys of versions that no longer exist and, unless asked for as rows, of replaced and archived ones


@dataclass(frozen=True, slots=True)
class Scanned:
    """A version and what is stored beside it, unchecked: `terms` and `vector` may be missing or wrong."""

    key: int
    cube: MemCube
    terms: str | None
    dates: tuple[DateRow, ...]
    vector: bytes | None


@dataclass(frozen=True, slots=True)
class DamagedRecord:
    """A row that readers skip: where it is, the cube that it is about if that can be read, and what is wrong."""

    table: str
    key: str  # for people
    cube: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What can be read of a file with damaged pages: rows by table, and the tables of which some are lost."""

    rows: dict[str, int]
    lost: dict[str, str]
    kept: str  # where the damaged file is now; "" when nothing was changed


@dataclass(frozen=True, slots=True)
class AsideRow:
    """A damaged row that was set aside: its values as JSON, with what is no text or number as {"hex": ...}."""

    made: int
    table: str
    cube: str | None
    reason: str
    row: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which cubes: every given field must match."""

    session: str | None = None
    speaker: str | None = None
    role: str | None = None
    kind: str | None = None
    source: str | None = None
    state: str | None = "active"  # None: any
    since: int | None = None  # half-open [since, until): when the cube happened, or a date that it mentions
    until: int | None = None
    mentioned: bool = True  # `since` and `until` mean the dates that a cube mentions, too
    as_of: int | None = None  # the versions believed at that moment, instead of the current ones
    true_at: int | None = None  # what had begun by that moment and was not over, as far as is known
    where: Mapping[str, Any] = field(default_factory=dict)  # metadata, in the language of `store.where`
    superseded: bool = False  # the state "active" includes superseded cubes
    derived: bool = False  # without a `kind`, derived cubes match too, as they do in any state

    @property
    def selects_all(self) -> bool:
        """True when nothing narrows the search: every active, current original matches (and superseded ones)."""
        return self == Filter(superseded=self.superseded)


@dataclass(frozen=True, slots=True)
class Member:
    """What grouping needs of a current cube."""

    key: int
    id: str
    version: int
    session: str | None
    at: int
    offset: int  # seconds east of UTC, as `at` was given

    @property
    def when(self) -> datetime:
        """When it happened, in the time zone in which it was given."""
        return from_micros(self.at, self.offset)


@dataclass(frozen=True, slots=True)
class DerivedCube:
    """A current derived cube: what it was made of, and a fingerprint of its members by which staleness is seen."""

    id: str
    key: int
    version: int
    of: str
    fingerprint: str
    at: int
    offset: int
    level: str


@dataclass(frozen=True, slots=True)
class LifeRows:
    """The life of current cubes as arrays, (N,) each, in no particular order."""

    keys: Ints
    pinned: Bools
    archived: Bools  # the others are in another state
    learned: Floats
    recalled: Floats  # when it was last recalled, or learned if never
    recalls: Ints
    strength: Floats
    size: Ints  # characters of the text
    tier: Ints


@dataclass(frozen=True, slots=True)
class Days:
    """How many cubes happened on each day (days since 1970, of their own clocks), and the first and the last moment."""

    counts: list[tuple[int, int]]
    first: int | None
    last: int | None


@dataclass(frozen=True, slots=True)
class Sizes:
    """Number and UTF-8 bytes of texts by (form, kind), and the bytes of what is stored beside them."""

    forms: list[tuple[str, str, int, int]]
    words: int
    vectors: int
    versions: int  # texts of versions that are not current
    links: int
    file: int  # everything, as it is on the disk


@dataclass(frozen=True, slots=True)
class StoredSpace:
    """A space under a root, or what looks like one and cannot be read."""

    name: str | None  # None when it cannot be read
    where: str
    nbytes: int
    problem: str = ""
