"""Values of a space by name (the table `meta`), and its counts and sizes."""

from __future__ import annotations

import glob
import sqlite3
from pathlib import Path
from typing import Any

from mnemos.store.sound import FIRST, LAST, Shape, read
from mnemos.store.sqlite.connection import Connection
from mnemos.store.sqlite.fetch import fetch
from mnemos.store.sqlite.rows import marks
from mnemos.store.values import DERIVED

_VALUE = Shape("s")
_MODEL = Shape("s s i i")
_TIME = f"typeof(at) = 'integer' AND at BETWEEN {FIRST} AND {LAST}"


class MetaTable:
    """Implements `Meta`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, key: str, default: str = "") -> str:
        """Return a value, or the default."""
        with self._connection.read() as db:
            rows = fetch(db, "SELECT value FROM meta WHERE key = ?", (key,))
        found = read(rows, _VALUE, lambda row: str(row[0]), self._connection.space, f"value of {key!r},")
        return found[0] if found else default

    def set(self, key: str, value: str) -> None:
        """Store a value."""
        with self._connection.write() as db:
            db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, value))


def stats(db: sqlite3.Connection, path: Path, space: str) -> dict[str, Any]:
    """Return counts, sizes and models."""
    cubes, sessions, speakers, first, last = db.execute(
        "SELECT count(*), count(DISTINCT session), count(DISTINCT speaker), "
        f"min(at) FILTER (WHERE {_TIME}), max(at) FILTER (WHERE {_TIME}) FROM cubes NOT INDEXED "
        f"WHERE replaced IS NULL AND state = 'active' AND kind NOT IN ({marks(DERIVED)})",
        DERIVED,
    ).fetchone()
    derived = f"SELECT count(*) FROM cubes NOT INDEXED WHERE replaced IS NULL AND kind IN ({marks(DERIVED)})"
    made = db.execute(derived, DERIVED).fetchone()[0]
    rows = db.execute("SELECT count(*) FROM cubes").fetchone()[0]
    counts = "SELECT state, count(*) FROM cubes NOT INDEXED WHERE replaced IS NULL GROUP BY state"
    states = dict(fetch(db, counts))
    models = fetch(
        db,
        "SELECT name, revision, dimension, (SELECT count(*) FROM vectors INDEXED BY vectors_n WHERE m = models.m) "
        "FROM models ORDER BY m",
    )
    models = read(models, _MODEL, tuple, space, "model")
    return {
        "cubes": cubes, "archived": states.get("archived", 0), "superseded": states.get("superseded", 0), "derived": made,
        "versions": rows, "sessions": sessions, "speakers": speakers,
        "first_at": first, "last_at": last, "bytes": size_on_disk(path), "path": str(path),
        "models": [dict(zip(("name", "revision", "dimension", "vectors"), m, strict=True)) for m in models],
    }  # fmt: skip


def size_on_disk(path: Path) -> int:
    """Return the bytes of a space's file and of those beside it, such as the write-ahead log."""
    return sum(p.stat().st_size for p in path.parent.glob(glob.escape(path.name) + "*"))
