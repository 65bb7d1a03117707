"""Limits of the server, rate limiting, idempotency of writes, and metrics."""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from bisect import bisect_left
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mnemos.errors import Conflict
from mnemos.store.open import open_answers

DAY = 86_400.0
MAX_BUCKETS = 10_000  # the least recently used are dropped; a dropped bucket starts full again
EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds, the default of Prometheus
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


class IdempotencyStore:
    """Responses to requests with an Idempotency-Key, to replay them instead of writing twice.

    It contains no text, so nothing erased survives here: a response is stored as ids and versions of cubes, a body as a
    hash keyed with the seal of the client's key, which is never stored.
    """

    def __init__(self, path: Path, kept: float = DAY, now: Callable[[], float] = time.time) -> None:
        self.kept = kept
        self.now = now
        self._answers = open_answers(path)
        self._lock = threading.Lock()
        self._running: set[bytes] = set()

    def start(self, name: bytes, body: bytes) -> list[tuple[str, int]] | None:
        """Return the earlier response as (id, version) pairs; if there was none, reserve the name and return None.

        Raises Conflict when the body differs, or when the earlier request has not finished.
        """
        with self._lock:
            found = self._answers.reserve(name, body, self.now(), self.now() - self.kept)
            if found is None:
                self._running.add(name)
                return None
        earlier, answer = found
        if earlier != body:
            raise Conflict("this Idempotency-Key was used with a different body. Use a new key. Nothing was stored.")
        if answer is None:
            state = "is still running" if name in self._running else "was interrupted. Check whether it was stored"
            raise Conflict(f"the first request with this Idempotency-Key {state}. This one stored nothing.")
        return [(str(cube), int(version)) for cube, version in json.loads(answer)]

    def end(self, name: bytes, cubes: Sequence[tuple[str, int]] | None) -> None:
        """Store the response; with None release the name: the request failed and may be repeated."""
        with self._lock:
            self._answers.finish(name, None if cubes is None else json.dumps(cubes))
            self._running.discard(name)

    def close(self) -> None:
        """Close the file."""
        self._answers.close()


def name_of(*parts: str) -> bytes:
    """Return the name of a stored response: a hash of the API key's id, the space and the Idempotency-Key."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=32).digest()


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


class Metrics:
    """Request counts by route and status and request durations, in the text format of Prometheus."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self._times: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(EDGES) + 1))
        self._sums: defaultdict[str, float] = defaultdict(float)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        with self._lock:
            self._requests[method, route, status] += 1
            self._times[route][bisect_left(EDGES, seconds)] += 1
            self._sums[route] += seconds

    def render(self, cubes: Iterable[tuple[str, int]]) -> str:
        """Return the metrics as text; `cubes` are (space, count) pairs."""
        lines = ["# TYPE mnemos_requests_total counter"]
        with self._lock:
            for (method, route, status), n in sorted(self._requests.items()):
                labels = f'method="{method}",route="{_label(route)}",status="{status}"'
                lines.append(f"mnemos_requests_total{{{labels}}} {n}")
            lines.append("# TYPE mnemos_request_seconds histogram")
            for route, counts in sorted(self._times.items()):
                label, total = _label(route), 0
                for edge, n in zip((*map(str, EDGES), "+Inf"), counts, strict=True):
                    total += n
                    lines.append(f'mnemos_request_seconds_bucket{{route="{label}",le="{edge}"}} {total}')
                lines.append(f'mnemos_request_seconds_sum{{route="{label}"}} {self._sums[route]:.6f}')
                lines.append(f'mnemos_request_seconds_count{{route="{label}"}} {total}')
        lines.append("# TYPE mnemos_cubes gauge")
        lines += [f'mnemos_cubes{{space="{_label(space)}"}} {n}' for space, n in cubes]
        return "\n".join(lines) + "\n"


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
