"""The audit log: the table `audit`, which a trigger makes append-only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from mnemos.cube import to_micros
from mnemos.store import audit
from mnemos.store.audit import AuditEntry
from mnemos.store.postgres.connection import Connection
from mnemos.store.sound import Shape, read

_ENTRY = Shape("i i s s i b b")
_NAMES = "i, made, actor, action, cubes, digest, chain"


class AuditTable:
    """Implements `Audit`."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime], actor: str) -> None:
        self._connection, self._space, self._clock, self._actor = connection, connection.space, clock, actor

    def append(self, action: str, ids: Sequence[str]) -> None:
        """Add an entry, in the transaction of what it is about. Two statements."""
        with self._connection.write() as db:
            last = db.execute(
                "SELECT i, chain, made FROM audit WHERE space = %s ORDER BY i DESC LIMIT 1", (self._space,)
            ).fetchone()
            made = to_micros(self._clock())
            if last is not None:
                made = max(made, last[2])  # the clock may have gone back, or be another server's
            row = audit.next_row(last and (last[0], last[1]), made, self._actor, action, ids)
            db.execute(
                f"INSERT INTO audit (space, {_NAMES}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", (self._space, *row)
            )

    def latest(self) -> int | None:
        """Return when the last entry was made."""
        query = "SELECT made FROM audit WHERE space = %s ORDER BY i DESC LIMIT 1"
        rows = self._connection.ask(query, (self._space,))
        return int(rows[0][0]) if rows else None

    def entries(self, *, after: int = 0, limit: int = 100) -> list[AuditEntry]:
        """Return entries with an index above `after`, oldest first."""
        query = f"SELECT {_NAMES} FROM audit WHERE space = %s AND i > %s ORDER BY i LIMIT %s"
        with self._connection.read() as db:
            rows = db.execute(query, (self._space, after, limit)).fetchall()
        return read(rows, _ENTRY, audit.to_entry, self._space, "audit entry")

    def verify(self, head: str | None = None) -> tuple[int, list[str]]:
        """Recompute the chain; return the number of entries and what is wrong; see `store.audit.verify`."""
        with self._connection.read() as db:
            rows = db.execute(f"SELECT {_NAMES} FROM audit WHERE space = %s ORDER BY i", (self._space,))
            return audit.verify(((r[0], r[1], r[2], r[3], r[4], r[5], r[6]) for r in rows), head)
