"""The rows of a space's file as they are; see `store.records`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mnemos.store.records import OWN, Position, Table
from mnemos.store.sound import Row
from mnemos.store.sqlite.connection import Connection
from mnemos.store.sqlite.fetch import fetch
from mnemos.store.sqlite.rows import marks

_NAMES = {("dates", "finish"): '"end"'}  # columns with another name here
_ORDER = {  # the key of a table that has no number of its own for a row
    "meta": "key", "parents": "child, parent", "vectors": "m, n", "erased": "id_hash", "facts": "n, i",
    "readings": "n, begin", "links": "a, kind, b", "pending": "id", "lessons": "trigger, mistaken, trust",
}  # fmt: skip
_LAST = "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'cubes'), 0)"


class RecordTables:
    """Implements `Records`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self, table: Table, after: Position, limit: int) -> tuple[list[Row], Position | None]:
        """Return rows behind a position, and the next position; None at the end of the table."""
        if table.name == "counters":
            with self._connection.read() as db:
                return fetch(db, f"SELECT seq, {_LAST} FROM counter"), None
        order = _ORDER.get(table.name, "rowid")
        keys = order.split(", ")
        conditions, values = [], [_value(v) for v in after]
        if after:
            conditions.append(f"({order}) > ({marks(keys)})")
        if table.name == "meta":
            conditions.append(f"key NOT IN ({marks(OWN)})")
            values += OWN
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        query = f"SELECT {_columns(table)}, {order} FROM {table.name} {where} ORDER BY {order} LIMIT ?"
        with self._connection.read() as db:
            rows = fetch(db, query, (*values, limit))
        end = len(table.columns)
        following = [_json(v) for v in rows[-1][end:]] if len(rows) == limit else None
        return [row[:end] for row in rows], following

    def write(self, table: Table, rows: Sequence[Row]) -> None:
        """Add rows to a space that has none of these; of `counters` replace the row."""
        with self._connection.write() as db:
            if table.name == "counters":
                ((seq, last),) = rows
                db.execute("UPDATE counter SET seq = ?", (seq,))
                db.execute("DELETE FROM sqlite_sequence WHERE name = 'cubes'")
                db.execute("INSERT INTO sqlite_sequence VALUES ('cubes', ?)", (last,))
                return
            db.executemany(f"INSERT INTO {table.name} ({_columns(table)}) VALUES ({marks(table.columns)})", rows)


def _columns(table: Table) -> str:
    return ", ".join(_NAMES.get((table.name, column), column) for column in table.columns)


def _json(value: Any) -> Any:
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def _value(value: Any) -> Any:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value
