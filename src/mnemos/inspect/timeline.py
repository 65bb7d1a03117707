"""What happened when: a timeline of a space, and its newest cubes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Unpack

import numpy as np

from mnemos.arguments import check_count
from mnemos.cube import EPOCH, Page, from_micros
from mnemos.errors import InvalidInput
from mnemos.store.base import Store
from mnemos.store.values import Ints
from mnemos.text.recall.filters import Filters, make_filter, zone_of
from mnemos.zones import load_zone

BUCKETS = 400  # of a timeline, at most


@dataclass(frozen=True, slots=True)
class Timeline:
    """How many cubes happened in each bucket, empty ones too."""

    by: str
    first: datetime | None  # when the first cube happened
    last: datetime | None
    buckets: list[tuple[datetime, int]]  # (start, number of cubes)


def _months(days: Ints) -> Ints:
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


# unit: which bucket a day (since 1970, UTC) is in, and the first day of a bucket
UNITS: dict[str, tuple[Callable[[Ints], Ints], Callable[[int], date]]] = {
    "day": (lambda d: d, lambda i: EPOCH.date() + timedelta(i)),
    # from Monday on: 1970 began on a Thursday
    "week": (lambda d: (d + 3) // 7, lambda i: EPOCH.date() + timedelta(7 * i - 3)),
    "month": (_months, lambda i: date(1970 + i // 12, i % 12 + 1, 1)),
    "year": (lambda d: _months(d) // 12, lambda i: date(1970 + i, 1, 1)),
    "century": (lambda d: (_months(d) // 12 + 1970) // 100, lambda i: date(max(100 * i, 1), 1, 1)),
}


def timeline(store: Store, zone: str, *, by: str = "auto", **filters: Unpack[Filters]) -> Timeline:
    """Count what happened by day, week, month, year or century, over the time in which anything did.

    The day of a cube is that of its speaker's clock; a bucket begins at midnight in `zone`, unless `timezone` is given.
    "auto" takes the smallest unit that makes at most 400 buckets. `since` and `until` (half-open) are about when a cube
    happened, not about the dates that it mentions; the other filters are those of `Space.cubes`, `as_of` for what was
    believed then. Raises InvalidInput for another unit, and for one that makes more buckets. One scan, O(N).
    """
    if by != "auto" and by not in UNITS:
        raise InvalidInput(f"by is {by!r}: use {', '.join(UNITS)} or auto.")
    zone = zone_of(filters, zone)
    filter = make_filter(zone, **filters)
    found = store.inspect.days(replace(filter, since=None, until=None), filter.since, filter.until)
    if found.first is None or found.last is None:
        return Timeline("day" if by == "auto" else by, None, None, [])
    day, n = np.array(found.counts, dtype=np.int64).T
    for unit in UNITS if by == "auto" else (by,):
        bucket, start = UNITS[unit]
        at = bucket(day)
        size = int(at[-1] - at[0]) + 1
        if size <= BUCKETS:
            break
    else:
        raise InvalidInput(
            f"by {by} there would be {size:,} buckets, the limit is {BUCKETS}. Narrow it down with since and until, "
            "or use auto."
        )
    counts = np.bincount(at - at[0], weights=n, minlength=size).astype(np.int64)
    first = int(at[0])
    clock = load_zone(zone)
    buckets = [(datetime.combine(start(first + i), time(), clock), int(count)) for i, count in enumerate(counts)]
    first_at, last_at = (from_micros(t).astimezone(clock) for t in (found.first, found.last))
    return Timeline(unit, first_at, last_at, buckets)


def newest(store: Store, zone: str, *, limit: int = 100, cursor: int | None = None, **filters: Unpack[Filters]) -> Page:
    """Return current cubes as `Space.cubes` does, but the one written last first. O(log N + rows skipped).

    Cubes written between two pages come before the first page: none is missed or repeated.
    """
    check_count(limit, "limit")
    rows = store.inspect.newest(make_filter(zone, **filters), cursor, limit + 1)
    following = rows[limit - 1][0] if len(rows) > limit else None
    return Page(
        [cube for _, cube in rows[:limit]], following, lambda at: newest(store, zone, limit=limit, cursor=at, **filters)
    )
