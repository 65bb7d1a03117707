"""Promotion: what is hot moves to a longer term."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnemos.cube import to_micros
from mnemos.registry import Paper, register
from mnemos.text.base import DAY, Memory
from mnemos.text.consolidate.report import Budget
from mnemos.text.forget.memoryos_heat import Heat
from mnemos.text.forget.policy import candidates


@register(
    "promotion",
    papers=(Paper("Memory OS of AI Agent", "2506.06326", code="BAI-LAB/MemoryOS"),),
    unmeasured="`mnemos bench endurance` runs it, without a figure of its own",
)
@dataclass(frozen=True, slots=True)
class Promotion:
    """Move what is hot to the long term, and what is warm to the middle tier, by the heat of MemoryOS.

    Nothing moves down. What is in the long term is never forgotten. One scan of numbers, O(N).
    """

    hot: float = 5.0  # heat above which a memory belongs to the long term (tau of the paper)
    warm: float = 3.0  # heat above which it belongs to the middle tier (ours)

    def run(self, memory: Memory, budget: Budget) -> None:
        """Move them, in one transaction."""
        store = memory.store
        with store.transaction():
            found = candidates(store.lives.candidates(["active"], derived=True, recalls=2, below_tier=2))
            heat = Heat().retention(found.histories, to_micros(memory.now()) / DAY)
            tier = np.where(heat > self.hot, 2, np.where(heat > self.warm, 1, 0))
            up = tier > found.histories.tier
            moved = list(zip(found.keys[up].tolist(), tier[up].tolist(), strict=True))
            store.lives.set_tier(moved)
        budget.done.promoted += len(moved)
