"""Values of a space by name (the table `meta`), and its counts and sizes."""

from __future__ import annotations

from typing import Any

from mnemos.store.postgres.connection import Connection
from mnemos.store.postgres.database import Db
from mnemos.store.values import DERIVED

_MEASURED = ("cubes", "words", "vectors", "facts", "links", "dates")  # the tables that hold nearly all bytes


class MetaTable:
    """Implements `Meta`."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._space = connection, connection.space

    def get(self, key: str, default: str = "") -> str:
        """Return a value, or the default."""
        rows = self._connection.ask("SELECT value FROM meta WHERE space = %s AND key = %s", (self._space, key))
        return str(rows[0][0]) if rows else default

    def set(self, key: str, value: str) -> None:
        """Store a value."""
        query = (
            "INSERT INTO meta (space, key, value) VALUES (%s, %s, %s) "
            "ON CONFLICT (space, key) DO UPDATE SET value = excluded.value"
        )
        with self._connection.write() as db:
            db.execute(query, (self._space, key, value))


def stats(db: Db, space: str, where: str) -> dict[str, Any]:
    """Return counts, sizes and models. O(N)."""
    counts = (
        "SELECT count(*) FILTER (WHERE told), count(DISTINCT session) FILTER (WHERE told), "
        "count(DISTINCT speaker) FILTER (WHERE told), min(at) FILTER (WHERE told), max(at) FILTER (WHERE told), "
        "count(*) FILTER (WHERE replaced IS NULL AND kind = ANY(%s)), count(*), "
        "count(*) FILTER (WHERE replaced IS NULL AND state = 'archived'), "
        "count(*) FILTER (WHERE replaced IS NULL AND state = 'superseded') FROM (SELECT *, replaced IS NULL "
        "AND state = 'active' AND kind != ALL(%s) AS told FROM cubes WHERE space = %s) AS x"
    )
    row = db.execute(counts, (list(DERIVED), list(DERIVED), space)).fetchone()
    assert row is not None  # it counts
    cubes, sessions, speakers, first, last, made, versions, archived, superseded = row
    models = db.execute(
        "SELECT name, revision, dimension, (SELECT count(*) FROM vectors AS v WHERE v.space = models.space "
        "AND v.m = models.m AND part = 0) FROM models WHERE space = %s ORDER BY m",
        (space,),
    ).fetchall()
    return {
        "cubes": cubes, "archived": archived, "superseded": superseded, "derived": made, "versions": versions,
        "sessions": sessions, "speakers": speakers, "first_at": first, "last_at": last, "bytes": size(db, space),
        "path": where, "models": [dict(zip(("name", "revision", "dimension", "vectors"), m, strict=True)) for m in models],
    }  # fmt: skip


def size(db: Db, space: str) -> int:
    """Return the bytes of the rows of a space, without indexes and free room, which the spaces share. O(N)."""
    sums = " + ".join(
        f"(SELECT coalesce(sum(pg_column_size(x.*)), 0) FROM {table} AS x WHERE space = %s)" for table in _MEASURED
    )
    row = db.execute(f"SELECT {sums}", [space] * len(_MEASURED)).fetchone()
    return 0 if row is None else int(row[0])
