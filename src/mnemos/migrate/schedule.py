"""What is worth keeping activated: how often it is recalled, and what reading it again would cost. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mnemos.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class SegmentStats:
    """Something that is kept activated, or could be: times in seconds since 1970, `saved` seconds each time it is used."""

    id: str
    nbytes: int
    saved: float
    uses: int
    made: float
    used: float


@dataclass(frozen=True)
class RetentionSchedule:
    """Keeps what saves the most seconds for its bytes.

    The rate of use of an entry is its uses over its age, halved every `half_life` seconds of rest (what was used yesterday
    is likelier to be used today). What is expected to save fewer seconds than `least` a day is not kept, and nothing that
    was not used for `ttl` seconds is. The knapsack is filled greedily by density, which wastes less than one entry.
    """

    nbytes: int = 4 << 30
    ttl: float = 30 * 86_400.0
    half_life: float = 3 * 86_400.0
    least: float = 0.0

    def __post_init__(self) -> None:
        if self.nbytes < 0 or self.ttl <= 0 or self.half_life <= 0:
            raise InvalidInput("a schedule needs bytes of 0 or more, and a time to live and a half-life above 0.")

    def worth(self, held: SegmentStats, now: float) -> float:
        """Return the seconds that an entry is expected to save in a day."""
        age = max(now - held.made, 3_600.0)  # a first hour says little about a day
        rest = max(now - held.used, 0.0)
        return (held.uses + 1) / age * 86_400.0 * math.exp2(-rest / self.half_life) * held.saved

    def keep(self, entries: Sequence[SegmentStats], now: float) -> list[str]:
        """Return the ids to keep, the worthiest for its bytes first. O(n log n)."""
        alive = [(self.worth(e, now), e) for e in entries if now - e.used <= self.ttl]
        alive = [(worth, e) for worth, e in alive if worth > self.least]
        alive.sort(key=lambda pair: (-pair[0] / max(pair[1].nbytes, 1), pair[1].id))
        kept, left = [], self.nbytes
        for _, entry in alive:
            if entry.nbytes <= left:
                kept.append(entry.id)
                left -= entry.nbytes
        return kept
