"""The heat of MemoryOS: how often a memory was visited, how much it holds, and how lately it was used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnemos.registry import Paper, register
from mnemos.text.base import Floats, Histories, Ints


@register("memoryos-heat", papers=(Paper("Memory OS of AI Agent", "2506.06326", code="BAI-LAB/MemoryOS"),))
@dataclass(frozen=True, slots=True)
class Heat:
    """Heat is visits, pages and recency, weighed and added: H = a N_visit + b L_interaction + c exp(-dt / mu).

    N_visit is the number of recalls, L_interaction the number of pages and dt the time since the last recall. `mu` is
    in days: the paper's 1e7 seconds are 115.74 (its code takes 24 hours instead). The heat is no share: it has no
    upper bound.

    Deviations: the paper heats segments, groups of dialogue pages on one topic; here every memory is a segment, and a
    page is `page` bytes of it, one at least, so that ordinary messages count as one. The paper resets L_interaction
    when a segment has moved to the long-term store; nothing is moved here, and nothing reset.
    """

    a: float = 1.0  # weight of the recalls
    b: float = 1.0  # weight of the pages
    c: float = 1.0  # weight of the recency
    mu: float = 1e7 / 86_400  # time constant of the recency, in days
    page: float = 1024.0  # bytes of a page; ours

    def retention(self, histories: Histories, now: float) -> Floats:
        """Return the heat H of each memory at `now`, (N,), without unit."""
        since = np.maximum(now - histories.recalled, 0.0)
        pages = np.maximum(histories.size / self.page, 1.0)
        heat: Floats = self.a * histories.recalls + self.b * pages + self.c * np.exp(-since / self.mu)
        return heat

    def reinforce(self, histories: Histories, now: float) -> tuple[Floats, Ints]:
        """Return (strength, layer) unchanged, both (N,): the caller counts the visit and sets its time."""
        return histories.strength, histories.tier
