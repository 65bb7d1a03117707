"""The contract of a store: what it keeps for a space, what is atomic, what raises, and what things cost.

A store keeps *versions*. Each version of a cube is one row with a key, unique within the space and growing with time; at
most one version of an id is current (`replaced` is None). Stored beside each row are what recall needs (its terms, its
vector under one embedding model, the dates it mentions) and what it states. Times are microseconds since 1970 unless they are
`datetime`s. Costs are for a space of N versions. Keys and sequence numbers grow in the order of commits: what a reader has
seen up to a number stays complete, whoever writes at the same time.

A method that writes is one transaction: when it returns, its effect is durable and visible to every other handle on the
space, or it raised and changed nothing. `Store.transaction` makes several calls one. Methods may be called from any
thread. Every method raises `StoreError`, or one of its kinds, when the store cannot be used.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mnemos.cube import MemCube
from mnemos.facts import Decision, Link, Reading, Rejection, StoredFact
from mnemos.store.audit import AuditEntry
from mnemos.store.blobs import Blobs
from mnemos.store.candidates import Bulk, Candidates
from mnemos.store.checks import Checks, Remains
from mnemos.store.records import Records
from mnemos.store.values import (
    Changes,
    DateRow,
    Days,
    DerivedCube,
    Entry,
    Filter,
    Ints,
    LifeRows,
    Member,
    OnErase,
    Sizes,
)


class Cubes(Protocol):
    """The versions of cubes."""

    def insert(self, entries: Sequence[Entry], model: int | None) -> list[int]:
        """Write new versions, all or none, and close those that they follow; return their keys.

        Raises Conflict when an id already has this version. `model` is the number of the vectors' model.
        """

    def replace(self, entry: Entry, model: int | None) -> int:
        """Write the next version of a cube, close the current one at `entry.cube.learned`; return the new key.

        Keys and values and tunings that were derived from it are erased; weights stay, stale (see `migrate.weight_cubes`).
        Raises Conflict when the version before this one is not the current one.
        """

    def erase(self, ids: Sequence[str]) -> list[str]:
        """Remove cubes, all their versions and everything derived from them; return the ids removed.

        Their bytes are overwritten. Facts and cubes that only they had superseded hold again. A hash of each id is kept
        (see `was_erased`). `on_erase` callbacks are called after the commit.
        """

    def family(self, ids: Sequence[str]) -> list[str]:
        """Return those of the ids that exist, and the ids of all cubes derived from them, in any number of steps."""

    def was_erased(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that were ever erased from this space."""

    def get(self, ids: Sequence[str]) -> dict[str, MemCube]:
        """Return the current versions that exist, by id. O(ids log N)."""

    def by_key(self, keys: Sequence[int]) -> dict[int, MemCube]:
        """Return the versions that exist, by key. O(keys log N)."""

    def keys_of(self, ids: Sequence[str]) -> list[int]:
        """Return the keys of the current versions that exist, in the order of the ids."""

    def told(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the key of the first version of each cube that exists: they grow in the order of telling."""

    def ids_of(self, keys: Sequence[int]) -> list[str]:
        """Return the ids of the versions that exist, in the order of the keys."""

    def versions(self, cube_id: str) -> list[MemCube]:
        """Return all versions of a cube, oldest first; empty when there is none."""

    def select(self, filter: Filter, *, after: int = 0, limit: int = 100) -> list[tuple[int, MemCube]]:
        """Return (key, cube) of matching versions with a key above `after`, in the order of keys."""

    def keys(self, filter: Filter) -> Ints:
        """Return the sorted keys of the versions that match, (M,). O(N)."""

    def matching(self, filter: Filter, keys: Sequence[int]) -> set[int]:
        """Return those of the keys whose versions match. O(keys)."""

    def dates(self, keys: Sequence[int]) -> dict[int, list[DateRow]]:
        """Return the dates that versions mention, in the order of the text; a key without dates is left out."""

    def same_words(self, hashes: Sequence[int], filter: Filter) -> list[int]:
        """Return the keys of matching versions whose `text_hash` is one of these, in order. O(hashes + versions found)."""

    def changes(self, since: int, model: int | None, *, closed: bool = False) -> Changes:
        """Return what changed after number `since`, in O(rows changed): replaced and archived ones gone, or rows if `closed`."""


class Vectors(Protocol):
    """The vectors of versions, float16, one a model: (D,), or (1 + parts, D) for a long text, the first of the whole."""

    def model(self, name: str, revision: str, dimension: int) -> int:
        """Return the number of an embedding model; a new one gets the next number."""

    def missing(self, model: int, *, after: int = 0, limit: int) -> list[tuple[int, str]]:
        """Return (key, text) of current texts without a vector of this model, with a key above `after`, in order."""

    def of(self, model: int, keys: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """Return the vectors, (D,) each, of those versions that have one of this model, by key."""

    def put(self, model: int, rows: Iterable[tuple[int, NDArray[np.float16]]]) -> None:
        """Store (key, vector) rows; versions that were erased in the meantime are skipped. `changes` reports them."""

    def drop_others(self, model: int) -> int:
        """Remove the vectors of every other model; return how many."""


class Facts(Protocol):
    """What versions state. A fact is found by (key, index); a lookup costs O(log N + facts found)."""

    def put(self, rows: Iterable[StoredFact]) -> None:
        """Store facts; one with the same key and index is replaced."""

    def find(
        self,
        about: Sequence[tuple[str, str]] | None = None,
        *,
        ended: bool = False,
        subject: str | None = None,
        as_of: int | None = None,
    ) -> list[StoredFact]:
        """Return the facts of current, unarchived versions about (subject, attribute) pairs, or all, or all of a `subject`.

        Those that have ended are left out unless `ended`. With `as_of` as it was believed at that moment.
        """

    def of(self, keys: Sequence[int]) -> list[StoredFact]:
        """Return what these versions state, in the order of (key, index)."""

    def end(self, fact: StoredFact, until: int, learned: int, by: str) -> None:
        """Close a fact: it was true until `until`, as learned at `learned` from the cube `by`."""

    def active_version(self, cube_id: str) -> int | None:
        """Return the key of the current version of a cube, the one whose facts count; None unless it is active."""


class Readings(Protocol):
    """What heads read in versions, beside what the rules state; written with the version, and erased with it."""

    def of(self, keys: Sequence[int]) -> dict[int, list[Reading]]:
        """Return the readings of versions, in the order of the text; a key without readings is left out."""

    def find(
        self, attributes: Sequence[str] | None = None, *, as_of: int | None = None, least: float = 0.0
    ) -> list[tuple[int, Reading]]:
        """Return (key, reading) of current, unarchived versions with this confidence or more, of some attributes or all.

        In the order of keys; with `as_of` those of the versions that were current at that moment.
        """

    def put(self, rows: Iterable[tuple[int, Sequence[Reading]]]) -> None:
        """Replace the readings of versions; those that were erased in the meantime are skipped."""


class Links(Protocol):
    """Directed links between cubes. Stored: any kind but `IMPLIED`."""

    def put(self, links: Iterable[Link], made: int) -> None:
        """Store links; an existing one gets the new weight."""

    def add(self, links: Iterable[Link], made: int) -> None:
        """Store links; the weight is added to that of an existing one."""

    def find(self, ids: Sequence[str] | None = None, *, kind: str | None = None, both: bool = True) -> list[Link]:
        """Return the stored links from (and with `both` also to) these cubes; without ids all of them."""

    def implied(self, cube_id: str) -> list[Link]:
        """Return the links of a cube that follow from other rows: derived from, follows and same entity.

        "follows" joins neighbours in a session; "same entity" joins cubes that state something of the same subject, the
        newest 20. O(log N + links found).
        """

    def keys(self, kind: str) -> list[tuple[int, int, float]]:
        """Return (key, key, weight) of the stored links of a kind between current versions. O(links)."""


class Lives(Protocol):
    """Where current cubes are in their life. The audit log records changes of state and of pins."""

    def pin(self, cube_id: str, on: bool) -> None:
        """Protect a cube from being forgotten by policy, or end that. Raises NotFound."""

    def supersede(self, cube_id: str, until: int, learned: int) -> None:
        """Write the next version of a cube: equal, with its facts and vectors, but superseded and true until `until`."""

    def set_state(self, ids: Sequence[str], old: str, new: str) -> list[str]:
        """Change the state of those cubes that are in state `old`; return their ids. `changes` reports them."""

    def candidates(
        self, states: Collection[str], *, derived: bool = False, recalls: int = 0, below_tier: int | None = None
    ) -> LifeRows:
        """Return the cubes in these states, recalled at least `recalls` times, in a tier `below_tier`. One scan, O(N)."""

    def set_strength(self, rows: Iterable[tuple[float, int, int, int, str]]) -> None:
        """Write (strength, tier, recalls, recalled_at, id) of cubes. `changes` does not report it."""

    def set_tier(self, rows: Iterable[tuple[int, int]]) -> None:
        """Write (key, tier) of cubes. `changes` does not report it."""

    def count_uses(self, uses: Iterable[tuple[str, int, int]]) -> None:
        """Add to the recalls of cubes: (id, how often, when last). `changes` does not report it."""


class Derived(Protocol):
    """Cubes that were made of others, and what they can be made of."""

    def members(self) -> list[Member]:
        """Return the current originals, in the order of time. One scan: O(N), 2 us a cube."""

    def existing(self) -> dict[str, DerivedCube]:
        """Return the current derived cubes by what they are of, in the order of time."""

    def parentless(self) -> list[str]:
        """Return the ids of cubes that Mnemos derived and whose parents were all erased."""

    def replace_parents(self, parents: Mapping[str, Sequence[str]]) -> None:
        """Set the parents of derived cubes, by id."""


class Rejections(Protocol):
    """Claims once found mistaken."""

    def all(self) -> set[Rejection]:
        """Return all of them."""

    def add(self, rejections: Iterable[Rejection], made: int) -> None:
        """Store rejections; those that exist are left alone."""


class Queue(Protocol):
    """Cubes that a model has yet to judge."""

    def add(self, ids: Iterable[str], why: str) -> None:
        """Add cubes, with no tries counted yet."""

    def fail(self, cube_id: str, why: str) -> None:
        """Add a cube with one failed try, or count one more try."""

    def pending(self, limit: int = 1_000_000) -> list[tuple[str, int, str]]:
        """Return (id, tries, why) of the waiting cubes, the least tried first."""

    def settle(self, ids: Sequence[str], *, failed: bool = False) -> None:
        """Remove cubes from the queue, or with `failed` count one more try."""


class Decisions(Protocol):
    """What was decided about new statements."""

    def put(self, decisions: Iterable[Decision]) -> None:
        """Record decisions."""

    def find(self, cube_id: str | None = None, *, limit: int = 100) -> list[Decision]:
        """Return the decisions about a cube, or the latest ones, oldest first."""


class Audit(Protocol):
    """The log of who did what, which can be appended to and never changed; see `store.audit`."""

    def append(self, action: str, ids: Sequence[str]) -> None:
        """Add an entry, in the transaction of what it is about."""

    def latest(self) -> int | None:
        """Return when the last entry was made, which no later one comes before, whatever the clock shows. O(1)."""

    def entries(self, *, after: int = 0, limit: int = 100) -> list[AuditEntry]:
        """Return entries with an index above `after`, oldest first."""

    def verify(self, head: str | None = None) -> tuple[int, list[str]]:
        """Recompute the chain; return the number of entries and what is wrong. O(entries)."""


class Inspect(Protocol):
    """A space seen from above. Nothing here changes anything."""

    def days(self, filter: Filter, since: int | None, until: int | None) -> Days:
        """Count the matching cubes by the day, of their own clocks, on which they happened in [since, until). One scan, O(N)."""

    def newest(self, filter: Filter, before: int | None, limit: int) -> list[tuple[int, MemCube]]:
        """Return (key, cube) of matching versions with a key below `before`, the one written last first."""

    def sizes(self) -> Sizes:
        """Return what the space takes up, by form and by part. O(N + links)."""

    def most_linked(self, limit: int, kind: str | None = None) -> list[str]:
        """Return the ids of the cubes with the most links, the most linked first; approximate. O(links)."""

    def neighbours(self, cube_id: str, limit: int, kind: str | None = None) -> list[Link]:
        """Return the stored and implied links of a cube, at most `limit` in each direction. O(log N + its links).

        Of "same entity" the newest that state something of the same subject and attribute.
        """

    def links_among(self, ids: Sequence[str], kind: str | None = None) -> list[Link]:
        """Return the stored links between these cubes, the strongest first. O(links that lead from them)."""


class Meta(Protocol):
    """Small values of a space by name: its settings, and how far its upkeep has got."""

    def get(self, key: str, default: str = "") -> str:
        """Return a value, or the default."""

    def set(self, key: str, value: str) -> None:
        """Store a value."""


class Store(Cubes, Protocol):
    """Everything that is stored of one space."""

    space: str
    clock: Callable[[], datetime]
    vectors: Vectors
    facts: Facts
    readings: Readings
    links: Links
    lives: Lives
    derived: Derived
    rejections: Rejections
    queue: Queue
    decisions: Decisions
    audit: Audit
    inspect: Inspect
    meta: Meta
    remains: Remains
    checks: Checks
    records: Records
    blobs: Blobs
    candidates: Candidates | None  # how a large space is searched; None: the store has no indexes for that
    bulk: Bulk

    @property
    def closed(self) -> bool:
        """True when no file is open: after `close`, while suspended, and in a forked child that has not used it yet."""

    @property
    def ended(self) -> bool:
        """True after `close`: a store that a pool has suspended opens its file again on its next use."""

    @property
    def read_only(self) -> bool:
        """True when the space was opened for reading only: every method that writes raises ReadOnly."""

    def before_suspend(self, callback: Callable[[], bool]) -> None:
        """Call `callback`, which must wait for nothing, before a pool closes the file of an idle store; False prevents it."""

    def transaction(self, *, write: bool = True) -> AbstractContextManager[object]:
        """Make what this thread does one transaction: all or nothing when writing, one consistent state when reading.

        Inside another transaction of the same thread it takes part in that one; an error that leaves the outermost one
        undoes everything. Other threads and processes that write wait; StoreBusy when they wait for too long. To write
        inside a transaction with `write=False` raises StoreError.
        """

    def try_lock(self) -> AbstractContextManager[bool]:
        """Try to take the store without waiting; yield whether. While held, waiting for another process raises StoreBusy."""

    def change_token(self) -> object | None:
        """Return a value that is equal as long as nobody wrote; None inside a transaction, whose writes may be rolled back."""

    def steady(self) -> AbstractContextManager[object]:
        """Ask for the change token and values of `meta` once in this block, unless this thread writes. Rows are read anew."""

    def on_erase(self, callback: OnErase) -> Callable[[], None]:
        """Call `callback` with the form of each erased cube, by id, after each commit that erased; return what ends that.

        It hears of this handle's erasures, in the thread that erased, without a lock of the store.
        """

    def on_stale(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` soon after anybody has erased from the space, if the store can hear it; return what ends that."""

    def stats(self) -> dict[str, Any]:
        """Return counts, sizes and models; "path" says where the space is stored."""

    def close(self) -> None:
        """Release the store; closing twice is allowed. Further calls raise StoreError."""
