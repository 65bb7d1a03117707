"""Retention of prefilled segments on disk: by how often they are used and what computing them again costs. No torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mnemos.errors import InvalidInput

DAY = 86_400.0  # seconds
HOUR = 1 / 24  # of a day: a first hour says little about it


def use_rate(uses: float, age: float, idle: float, half_life: float) -> float:
    """Return the uses a day to expect of what has been used so often in `age` days, and last `idle` days ago."""
    return uses / max(age, HOUR) * math.exp2(-max(idle, 0.0) / half_life)


@dataclass(frozen=True, slots=True)
class SegmentStats:
    """What a schedule knows of a stored segment. Times are in seconds since 1970."""

    id: str
    nbytes: int
    seconds: float  # what computing it took, saved at each use
    uses: int
    created: float
    used: float  # when it was last used
    before: str | None = None  # the segment that it was read after, without which it cannot be used
    cube: str = ""  # the cube whose text it is; "": not known


@dataclass(frozen=True)
class RetentionSchedule:
    """Keeps the segments that save the most seconds for their bytes.

    The rate of use of a segment is its uses over its age, halved for every `half_life` since its last use: what was
    used yesterday is likelier to be used today. The bytes are filled greedily by seconds saved per byte, which wastes
    less than one segment. A segment is kept only with those that it was read after.
    """

    nbytes: int = 4 << 30  # bytes to keep at most
    each: int = 4  # segments of one cube to keep at most: of other models, or read after other cubes
    ttl: float = 30 * 86_400.0  # seconds; a segment that was not used for longer is not kept
    half_life: float = 3 * 86_400.0  # seconds
    min_saving: float = 0.0  # seconds a day; a segment that is expected to save no more is not kept

    def __post_init__(self) -> None:
        if self.nbytes < 0 or self.each < 1 or self.ttl <= 0 or self.half_life <= 0:
            raise InvalidInput(
                f"{self}: give bytes of 0 or more, 1 or more of each cube, and a ttl and a half-life above 0 seconds."
            )

    def saving(self, segment: SegmentStats, now: float) -> float:
        """Return the seconds that a segment is expected to save in a day."""
        age, idle = (now - segment.created) / DAY, (now - segment.used) / DAY
        return use_rate(segment.uses + 1, age, idle, self.half_life / DAY) * segment.seconds

    def fits(self, segments: Sequence[SegmentStats]) -> bool:
        """Tell whether segments are within the bounds of bytes, and of segments of one cube."""
        counts = Counter(s.cube for s in segments if s.cube)
        return sum(s.nbytes for s in segments) <= self.nbytes and max(counts.values(), default=0) <= self.each

    def keep(self, segments: Sequence[SegmentStats], now: float) -> list[str]:
        """Return the ids to keep, by seconds saved per byte, the highest first.

        O(n log n), and the length of the prefixes for each.
        """
        alive = {s.id: s for s in segments if now - s.used <= self.ttl and self.saving(s, now) > self.min_saving}
        rated = sorted(alive.values(), key=lambda s: (-self.saving(s, now) / max(s.nbytes, 1), s.id))
        kept: dict[str, None] = {}
        counts: Counter[str] = Counter()
        free = self.nbytes
        for segment in rated:
            needed = _prefix(segment, alive, kept)
            size, of = sum(s.nbytes for s in needed), Counter(s.cube for s in needed if s.cube)
            if needed and size <= free and all(counts[cube] + n <= self.each for cube, n in of.items()):
                kept |= dict.fromkeys(s.id for s in needed)
                free -= size
                counts += of
        return list(kept)


def _prefix(segment: SegmentStats, alive: Mapping[str, SegmentStats], kept: Mapping[str, None]) -> list[SegmentStats]:
    """Return a segment and those before it that are not yet kept, the first one first; none if one of them is gone."""
    found: list[SegmentStats] = []
    at: SegmentStats | None = segment
    while at is not None and at.id not in kept:
        found.append(at)
        if at.before is None:
            break
        at = alive.get(at.before)
        if at is None:
            return []
    return found[::-1]
