"""Limits of the server: what it accepts, and how fast."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from mnemos.store.server import Rates

DAY = 86_400.0  # seconds
MAX_BUCKETS = 10_000  # the least recently used are dropped; a dropped bucket starts full again
BATCH = 0.02  # share of a burst that a process takes from a shared bucket at a time
FRESH = 1.0  # seconds for which it may use what it took
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True)
class ServerLimits:
    """What a server accepts."""

    hosts: tuple[str, ...] = ()  # host names that clients may use, in addition to those of the loopback
    body: int = 8 * 1024 * 1024  # bytes of a request body other than an import or a chat
    chat_body: int = 64 * 1024 * 1024  # bytes of a chat, which may contain pictures
    held: int = 1024 * 1024 * 1024  # bytes of all bodies that are in RAM, those of imports excepted
    import_body: int = 1024 * 1024 * 1024  # bytes of an import
    import_file: int = 256 * 1024 * 1024  # bytes of a file that is imported, unpacked: all of it is held in RAM
    import_line: int = 64 * 1024 * 1024  # bytes of one line of an import
    rate: float = 500.0  # requests per second of a key, or of an address without a key
    burst: int = 1_000  # requests that may come at once
    requests: int = 256  # at work at once; a request counts once it has arrived whole
    connections: int = 4_096  # open at once; idle ones are closed for new ones, the longest idle first
    head_seconds: float = 10.0  # for which a connection may be idle, and for a head to arrive
    body_seconds: float = 30.0  # for a body to arrive; for each part of an import
    stall_seconds: float = 60.0  # for which a client may read nothing of a response
    replay_seconds: float = DAY  # for which a request with an Idempotency-Key can be repeated

    @property
    def names(self) -> frozenset[str]:
        """All host names that the server accepts, in lower case."""
        return LOOPBACK | {name.lower() for name in self.hosts}

    @property
    def requests_of_space(self) -> int:
        """Requests that may be at work in one space, so that a slow one leaves room for the others."""
        return max(1, 3 * self.requests // 4)


class RateLimiter:
    """One token bucket per caller: `rate` tokens per second, at most `burst`."""

    def __init__(self, rate: float, burst: int, now: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self.burst = burst
        self.now = now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # caller -> tokens, when counted

    def take(self, caller: str) -> int:
        """Take a token; return 0, or the number of whole seconds until one is available."""
        now = self.now()
        tokens, then = self._buckets.pop(caller, (float(self.burst), now))
        tokens = min(self.burst, tokens + (now - then) * self.rate)
        wait = 0 if tokens >= 1 else max(1, math.ceil((1 - tokens) / self.rate))
        self._buckets[caller] = (tokens if wait else tokens - 1, now)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return wait


class SharedLimiter:
    """The same buckets for all servers of a root: each process takes `BATCH` tokens at a time from the shared bucket.

    What it has taken is good for `FRESH` seconds, so the rate holds for all servers together, and a process may hold back
    at most a batch. Safe for threads.
    """

    def __init__(self, rates: Rates, rate: float, burst: int, now: Callable[[], float] = time.monotonic) -> None:
        self.rates, self.rate, self.burst, self.now = rates, rate, burst, now
        self.batch = max(1, int(burst * BATCH))
        self._taken: OrderedDict[str, tuple[float, float]] = OrderedDict()  # caller -> tokens, until when
        self._lock = threading.Lock()

    def take_taken(self, caller: str) -> bool:
        """Use a token that this process has taken already; return whether there was one. Never waits for a network."""
        with self._lock:
            tokens, until = self._taken.get(caller, (0.0, 0.0))
            if tokens < 1 or self.now() >= until:
                return False
            self._taken[caller] = (tokens - 1, until)
            return True

    def take(self, caller: str) -> int:
        """Take a token; return 0, or the number of whole seconds until one is available. Raises StoreError."""
        if self.take_taken(caller):
            return 0
        tokens = self.rates.lease(caller, self.rate, self.burst, self.batch)
        if tokens < 0:
            return max(1, math.ceil(-tokens))
        with self._lock:
            self._taken[caller] = (tokens - 1, self.now() + FRESH)
            self._taken.move_to_end(caller)
            if len(self._taken) > MAX_BUCKETS:
                self._taken.popitem(last=False)
        return 0


class Room:
    """The requests at work, in total and by space, and the bytes of their bodies. Used on the event loop only."""

    def __init__(self, total: int, of_space: int, most_held: int) -> None:
        self.total = total
        self.of_space = of_space
        self.most_held = most_held
        self.held = 0  # bytes
        self._count = 0
        self._spaces: Counter[str] = Counter()

    def enter(self, space: str) -> bool:
        """Count a request, in a space or "", and return True; return False if there is no room."""
        if self._count >= self.total or (space and self._spaces[space] >= self.of_space):
            return False
        self._count += 1
        self._spaces[space] += 1
        return True

    def leave(self, space: str) -> None:
        """Stop counting a request."""
        self._count -= 1
        self._spaces[space] -= 1
        if not self._spaces[space]:
            del self._spaces[space]
