"""What the last consolidations did and when, kept in the file of the space as numbers: it names no cube."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mnemos.cube import from_micros, to_micros
from mnemos.store.base import Store
from mnemos.text.consolidate.report import Consolidation

KEPT = 100  # runs


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
