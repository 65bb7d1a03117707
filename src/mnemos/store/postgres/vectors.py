"""Vectors of versions by embedding model: the tables `models` and `vectors`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from mnemos.store.postgres.connection import Connection
from mnemos.store.postgres.rows import next_seq
from mnemos.store.postgres.words import put_vectors


class VectorTable:
    """Implements `Vectors`."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._space = connection, connection.space

    def model(self, name: str, revision: str, dimension: int) -> int:
        """Return the number of an embedding model; a new one gets the next number."""
        key = (self._space, name, revision, dimension)
        find = "SELECT m FROM models WHERE space = %s AND name = %s AND revision = %s AND dimension = %s"
        with self._connection.read() as db:
            row = db.execute(find, key).fetchone()
        if row is None:
            with self._connection.write() as db:
                db.execute(
                    "INSERT INTO models (space, m, name, revision, dimension) SELECT %s, coalesce(max(m), 0) + 1, %s, %s, %s "
                    "FROM models WHERE space = %s ON CONFLICT DO NOTHING",
                    (*key, self._space),
                )
                row = db.execute(find, key).fetchone()
        assert row is not None
        return int(row[0])

    def missing(self, model: int, *, after: int = 0, limit: int) -> list[tuple[int, str]]:
        """Return (key, text) of current texts without a vector of this model, with a key above `after`, in order."""
        query = (
            "SELECT n, text FROM cubes WHERE space = %s AND n > %s AND replaced IS NULL AND form = 'text' AND NOT EXISTS "
            "(SELECT 1 FROM vectors AS v WHERE v.space = cubes.space AND v.m = %s AND v.n = cubes.n) ORDER BY n LIMIT %s"
        )
        with self._connection.read() as db:
            return [(n, text) for n, text in db.execute(query, (self._space, after, model, limit))]

    def of(self, model: int, keys: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """Return the vectors, (D,) each, of those versions that have one of this model, by key."""
        query = "SELECT n, vector FROM vectors WHERE space = %s AND m = %s AND n = ANY(%s::bigint[]) AND part = 0"
        with self._connection.read() as db:
            rows = db.execute(query, (self._space, model, list(keys)), binary=True).fetchall()
        return {n: v.to_numpy().astype(np.float32) for n, v in rows}

    def put(self, model: int, rows: Iterable[tuple[int, NDArray[np.float16]]]) -> None:
        """Store (key, vector) rows; versions that were erased in the meantime are skipped."""
        pairs = dict(rows)
        with self._connection.write() as db:
            found = db.execute(
                "SELECT n FROM cubes WHERE space = %s AND n = ANY(%s::bigint[])", (self._space, list(pairs))
            )
            alive = [n for (n,) in found]
            db.execute(
                "DELETE FROM vectors WHERE space = %s AND m = %s AND n = ANY(%s::bigint[])", (self._space, model, alive)
            )
            put_vectors(db, self._space, model, ((n, pairs[n]) for n in alive))
            seq, _ = next_seq(db, self._space)
            db.execute(
                "UPDATE cubes SET seq = %s WHERE space = %s AND n = ANY(%s::bigint[])", (seq, self._space, alive)
            )

    def drop_others(self, model: int) -> int:
        """Remove the vectors of every other model; return how many."""
        with self._connection.write() as db:
            row = db.execute(
                "WITH dropped AS (DELETE FROM vectors WHERE space = %s AND m != %s RETURNING part) "
                "SELECT count(*) FROM dropped WHERE part = 0",
                (self._space, model),
            ).fetchone()
            db.execute("DELETE FROM models WHERE space = %s AND m != %s", (self._space, model))
        return 0 if row is None else int(row[0])
