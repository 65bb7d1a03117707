"""Locks that are taken only if they are free."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def try_lock(lock: Any) -> Iterator[bool]:
    """Try to take a lock without waiting; yield whether it was taken."""
    held = bool(lock.acquire(blocking=False))
    try:
        yield held
    finally:
        if held:
            lock.release()
