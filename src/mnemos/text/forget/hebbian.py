"""The lifespans of Memoria: every memory has days left to live, and being attended to gives it more."""

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
    """A memory lives for its lifespan, which time uses up and recall extends by the attention that it received.

    The days left are lifespan * strength - age, with `lifespan` the days given at birth, when the strength is 1. Of N
    memories recalled together, one that got the share w of the attention histories `extend` * N * w days longer: all do
    by `extend` when the attention was equal. Days left below 0 mean that the lifespan is over.

    Deviations: the paper takes 1 off the lifespan at every pass of its network; here a day is a pass. The constants
    are those of its language models (initial lifespan 9, extend scale 8). The edges between memories that were
    recalled together, the Hebbian part, are kept elsewhere.
    """

    lifespan: float = 9.0  # days of a new memory
    extend: float = 8.0  # days that an average recall adds

    def retention(self, histories: Histories, now: float) -> Floats:
        """Return the days that each memory has left at `now`, (N,); below 0 when its time is over."""
        left: Floats = self.lifespan * histories.strength - np.maximum(now - histories.created, 0.0)
        return left

    def reinforce(self, histories: Histories, now: float, attention: Floats | None = None) -> tuple[Floats, Ints]:
        """Return (strength, layer), both (N,), of memories recalled together at `now`.

        `attention` (N,) holds the share that each received, 1 in sum; without it they share alike.
        """
        days = self.extend if attention is None else self.extend * len(histories) * attention
        return histories.strength + days / self.lifespan, histories.tier
