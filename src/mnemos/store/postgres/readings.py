"""What heads read in versions: the table `readings`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mnemos.facts import Reading
from mnemos.store.postgres.connection import Connection
from mnemos.store.postgres.database import Db
from mnemos.store.postgres.words import many
from mnemos.store.rows import READING, READING_SHAPE, to_reading
from mnemos.store.sound import Row, read


class ReadingTable:
    """Implements `Readings`. A lookup costs O(log N + readings found)."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._space = connection, connection.space

    def of(self, keys: Sequence[int]) -> dict[int, list[Reading]]:
        """Return the readings of versions, in the order of the text."""
        found: dict[int, list[Reading]] = {}
        query = f"SELECT {READING} FROM readings WHERE space = %s AND n = ANY(%s::bigint[]) ORDER BY n, begin"
        with self._connection.read() as db:
            rows = db.execute(query, (self._space, list(keys))).fetchall()
        for n, reading in self._sound(rows):
            found.setdefault(n, []).append(reading)
        return found

    def find(
        self, attributes: Sequence[str] | None = None, *, as_of: int | None = None, least: float = 0.0
    ) -> list[tuple[int, Reading]]:
        """Return (key, reading) of current, unarchived versions; see `Readings.find`."""
        names = ", ".join(f"readings.{name}" for name in READING.split(", "))
        query = (
            f"SELECT {names} FROM readings JOIN cubes ON cubes.space = readings.space AND cubes.n = readings.n "
            "WHERE readings.space = %s AND confidence >= %s AND "
        )
        values: list[Any] = [self._space, least]
        if as_of is None:
            query += "replaced IS NULL AND state != 'archived'"
        else:
            query += "learned <= %s AND (replaced IS NULL OR replaced > %s)"
            values += [as_of, as_of]
        if attributes is not None:
            query, values = f"{query} AND attribute = ANY(%s)", [*values, list(attributes)]
        with self._connection.read() as db:
            return self._sound(db.execute(f"{query} ORDER BY readings.n, begin", values).fetchall())

    def put(self, rows: Iterable[tuple[int, Sequence[Reading]]]) -> None:
        """Replace the readings of versions; those that were erased in the meantime are skipped."""
        pairs = dict(rows)
        with self._connection.write() as db:
            found = db.execute(
                "SELECT n FROM cubes WHERE space = %s AND n = ANY(%s::bigint[])", (self._space, list(pairs))
            )
            alive = [n for (n,) in found]
            db.execute("DELETE FROM readings WHERE space = %s AND n = ANY(%s::bigint[])", (self._space, alive))
            put_readings(db, self._space, ((n, pairs[n]) for n in alive))

    def _sound(self, rows: Sequence[Row]) -> list[tuple[int, Reading]]:
        return read(rows, READING_SHAPE, to_reading, self._space, "reading of row")


def put_readings(db: Db, space: str, rows: Iterable[tuple[int, Sequence[Reading]]]) -> None:
    """Write (key, readings) of versions that have none yet."""
    values = [
        (space, n, r.start, r.end, r.whose, r.attribute, r.tense, int(r.negated), r.confidence)
        for n, readings in rows
        for r in readings
    ]
    query = f"INSERT INTO readings (space, {READING}) VALUES ({', '.join(['%s'] * 9)}) ON CONFLICT DO NOTHING"
    many(db, query, values)
