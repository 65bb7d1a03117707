"""Moments: what happened at about the same time, whatever thread it is in.

A visit leaves an entry in the calendar, two messages, a photo and a note. Each says a part of it, and none is a turn of a
session with the others.
"""

from __future__ import annotations

import copy
from bisect import bisect_left, bisect_right

import numpy as np
from numpy.typing import NDArray

from mnemos.index.growing import Growing

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float32]
DAY = 86_400_000_000  # microseconds
NEAR = DAY // 2  # what is further away in time is of another moment
REACH = 3  # cubes before and after each one
IMPORT = 20  # cubes of exactly one time from which that is when they were imported, and says nothing
NONE = -1  # "no cube", "no day": the last place of an array with a 0 appended


class Moments:
    """The N cubes in the order of time. Only originals count. Made in O(N log N), kept by `insert` and `remove`.

    `order` (M,) has the positions of the originals that have a time of their own, by time, then by position.
    `neighbours` are six arrays (N,): the positions one to three places before and after each, within half a day.
    `day_starts` (D,) says where each day of UTC begins in `order`, `day` (N,) is the number of each cube's day.
    """

    def __init__(self, at: Longs, originals: NDArray[np.bool_]) -> None:
        n = len(at)
        self._at, self._originals = at, Growing(originals.copy())
        every: Ints = np.flatnonzero(originals).astype(np.int32)
        self._timeline = Growing(every[np.argsort(at[every], kind="stable")])  # also those without their own time
        order = self._timeline.array
        _, group, sizes = np.unique(at[order], return_inverse=True, return_counts=True)
        order = order[sizes[group] < IMPORT] if len(order) else order
        times = at[order]
        self._neighbours = [Growing(np.full(n, NONE, dtype=np.int32)) for _ in range(2 * REACH)]
        for d in range(1, REACH + 1):
            near = times[d:] - times[:-d] < NEAR
            earlier, later = order[:-d][near], order[d:][near]
            self._neighbours[d - 1].array[later] = earlier
            self._neighbours[REACH + d - 1].array[earlier] = later
        days = times // DAY
        starts = np.flatnonzero(np.r_[np.ones(min(len(order), 1), dtype=bool), days[1:] != days[:-1]]).astype(np.int32)
        self._order, self._day, self.day_starts = Growing(order), Growing(np.full(n, NONE, dtype=np.int32)), starts
        self.day[order] = np.repeat(np.arange(len(starts), dtype=np.int32), np.diff(np.r_[starts, len(order)]))

    @property
    def order(self) -> Ints:
        """Positions by time, (M,)."""
        return self._order.array

    @property
    def day(self) -> Ints:
        """The number of the day of each cube, (N,); -1 is none."""
        return self._day.array

    @property
    def neighbours(self) -> list[Ints]:
        """The positions one, two and three places before, then after, each cube, (N,) each; -1 is none."""
        return [array.array for array in self._neighbours]

    def best_of_day(self, values: Floats) -> Floats:
        """Return for each cube the largest value of its day; 0 where it has none."""
        order = self.order
        best = np.maximum.reduceat(values.take(order), self.day_starts) if len(order) else values[:0]
        return np.append(best, np.float32(0)).take(self.day)

    def near(self, values: Floats) -> tuple[Floats, Floats]:
        """Return for each cube the largest value, or 0, of its neighbours in time, and their sum divided by three."""
        padded = np.append(values, np.float32(0))
        first, *others = self.neighbours
        total = padded.take(first)
        best = np.maximum(total, 0)
        for places in others:
            around = padded.take(places)
            total += around
            np.maximum(best, around, out=best)
        return best, total / np.float32(REACH)

    def by_time(self, positions: NDArray[np.integer]) -> NDArray[np.intp]:
        """Return the indices that sort positions by time, then by position; what is not an original comes first."""
        times = np.where(self._originals.array[positions], self._at[positions], np.iinfo(np.int64).min)
        order: NDArray[np.intp] = np.lexsort((positions, times))
        return order

    def part(self, positions: Longs) -> Moments:
        """Return the moments of a few cubes, at ascending positions; neighbours that are not among them are none."""
        part = copy.copy(self)
        part._at = self._at[positions]
        part._originals = Growing(self._originals.array[positions])
        timed = np.flatnonzero(self.day[positions] >= 0)
        order = timed[np.argsort(part._at[timed], kind="stable")].astype(np.int32)
        days = self.day[positions][order]
        part._order, part._timeline = Growing(order), Growing(order)
        starts = np.flatnonzero(np.r_[np.ones(min(len(days), 1), dtype=bool), days[1:] != days[:-1]])
        part.day_starts = starts.astype(np.int32)
        part._day = Growing(np.full(len(positions), NONE, dtype=np.int32))
        sizes = np.diff(np.r_[part.day_starts, len(days)])
        part.day[order] = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        part._neighbours = [Growing(local(array[positions], positions)) for array in self.neighbours]
        return part

    def grow(self, at: Longs) -> None:
        """Make room for cubes that were appended; `at` (N,) are the times of all."""
        new = np.full(len(at) - len(self.day), NONE, dtype=np.int32)
        self._at = at
        for array in (self._day, *self._neighbours):
            array.extend(new)
        self._originals.extend(new < NONE)

    def insert(self, p: int) -> bool:
        """Insert an original; False when all is to be made again.

        That is so when a moment became an import. About 50 us for the newest cube; O(N) copying of integers for others.
        """
        same = self._same(self._timeline.array, p)
        if len(same) + 1 == IMPORT:
            return False
        self._originals.array[p] = True
        self._timeline = _inserted(self._timeline, _index(self._timeline.array, same, p), p)
        if len(same) < IMPORT:
            k = _index(self.order, self._same(self.order, p), p)
            self._enter_day(k, p)
            self._order = _inserted(self._order, k, p)
            self._link(k - REACH, k + REACH + 1)
        return True

    def remove(self, p: int) -> bool:
        """Remove an original; False when all is to be made again, since its moment is no import any longer."""
        same = self._same(self._timeline.array, p)
        if len(same) == IMPORT:
            return False
        self._originals.array[p] = False
        self._timeline = Growing(np.delete(self._timeline.array, _index(self._timeline.array, same, p)))
        if len(same) < IMPORT:
            k = _index(self.order, self._same(self.order, p), p)
            self._leave_day(k, p)
            self._order = Growing(np.delete(self.order, k))
            self._link(k - REACH, k + REACH)
            for array in self.neighbours:
                array[p] = NONE
        return True

    def _same(self, line: Ints, p: int) -> range:
        """Return where the cubes of exactly the time of `p` are in a line, or would be."""
        at, moment, stop = self._at, self._at[p], len(line)
        if stop and at[line[-1]] > moment:
            stop = bisect_right(line, moment, key=lambda q: at[q])
        start = stop
        if stop and at[line[stop - 1]] == moment:
            start = bisect_left(line, moment, key=lambda q: at[q])
        return range(start, stop)

    def _enter_day(self, k: int, p: int) -> None:
        """Give a cube that comes to place `k` of the order its day."""
        order, today = self.order, self._at[p] // DAY
        for i in (k - 1, k):
            if 0 <= i < len(order) and self._at[order[i]] // DAY == today:
                number = int(self.day[order[i]])
                break
        else:
            number = int(self.day[order[k]]) if k < len(order) else len(self.day_starts)
            self.day[order[k:]] += 1
            self.day_starts = np.insert(self.day_starts, number, k)
        self.day[p] = number
        self.day_starts[number + 1 :] += 1

    def _leave_day(self, k: int, p: int) -> None:
        number = int(self.day[p])
        self.day_starts[number + 1 :] -= 1
        end = self.day_starts[number + 1] if number + 1 < len(self.day_starts) else len(self.order) - 1
        if self.day_starts[number] == end:  # it was alone
            self.day_starts = np.delete(self.day_starts, number)
            self.day[self.order[k + 1 :]] -= 1
        self.day[p] = NONE

    def _link(self, start: int, stop: int) -> None:
        """Set the neighbours of the cubes at some places of the order."""
        low = max(start - REACH, 0)
        places = self.order[low : stop + REACH]
        times = self._at[places].tolist()
        for i in range(max(start, 0) - low, min(stop, len(self.order)) - low):
            for d in range(1, REACH + 1):
                near = i >= d and times[i] - times[i - d] < NEAR
                self._neighbours[d - 1].array[places[i]] = places[i - d] if near else NONE
                near = i + d < len(places) and times[i + d] - times[i] < NEAR
                self._neighbours[REACH + d - 1].array[places[i]] = places[i + d] if near else NONE


def _inserted(line: Growing[np.int32], place: int, p: int) -> Growing[np.int32]:
    """Return the line with a position inserted: in place at its end, else copied."""
    if place == len(line.array):
        line.extend([p])
        return line
    return Growing(np.insert(line.array, place, p))


def _index(line: Ints, within: range, p: int) -> int:
    """Return the place of a position in a line, or the one it would have, given where its time is."""
    return within.start + int(np.searchsorted(line[within.start : within.stop], p))


def local(numbers: Ints, positions: Longs) -> Ints:
    """Return the places that numbers have among ascending positions; -1 where they are not among them."""
    found = np.minimum(np.searchsorted(positions, numbers), max(len(positions) - 1, 0))
    return np.where((numbers >= 0) & (positions[found] == numbers), found, NONE).astype(np.int32)
