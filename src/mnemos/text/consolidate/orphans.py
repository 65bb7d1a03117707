"""Orphans: derived cubes whose parents no longer exist."""

from __future__ import annotations

from dataclasses import dataclass

from mnemos.registry import register
from mnemos.text.base import Memory
from mnemos.text.consolidate.report import Budget


@register("remove-orphans", unmeasured="housekeeping")
@dataclass(frozen=True, slots=True)
class RemoveOrphans:
    """Erase the derived cubes that no longer have a parent (ours). One scan of the derived cubes."""

    def run(self, memory: Memory, budget: Budget) -> None:
        """Erase them, in one transaction."""
        if not budget.spent and (ids := memory.store.derived.parentless()):
            budget.done.removed += len(memory.store.erase(ids))
