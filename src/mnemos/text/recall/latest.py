"""The latest turns: what a prompt has in any case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnemos.cube import Hit
from mnemos.registry import Paper, register
from mnemos.store.values import Filter
from mnemos.text.base import Memory

SCM = Paper(
    "Unleashing Infinite-Length Input Capacity for Large-scale Language Models with Self-Controlled Memory System",
    "2304.13343",
    code="wbbeyourself/SCM4LLMs",
)
MEMORYOS = Paper("Memory OS of AI Agent", "2506.06326", code="BAI-LAB/MemoryOS")
WHY = "latest"


@register(
    "latest-turns",
    unmeasured="tests/text/systems/test_scm.py checks it within scm",
    papers=(SCM, MEMORYOS),
)
@dataclass(frozen=True, slots=True)
class Latest:
    """Show the latest turns that pass the filter before everything that was found. One lookup.

    SCM calls it flash memory, MemoryOS its short term: a queue of fixed length.
    """

    turns: int = 3  # that a prompt has

    def select(
        self, memory: Memory, text: str, hits: Sequence[tuple[int, Hit]], filter: Filter
    ) -> list[tuple[int, Hit]]:
        """Return the latest turns, the newest first, then the other hits."""
        own, best = dict(hits), max((hit.score for _, hit in hits), default=0.0)
        rows = memory.store.inspect.newest(filter, None, self.turns)
        first = [(key, own.get(key) or Hit(cube, best, {WHY: best})) for key, cube in rows]
        shown = {key for key, _ in first}
        return [*first, *((key, hit) for key, hit in hits if key not in shown)]
