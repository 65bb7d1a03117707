"""Time to live: every memory is good for a fixed number of days."""

from __future__ import annotations

from dataclasses import dataclass

from mnemos.registry import register
from mnemos.text.base import Floats, Histories, Ints


@register("ttl")
@dataclass(frozen=True, slots=True)
class TimeToLive:
    """Keep a memory for a fixed number of days after its creation, or after its last recall: a textbook cache.

    The days left are `days` - (now - creation); with `sliding` they count from the last recall. They are below 0 when
    the time is over. Under a budget alone the law ranks as first in, first out does, and with `sliding` as least
    recently used; the days say what is due without one. 30 days are a common setting; they are no paper's.
    """

    days: float = 30.0  # how long a memory is kept
    sliding: bool = False  # count from the last recall instead of from the creation

    def retention(self, histories: Histories, now: float) -> Floats:
        """Return the days that each memory has left at `now`, (N,)."""
        left: Floats = self.days - (now - (histories.recalled if self.sliding else histories.created))
        return left

    def reinforce(self, histories: Histories, now: float) -> tuple[Floats, Ints]:
        """Return (strength, layer) unchanged, both (N,): the caller sets the time of the recall."""
        return histories.strength, histories.tier
