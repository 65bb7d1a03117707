"""Counts of how often cubes were used, kept in RAM until they are persisted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from mnemos.cube import to_micros
from mnemos.store.base import Store


@dataclass
class Uses:
    """How often cubes were used since the last `flush`, and when last. A killed process loses these counts."""

    store: Store
    clock: Callable[[], datetime]
    _counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, ids: Iterable[str]) -> None:
        """Count one use of each cube."""
        now = to_micros(self.clock())
        with self._lock:
            for cube_id in ids:
                self._counts[cube_id] = (self._counts.get(cube_id, (0, 0))[0] + 1, now)

    def drop(self, ids: Iterable[str]) -> None:
        """Forget the uses of cubes that were erased."""
        with self._lock:
            for cube_id in ids:
                self._counts.pop(cube_id, None)

    def flush(self) -> int:
        """Persist the uses; return of how many cubes."""
        with self._lock:
            counts, self._counts = self._counts, {}
        if counts:
            self.store.lives.count_uses((cube_id, times, last) for cube_id, (times, last) in counts.items())
        return len(counts)
