"""The layers of FinMem and TradingGPT: each term decays at its own rate, and use promotes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnemos.registry import Paper, register
from mnemos.text.base import Floats, Histories, Ints


@register(
    "layered",
    papers=(
        Paper(
            "TradingGPT: Multi-Agent System with Layered Memory and Distinct Characters for Enhanced Financial "
            "Trading Performance",
            "2309.03736",
        ),
        Paper(
            "FinMem: A Performance-Enhanced LLM Trading Agent with Layered Memory and Character Design",
            "2311.13743",
            code="pipiku915/FinMem-LLM-StockTrading",
        ),
    ),
)
@dataclass(frozen=True, slots=True)
class Layered:
    """Each tier forgets at its own rate, R = exp(-t / Q of the tier), and memories in use climb to the next tier.

    t is the days since the last recall. A memory enters the tier above when its importance reaches `climb`: with the
    defaults after 2 and after 6 recalls. Its strength is 1 + the number of recalls so far.

    Deviations: `start`, `gain` and `climb` are those of FinMem's code (which draws the importance of the short term,
    most often 50). Importance does not decay here, no memory moves down, and the importance and relevance that the
    papers add to R when they rank for retrieval are left to recall.
    """

    days: tuple[float, float, float] = (14.0, 90.0, 365.0)  # Q of the short, middle and long term
    start: float = 50.0  # importance when a memory is created
    gain: float = 5.0  # importance that a recall adds
    climb: tuple[float, float] = (60.0, 80.0)  # importance from which it belongs to the middle and the long term

    def retention(self, histories: Histories, now: float) -> Floats:
        """Return the retention R of each memory at `now`, (N,), between 0 and 1."""
        since = np.maximum(now - histories.recalled, 0.0)
        retention: Floats = np.exp(-since / np.asarray(self.days)[np.clip(histories.tier, 0, 2)])
        return retention

    def reinforce(self, histories: Histories, now: float) -> tuple[Floats, Ints]:
        """Return (strength, tier), both (N,): one more recall counted, and the tier that this has earned."""
        strength = histories.strength + 1.0
        earned = np.searchsorted(self.climb, self.start + self.gain * (strength - 1.0), side="right")
        tier: Ints = np.maximum(histories.tier, earned.astype(np.int64))
        return strength, tier
