"""A large space read part by part."""

from __future__ import annotations

from pathlib import Path

from mnemos.store.postgres.connection import Connection
from mnemos.store.postgres.words import index_rows
from mnemos.store.values import IndexRow


class BulkRows:
    """Implements `Bulk`."""

    folder: Path | None = None

    def __init__(self, connection: Connection, space: str) -> None:
        self._connection, self._space = connection, space

    def newest(self) -> int:
        """Return the key of the newest version, or 0."""
        query = "SELECT coalesce(max(n), 0) FROM cubes WHERE space = %s"
        with self._connection.read() as db:
            row = db.execute(query, (self._space,)).fetchone()
        return int(row[0]) if row else 0

    def count(self) -> int:
        """Return the number of versions."""
        with self._connection.read() as db:
            row = db.execute("SELECT count(*) FROM cubes WHERE space = %s", (self._space,)).fetchone()
        return int(row[0]) if row else 0

    def next_key(self, first: int) -> int | None:
        """Return the lowest key from `first` on, or None."""
        with self._connection.read() as db:
            row = db.execute("SELECT min(n) FROM cubes WHERE space = %s AND n >= %s", (self._space, first)).fetchone()
        return None if row is None or row[0] is None else int(row[0])

    def between(self, first: int, last: int, model: int | None) -> list[IndexRow]:
        """Return the versions with keys in [first, last)."""
        where = "cubes.n >= %s AND cubes.n < %s"
        with self._connection.read() as db:
            return index_rows(db, self._space, where, [first, last], model, closed=True)[0]
