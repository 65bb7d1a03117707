"""Time to live, a textbook baseline: each memory is valid for a fixed number of days."""

from __future__ import annotations

from dataclasses import dataclass

from mnemos.registry import register
from mnemos.text.base import Floats, Histories, Ints


@register("ttl")
@dataclass(frozen=True, slots=True)
class TimeToLive:
    """A memory lives a fixed number of days from its creation, or from its last recall.

    Below 0 days left its time is over. Under a budget alone the law ranks like first in, first out, and with `sliding`
    like least recently used; the days say what is due without a budget.
    """

    days: float = 30.0  # of a life; a common setting
    sliding: bool = False  # whether they count from the last recall

    def retention(self, histories: Histories, now: float) -> Floats:
        """Return the days that each memory has left at `now`, (N,)."""
        left: Floats = self.days - (now - (histories.recalled if self.sliding else histories.created))
        return left

    def reinforce(self, histories: Histories, now: float) -> tuple[Floats, Ints]:
        """Return (strength, tier) unchanged, both (N,): the caller stores the time of the recall."""
        return histories.strength, histories.tier
