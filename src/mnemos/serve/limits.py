"""What requests may cost, and answers that are kept: buckets, numbers for Prometheus, and Idempotency-Key."""

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
NAMES = 10_000  # buckets that are kept; one that was forgotten is full again
EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds, as Prometheus has them by default
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True)
class ServerLimits:
    """What a server allows. `hosts` are names by which it is called, besides those of the loopback.

    Bytes of a body (an import and one line of it have limits of their own), requests a second of a key (or, without
    one, of an address) and how many at once, seconds that a body may take, and how long an answer is kept.
    """

    hosts: tuple[str, ...] = ()
    body: int = 8 * 1024 * 1024
    import_body: int = 1024 * 1024 * 1024
    line: int = 64 * 1024 * 1024
    rate: float = 500.0
    burst: int = 1_000
    seconds: float = 30.0
    kept: float = DAY

    @property
    def names(self) -> frozenset[str]:
        """All names by which the server may be called, in small letters."""
        return LOOPBACK | {name.lower() for name in self.hosts}


class IdempotencyStore:
    """Answers given under an Idempotency-Key. They hold no text, so that what is erased is not here either.

    An answer is kept as the ids and versions of cubes, a body as a hash under a key that only the sender has.
    """

    def __init__(self, path: Path, kept: float = DAY, now: Callable[[], float] = time.time) -> None:
        self.kept = kept
        self.now = now
        self._answers = open_answers(path)
        self._lock = threading.Lock()
        self._under_way: set[bytes] = set()

    def start(self, name: bytes, body: bytes) -> list[tuple[str, int]] | None:
        """Return the answer that was given; None, and the name is reserved, when there was none. Raises Conflict."""
        with self._lock:
            found = self._answers.reserve(name, body, self.now(), self.now() - self.kept)
            if found is None:
                self._under_way.add(name)
                return None
        before, answer = found
        if before != body:
            raise Conflict("this Idempotency-Key came with another body before. Use a new one. Nothing was stored.")
        if answer is None:
            what = "is being answered" if name in self._under_way else "was cut off: look whether it was stored"
            raise Conflict(f"the first request with this Idempotency-Key {what}. Nothing was stored by this one.")
        return [(str(cube), int(version)) for cube, version in json.loads(answer)]

    def end(self, name: bytes, cubes: Sequence[tuple[str, int]] | None) -> None:
        """Store the answer, or with None forget the request: it failed and may come again."""
        with self._lock:
            self._answers.finish(name, None if cubes is None else json.dumps(cubes))
            self._under_way.discard(name)

    def close(self) -> None:
        """Release the answers."""
        self._answers.close()


def name_of(*parts: str) -> bytes:
    """Return the name under which an answer is kept: a hash over the key, the space and the Idempotency-Key."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=32).digest()


class RateLimiter:
    """Token buckets by name: `rate` tokens a second, at most `burst`."""

    def __init__(self, rate: float, burst: int, now: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self.burst = burst
        self.now = now
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> int:
        """Take a token; return 0, or the whole seconds until there is one again."""
        now = self.now()
        left, then = self._left.pop(name, (float(self.burst), now))
        left = min(self.burst, left + (now - then) * self.rate)
        wait = 0 if left >= 1 else max(1, math.ceil((1 - left) / self.rate))
        self._left[name] = (left if wait else left - 1, now)
        if len(self._left) > NAMES:
            self._left.popitem(last=False)
        return wait


class Metrics:
    """Counts of requests by route and status, and how long they took, as Prometheus reads them."""

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
        """Return the text; `cubes` are (space, number) pairs."""
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
