"""Moments: what happened at about the same time, whatever thread it is in.

A visit leaves an entry in the calendar, two messages, a photo and a note. Each says a part of it, and none is a turn of a
session with the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]
DAY = 86_400_000_000  # microseconds
NEAR = DAY // 2  # what is further away in time is of another moment
REACH = 3  # cubes before and after each one
IMPORT = 20  # cubes of exactly one time from which that is when they were imported, and says nothing


@dataclass(frozen=True, slots=True)
class Moments:
    """The N cubes in the order of time; N, one past the last, means "none"."""

    order: Ints  # (M,) positions of the originals that have a time of their own, by time, then by position
    rank: Ints  # (N,) the place of each original by time, then by position
    neighbours: Ints  # (6, N): the positions up to three places before and after each one, within half a day
    day_starts: Ints  # (D,) where each day of UTC begins in `order`
    day: Ints  # (N,) the number of its day; D is none

    def best_of_day(self, values: Floats) -> Floats:
        """Return for each cube the largest value of its day; 0 where it has none."""
        best = np.maximum.reduceat(values.take(self.order), self.day_starts) if len(self.order) else values[:0]
        return np.append(best, np.float32(0)).take(self.day)

    def near(self, values: Floats) -> tuple[Floats, Floats]:
        """Return for each cube the largest value, or 0, of its neighbours in time, and their sum divided by three."""
        around = np.append(values, np.float32(0)).take(self.neighbours)
        return np.maximum(around.max(axis=0), 0), around.sum(axis=0) / np.float32(REACH)


def moments(at: NDArray[np.int64], originals: NDArray[np.bool_]) -> Moments:
    """Return the moments of cubes by when they happened, (N,) microseconds; only `originals` (N,) count. O(N log N)."""
    n = len(at)
    order: Ints = np.flatnonzero(originals).astype(np.int32)
    order = order[np.argsort(at[order], kind="stable")]
    rank = np.zeros(n, dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    _, group, sizes = np.unique(at[order], return_inverse=True, return_counts=True)
    if len(order):
        order = order[sizes[group] < IMPORT]
    times = at[order]
    neighbours = np.full((2 * REACH, n), n, dtype=np.int32)
    for d in range(1, REACH + 1):
        near = times[d:] - times[:-d] < NEAR
        earlier, later = order[:-d][near], order[d:][near]
        neighbours[d - 1, later], neighbours[REACH + d - 1, earlier] = earlier, later
    days = times // DAY
    starts = np.flatnonzero(np.r_[np.ones(min(len(order), 1), dtype=bool), days[1:] != days[:-1]]).astype(np.int32)
    day = np.full(n, len(starts), dtype=np.int32)
    day[order] = np.repeat(np.arange(len(starts), dtype=np.int32), np.diff(np.r_[starts, len(order)]))
    return Moments(order, rank, neighbours, starts, day)
