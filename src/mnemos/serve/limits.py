"""Limits of the server: what it accepts, and how fast."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

DAY = 86_400.0  # seconds
MAX_BUCKETS = 10_000  # the least recently used are dropped; a dropped bucket starts full again
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True)
class ServerLimits:
    """What a server accepts."""

    hosts: tuple[str, ...] = ()  # host names that clients may use, in addition to those of the loopback
    body: int = 8 * 1024 * 1024  # bytes of a request body other than an import
    import_body: int = 1024 * 1024 * 1024  # bytes of an import
    import_line: int = 64 * 1024 * 1024  # bytes of one line of an import
    rate: float = 500.0  # requests per second of a key, or of an address without a key
    burst: int = 1_000  # requests that may come at once
    body_seconds: float = 30.0  # for a body to arrive; for each part of an import
    replay_seconds: float = DAY  # for which a request with an Idempotency-Key can be repeated

    @property
    def names(self) -> frozenset[str]:
        """All host names that the server accepts, in lower case."""
        return LOOPBACK | {name.lower() for name in self.hosts}


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
