"""Consolidation: the phases of a space's system, one after the other."""

from __future__ import annotations

from collections.abc import Callable

from mnemos.text.consolidate.report import Budget, Consolidation
from mnemos.text.consolidate.runs import keep
from mnemos.text.memory import TextMemory

LIMIT = 2_000  # derived cubes that one run writes
Progress = Callable[[int], None]


def consolidate(memory: TextMemory, *, limit: int = LIMIT, progress: Progress | None = None) -> Consolidation:
    """Run the phases; see `Space.consolidate`.

    What is to be done is read from the store alone: a run that was killed loses nothing, the next one continues, and
    one with nothing new writes nothing. Original cubes are never rewritten.
    """
    budget = Budget(limit, progress=progress)
    memory.flush()
    for phase in memory.system.phases:
        phase.run(memory, budget)
    budget.done.more |= budget.spent
    keep(memory.store, memory.clock(), budget.done)
    return budget.done
