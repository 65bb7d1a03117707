"""Where cubes are in their life: pinned, superseded, and how strong they are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from mnemos.errors import NotFound
from mnemos.store.sqlite.audit import AuditTable
from mnemos.store.sqlite.connection import Connection
from mnemos.store.sqlite.facts import copy_facts
from mnemos.store.sqlite.rows import COLUMNS, next_seq

_KEPT = ", ".join(
    c for c in COLUMNS.split(", ") if c not in ("n", "version", "state", "learned", "replaced", "valid_to")
)


class LifeTable:
    """Implements `Lives`."""

    def __init__(self, connection: Connection, space: str, audit: AuditTable) -> None:
        self._connection, self._space, self._audit = connection, space, audit

    def pin(self, cube_id: str, on: bool) -> None:
        """Protect a cube from being forgotten by policy, or end that. Raises NotFound."""
        with self._connection.write() as db:
            done = db.execute("UPDATE cubes SET pinned = ? WHERE id = ? AND replaced IS NULL", (on, cube_id)).rowcount
            if not done:
                raise NotFound(f"there is no cube {cube_id!r} in space {self._space!r}.")
            self._audit.append("pin" if on else "unpin", [cube_id])

    def supersede(self, cube_id: str, until: int, learned: int) -> None:
        """Write the next version of a cube: equal, but superseded and true until `until`."""
        with self._connection.write() as db:
            seq = next_seq(db)
            old = db.execute("SELECT n FROM cubes WHERE id = ? AND replaced IS NULL", (cube_id,)).fetchone()[0]
            db.execute("UPDATE cubes SET replaced = ?, seq = ? WHERE n = ?", (learned, seq, old))
            new = db.execute(
                f"INSERT INTO cubes ({_KEPT}, version, state, learned, valid_to, seq) "
                f"SELECT {_KEPT}, version + 1, 'superseded', ?, ?, ? FROM cubes WHERE n = ? RETURNING n",
                (learned, until, seq, old),
            ).fetchone()[0]
            _copy_beside(db, old, new)

    def set_strength(self, rows: Iterable[tuple[float, int, int, int, str]]) -> None:
        """Write (strength, layer, recalls, recalled_at, id) of current versions. `changes` does not report it."""
        with self._connection.write() as db:
            db.executemany(
                "UPDATE cubes SET strength = ?, layer = ?, recalls = ?, recalled_at = ? WHERE id = ? AND replaced IS NULL",
                rows,
            )


def _copy_beside(db: sqlite3.Connection, old: int, new: int) -> None:
    """Copy words, vectors, dates and facts of one version to another."""
    db.execute("INSERT INTO words (n, terms, print) SELECT ?, terms, print FROM words WHERE n = ?", (new, old))
    db.execute("INSERT INTO vectors SELECT m, ?, vector FROM vectors WHERE n = ?", (new, old))
    names = "start, stop, phrase, begin, end, granularity, relative"
    db.execute(f"INSERT INTO dates (n, {names}) SELECT ?, {names} FROM dates WHERE n = ?", (new, old))
    copy_facts(db, old, new)
