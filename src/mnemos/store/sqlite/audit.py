"""The audit log: the table `audit`, which triggers make append-only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from mnemos.cube import to_micros
from mnemos.store import audit
from mnemos.store.audit import AuditEntry
from mnemos.store.sound import MOST, Shape, read
from mnemos.store.sqlite.connection import Connection
from mnemos.store.sqlite.fetch import decode, fetch

LATEST = to_micros(datetime(9990, 1, 1, tzinfo=UTC))  # what is later was damaged
_ENTRY = Shape("i i s s i b b")


class AuditTable:
    """Implements `Audit`."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime], actor: str) -> None:
        self._connection, self._clock, self._actor = connection, clock, actor

    def append(self, action: str, ids: Sequence[str]) -> None:
        """Add an entry, in the transaction of what it is about. About 20 us."""
        with self._connection.write() as db:
            last = next(
                iter(fetch(db, f"SELECT i, chain, made FROM audit WHERE i < {MOST} ORDER BY i DESC LIMIT 1")), None
            )
            if last is not None and not isinstance(last[1], bytes):  # damaged: the log goes on, and `verify` finds it
                last = last[0], repr(last[1]).encode(), last[2]
            made = to_micros(self._clock())
            if last is not None and isinstance(last[2], int) and last[2] < LATEST:
                made = max(made, last[2])  # the clock may have gone back
            row = audit.next_row(last and last[:2], made, self._actor, action, ids)
            db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def latest(self) -> int | None:
        """Return when the last entry was made."""
        query = f"SELECT made FROM audit WHERE typeof(made) = 'integer' AND made < {LATEST} ORDER BY i DESC LIMIT 1"
        with self._connection.read() as db:
            row = db.execute(query).fetchone()
        return None if row is None else int(row[0])

    def entries(self, *, after: int = 0, limit: int = 100) -> list[AuditEntry]:
        """Return entries with an index above `after`, oldest first."""
        with self._connection.read() as db:
            rows = fetch(db, "SELECT * FROM audit WHERE i > ? ORDER BY i LIMIT ?", (after, limit))
        return read(rows, _ENTRY, audit.to_entry, self._connection.space, "audit entry")

    def verify(self, head: str | None = None) -> tuple[int, list[str]]:
        """Recompute the chain; return the number of entries and what is wrong; see `store.audit.verify`."""
        with self._connection.read() as db:
            db.text_factory = decode
            try:
                return audit.verify(db.execute("SELECT * FROM audit ORDER BY i"), head)
            finally:
                db.text_factory = str
