"""The place of a space in the pool of those that are open: what it holds in RAM is freed when others need the room."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from mnemos.store.pool import Pool

_ticks = count(1)  # the time of the pool


class Resident:
    """Implements `Handle` for a space that has no file: the pool keeps it, with its views, until it suspends it."""

    def __init__(self, pool: Pool | None) -> None:
        self.used = next(_ticks)
        self._pool = pool
        self._there = self._ended = False
        self._callbacks: list[Callable[[], bool]] = []

    def before_suspend(self, callback: Callable[[], bool]) -> None:
        """Call `callback` when the room is needed; False keeps the space."""
        self._callbacks.append(callback)

    def touch(self) -> None:
        """Count a use; a space that was suspended takes its place again."""
        self.used = next(_ticks)
        if self._pool is not None and not self._there and not self._ended:
            self._there = True
            self._pool.enter(self)

    def suspend(self) -> bool:
        """Free what is held in RAM unless a call is at work with it; return whether it was freed."""
        if not all(callback() for callback in self._callbacks):
            return False
        self._there = False
        return True

    def leave(self) -> None:
        """Give the place up, for good."""
        self._ended = True
        if self._pool is not None and self._there:
            self._there = False
            self._pool.leave(self)
