"""The log of consolidations: what the last ones did, as numbers in the store. It names no cube."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mnemos.cube import from_micros, to_micros
from mnemos.store.base import Store
from mnemos.store.setting import stored_value
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
        kept = stored_value(store, "runs", read_runs) or []
        store.meta.set("runs", json.dumps([*kept, row][-KEPT:]))


def runs(store: Store, *, limit: int = 20) -> list[Run]:
    """Return the last runs that changed something, the newest first; the log keeps 100. O(1)."""
    kept = stored_value(store, "runs", read_runs) or []
    return [Run(from_micros(at), *rest) for at, *rest in reversed(kept[-limit:])]


def read_runs(text: str) -> list[list[Any]]:
    """Return the rows of the log of runs. Raises ValueError and the like for anything else."""
    rows: list[list[Any]] = json.loads(text)
    for at, *rest in rows:
        Run(from_micros(at), *rest)  # raises for what is no run
    return rows
