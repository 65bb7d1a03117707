"""The contract of a store: what it keeps for a space, what is atomic, and what it raises.

A store keeps *versions*. Each version of a cube is one row with a key, unique within the space and
growing with time; at most one version of an id is current (`replaced` is None). Beside each row
stand what recall needs: its terms, its vector under one embedding model, and the dates it speaks of.

Every method that writes is one transaction: it either happened, durably, when the call returns, or
not at all. Every method raises `StoreError` (or a kind of it) when the file cannot be used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mnemos.cube import MemCube

Vector = NDArray[np.float16] | None
DERIVED = ("episode", "summary", "profile", "reflection", "kv")  # kinds of cubes that are made of others


@dataclass(frozen=True, slots=True)
class DateRow:
    """A date that a text speaks of: half-open [start, end) in microseconds since 1970.

    `phrase` is text[span_start:span_end]. `relative` when the phrase means nothing without the time of the message ("yesterday").
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
    """A version to write, with what recall needs. `vector` is (D,) or None (found by words only)."""

    cube: MemCube
    terms: tuple[str, ...]
    vector: Vector = None
    dates: tuple[DateRow, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexRow:
    """What the in-memory index reads of one version."""

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


@dataclass(frozen=True, slots=True)
class Scanned:
    """A version and what is stored beside it, as it is: `terms` and `vector` may be missing or wrong."""

    key: int
    cube: MemCube
    terms: str | None
    dates: tuple[DateRow, ...]
    vector: bytes | None


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that happened after a sequence number, seen in one consistent read."""

    seq: int
    rows: list[IndexRow]
    gone: list[int]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which cubes: every given field must match. Times are microseconds since 1970.

    `since`/`until` (half-open) match a cube that happened then or that speaks of a date then.
    `where` compares metadata values for equality, by JSON value. With `superseded` the state "active" means those too.
    Without a `kind`, derived cubes are left out unless `derived`.
    """

    session: str | None = None
    speaker: str | None = None
    role: str | None = None
    kind: str | None = None
    source: str | None = None
    state: str | None = "active"
    since: int | None = None
    until: int | None = None
    as_of: int | None = None
    where: Mapping[str, Any] = field(default_factory=dict)
    superseded: bool = False
    derived: bool = False

    @property
    def selects_all(self) -> bool:
        """True when nothing narrows the search down: every active, current original matches (and superseded ones)."""
        return self == Filter(superseded=self.superseded)


class Store(Protocol):
    """Where the versions of one space live."""

    def insert(self, entries: Sequence[Entry], model: int | None) -> list[int]:
        """Write new versions, all or none; return their keys. An id that already has this version raises `Conflict`."""

    def replace(self, entry: Entry, model: int | None) -> int:
        """Write the next version of a cube, close the current one at `entry.cube.learned`; return the new key."""

    def erase(self, ids: Sequence[str]) -> list[str]:
        """Remove cubes with all their versions and everything derived from them; return the ids removed."""

    def family(self, ids: Sequence[str]) -> list[str]:
        """Return those of the ids that exist, and the ids of all cubes derived from them."""

    def was_erased(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that were erased from this space at some time."""

    def get(self, ids: Sequence[str]) -> dict[str, MemCube]:
        """Return the current versions that exist, by id."""

    def by_key(self, keys: Sequence[int]) -> dict[int, MemCube]:
        """Return versions by their row key."""

    def versions(self, cube_id: str) -> list[MemCube]:
        """Return all versions of a cube, oldest first; empty when there is none."""

    def select(self, filter: Filter, *, after: int = 0, limit: int = 100) -> list[tuple[int, MemCube]]:
        """Return matching current versions (or those believed at `filter.as_of`) with a key above `after`."""

    def keys(self, filter: Filter) -> NDArray[np.int64]:
        """Return the sorted keys of the versions that match."""

    def dates(self, keys: Sequence[int]) -> dict[int, list[DateRow]]:
        """Return the dates each version speaks of."""

    def changes(self, since: int, model: int | None) -> Changes:
        """Return what was written and what has gone after sequence number `since`."""

    def snapshot(self, as_of: int, model: int | None) -> list[IndexRow]:
        """Return the versions that were current and active at `as_of`."""

    def model(self, name: str, revision: str, dimension: int) -> int:
        """Return the number under which vectors of this embedding model are kept."""

    def unembedded(self, model: int, *, limit: int) -> list[tuple[int, str]]:
        """Return (key, text) of current versions that have no vector of this model."""

    def put_vectors(self, model: int, rows: Iterable[tuple[int, NDArray[np.float16]]]) -> None:
        """Store vectors for versions that exist; those erased meanwhile are skipped."""

    def drop_other_models(self, model: int) -> int:
        """Remove the vectors of every other model; return how many."""

    def stats(self) -> dict[str, Any]:
        """Return counts, sizes and models."""

    def close(self) -> None:
        """Release the file. Further calls raise `StoreError`."""
