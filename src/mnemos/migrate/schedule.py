"""Retention of prefilled segments on disk: by how often they are used and what computing them again costs. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mnemos.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class SegmentStats:
    """What a schedule knows of a stored segment. Times are in seconds since 1970."""

    id: str
    nbytes: int
    seconds: float  # what computing it took, saved at each use
    uses: int
    created: float
    used: float  # when it was last used


@dataclass(frozen=True)
class RetentionSchedule:
    """Keeps the segments that save the most seconds for their bytes.

    The rate of use of a segment is its uses over its age, halved for every `half_life` since its last use: what was
    used yesterday is likelier to be used today. The bytes are filled greedily by seconds saved per byte, which wastes
    less than one segment.
    """

    nbytes: int = 4 << 30  # bytes to keep at most
    ttl: float = 30 * 86_400.0  # seconds; a segment that was not used for longer is not kept
    half_life: float = 3 * 86_400.0  # seconds
    min_saving: float = 0.0  # seconds a day; a segment that is expected to save no more is not kept

    def __post_init__(self) -> None:
        if self.nbytes < 0 or self.ttl <= 0 or self.half_life <= 0:
            raise InvalidInput(f"{self}: give bytes of 0 or more, and a ttl and a half-life above 0 seconds.")

    def saving(self, segment: SegmentStats, now: float) -> float:
        """Return the seconds that a segment is expected to save in a day."""
        age = max(now - segment.created, 3_600.0)  # a first hour says little about a day
        idle = max(now - segment.used, 0.0)
        return (segment.uses + 1) / age * 86_400.0 * math.exp2(-idle / self.half_life) * segment.seconds

    def keep(self, segments: Sequence[SegmentStats], now: float) -> list[str]:
        """Return the ids to keep, by seconds saved per byte, the highest first. O(n log n)."""
        rated = [(self.saving(s, now), s) for s in segments if now - s.used <= self.ttl]
        rated = [(saving, s) for saving, s in rated if saving > self.min_saving]
        rated.sort(key=lambda pair: (-pair[0] / max(pair[1].nbytes, 1), pair[1].id))
        kept, free = [], self.nbytes
        for _, segment in rated:
            if segment.nbytes <= free:
                kept.append(segment.id)
                free -= segment.nbytes
        return kept
