"""Cubes that a model has yet to judge, and what was decided about cubes: the tables `pending` and `decisions`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from mnemos.cube import to_micros
from mnemos.facts import Decision
from mnemos.store.rows import DECISION_SHAPE, to_decision
from mnemos.store.sound import Shape, read
from mnemos.store.sqlite.connection import Connection
from mnemos.store.sqlite.fetch import fetch

_PENDING = Shape("s i s")


class QueueTable:
    """Implements `Queue`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, ids: Iterable[str], why: str) -> None:
        """Add cubes, with no tries counted yet."""
        with self._connection.write() as db:
            db.executemany("INSERT OR REPLACE INTO pending VALUES (?, 0, ?)", ((i, why) for i in ids))

    def fail(self, cube_id: str, why: str) -> None:
        """Add a cube with one failed try, or count one more try."""
        with self._connection.write() as db:
            db.execute(
                "INSERT INTO pending VALUES (?, 1, ?) ON CONFLICT DO UPDATE SET tries = tries + 1", (cube_id, why)
            )

    def pending(self, limit: int = 1_000_000) -> list[tuple[str, int, str]]:
        """Return (id, tries, why) of the waiting cubes, the least tried first."""
        with self._connection.read() as db:
            rows = fetch(db, "SELECT id, tries, why FROM pending ORDER BY tries, id LIMIT ?", (limit,))
        return read(rows, _PENDING, lambda r: (r[0], r[1], r[2]), self._connection.space, "queued cube")

    def settle(self, ids: Sequence[str], *, failed: bool = False) -> None:
        """Remove cubes from the queue, or with `failed` count one more try."""
        action = "UPDATE pending SET tries = tries + 1" if failed else "DELETE FROM pending"
        with self._connection.write() as db:
            db.executemany(f"{action} WHERE id = ?", ((i,) for i in ids))


class DecisionTable:
    """Implements `Decisions`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, decisions: Iterable[Decision]) -> None:
        """Record decisions."""
        with self._connection.write() as db:
            db.executemany(
                "INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?)",
                ((d.cube, to_micros(d.made), d.action, d.reason, json.dumps(d.others), d.maker) for d in decisions),
            )

    def find(self, cube_id: str | None = None, *, limit: int = 100) -> list[Decision]:
        """Return the decisions about a cube, or the latest ones, oldest first."""
        where, values = ("WHERE cube = ?", [cube_id]) if cube_id else ("", [])
        with self._connection.read() as db:
            rows = fetch(db, f"SELECT * FROM decisions {where} ORDER BY rowid DESC LIMIT ?", (*values, limit))
        return read(reversed(rows), DECISION_SHAPE, to_decision, self._connection.space, "decision about")
