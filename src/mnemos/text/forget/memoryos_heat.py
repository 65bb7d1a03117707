"""The heat of MemoryOS: how often a memory was visited, its size, and how recently it was used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnemos.registry import Paper, register
from mnemos.text.base import Floats, Histories, Ints


@register("memoryos-heat", papers=(Paper("Memory OS of AI Agent", "2506.06326", code="BAI-LAB/MemoryOS"),))
@dataclass(frozen=True, slots=True)
class Heat:
    """Heat is a weighted sum of visits, pages and recency: H = a N_visit + b L_interaction + c exp(-dt / mu).

    N_visit is the number of recalls, L_interaction the number of pages and dt the days since the last recall. The heat
    has no upper bound.

    Deviations: the paper heats segments, groups of dialogue pages on one topic; here each memory is a segment, with at
    least one page, so that ordinary messages count as one. The paper resets L_interaction when a segment moves to the
    long-term store; here it is not reset. The paper's code uses a `mu` of 24 hours.
    """

    a: float = 1.0  # weight of visits
    b: float = 1.0  # weight of pages
    c: float = 1.0  # weight of recency
    mu: float = 1e7 / 86_400  # time constant of recency, in days: 1e7 seconds
    page: float = 1024.0  # bytes of a page

    def retention(self, histories: Histories, now: float) -> Floats:
        """Return the heat H of each memory at `now`, (N,)."""
        since = np.maximum(now - histories.recalled, 0.0)
        pages = np.maximum(histories.size / self.page, 1.0)
        heat: Floats = self.a * histories.recalls + self.b * pages + self.c * np.exp(-since / self.mu)
        return heat

    def reinforce(self, histories: Histories, now: float) -> tuple[Floats, Ints]:
        """Return (strength, tier) unchanged, both (N,): the caller counts the visit and stores its time."""
        return histories.strength, histories.tier
