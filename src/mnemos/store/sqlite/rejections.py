"""Claims once found mistaken: the table `lessons`."""

from __future__ import annotations

from collections.abc import Iterable

from mnemos.facts import Rejection
from mnemos.store.sqlite.connection import Connection


class RejectionTable:
    """Implements `Rejections`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> set[Rejection]:
        """Return all of them."""
        with self._connection.read() as db:
            rows = db.execute("SELECT trigger, mistaken, trust FROM lessons").fetchall()
        return {Rejection(trigger.hex(), mistake.hex(), trust) for trigger, mistake, trust in rows}

    def add(self, rejections: Iterable[Rejection], made: int) -> None:
        """Store rejections; those that exist are left alone."""
        with self._connection.write() as db:
            db.executemany(
                "INSERT OR IGNORE INTO lessons VALUES (?, ?, ?, ?)",
                ((bytes.fromhex(r.trigger), bytes.fromhex(r.mistake), r.trust, made) for r in rejections),
            )
