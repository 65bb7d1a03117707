"""A large space read part by part."""

from __future__ import annotations

from pathlib import Path

from mnemos.store.sqlite.connection import Connection
from mnemos.store.sqlite.words import index_rows
from mnemos.store.values import IndexRow

INDEX = ".index"  # ends the name of the folder of a space's indexes


class BulkRows:
    """Implements `Bulk`."""

    def __init__(self, connection: Connection, space: str) -> None:
        self._connection, self._space = connection, space
        self.folder: Path | None = connection.path.with_suffix(INDEX)

    def newest(self) -> int:
        """Return the key of the newest version, or 0."""
        with self._connection.read() as db:
            return int(db.execute("SELECT coalesce(max(n), 0) FROM cubes").fetchone()[0])

    def count(self) -> int:
        """Return the number of versions."""
        with self._connection.read() as db:
            return int(db.execute("SELECT count(*) FROM cubes").fetchone()[0])

    def next_key(self, first: int) -> int | None:
        """Return the lowest key from `first` on, or None."""
        with self._connection.read() as db:
            found: int | None = db.execute("SELECT min(n) FROM cubes WHERE n >= ?", (first,)).fetchone()[0]
        return found

    def between(self, first: int, last: int, model: int | None) -> list[IndexRow]:
        """Return the versions with keys in [first, last)."""
        with self._connection.read() as db:
            return index_rows(db, "cubes.n >= ? AND cubes.n < ?", [first, last], model, self._space, closed=True)[0]
