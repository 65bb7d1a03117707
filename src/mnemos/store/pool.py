"""A bound on how many spaces have their files open at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from mnemos.errors import InvalidInput, OutOfFiles

T = TypeVar("T")

SETTING = "MNEMOS_MAX_OPEN"
FILES_OF_ONE = 3  # descriptors of an open space: the database, its write-ahead log, and the index of that log
MOST, LEAST = 256, 4  # spaces, whatever the limit of the process is


class Handle(Protocol):
    """Something that has files open, and opens them again on its next use."""

    used: int  # grows with each use of any handle

    def suspend(self) -> bool:
        """Close the files unless a call is at work with them; return whether they are closed. Never waits."""


class Pool:
    """The handles of one owner that have their files open. Beyond `limit` the least recently used are suspended.

    Handles at work are never suspended, so that there may be more than `limit` for a while. Safe for threads; nothing
    is held locked while a handle is suspended.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._open: dict[int, Handle] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many handles have their files open."""
        return len(self._open)

    def enter(self, handle: Handle) -> None:
        """Count a handle that is about to open its files, and make room for it. O(handles) beyond the limit."""
        with self._lock:
            self._open[id(handle)] = handle
        if len(self._open) > self.limit:
            self._suspend(len(self._open) - self.limit, handle)

    def leave(self, handle: Handle) -> None:
        """Stop counting a handle whose files are closed."""
        with self._lock:
            self._open.pop(id(handle), None)

    def with_room(self, action: Callable[[], T], handle: Handle | None = None) -> T:
        """Return what `action` returns; if the process has no descriptor left for it, suspend half and try once more.

        `handle` is not suspended. Raises OutOfFiles when nothing could be suspended, or that was not enough.
        """
        try:
            return action()
        except OutOfFiles:
            if not self._suspend((len(self._open) + 1) // 2, handle):
                raise
            return action()

    def _suspend(self, wanted: int, but: Handle | None) -> int:
        done = 0
        with self._lock:
            idle = sorted((h for h in self._open.values() if h is not but), key=lambda h: h.used)
        for handle in idle:
            if done >= wanted:
                break
            self.leave(handle)  # first: one that is opened again in the meantime enters again
            if handle.suspend():
                done += 1
            else:
                with self._lock:
                    self._open[id(handle)] = handle
        return done


def open_limit(given: int | None = None) -> int:
    """Return how many spaces may be open: `given`, or $MNEMOS_MAX_OPEN, or what half of the descriptors suffice for.

    Raises InvalidInput for a number below 1.
    """
    text = given if given is not None else os.environ.get(SETTING)
    if text in (None, ""):
        return max(LEAST, min(MOST, descriptor_limit() // 2 // FILES_OF_ONE))
    try:
        limit = int(text)
    except ValueError:
        limit = 0
    if limit < 1 or isinstance(given, bool):
        whose = "max_open" if given is not None else SETTING
        raise InvalidInput(f"{whose} is {text!r}: give the number of spaces that may be open at once, 1 or more.")
    return limit


def descriptor_limit() -> int:
    """Return how many files this process may have open, as `ulimit -n` says; 1,024 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 1_024
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1_024 if soft == resource.RLIM_INFINITY else soft
