"""Mnemos' own updater: what a new text states is compared with what is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnemos.cube import MemCube
from mnemos.registry import Paper, register
from mnemos.store.values import Entry
from mnemos.text.base import Memory
from mnemos.text.update.write import read_facts, revise, statement_of, write


@register(
    "reconcile",
    papers=(
        Paper(
            "Mem0: Building Production-Ready AI Agents with Scalable Long-Term Memory", "2504.19413", code="mem0ai/mem0"
        ),
    ),
)
@dataclass(frozen=True, slots=True)
class Reconcile:
    """Decide between ADD and SUPERSEDE for each new text, by the facts that it states.

    The rules decide while the store is locked; where the space has a model, the cubes wait for its second look (see
    `SecondPass`). Deviations from the paper: contradicted memories are superseded, never deleted; what
    repeats or refines another memory is stored beside it and linked, never merged.
    """

    def add(self, memory: Memory, entries: Sequence[Entry]) -> list[MemCube]:
        """Store entries after deciding what each does to others (see `decide`)."""
        store, model, trust = memory.store, memory.model_key(), memory.trust
        statements = [statement_of(e, read_facts(memory.rules, e.cube, trust), trust) for e in entries]
        with store.transaction():
            cubes = write(store, statements, model, memory.rules, trust)
            if memory.judge.has_model:
                store.queue.add([c.id for c in cubes], "not seen by the model")
        return cubes

    def revise(self, memory: Memory, entry: Entry) -> None:
        """Store the next version of a cube, after deciding what it does to other cubes."""
        trust = memory.trust
        statement = statement_of(entry, read_facts(memory.rules, entry.cube, trust), trust)
        revise(memory.store, statement, memory.model_key(), memory.rules, trust)
