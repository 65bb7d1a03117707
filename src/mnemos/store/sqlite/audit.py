"""The audit log: the table `audit`, which triggers make append-only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from mnemos.cube import to_micros
from mnemos.store import audit
from mnemos.store.audit import AuditEntry
from mnemos.store.sqlite.connection import Connection


class AuditTable:
    """Implements `Audit`."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime], actor: str) -> None:
        self._connection, self._clock, self._actor = connection, clock, actor

    def append(self, action: str, ids: Sequence[str]) -> None:
        """Add an entry, in the transaction of what it is about. About 20 us."""
        with self._connection.write() as db:
            last = db.execute("SELECT i, chain FROM audit ORDER BY i DESC LIMIT 1").fetchone()
            row = audit.next_row(last, to_micros(self._clock()), self._actor, action, ids)
            db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def entries(self, *, after: int = 0, limit: int = 100) -> list[AuditEntry]:
        """Return entries with an index above `after`, oldest first."""
        with self._connection.read() as db:
            rows = db.execute("SELECT * FROM audit WHERE i > ? ORDER BY i LIMIT ?", (after, limit)).fetchall()
        return [audit.to_entry(row) for row in rows]

    def verify(self, head: str | None = None) -> tuple[int, list[str]]:
        """Recompute the chain; return the number of entries and what is wrong; see `store.audit.verify`."""
        with self._connection.read() as db:
            return audit.verify(db.execute("SELECT * FROM audit ORDER BY i"), head)
