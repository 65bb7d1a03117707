"""A space seen from above: what happened when, what its law says, what would go, and what it takes up.

A *strength* is here what the space's law says that a memory is worth at a moment (`Law.retention`), the number by which it
is archived; `MemCube.strength` is only one of the things that the law makes it of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from mnemos.arguments import check_count
from mnemos.cube import EPOCH, MemCube, Page, from_micros, to_micros
from mnemos.errors import InvalidInput
from mnemos.store.sqlite import inspect as sql
from mnemos.text.forget.base import Floats, Histories
from mnemos.text.forget.policy import Policy, candidates_due
from mnemos.text.forget.strengthen import DAY
from mnemos.text.memory import TextMemory
from mnemos.text.recall.filters import Filters, make_filter

BUCKETS = 400  # of a timeline, at most
POINTS = 120  # of a curve
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Timeline:
    """How many cubes happened in each bucket, empty ones too; `first` and `last` are when the first and the last did."""

    by: str
    first: datetime | None
    last: datetime | None
    buckets: list[tuple[datetime, int]]


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


def timeline(space: TextMemory, *, by: str = "auto", **filters: Unpack[Filters]) -> Timeline:
    """Count what happened by day, week, month, year or century (UTC), over the time in which anything did.

    "auto" takes the smallest unit that makes no more than 400 buckets. `since` and `until` (half-open) are about when a
    cube happened, not about the dates that it speaks of; the other filters are those of `Space.cubes`, `as_of` for what
    was believed then. Raises InvalidInput for another unit, and for one that makes more buckets. One scan in SQL, O(N).
    """
    if by != "auto" and by not in UNITS:
        raise InvalidInput(f"by is {by!r}: use {', '.join(UNITS)} or auto.")
    filter = make_filter(**filters)
    found = sql.days(space.store, replace(filter, since=None, until=None), filter.since, filter.until)
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
            f"by {by} there would be {size:,} buckets, and {BUCKETS} is the most. Narrow it down with since and until, "
            "or use auto."
        )
    counts = np.bincount(at - at[0], weights=n, minlength=size).astype(np.int64)
    first = int(at[0])
    buckets = [(_midnight(start(first + i)), int(count)) for i, count in enumerate(counts)]
    return Timeline(unit, from_micros(found.first), from_micros(found.last), buckets)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=EPOCH.tzinfo)


def newest(space: TextMemory, *, limit: int = 100, cursor: int | None = None, **filters: Unpack[Filters]) -> Page:
    """Return current cubes as `Space.cubes` does, but the one that was written last first. O(log N + rows passed over).

    Cubes that are written while the pages are turned stand before the first page: none is missed or comes twice.
    """
    check_count(limit, "limit")
    rows = sql.newest(space.store, make_filter(**filters), cursor, limit + 1)
    following = rows[limit - 1][0] if len(rows) > limit else None
    return Page(
        [cube for _, cube in rows[:limit]], following, lambda at: newest(space, limit=limit, cursor=at, **filters)
    )


# -- strength


def strengths(space: TextMemory, cubes: Sequence[MemCube]) -> list[float]:
    """Return what the space's law says that these cubes are worth now. O(cubes)."""
    if not cubes:
        return []
    now = to_micros(space.clock()) / DAY
    return [float(x) for x in _finite(space.law.retention(_histories(cubes), now))]


def _histories(cubes: Sequence[MemCube]) -> Histories:
    created = np.array([to_micros(c.learned) for c in cubes]) / DAY
    recalled = np.array([to_micros(c.recalled_at or c.learned) for c in cubes]) / DAY
    return Histories(
        created=created, recalled=recalled, recalls=np.array([c.recalls for c in cubes]),
        strength=np.array([c.strength for c in cubes]), size=np.array([len(c.text) for c in cubes]),
        tier=np.array([c.layer for c in cubes]),
    )  # fmt: skip


def _finite(values: Floats) -> Floats:
    """Return numbers that JSON has: an archive may hold any strength."""
    found: Floats = np.nan_to_num(values)
    return found


@dataclass(frozen=True, slots=True)
class Curve:
    """How a memory fades if nothing touches it: (moment, strength) points from now on.

    `floor` is the strength below which the policy archives, None where it has no such limit. Of the recalls the file
    keeps the number and the last one.
    """

    law: str
    now: float
    floor: float | None
    points: list[tuple[datetime, float]]
    recalls: list[datetime]


def curve(space: TextMemory, cube_id: str, *, days: float = 90) -> Curve:
    """Return what the space's law says that a cube is worth in the next `days`, at 120 moments. Raises NotFound. O(log N)."""
    if not 0 < days <= 36_500:
        raise InvalidInput(f"days is {days}, expected a number above 0 and at most 36,500.")
    cube, policy, start = space.get(cube_id), space.policy, to_micros(space.clock())
    law, histories = policy.make_law(), _histories([cube])
    moments = np.linspace(start, start + days * DAY, POINTS).astype(np.int64).tolist()
    values = [float(_finite(law.retention(histories, at / DAY))[0]) for at in moments]
    points = [(from_micros(at), value) for at, value in zip(moments, values, strict=True)]
    recalls = [cube.recalled_at] if cube.recalled_at else []
    return Curve(policy.law, values[0], policy.min_retention, points, recalls)


@dataclass(frozen=True, slots=True)
class DueSoon:
    """What the policy lets go of now, and what is the weakest of the rest: (cube, strength), the weakest first.

    At most as many of each as were asked for; `archive_count` and `erase_count` say how many there are.
    """

    policy: Policy
    archive: list[tuple[MemCube, float]]
    erase: list[tuple[MemCube, float]]
    next: list[tuple[MemCube, float]]
    archive_count: int
    erase_count: int


def due_soon(space: TextMemory, *, limit: int = 50) -> DueSoon:
    """Say what `Space.apply_policy` would let go of now, and which active cubes are the weakest that it would not.

    Pinned cubes, those of the long term and derived ones are never let go of, so they are not here. One scan of numbers
    into arrays, O(N), about 1.2 us a cube.
    """
    going, law, now = (
        candidates_due(space.store, space.policy, space.clock(), look=True),
        space.law,
        to_micros(space.clock()) / DAY,
    )
    keep, rest = _finite(law.retention(going.active.histories, now)), going.active.free.copy()
    rest[going.archive] = False
    left = np.flatnonzero(rest)
    left = left[np.argpartition(keep[left], limit)[:limit]] if len(left) > limit else left
    left = left[np.lexsort((going.active.histories.created[left], keep[left]))]

    def first(keys: Ints) -> list[tuple[MemCube, float]]:
        found = space.store.by_key(keys[:limit].tolist())
        cubes = [found[n] for n in keys[:limit].tolist() if n in found]
        return list(zip(cubes, strengths(space, cubes), strict=True))

    return DueSoon(
        space.policy, first(going.archive_keys), first(going.erase_keys), first(going.active.keys[left]),
        len(going.archive), len(going.erase),
    )  # fmt: skip


def check_law(policy: Policy) -> None:
    """Raise InvalidInput unless the policy's law works with its constants: another would break every recall."""
    try:
        law = policy.make_law()
        for layers in ([0], [0, 1, 2]):
            ones, n = np.ones(len(layers)), len(layers)
            life = Histories(ones, ones, ones.astype(np.int64), ones, ones.astype(np.int64), np.array(layers))
            with np.errstate(all="ignore"):
                values = [law.retention(life, 2.0), *law.reinforce(life, 2.0)]
            if not all(v.shape == (n,) and np.isfinite(v.astype(np.float64)).all() for v in values):
                raise ValueError("it does not give a number for each memory")
    except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise InvalidInput(f"the law {policy.law!r} cannot work with {policy.constants} ({error}).") from error
