"""The lifespans of Memoria: each memory has days left, and attention extends them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnemos.registry import Paper, register
from mnemos.text.base import Floats, Histories, Ints


@register(
    "hebbian",
    papers=(
        Paper(
            "Memoria: Resolving Fateful Forgetting Problem through Human-Inspired Memory Architecture",
            "2310.03052",
            code="cosmoquester/memoria",
        ),
    ),
)
@dataclass(frozen=True, slots=True)
class Hebbian:
    """A memory has a lifespan, which time uses up and each recall extends by the attention that it received.

    The days left are lifespan * strength - age; the strength is 1 when a memory is created. Of N memories recalled
    together, one with the share w of the attention gains extend * N * w days: `extend` when the attention is equal.
    Below 0 the lifespan is over.

    Deviations: the paper subtracts 1 from the lifespan at each pass of its network; here a day is a pass. The constants
    are those of its language models. The links between memories that were recalled together, the Hebbian part, are
    stored apart (see `strengthen`).
    """

    lifespan: float = 9.0  # days when a memory is created
    extend: float = 8.0  # days that a recall adds, at equal attention

    def retention(self, histories: Histories, now: float) -> Floats:
        """Return the days that each memory has left at `now`, (N,)."""
        left: Floats = self.lifespan * histories.strength - np.maximum(now - histories.created, 0.0)
        return left

    def reinforce(self, histories: Histories, now: float, attention: Floats | None = None) -> tuple[Floats, Ints]:
        """Return (strength, tier), both (N,), of memories recalled together at `now`.

        `attention` (N,) is the share that each received, 1 in sum; without it the shares are equal.
        """
        days = self.extend if attention is None else self.extend * len(histories) * attention
        return histories.strength + days / self.lifespan, histories.tier
