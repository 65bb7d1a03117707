"""What the last consolidations did and when, kept in the file of the space as numbers: it names no cube."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mnemos.cube import from_micros, to_micros
from mnemos.store.base import Store
from mnemos.text.forget.policy import Forgotten

KEPT = 100  # runs


@dataclass
class Consolidation:
    """What a run did: derived cubes written and removed by kind, cubes linked, reconsidered, promoted and let go.

    `more` when the limit was reached: another run goes on.
    """

    written: dict[str, int] = field(default_factory=dict)
    removed: int = 0
    linked: int = 0
    reconsidered: int = 0
    waiting: int = 0
    promoted: int = 0
    forgotten: Forgotten = field(default_factory=Forgotten)
    more: bool = False
    ids_waiting: frozenset[str] = frozenset()

    @property
    def changed(self) -> bool:
        """True when the run did anything."""
        return bool(self.written or self.removed or self.linked or self.reconsidered or self.promoted or self.forgotten)

    def count(self, kind: str) -> None:
        """Count a derived cube."""
        self.written[kind] = self.written.get(kind, 0) + 1

    @property
    def total(self) -> int:
        """Derived cubes written so far."""
        return sum(self.written.values())


@dataclass(frozen=True, slots=True)
class Run:
    """A run that changed something: derived cubes written by kind and removed, and how many cubes each other part met."""

    at: datetime
    written: Mapping[str, int]
    removed: int
    linked: int
    reconsidered: int
    promoted: int
    archived: int
    erased: int
    more: bool


def keep(store: Store, now: datetime, done: Consolidation) -> None:
    """Write down what a run did. One that did nothing leaves nothing."""
    if not done.changed:
        return
    row = [
        to_micros(now), done.written, done.removed, done.linked, done.reconsidered, done.promoted,
        len(done.forgotten.archived), len(done.forgotten.erased), done.more,
    ]  # fmt: skip
    with store.transaction():
        kept = json.loads(store.meta.get("runs", "[]"))
        store.meta.set("runs", json.dumps([*kept, row][-KEPT:]))


def runs(store: Store, *, limit: int = 20) -> list[Run]:
    """Return the last runs that changed something, the newest first, of at most 100 that are kept. O(1)."""
    kept = json.loads(store.meta.get("runs", "[]"))
    return [Run(from_micros(at), *rest) for at, *rest in reversed(kept[-limit:])]
