"""The overview: one summary of everything, which a prompt has in any case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnemos.cube import Hit
from mnemos.registry import Paper, register
from mnemos.store.values import Filter
from mnemos.text.base import Memory

HEMA = Paper(
    "HEMA: A Hippocampus-Inspired Extended Memory Architecture for Long-Context AI Conversations", "2504.16754"
)
WHY = "overview"


@register("overview", unmeasured="tests/text/systems/test_hema.py checks it within hema", papers=(HEMA,))
@dataclass(frozen=True, slots=True)
class Overview:
    """Show the summary of a whole space before everything that was found: HEMA's compact memory.

    `consolidate` writes it (`Summaries` with the level "all"). Where a filter hides anything it is not shown, since its
    words are of everything. One lookup of the derived cubes.
    """

    of: str = "all"  # what the summary is of

    def select(
        self, memory: Memory, text: str, hits: Sequence[tuple[int, Hit]], filter: Filter
    ) -> list[tuple[int, Hit]]:
        """Return the overview, if there is one, then the hits."""
        found = memory.store.derived.existing().get(self.of) if filter.selects_all else None
        cube = None if found is None else memory.store.by_key([found.key]).get(found.key)
        if found is None or cube is None:
            return list(hits)
        best = max((hit.score for _, hit in hits), default=0.0)
        return [(found.key, Hit(cube, best, {WHY: best})), *(row for row in hits if row[0] != found.key)]
