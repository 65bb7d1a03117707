"""What requests may cost, and answers that are kept: buckets, numbers for Prometheus, and Idempotency-Key."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
import threading
import time
from bisect import bisect_left
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.errors import Conflict, StoreError
from mnemos.store.sqlite import files
from mnemos.store.sqlite.connection import keep_log

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


class PrivateFile:
    """A small SQLite file that only this user may read, shared by threads and processes."""

    def __init__(self, path: Path, schema: str) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            files.make(path)
            self._db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
            keep_log(self._db)
            for pragma in ("synchronous = FULL", "secure_delete = ON"):
                self._db.execute(f"PRAGMA {pragma}")
            self._db.executescript(schema)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"cannot use {path} ({error}). Check that its folder is writable.") from error

    @contextmanager
    def use(self) -> Iterator[sqlite3.Connection]:
        """Give the connection inside one write transaction."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise StoreError(f"{self.path} cannot be used ({error}).") from error

    def stamp(self) -> tuple[int, int]:
        """Return what is another one after every change of the file, made here or by another process."""
        with self._lock:
            return self.rows("PRAGMA data_version")[0][0], self._db.total_changes

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        with self._lock:
            try:
                return self._db.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise StoreError(f"{self.path} cannot be read ({error}).") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()


class IdempotencyStore(PrivateFile):
    """What was answered under an Idempotency-Key. Of texts nothing is kept, so that what is erased is not here either.

    An answer is kept as the ids and versions of cubes, a body as a hash under a key that only the sender brings.
    """

    def __init__(self, path: Path, kept: float = DAY, now: Callable[[], float] = time.time) -> None:
        super().__init__(
            path,
            "CREATE TABLE IF NOT EXISTS answers (name BLOB PRIMARY KEY, body BLOB, made REAL, cubes TEXT) STRICT;"
            "CREATE INDEX IF NOT EXISTS answers_made ON answers (made)",
        )
        self.kept = kept
        self.now = now
        self._under_way: set[bytes] = set()

    def begin(self, name: bytes, body: bytes) -> list[tuple[str, int]] | None:
        """Return the answer that was given; None, and the name is reserved, when there was none. Raises Conflict."""
        with self.use() as db:
            db.execute("DELETE FROM answers WHERE made < ?", (self.now() - self.kept,))
            row = db.execute("SELECT body, cubes FROM answers WHERE name = ?", (name,)).fetchone()
            if row is None:
                db.execute("INSERT INTO answers VALUES (?, ?, ?, NULL)", (name, body, self.now()))
                self._under_way.add(name)
                return None
        if row[0] != body:
            raise Conflict("this Idempotency-Key came with another body before. Use a new one. Nothing was stored.")
        if row[1] is None:
            what = "is being answered" if name in self._under_way else "was cut off: look whether it was stored"
            raise Conflict(f"the first request with this Idempotency-Key {what}. Nothing was stored by this one.")
        return [(str(cube), int(version)) for cube, version in json.loads(row[1])]

    def end(self, name: bytes, cubes: Sequence[tuple[str, int]] | None) -> None:
        """Keep the answer, or with None forget that there was a request: it failed and may come again."""
        with self.use() as db:
            if cubes is None:
                db.execute("DELETE FROM answers WHERE name = ?", (name,))
            else:
                db.execute("UPDATE answers SET cubes = ? WHERE name = ?", (json.dumps(cubes), name))
            self._under_way.discard(name)


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
