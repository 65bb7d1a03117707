"""Derived cubes: made of others, which are their parents, and made again when those change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mnemos.cube import MemCube, from_micros, new_id
from mnemos.store.values import DerivedCube, Member
from mnemos.text.base import Memory

PARENTS = 2_000  # of one derived cube, at most
BATCH = 64  # derived cubes in one transaction


class Writer:
    """Writes derived cubes in batches, each embedded together and written in one transaction; `flush` ends a batch."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._new: list[MemCube] = []
        self._later: list[str] = []  # ids of cubes that the rules made because the model failed
        self._stale: list[str] = []  # ids to erase

    def put(
        self,
        kind: str,
        of: str,
        text: str,
        members: Sequence[Member],
        fingerprint: str,
        existing: DerivedCube | None,
        metadata: Mapping[str, Any],
        *,
        good: bool = True,
    ) -> None:
        """Take a derived cube, or the next version of an existing one. Its parents are the members."""
        first, last = members[0], members[-1]
        cube = MemCube(
            id=existing.id if existing else new_id(), text=text, space=self.memory.name, at=first.when,
            learned=self.memory.now(), kind=kind, version=existing.version + 1 if existing else 1,
            session=first.session if kind == "episode" else None, source="mnemos",
            parents=tuple(m.id for m in members[:PARENTS]), valid_from=from_micros(first.at),
            valid_to=from_micros(last.at), metadata={**metadata, "of": of, "from": fingerprint},
        )  # fmt: skip
        self._new.append(cube)
        if not good:
            self._later.append(cube.id)
        if len(self._new) >= BATCH:
            self.flush()

    def drop(self, ids: Sequence[str]) -> None:
        """Take derived cubes that are no longer right; the next flush erases them, together."""
        self._stale += ids

    def flush(self) -> None:
        """Write and erase what is waiting."""
        cubes, self._new, later, self._later = self._new, [], self._later, []
        stale, self._stale = self._stale, []
        if not cubes and not stale:
            return
        entries = self.memory.encode(cubes)
        store = self.memory.store
        with store.transaction():
            store.erase(stale)
            store.derived.replace_parents({c.id: c.parents for c in cubes if c.version > 1})
            store.insert(entries, self.memory.model_key())
            store.queue.settle([c.id for c in cubes if c.id not in later])
            for name in later:
                store.queue.fail(name, "summed up by rules, the model failed")
