"""What heads read in versions: the table `readings`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from mnemos.facts import Reading
from mnemos.store.rows import READING, READING_SHAPE, to_reading
from mnemos.store.sound import Row, read
from mnemos.store.sqlite.connection import Connection
from mnemos.store.sqlite.fetch import fetch
from mnemos.store.sqlite.rows import marks, select_in


class ReadingTable:
    """Implements `Readings`. A lookup costs O(log N + readings found)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, keys: Sequence[int]) -> dict[int, list[Reading]]:
        """Return the readings of versions, in the order of the text."""
        found: dict[int, list[Reading]] = {}
        with self._connection.read() as db:
            rows = select_in(db, f"SELECT {READING} FROM readings WHERE n IN ({{}}) ORDER BY n, begin", keys)
        for n, reading in self._sound(rows):
            found.setdefault(n, []).append(reading)
        return found

    def find(
        self, attributes: Sequence[str] | None = None, *, as_of: int | None = None, least: float = 0.0
    ) -> list[tuple[int, Reading]]:
        """Return (key, reading) of current, unarchived versions; see `Readings.find`."""
        query = f"SELECT {READING} FROM readings JOIN cubes USING (n) WHERE confidence >= ? AND "
        values: list[float | int | str] = [least]
        if as_of is None:
            query += "replaced IS NULL AND state != 'archived'"
        else:
            query += "learned <= ? AND (replaced IS NULL OR replaced > ?)"
            values += [int(as_of), int(as_of)]
        if attributes is not None:
            query += f" AND attribute IN ({marks(attributes)})"
            values += attributes
        with self._connection.read() as db:
            return self._sound(fetch(db, f"{query} ORDER BY n, begin", values))

    def put(self, rows: Iterable[tuple[int, Sequence[Reading]]]) -> None:
        """Replace the readings of versions; those that were erased in the meantime are skipped."""
        with self._connection.write() as db:
            for n, readings in rows:
                if db.execute("SELECT 1 FROM cubes WHERE n = ?", (n,)).fetchone():
                    db.execute("DELETE FROM readings WHERE n = ?", (n,))
                    put_readings(db, [(n, readings)])

    def _sound(self, rows: Sequence[Row]) -> list[tuple[int, Reading]]:
        return read(rows, READING_SHAPE, to_reading, self._connection.space, "reading of row")


def put_readings(db: sqlite3.Connection, rows: Iterable[tuple[int, Sequence[Reading]]]) -> None:
    """Write (key, readings) of versions that have none yet."""
    db.executemany(
        f"INSERT OR IGNORE INTO readings ({READING}) VALUES ({marks(range(8))})",
        (
            (n, r.start, r.end, r.whose, r.attribute, r.tense, r.negated, r.confidence)
            for n, readings in rows
            for r in readings
        ),
    )


def copy_readings(db: sqlite3.Connection, old: int, new: int) -> None:
    """Copy the readings of one version to another."""
    names = READING.removeprefix("n, ")
    db.execute(f"INSERT INTO readings (n, {names}) SELECT ?, {names} FROM readings WHERE n = ?", (new, old))
