"""An updater that decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mnemos.cube import MemCube
from mnemos.facts import StoredFact
from mnemos.registry import register
from mnemos.store.values import Entry
from mnemos.text.base import Memory
from mnemos.text.update.decide import since
from mnemos.text.update.write import read_facts


@register("append")
@dataclass(frozen=True, slots=True)
class Append:
    """Store each text as its own cube with the facts that it states, and decide nothing: the baseline of updating.

    The rules read the facts, which never end: two that contradict each other both hold.
    """

    def add(self, memory: Memory, entries: Sequence[Entry]) -> list[MemCube]:
        """Store entries and their facts."""
        facts = [_facts(memory, entry) for entry in entries]
        with memory.store.transaction():
            keys = memory.store.insert(entries, memory.model_key())
            memory.store.facts.put(
                replace(fact, key=key) for key, found in zip(keys, facts, strict=True) for fact in found
            )
        return [entry.cube for entry in entries]

    def revise(self, memory: Memory, entry: Entry) -> None:
        """Store the next version and its facts."""
        facts = _facts(memory, entry)
        with memory.store.transaction():
            key = memory.store.replace(entry, memory.model_key())
            memory.store.facts.put(replace(fact, key=key) for fact in facts)


def _facts(memory: Memory, entry: Entry) -> list[StoredFact]:
    """Return what an entry states; the keys are set when it is stored."""
    cube = entry.cube
    found = read_facts(memory.rules, cube, memory.trust)
    return [StoredFact(cube.id, 0, i, fact, since(entry, fact)) for i, fact in enumerate(found)]
