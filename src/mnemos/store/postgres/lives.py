"""Where current cubes are in their life: columns of the table `cubes`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from mnemos.errors import NotFound
from mnemos.store.base import Audit
from mnemos.store.postgres.connection import Connection
from mnemos.store.postgres.facts import copy_beside
from mnemos.store.postgres.rows import next_seq
from mnemos.store.postgres.words import many
from mnemos.store.rows import COLUMNS
from mnemos.store.values import DERIVED, LifeRows

_CHANGED = ("n", "version", "state", "learned", "replaced", "valid_to")
_KEPT = ", ".join(c for c in COLUMNS.split(", ") if c not in _CHANGED)


class LifeColumns:
    """Implements `Lives`."""

    def __init__(self, connection: Connection, audit: Audit) -> None:
        self._connection, self._space, self._audit = connection, connection.space, audit

    def pin(self, cube_id: str, on: bool) -> None:
        """Protect a cube from being forgotten by policy, or end that. Raises NotFound."""
        query = "UPDATE cubes SET pinned = %s WHERE space = %s AND id = %s AND replaced IS NULL"
        with self._connection.write() as db:
            if not db.execute(query, (int(on), self._space, cube_id)).rowcount:
                raise NotFound(f"there is no cube {cube_id!r} in space {self._space!r}.")
            self._audit.append("pin" if on else "unpin", [cube_id])

    def supersede(self, cube_id: str, until: int, learned: int) -> None:
        """Write the next version of a cube: equal, but superseded and true until `until`."""
        with self._connection.write() as db:
            seq, new = next_seq(db, self._space, 1)
            old = db.execute(
                "UPDATE cubes SET replaced = %s, seq = %s WHERE space = %s AND id = %s AND replaced IS NULL RETURNING n",
                (learned, seq, self._space, cube_id),
            ).fetchone()
            if old is None:
                raise NotFound(f"there is no cube {cube_id!r} in space {self._space!r}.")
            db.execute(
                f"INSERT INTO cubes (space, {_KEPT}, n, version, state, learned, valid_to, seq) SELECT space, {_KEPT}, %s, "
                "version + 1, 'superseded', %s, %s, %s FROM cubes WHERE space = %s AND n = %s",
                (new, learned, until, seq, self._space, old[0]),
            )
            copy_beside(db, self._space, old[0], new)

    def set_state(self, ids: Sequence[str], old: str, new: str) -> list[str]:
        """Change the state of those cubes that are in state `old`; return their ids."""
        query = (
            "UPDATE cubes SET state = %s, seq = %s WHERE space = %s AND id = ANY(%s) AND replaced IS NULL AND state = %s "
            "RETURNING id"
        )
        with self._connection.write() as db:
            seq, _ = next_seq(db, self._space)
            done = {i for (i,) in db.execute(query, (new, seq, self._space, list(ids), old))}
            changed = [name for name in dict.fromkeys(ids) if name in done]
            self._audit.append("archive" if new == "archived" else "restore", changed)
        return changed

    def candidates(
        self, states: Collection[str], *, derived: bool = False, recalls: int = 0, below_tier: int | None = None
    ) -> LifeRows:
        """Return the cubes in these states as arrays; see `Lives.candidates`."""
        where, values = "state = ANY(%s)", list[Any]([self._space, list(states)])
        if not derived:
            where, values = f"{where} AND kind != ALL(%s)", [*values, list(DERIVED)]
        if recalls:
            where, values = f"{where} AND recalls >= %s", [*values, recalls]
        if below_tier is not None:
            where, values = f"{where} AND layer < %s", [*values, below_tier]
        query = (
            "SELECT n, (state = 'archived')::integer, pinned, learned, coalesce(recalled_at, learned), recalls, strength, "
            f"length(text), layer FROM cubes WHERE space = %s AND replaced IS NULL AND {where}"
        )
        with self._connection.read() as db:
            rows = np.array(db.execute(query, values).fetchall(), dtype=np.float64).reshape(-1, 9)
        keys, archived, pinned, count, size, tier = rows[:, [0, 1, 2, 5, 7, 8]].astype(np.int64).T
        return LifeRows(
            keys=keys.copy(), pinned=pinned > 0, archived=archived > 0, learned=rows[:, 3].copy(),
            recalled=rows[:, 4].copy(), recalls=count, strength=rows[:, 6].copy(), size=size, tier=tier,
        )  # fmt: skip

    def set_strength(self, rows: Iterable[tuple[float, int, int, int, str]]) -> None:
        """Write (strength, tier, recalls, recalled_at, id) of current versions. `changes` does not report it."""
        query = (
            "UPDATE cubes SET strength = %s, layer = %s, recalls = %s, recalled_at = %s "
            "WHERE space = %s AND id = %s AND replaced IS NULL"
        )
        with self._connection.write() as db:
            many(db, query, [(*row[:4], self._space, row[4]) for row in rows])

    def set_tier(self, rows: Iterable[tuple[int, int]]) -> None:
        """Write (key, tier) of cubes. `changes` does not report it."""
        with self._connection.write() as db:
            many(
                db,
                "UPDATE cubes SET layer = %s WHERE space = %s AND n = %s",
                [(tier, self._space, n) for n, tier in rows],
            )

    def count_uses(self, uses: Iterable[tuple[str, int, int]]) -> None:
        """Add to the recalls of cubes: (id, how often, when last). `changes` does not report it."""
        query = "UPDATE cubes SET recalls = recalls + %s, recalled_at = %s WHERE space = %s AND id = %s"
        with self._connection.write() as db:
            many(db, query, [(times, last, self._space, cube_id) for cube_id, times, last in uses])
