"""Derived cubes: made of others, which they name as parents, and made again when those change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mnemos.cube import MemCube, from_micros, new_id
from mnemos.errors import ReasonerError
from mnemos.store.values import DerivedCube, Member
from mnemos.text.encode.entries import make_entries
from mnemos.text.memory import TextMemory

PARENTS = 2_000  # of one derived cube, at most
BATCH = 64  # derived cubes in one transaction


class Writer:
    """Writes derived cubes, some at a time: embedded together, in one transaction. `flush` writes the rest."""

    def __init__(self, space: TextMemory) -> None:
        self.space = space
        self._new: list[MemCube] = []
        self._later: list[str] = []  # summed up by rules because the model failed
        self._stale: list[str] = []  # to be erased

    def put(
        self,
        kind: str,
        of: str,
        text: str,
        members: Sequence[Member],
        fingerprint: str,
        there: DerivedCube | None,
        metadata: Mapping[str, Any],
        *,
        good: bool = True,
    ) -> None:
        """Take a derived cube, or the next version of one that is there. Its parents are the members."""
        first, last = members[0], members[-1]
        cube = MemCube(
            id=there.id if there else new_id(), text=text, space=self.space.name, at=first.when,
            learned=self.space.clock(), kind=kind, version=there.version + 1 if there else 1,
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
        """Write what is waiting."""
        cubes, self._new, later, self._later = self._new, [], self._later, []
        stale, self._stale = self._stale, []
        entries = make_entries(cubes, self.space.embedder)
        store = self.space.store
        with store.transaction():
            store.erase(stale)
            store.derived.replace_parents({c.id: c.parents for c in cubes if c.version > 1})
            store.insert(entries, self.space.model_key())
            store.queue.settle([c.id for c in cubes if c.id not in later])
            for name in later:
                store.queue.fail(name, "summed up by rules, the model failed")


def summarise(space: TextMemory, texts: Sequence[str], sentences: int) -> tuple[str, str, bool]:
    """Return (title, summary, by the model): from the space's reasoner, or from the rules when that fails."""
    if space.reasoner is not space.rules:
        try:
            return space.reasoner.title(texts), space.reasoner.summarise(texts, sentences), True
        except ReasonerError:
            pass
    return space.rules.title(texts), space.rules.summarise(texts, sentences), space.reasoner is space.rules


def reflect(space: TextMemory, texts: Sequence[str]) -> list[str]:
    """Return what the space's reasoner concludes from texts; nothing when it fails."""
    try:
        return space.reasoner.reflect(texts)
    except ReasonerError:
        return []
