"""Being recalled strengthens: recalls are collected in RAM and written together.

What is recalled together is linked, and each time the link gets stronger: the edges of Memoria (arXiv 2310.03052).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import combinations

import numpy as np

from mnemos.cube import MemCube, to_micros
from mnemos.store.life import Link
from mnemos.store.sqlite import SqliteStore
from mnemos.text.forget.base import Law, Lives

DAY = 86_400_000_000  # microseconds
WAITING = 256  # recalls that are kept in RAM before they are written


class Recalls:
    """The recalls of one space that are not written yet. Safe among threads.

    They are written with the next write to the space, when there are 256, and on `close`; a process that is killed
    loses the last of them, never a memory.
    """

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._waiting: list[tuple[str, int]] = []
        self._together: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def note(self, ids: Sequence[str], now: datetime) -> bool:
        """Remember that these cubes were recalled; True when it is time to `write`."""
        with self._lock:
            self._waiting += [(i, to_micros(now)) for i in ids]
            self._together.update(combinations(sorted(set(ids)), 2))
            return len(self._waiting) >= WAITING

    def write(self, law: Law) -> int:
        """Write what the law makes of the recalls; return how many cubes changed. O(cubes recalled)."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
            together, self._together = self._together, Counter()
        if not waiting:
            return 0
        with self._store.connection.write():
            cubes = list(self._store.get(list(dict.fromkeys(i for i, _ in waiting))).values())
            rows = recalled(cubes, waiting, law)
            self._store.life.put_strength(rows)
            there = {cube.id for cube in cubes}
            pairs = [Link(a, b, "recalled with", n) for (a, b), n in together.items() if {a, b} <= there]
            self._store.life.count_links(pairs, waiting[-1][1])
        return len(rows)


def recalled(
    cubes: Sequence[MemCube], events: Sequence[tuple[str, int]], law: Law
) -> list[tuple[float, int, int, int, str]]:
    """Return (strength, layer, recalls, recalled_at, id) of cubes after (id, time) events, in the order of time."""
    state = {c.id: c for c in cubes}
    rows: dict[str, tuple[float, int, int, int, str]] = {}
    for name, at in sorted(events, key=lambda e: e[1]):
        if name not in state:
            continue
        cube = state[name]
        strength, layer, recalls, before, _ = rows.get(
            name,
            (cube.strength, cube.layer, cube.recalls, to_micros(cube.recalled_at or cube.learned), name),
        )
        life = Lives(
            born=np.array([to_micros(cube.learned) / DAY]), recalled=np.array([before / DAY]),
            recalls=np.array([recalls]), strength=np.array([strength]), size=np.array([len(cube.text)]),
            layer=np.array([layer]),
        )  # fmt: skip
        stronger, higher = law.recall(life, at / DAY)
        rows[name] = (float(stronger[0]), int(higher[0]), recalls + 1, at, name)
    return list(rows.values())
