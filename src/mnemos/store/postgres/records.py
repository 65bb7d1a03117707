"""The rows of a space as they are; see `store.records`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
from pgvector import HalfVector

from mnemos.store.postgres import statistics
from mnemos.store.postgres.connection import Connection
from mnemos.store.postgres.database import Db
from mnemos.store.postgres.words import many
from mnemos.store.records import OWN, Position, Table
from mnemos.store.sound import Row

_ORDER = {  # what a table is read in the order of: its key, or what comes nearest
    "meta": "key", "cubes": "n", "parents": "child, parent", "words": "n", "dates": "n", "models": "m", "vectors": "m, n",
    "gone": "seq", "erased": "id_hash", "facts": "n, i", "readings": "n, begin", "links": "a, kind, b", "decisions": "i",
    "pending": "id", "lessons": "trigger, mistaken, trust", "audit": "i", "set_aside": "i",
}  # fmt: skip
_REPEATED = ("dates", "gone", "vectors")  # several rows may share a place in that order: they are read together


class RecordTables:
    """Implements `Records`."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._space = connection, connection.space

    def read(self, table: Table, after: Position, limit: int) -> tuple[list[Row], Position | None]:
        """Return rows behind a position, and the next position; None at the end of the table."""
        with self._connection.read() as db:
            if table.name == "counters":
                return db.execute("SELECT seq, last FROM spaces WHERE space = %s", (self._space,)).fetchall(), None
            while True:
                rows, full = self._page(db, table, after, limit)
                if full and table.name in _REPEATED:
                    last = rows[-1][len(table.columns) :]
                    whole = [row for row in rows if row[len(table.columns) :] != last]
                    if not whole:  # all of them share one place
                        limit *= 2
                        continue
                    rows = whole
                break
        end = len(table.columns)
        following = [_json(v) for v in rows[-1][end:]] if full else None
        if table.name == "vectors":
            return _joined(rows), following
        return [tuple(row[:end]) for row in rows], following

    def _page(self, db: Db, table: Table, after: Position, limit: int) -> tuple[list[Row], bool]:
        order = _ORDER[table.name]
        conditions, values = ["space = %s"], [self._space, *(_value(v) for v in after)]
        if after:
            conditions.append(f"({order}) > ({', '.join(['%s'] * len(after))})")
        if table.name == "meta":
            conditions.append("key != ALL(%s)")
            values.append(list(OWN))
        sort = f"{order}, part" if table.name == "vectors" else order
        query = (
            f"SELECT {', '.join(table.columns)}, {order} FROM {table.name} WHERE {' AND '.join(conditions)} "
            f"ORDER BY {sort} LIMIT {int(limit)}"
        )
        rows = db.execute(query, values, binary=True).fetchall()
        return rows, len(rows) == limit

    def write(self, table: Table, rows: Sequence[Row]) -> None:
        """Add rows to a space that has none of these; of `counters` replace the row."""
        with self._connection.write() as db:
            if table.name == "counters":
                many(db, "UPDATE spaces SET seq = %s, last = %s WHERE space = %s", [(*rows[0], self._space)])
                self._connection.after_commit(partial(statistics.refresh, self._connection, int(rows[0][1])))
                return
            columns, values = table.columns, rows
            if table.name == "vectors":
                dimensions: dict[int, int] = dict(
                    db.execute("SELECT m, dimension FROM models WHERE space = %s", (self._space,)).fetchall()
                )
                columns, values = ("m", "n", "part", "vector"), list(_parts(rows, dimensions))
            names, marks = ", ".join(columns), ", ".join(["%s"] * len(columns))
            many(
                db, f"INSERT INTO {table.name} (space, {names}) VALUES (%s, {marks})",
                [(self._space, *row) for row in values],
            )  # fmt: skip


def _joined(rows: Sequence[Row]) -> list[Row]:
    """Return one row for all parts of a vector, as bytes."""
    return [
        (m, n, b"".join(np.asarray(row[2].to_numpy(), "<f2").tobytes() for row in parts))
        for (m, n), parts in groupby(rows, key=lambda row: (row[0], row[1]))
    ]


def _parts(rows: Iterable[Row], dimensions: dict[int, int]) -> Iterable[Row]:
    for m, n, data in rows:
        for part, vector in enumerate(np.frombuffer(data, "<f2").reshape(-1, dimensions[m])):
            yield m, n, part, HalfVector(vector)


def _json(value: Any) -> Any:
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def _value(value: Any) -> Any:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value
