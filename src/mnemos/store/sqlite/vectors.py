"""Vectors of versions by embedding model: the tables `models` and `vectors`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from mnemos.store.sound import Shape, read
from mnemos.store.sqlite.connection import Connection
from mnemos.store.sqlite.fetch import fetch
from mnemos.store.sqlite.rows import next_seq, select_in

_TEXT = Shape("i s")


class VectorTable:
    """Implements `Vectors`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def model(self, name: str, revision: str, dimension: int) -> int:
        """Return the number of an embedding model; a new one gets the next number."""
        key = (name, revision, dimension)
        find = "SELECT m FROM models WHERE name = ? AND revision = ? AND dimension = ?"
        with self._connection.read() as db:
            row = db.execute(find, key).fetchone()
        if row is None:
            with self._connection.write() as db:
                db.execute("INSERT OR IGNORE INTO models (name, revision, dimension) VALUES (?, ?, ?)", key)
                row = db.execute(find, key).fetchone()
        return int(row[0])

    def missing(self, model: int, *, after: int = 0, limit: int) -> list[tuple[int, str]]:
        """Return (key, text) of current texts without a vector of this model, with a key above `after`, in order."""
        query = (
            "SELECT n, text FROM cubes WHERE n > ? AND replaced IS NULL AND form = 'text' "
            "AND NOT EXISTS (SELECT 1 FROM vectors AS v WHERE v.m = ? AND v.n = cubes.n) ORDER BY n LIMIT ?"
        )
        with self._connection.read() as db:
            rows = fetch(db, query, (after, model, limit))
        return read(rows, _TEXT, lambda r: (r[0], r[1]), self._connection.space, "row")

    def of(self, model: int, keys: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """Return the vectors, (D,) each, of those versions that have one of this model, by key."""
        query = (
            "SELECT n, substr(vector, 1, 2 * dimension) FROM vectors JOIN models USING (m) "
            f"WHERE m = {int(model)} AND n IN ({{}})"
        )
        with self._connection.read() as db:
            rows = select_in(db, query, keys)
        return {n: np.frombuffer(v, dtype="<f2").astype(np.float32) for n, v in rows}

    def put(self, model: int, rows: Iterable[tuple[int, NDArray[np.float16]]]) -> None:
        """Store (key, vector) rows; versions that were erased in the meantime are skipped."""
        with self._connection.write() as db:
            pairs = list(rows)
            alive = {r[0] for r in select_in(db, "SELECT n FROM cubes WHERE n IN ({})", [n for n, _ in pairs])}
            put_vectors(db, model, (p for p in pairs if p[0] in alive))
            seq = next_seq(db)
            db.executemany("UPDATE cubes SET seq = ? WHERE n = ?", ((seq, n) for n in alive))

    def drop_others(self, model: int) -> int:
        """Remove the vectors of every other model; return how many."""
        with self._connection.write() as db:
            dropped = db.execute("DELETE FROM vectors WHERE m != ?", (model,)).rowcount
            db.execute("DELETE FROM models WHERE m != ?", (model,))
        return dropped


def put_vectors(db: sqlite3.Connection, model: int, rows: Iterable[tuple[int, NDArray[np.float16]]]) -> None:
    """Write (key, vector) rows."""
    values = ((model, n, np.ascontiguousarray(v, dtype="<f2").tobytes()) for n, v in rows)
    db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", values)
