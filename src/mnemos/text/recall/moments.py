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
    neighbours: dict[int, Ints]  # [d] (N,): the position d places after each one, within half a day; d in -3..3, not 0
    day_starts: Ints  # (D,) where each day of UTC begins in `order`
    day: Ints  # (N,) the number of its day; D is none

    def best_of_day(self, values: Floats) -> Floats:
        """Return for each cube the largest value of its day; 0 where it has none."""
        best = np.maximum.reduceat(values.take(self.order), self.day_starts) if len(self.order) else values[:0]
        return np.append(best, np.float32(0)).take(self.day)

    def best_near(self, values: Floats) -> Floats:
        """Return for each cube the largest value, or 0, of its neighbours in time."""
        padded = np.append(values, np.float32(0))
        best = np.zeros(len(values), dtype=np.float32)
        for positions in self.neighbours.values():
            np.maximum(best, padded.take(positions), out=best)
        return best

    def mean_near(self, values: Floats) -> Floats:
        """Return for each cube the sum over its neighbours in time, divided by three."""
        padded = np.append(values, np.float32(0))
        total = np.zeros(len(values), dtype=np.float32)
        for positions in self.neighbours.values():
            total += padded.take(positions)
        return total / np.float32(REACH)


def moments(at: NDArray[np.int64], originals: NDArray[np.bool_]) -> Moments:
    """Return the moments of cubes by when they happened, (N,) microseconds; only `originals` (N,) count. O(N log N)."""
    n = len(at)
    order = np.flatnonzero(originals)
    order = order[np.argsort(at[order], kind="stable")].astype(np.int32)
    rank = np.zeros(n, dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    _, group, sizes = np.unique(at[order], return_inverse=True, return_counts=True)
    order = order[sizes[group] < IMPORT] if len(order) else order
    times = at[order]
    neighbours = {}
    for d in range(1, REACH + 1):
        before, after = np.full(n, n, dtype=np.int32), np.full(n, n, dtype=np.int32)
        near = times[d:] - times[:-d] < NEAR
        earlier, later = order[:-d][near], order[d:][near]
        before[later], after[earlier] = earlier, later
        neighbours[-d], neighbours[d] = before, after
    days = times // DAY
    starts = np.flatnonzero(np.r_[np.ones(min(len(order), 1), dtype=bool), days[1:] != days[:-1]]).astype(np.int32)
    day = np.full(n, len(starts), dtype=np.int32)
    day[order] = np.repeat(np.arange(len(starts), dtype=np.int32), np.diff(np.r_[starts, len(order)]))
    return Moments(order, rank, neighbours, starts, day)
