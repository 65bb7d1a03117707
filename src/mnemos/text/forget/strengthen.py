"""Recalls strengthen memories: they are collected in RAM and written in batches.

Memories recalled together are linked, and each time the link gets stronger: the edges of Memoria (arXiv 2310.03052).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import combinations
from operator import itemgetter

import numpy as np

from mnemos.cube import MemCube, to_micros
from mnemos.errors import StoreError
from mnemos.facts import Link
from mnemos.store.base import Store
from mnemos.text.base import DAY, Histories, Law

WAITING = 1_024  # recalls from which they are written
SOON = 8  # recalls before that: more than one search makes
LONGEST = 60_000_000  # microseconds after which a recall is written with the next one, so that other processes see it


class Recalls:
    """The recalls of one space that are not yet written. Safe for threads.

    They are written before anything is decided by them (a policy, a consolidation), when there are 1,024, with the first
    recall after a minute, and on `close`; a process that is killed loses the last of them, never a memory.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[tuple[Sequence[str], int]] = []
        self._count = 0
        self._together: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def note(self, ids: Sequence[str], now: datetime) -> bool:
        """Add a recall of these cubes; return whether it is time to `write`."""
        with self._lock:
            self._waiting.append((ids, to_micros(now)))
            self._count += len(ids)
            self._together.update(combinations(sorted(set(ids)), 2))
            return self._count >= WAITING or to_micros(now) - self._waiting[0][1] >= LONGEST

    def due(self, now: datetime) -> bool:
        """Tell whether a search would have to write the recalls."""
        with self._lock:
            first = self._waiting[0][1] if self._waiting else None
            return self._count + SOON >= WAITING or (first is not None and to_micros(now) - first >= LONGEST)

    def write(self, law: Law) -> int:
        """Write the recalls, as the law counts them; return the number of cubes updated. O(cubes recalled).

        Raises StoreError; the recalls wait on then.
        """
        with self._lock:
            waiting, self._waiting, self._count = self._waiting, [], 0
            together, self._together = self._together, Counter()
        if not waiting:
            return 0
        try:
            return self._write(law, waiting, together)
        except StoreError:
            with self._lock:
                self._waiting = waiting + self._waiting
                self._count = sum(len(ids) for ids, _ in self._waiting)
                self._together += together
            raise

    def _write(self, law: Law, waiting: Sequence[tuple[Sequence[str], int]], together: Counter[tuple[str, str]]) -> int:
        with self._store.transaction():
            cubes = list(self._store.get(list(dict.fromkeys(i for ids, _ in waiting for i in ids))).values())
            rows = recalled(cubes, waiting, law)
            self._store.lives.set_strength(rows)
            existing = {cube.id for cube in cubes}
            pairs = [Link(a, b, "co-recalled", n) for (a, b), n in together.items() if {a, b} <= existing]
            self._store.links.add(pairs, waiting[-1][1])
        return len(rows)


def recalled(
    cubes: Sequence[MemCube], events: Sequence[tuple[Sequence[str], int]], law: Law
) -> list[tuple[float, int, int, int, str]]:
    """Return (strength, layer, recalls, recalled_at, id) of cubes after (ids, time) events, in the order of time."""
    place = {c.id: i for i, c in enumerate(cubes)}
    h = Histories.of(cubes)
    last = np.array([to_micros(c.recalled_at or c.learned) for c in cubes], dtype=np.int64)
    for ids, at in sorted(events, key=itemgetter(1)):
        where = np.array([place[name] for name in ids if name in place], dtype=np.int64)
        if len(where):
            h.strength[where], h.tier[where] = law.reinforce(h.at(where), at / DAY)
            h.recalled[where], last[where] = at / DAY, at
            h.recalls[where] += 1
    return list(zip(h.strength.tolist(), h.tier.tolist(), h.recalls.tolist(), last.tolist(), place, strict=True))
