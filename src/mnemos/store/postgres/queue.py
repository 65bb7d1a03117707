"""Cubes that a model has yet to judge, what was decided, and what was rejected: `pending`, `decisions`, `lessons`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from mnemos.cube import to_micros
from mnemos.facts import Decision, Rejection
from mnemos.store.postgres.connection import Connection
from mnemos.store.postgres.words import many
from mnemos.store.rows import DECISION_SHAPE, to_decision
from mnemos.store.sound import read


class QueueTable:
    """Implements `Queue`."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._space = connection, connection.space

    def add(self, ids: Iterable[str], why: str) -> None:
        """Add cubes, with no tries counted yet."""
        query = (
            "INSERT INTO pending (space, id, tries, why) VALUES (%s, %s, 0, %s) "
            "ON CONFLICT (space, id) DO UPDATE SET tries = 0, why = excluded.why"
        )
        with self._connection.write() as db:
            many(db, query, [(self._space, i, why) for i in ids])

    def fail(self, cube_id: str, why: str) -> None:
        """Add a cube with one failed try, or count one more try."""
        with self._connection.write() as db:
            db.execute(
                "INSERT INTO pending (space, id, tries, why) VALUES (%s, %s, 1, %s) "
                "ON CONFLICT (space, id) DO UPDATE SET tries = pending.tries + 1",
                (self._space, cube_id, why),
            )

    def pending(self, limit: int = 1_000_000) -> list[tuple[str, int, str]]:
        """Return (id, tries, why) of the waiting cubes, the least tried first."""
        query = "SELECT id, tries, why FROM pending WHERE space = %s ORDER BY tries, id LIMIT %s"
        with self._connection.read() as db:
            return [(i, tries, why) for i, tries, why in db.execute(query, (self._space, limit))]

    def settle(self, ids: Sequence[str], *, failed: bool = False) -> None:
        """Remove cubes from the queue, or with `failed` count one more try."""
        action = "UPDATE pending SET tries = tries + 1" if failed else "DELETE FROM pending"
        with self._connection.write() as db:
            db.execute(f"{action} WHERE space = %s AND id = ANY(%s)", (self._space, list(ids)))


class DecisionTable:
    """Implements `Decisions`."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._space = connection, connection.space

    def put(self, decisions: Iterable[Decision]) -> None:
        """Record decisions."""
        values = [
            (self._space, d.cube, to_micros(d.made), d.action, d.reason, json.dumps(d.others), d.maker)
            for d in decisions
        ]
        names = "space, cube, made, action, reason, others, maker"
        with self._connection.write() as db:
            many(db, f"INSERT INTO decisions ({names}) VALUES (%s, %s, %s, %s, %s, %s, %s)", values)

    def find(self, cube_id: str | None = None, *, limit: int = 100) -> list[Decision]:
        """Return the decisions about a cube, or the latest ones, oldest first."""
        where, values = (" AND cube = %s", [cube_id]) if cube_id else ("", [])
        query = (
            f"SELECT cube, made, action, reason, others, maker FROM decisions WHERE space = %s{where} "
            "ORDER BY i DESC LIMIT %s"
        )
        with self._connection.read() as db:
            rows = db.execute(query, (self._space, *values, limit)).fetchall()
        return read(reversed(rows), DECISION_SHAPE, to_decision, self._space, "decision about")


class RejectionTable:
    """Implements `Rejections`."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._space = connection, connection.space

    def all(self) -> set[Rejection]:
        """Return all of them."""
        query = "SELECT trigger, mistaken, trust FROM lessons WHERE space = %s"
        with self._connection.read() as db:
            return {Rejection(t.hex(), m.hex(), trust) for t, m, trust in db.execute(query, (self._space,))}

    def add(self, rejections: Iterable[Rejection], made: int) -> None:
        """Store rejections; those that exist are left alone."""
        values = [(self._space, bytes.fromhex(r.trigger), bytes.fromhex(r.mistake), r.trust, made) for r in rejections]
        names = "space, trigger, mistaken, trust, made"
        with self._connection.write() as db:
            many(db, f"INSERT INTO lessons ({names}) VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING", values)
