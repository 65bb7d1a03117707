"""What the last consolidations did and when, kept in the file of the space as numbers: it names no cube."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mnemos.cube import from_micros, to_micros

if TYPE_CHECKING:
    from mnemos.space import Space
    from mnemos.text.consolidate.run import Consolidation

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


def keep(space: Space, done: Consolidation) -> None:
    """Write down what a run did. One that did nothing leaves nothing."""
    if not done.changed:
        return
    row = [
        to_micros(space.clock()), done.written, done.removed, done.linked, done.reconsidered, done.promoted,
        len(done.faded.archived), len(done.faded.erased), done.more,
    ]  # fmt: skip
    with space.store.connection.write():
        kept = json.loads(space.store.get_meta("runs", "[]"))
        space.store.set_meta("runs", json.dumps([*kept, row][-KEPT:]))


def runs(space: Space, *, limit: int = 20) -> list[Run]:
    """Return the last runs that changed something, the newest first, of at most 100 that are kept. O(1)."""
    kept = json.loads(space.store.get_meta("runs", "[]"))
    return [Run(from_micros(at), *rest) for at, *rest in reversed(kept[-limit:])]
