"""Forgetting by chance: a memory is kept with the probability that its law gives it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnemos.cube import to_micros
from mnemos.registry import Paper, register
from mnemos.text.base import DAY, Memory
from mnemos.text.consolidate.report import Budget, Forgotten
from mnemos.text.forget.baselines import lots
from mnemos.text.forget.policy import archive, candidates


@register(
    "chance",
    unmeasured="tests/text/systems/test_memorybank.py checks that survival follows the law",
    papers=(
        Paper(
            "MemoryBank: Enhancing Large Language Models with Long-Term Memory",
            "2305.10250",
            code="zhongwanjun/MemoryBank-SiliconFriend",
        ),
    ),
)
@dataclass(frozen=True, slots=True)
class Chance:
    """Archive each memory with probability 1 - R, R the retention of the space's law.

    Each memory draws one lot, evenly between 0 and 1, and a new one at every recall; it is archived when R falls below
    its lot. So P(it is kept until t) = R(t) exactly, however often the phase runs, and a second run at the same time
    archives nothing more. Pinned cubes and those of the long term are kept. For laws whose retention is a share between
    0 and 1. One scan of numbers, O(N).

    Deviation: the paper draws at every pass, which forgets faster the more often it runs, and erases.
    """

    seed: int = 0  # of the lots

    def run(self, memory: Memory, budget: Budget) -> None:
        """Archive the memories whose time is over."""
        store = memory.store
        found = candidates(store.lives.candidates(["active"]))
        retention = memory.law.retention(found.histories, to_micros(memory.now()) / DAY)
        own = lots(self.seed, (found.keys << 20).astype(np.uint64) + found.histories.recalls.astype(np.uint64))
        due = np.sort(found.keys[found.free & (retention < own)])
        budget.done.forgotten += Forgotten(tuple(archive(store, store.ids_of(due.tolist()))))
