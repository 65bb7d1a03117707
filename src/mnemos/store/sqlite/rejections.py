"""Claims once found mistaken: the table `lessons`."""

from __future__ import annotations

from collections.abc import Iterable

from mnemos.facts import Rejection
from mnemos.store.sound import Shape, read
from mnemos.store.sqlite.connection import Connection
from mnemos.store.sqlite.fetch import fetch

_SHAPE = Shape("b b i")


class RejectionTable:
    """Implements `Rejections`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> set[Rejection]:
        """Return all of them."""
        with self._connection.read() as db:
            rows = fetch(db, "SELECT trigger, mistaken, trust FROM lessons")
        return set(
            read(rows, _SHAPE, lambda r: Rejection(r[0].hex(), r[1].hex(), r[2]), self._connection.space, "lesson")
        )

    def add(self, rejections: Iterable[Rejection], made: int) -> None:
        """Store rejections; those that exist are left alone."""
        with self._connection.write() as db:
            db.executemany(
                "INSERT OR IGNORE INTO lessons VALUES (?, ?, ?, ?)",
                ((bytes.fromhex(r.trigger), bytes.fromhex(r.mistake), r.trust, made) for r in rejections),
            )
