"""The log of consolidations: what the last ones did, as numbers in the store. It names no cube."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mnemos.cube import from_micros, to_micros
from mnemos.store.base import Store
from mnemos.text.consolidate.report import Consolidation

KEPT = 100  # runs in the log


@dataclass(frozen=True, slots=True)
class Run:
    """A run that changed something, and how many cubes each phase touched."""

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
    """Add a run to the log, unless it changed nothing."""
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
    """Return the last runs that changed something, the newest first; the log keeps 100. O(1)."""
    kept = json.loads(store.meta.get("runs", "[]"))
    return [Run(from_micros(at), *rest) for at, *rest in reversed(kept[-limit:])]
