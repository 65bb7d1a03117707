"""The shape of a conversation: neighbours, sessions, talks and lengths, kept in step with single changes."""

from __future__ import annotations

import copy
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mnemos.index.growing import Growing
from mnemos.text.recall.moments import NONE, Moments, local

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Bools = NDArray[np.bool_]
WINDOWS = (1, 3)  # reaches of the windows of a turn: turns before and after it
REACH = WINDOWS[-1]
PAUSE = 6 * 3_600_000_000  # microseconds after which the turns of a session are another talk


class Layout:
    """The shape of the conversation of N cubes: neighbours, sessions and lengths. -1 means "none".

    A *talk* is the part of a session between two pauses of more than six hours: a thread of short messages lasts for
    years, and what was said in March says nothing about the next line of May. Only originals are turns. `S` is the number
    of sessions that have turns, ranked by their number; `T` that of talks, in the order of `by_session`.

    Made in O(N log N), 15 ms for 100,000. A turn that is added to the end of the newest session is then inserted in about
    0.1 ms, whatever N is; elsewhere integers of what comes after it are copied, 0.1 ms for 100,000.
    """

    def __init__(self, at: Longs, session: Ints, originals: Bools, lengths: Floats) -> None:
        n = len(at)
        self._at = at
        self._session = Growing(np.where(originals, session, NONE).astype(np.int32))
        inside = np.flatnonzero(self.session >= 0)
        by_session = _by_session_and_time(inside, self.session, at)
        numbers, times = self.session[by_session], at[by_session]
        new = numbers[1:] != numbers[:-1]
        self.by_session = by_session  # positions session by session, each in time order
        self.session_starts, self.session_sizes = _runs(new, len(by_session))  # (S,) in `by_session`
        self.talk_starts, self.talk_sizes = _runs(new | (times[1:] - times[:-1] > PAUSE), len(by_session))  # (T,)
        self._talk = Growing(np.full(n, NONE, dtype=np.int32))
        self.talk[by_session] = np.repeat(np.arange(len(self.talk_starts), dtype=np.int32), self.talk_sizes)
        self._neighbours = {d: Growing(np.full(n, NONE, dtype=np.int32)) for d in range(-REACH, REACH + 1) if d}
        talk = self.talk[by_session]
        for d in range(1, REACH + 1):
            same = talk[d:] == talk[:-d]
            left, right = by_session[:-d][same], by_session[d:][same]
            self._neighbours[-d].array[right], self._neighbours[d].array[left] = left, right
        self.talk_lengths = np.bincount(talk, weights=lengths[by_session], minlength=len(self.talk_starts)).astype(
            np.float32
        )  # (T,) the terms of each talk
        padded = np.append(lengths, np.float32(0))
        self._lengths = {0: Growing(lengths.astype(np.float32))}
        for reach in WINDOWS:
            around = [padded.take(self._neighbours[d].array) for d in range(-reach, reach + 1) if d]
            self._lengths[reach] = Growing(sum(around, lengths).astype(np.float32))
        self._log_length = Growing(np.log1p(lengths))
        self._first = Growing(((self._neighbours[-1].array == NONE) & (self.session >= 0)).astype(np.float32))
        self._sums = {reach: int(w.array[originals].sum(dtype=np.float64)) for reach, w in self._lengths.items()}
        values, counts = np.unique(lengths[originals], return_counts=True)
        self._spread = Counter(dict(zip(values.astype(int).tolist(), counts.tolist(), strict=True)))
        self._originals = int(originals.sum())
        self.moments = Moments(at, originals)  # the cubes by time
        self._sum_up()

    @property
    def session(self) -> Ints:
        """The number of the session of each turn, (N,)."""
        return self._session.array

    @property
    def talk(self) -> Ints:
        """The number of the talk of each turn, (N,)."""
        return self._talk.array

    @property
    def neighbours(self) -> dict[int, Ints]:
        """The position d turns after each one in its talk, (N,) by d in -3..3 without 0."""
        return {d: array.array for d, array in self._neighbours.items()}

    @property
    def lengths(self) -> dict[int, Floats]:
        """The terms within 0, 1 or 3 turns on both sides of each cube, (N,) by reach."""
        return {reach: array.array for reach, array in self._lengths.items()}

    @property
    def log_length(self) -> Floats:
        """The logarithm of 1 + the terms of each cube, (N,)."""
        return self._log_length.array

    @property
    def first(self) -> Floats:
        """1 at the first turn of a talk, (N,)."""
        return self._first.array

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return len(self.session) * (4 * (2 * REACH + 2 * 3 + 9) + 1) + 4 * 3 * (len(self.talk_starts) + len(self._sums))

    def part(self, positions: Longs) -> Layout:
        """Return the layout of a few cubes, at ascending positions, with the lengths and means of all."""
        part = copy.copy(self)
        part._at = self._at[positions]
        part._session = Growing(self.session[positions])
        inside = np.flatnonzero(part.session >= 0)
        part.by_session = inside[np.lexsort((inside, part._at[inside], part.session[inside]))].astype(np.int32)
        numbers, talks = part.session[part.by_session], self.talk[positions][part.by_session]
        part.session_starts, part.session_sizes = _runs(numbers[1:] != numbers[:-1], len(numbers))
        part.talk_starts, part.talk_sizes = _runs(talks[1:] != talks[:-1], len(talks))
        part._talk = Growing(np.full(len(positions), NONE, dtype=np.int32))
        part.talk[part.by_session] = np.repeat(np.arange(len(part.talk_starts), dtype=np.int32), part.talk_sizes)
        part.talk_lengths = self.talk_lengths[talks[part.talk_starts]]
        part._neighbours = {d: Growing(local(a.array[positions], positions)) for d, a in self._neighbours.items()}
        part._lengths = {reach: Growing(a.array[positions]) for reach, a in self._lengths.items()}
        part._log_length, part._first = Growing(self.log_length[positions]), Growing(self.first[positions])
        part.moments = self.moments.part(positions)
        return part

    def grow(self, at: Longs, lengths: Floats) -> None:
        """Make room for cubes that were appended; `at` (N,) are the times of all, `lengths` the terms of the new ones."""
        self._at = at
        none = np.full(len(lengths), NONE, dtype=np.int32)
        for ints in (self._session, self._talk, *self._neighbours.values()):
            ints.extend(none)
        for floats in self._lengths.values():
            floats.extend(lengths)
        self._log_length.extend(np.log1p(lengths))
        self._first.extend(np.zeros(len(lengths), dtype=np.float32))
        self.moments.grow(at)

    def insert(self, positions: Sequence[int], sessions: Ints) -> bool:
        """Insert originals into their sessions; False when everything has to be made again."""
        for p, session in zip(positions, sessions.tolist(), strict=True):
            self._count(p, 1)
            if session >= 0:
                self._insert(p, session)
            if not self.moments.insert(p):
                return False
        self._sum_up()
        return True

    def remove(self, positions: Sequence[int], sessions: Ints) -> bool:
        """Remove originals from their sessions; False when everything has to be made again."""
        for p, session in zip(positions, sessions.tolist(), strict=True):
            if session >= 0:
                self._take_out(p)
            self._count(p, -1)
            if not self.moments.remove(p):
                return False
        self._sum_up()
        return True

    def _count(self, p: int, by: int) -> None:
        """Count an original in or out; its windows reach over nothing but itself."""
        length = int(self._lengths[0].array[p])
        self._spread[length] += by
        self._originals += by
        for reach in self._sums:
            self._sums[reach] += by * length

    def _sum_up(self) -> None:
        some = self._originals > 0
        self.mean_lengths = {reach: total / self._originals if some else 1.0 for reach, total in self._sums.items()}
        self.median_length = _median(self._spread, self._originals)
        talking = int(self.talk_sizes[self.talk_sizes > 1].sum())
        self.in_talks = talking / max(self._originals, 1)  # share of the cubes with another turn in their talk

    def _within(self, number: int) -> tuple[int, range]:
        """Return the rank of a session, or the one it would have, and where its turns are in `by_session`."""
        numbers = self.session[self.by_session[self.session_starts]]
        rank = int(np.searchsorted(numbers, number))
        if rank == len(numbers):
            return rank, range(len(self.by_session), len(self.by_session))
        start = int(self.session_starts[rank])
        return rank, range(start, start + (int(self.session_sizes[rank]) if numbers[rank] == number else 0))

    def _place(self, p: int, turns: range) -> int:
        """Return where a turn is among those of its session, or would be: by time, then by position."""
        order, at = self.by_session, self._at
        if not turns or (at[order[turns.stop - 1]], order[turns.stop - 1]) < (at[p], p):
            return turns.stop
        return bisect_left(order, (at[p], p), turns.start, turns.stop, key=lambda q: (at[q], q))

    def _insert(self, p: int, number: int) -> None:
        rank, turns = self._within(number)
        order = self.by_session
        j = self._place(p, turns)
        left = int(order[j - 1]) if j > turns.start else NONE
        right = int(order[j]) if j < turns.stop else NONE
        if not turns:
            self.session_starts = np.insert(self.session_starts, rank, j)
            self.session_sizes = np.insert(self.session_sizes, rank, 0)
        self.session_starts[rank + 1 :] += 1
        self.session_sizes[rank] += 1
        self.session[p] = number
        self._enter_talk(p, j, left, right)
        self.by_session = np.insert(order, j, p)
        self._link(j - REACH, j + REACH + 1)

    def _enter_talk(self, p: int, j: int, left: int, right: int) -> None:
        """Give a turn that comes to place `j` its talk: that of a neighbour, both of them made one, or a new one."""
        at, talk, length = self._at, self.talk, self._lengths[0].array[p]
        before = left >= 0 and at[p] - at[left] <= PAUSE
        after = right >= 0 and at[right] - at[p] <= PAUSE
        if before or after:
            number = int(talk[left if before else right])
            if before and after and talk[right] != number:
                self.talk_sizes[number] += self.talk_sizes[number + 1]
                self.talk_lengths[number] += self.talk_lengths[number + 1]
                self._drop_talk(number + 1, j)
        else:
            number = int(talk[left]) + 1 if left >= 0 else self._talk_at(j)
            talk[self.by_session[j:]] += 1
            self.talk_starts = np.insert(self.talk_starts, number, j)
            self.talk_sizes = np.insert(self.talk_sizes, number, 0)
            self.talk_lengths = np.insert(self.talk_lengths, number, np.float32(0))
        talk[p] = number
        self.talk_starts[number + 1 :] += 1
        self.talk_sizes[number] += 1
        self.talk_lengths[number] += length

    def _talk_at(self, j: int) -> int:
        return int(self.talk[self.by_session[j]]) if j < len(self.by_session) else len(self.talk_starts)

    def _drop_talk(self, number: int, j: int) -> None:
        """Drop a talk that has no turns left; those at `j` and later places of `by_session` are renumbered."""
        self.talk_starts = np.delete(self.talk_starts, number)
        self.talk_sizes = np.delete(self.talk_sizes, number)
        self.talk_lengths = np.delete(self.talk_lengths, number)
        self.talk[self.by_session[j:]] -= 1

    def _take_out(self, p: int) -> None:
        """Take a turn out of its session."""
        rank, turns = self._within(int(self.session[p]))
        order, at, talk = self.by_session, self._at, self.talk
        j, number = self._place(p, turns), int(talk[p])
        self.talk_sizes[number] -= 1
        self.talk_lengths[number] -= self._lengths[0].array[p]
        self.talk_starts[number + 1 :] -= 1
        left = int(order[j - 1]) if j > turns.start and talk[order[j - 1]] == number else NONE
        right = int(order[j + 1]) if j + 1 < turns.stop and talk[order[j + 1]] == number else NONE
        self.session_starts[rank + 1 :] -= 1
        self.session_sizes[rank] -= 1
        self.by_session = np.delete(order, j)
        if not self.session_sizes[rank]:
            self.session_starts, self.session_sizes = (
                np.delete(a, rank) for a in (self.session_starts, self.session_sizes)
            )
        if not self.talk_sizes[number]:
            self._drop_talk(number, j)
        elif left >= 0 and right >= 0 and at[right] - at[left] > PAUSE:
            self._split(number, j)
        self._unlink(p)
        self._link(j - REACH, j + REACH)

    def _split(self, number: int, j: int) -> None:
        """Make the turns of a talk from place `j` on a talk of their own."""
        size = int(self.talk_starts[number] + self.talk_sizes[number]) - j
        length = self._lengths[0].array[self.by_session[j : j + size]].sum()
        self.talk[self.by_session[j:]] += 1
        self.talk_sizes[number] -= size
        self.talk_lengths[number] -= length
        self.talk_starts = np.insert(self.talk_starts, number + 1, j)
        self.talk_sizes = np.insert(self.talk_sizes, number + 1, size)
        self.talk_lengths = np.insert(self.talk_lengths, number + 1, length)

    def _unlink(self, p: int) -> None:
        self.session[p] = self.talk[p] = NONE
        self.first[p] = 0
        for array in self._neighbours.values():
            array.array[p] = NONE
        for reach in WINDOWS:
            self._sums[reach] += int(self._lengths[0].array[p] - self._lengths[reach].array[p])
            self._lengths[reach].array[p] = self._lengths[0].array[p]

    def _link(self, start: int, stop: int) -> None:
        """Set neighbours and windows of the turns at some places of `by_session`."""
        low = max(start - REACH, 0)
        places = self.by_session[low : stop + REACH].tolist()
        talks, lengths = self.talk[places].tolist(), self._lengths[0].array[places].tolist()
        for i in range(max(start, 0) - low, min(stop, len(self.by_session)) - low):
            p, window = places[i], {0: lengths[i]}
            for d, array in self._neighbours.items():
                there = 0 <= i + d < len(places) and talks[i + d] == talks[i]
                array.array[p] = places[i + d] if there else NONE
                if there:
                    window[d] = lengths[i + d]
            for reach in WINDOWS:
                total = sum(length for d, length in window.items() if abs(d) <= reach)
                self._sums[reach] += int(total - self._lengths[reach].array[p])
                self._lengths[reach].array[p] = total
            self._first.array[p] = float(-1 not in window)


def _runs(new: Bools, count: int) -> tuple[Ints, Ints]:
    """Return where runs of `count` places begin, and their sizes, from whether each place after the first begins one."""
    starts = np.flatnonzero(np.r_[np.ones(min(count, 1), dtype=bool), new]).astype(np.int32)
    return starts, np.diff(np.r_[starts, count]).astype(np.int32)


def _by_session_and_time(positions: NDArray[np.int64], session: Ints, at: Longs) -> Ints:
    """Return the positions session by session, each in order of time."""
    order = positions[np.argsort(session[positions], kind="stable")]
    later = (at[order[1:]] >= at[order[:-1]]) | (session[order[1:]] != session[order[:-1]])
    if not later.all():  # messages arrived out of order: also sort by time, five times slower
        order = positions[np.lexsort((positions, at[positions], session[positions]))]
    return order.astype(np.int32)


def _median(spread: Counter[int], count: int) -> float:
    """Return the median of `count` values, of which there are so many each; 0 of none."""
    if not count:
        return 0.0
    middle, seen, found = {(count - 1) // 2, count // 2}, 0, list[int]()
    for value in sorted(v for v, c in spread.items() if c):
        found += [value for i in middle if seen <= i < seen + spread[value]]
        seen += spread[value]
    return sum(found) / len(found)
