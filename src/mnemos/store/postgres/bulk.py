"""A large space read part by part."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from mnemos.store.names import file_stem
from mnemos.store.postgres.connection import Connection
from mnemos.store.postgres.database import Database
from mnemos.store.postgres.words import index_rows
from mnemos.store.values import IndexRow


class BulkRows:
    """Implements `Bulk`.

    The folder of the index is one of this machine, below that which `index=` of the URL names; without it there is none, and
    a space is read as a whole, however large it is. It is named after the database, the space, and when that was made, so
    that a space of the same name which replaced another one gets a folder of its own.
    """

    def __init__(self, connection: Connection, space: str) -> None:
        self._connection, self._space = connection, space
        self._folder: Path | None = None

    @property
    def folder(self) -> Path | None:
        """The folder of the index. The first time it costs a query, and removes those of former spaces of this name."""
        place = self._connection.database.options.index
        if self._folder is None and place is not None:
            with self._connection.read() as db:
                row = db.execute("SELECT made FROM spaces WHERE space = %s", (self._space,)).fetchone()
            if row is not None:
                self._folder = _place(place, self._connection.database, self._space) / f"{row[0]}"
                _remove_all(self._folder.parent, but=self._folder)
        return self._folder

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


def remove_index(database: Database, space: str) -> None:
    """Remove the indexes of a space on this machine, if there are any."""
    if database.options.index is not None:
        _remove_all(_place(database.options.index, database, space))


def _place(folder: Path, database: Database, space: str) -> Path:
    where = hashlib.blake2b(database.where.encode(), digest_size=8).hexdigest()
    return folder / where / file_stem(space)


def _remove_all(place: Path, *, but: Path | None = None) -> None:
    for former in place.glob("*") if place.is_dir() else ():
        if former != but:
            shutil.rmtree(former, ignore_errors=True)
    if but is None:
        shutil.rmtree(place, ignore_errors=True)
