"""Where current cubes are in their life: columns of the table `cubes`."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from mnemos.errors import NotFound
from mnemos.store.base import Audit
from mnemos.store.rows import COLUMNS
from mnemos.store.sound import Shape, read
from mnemos.store.sqlite.connection import Connection
from mnemos.store.sqlite.facts import copy_facts
from mnemos.store.sqlite.fetch import fetch
from mnemos.store.sqlite.readings import copy_readings
from mnemos.store.sqlite.rows import marks, next_seq
from mnemos.store.values import DERIVED, LifeRows

_LIFE = Shape("i i i i r i i")
_KEPT = ", ".join(
    c for c in COLUMNS.split(", ") if c not in ("n", "version", "state", "learned", "replaced", "valid_to")
)


class LifeColumns:
    """Implements `Lives`."""

    def __init__(self, connection: Connection, space: str, audit: Audit) -> None:
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

    def set_state(self, ids: Sequence[str], old: str, new: str) -> list[str]:
        """Change the state of those cubes that are in state `old`; return their ids."""
        query = "UPDATE cubes SET state = ?, seq = ? WHERE id = ? AND replaced IS NULL AND state = ?"
        with self._connection.write() as db:
            seq = next_seq(db)
            changed = [name for name in ids if db.execute(query, (new, seq, name, old)).rowcount]
            self._audit.append("archive" if new == "archived" else "restore", changed)
        return changed

    def candidates(
        self, states: Collection[str], *, derived: bool = False, recalls: int = 0, below_tier: int | None = None
    ) -> LifeRows:
        """Return the cubes in these states as arrays; see `Lives.candidates`."""
        where, values = f"state IN ({marks(list(states))})", list[Any](states)
        if not derived:
            where, values = f"{where} AND kind NOT IN ({marks(DERIVED)})", [*values, *DERIVED]
        if recalls:
            where, values = f"{where} AND recalls >= ?", [*values, recalls]
        if below_tier is not None:
            where, values = f"{where} AND layer < ?", [*values, below_tier]
        # every row is wanted, so no index: it would fetch each from another page. Fewer columns are faster to read
        query = (
            "SELECT 4 * n + 2 * (state = 'archived') + pinned, learned, coalesce(recalled_at, learned), recalls, strength, "
            f"length(text), layer FROM cubes NOT INDEXED WHERE replaced IS NULL AND {where}"
        )
        with self._connection.read() as db:
            try:
                rows = np.fromiter(chain.from_iterable(db.execute(query, values)), dtype=np.float64).reshape(-1, 7)
            except (TypeError, ValueError, OverflowError, sqlite3.OperationalError):
                found = read(fetch(db, query, values), _LIFE, tuple, self._space, "life of a cube")
                rows = np.array(found, dtype=np.float64).reshape(-1, 7)
        first, count, size, tier = rows[:, [0, 3, 5, 6]].astype(np.int64).T
        return LifeRows(
            keys=first // 4, pinned=first & 1 > 0, archived=first & 2 > 0, learned=rows[:, 1], recalled=rows[:, 2],
            recalls=count, strength=rows[:, 4].copy(), size=size, tier=tier,
        )  # fmt: skip

    def set_strength(self, rows: Iterable[tuple[float, int, int, int, str]]) -> None:
        """Write (strength, tier, recalls, recalled_at, id) of current versions. `changes` does not report it."""
        with self._connection.write() as db:
            db.executemany(
                "UPDATE cubes SET strength = ?, layer = ?, recalls = ?, recalled_at = ? WHERE id = ? AND replaced IS NULL",
                rows,
            )

    def set_tier(self, rows: Iterable[tuple[int, int]]) -> None:
        """Write (key, tier) of cubes. `changes` does not report it."""
        with self._connection.write() as db:
            db.executemany("UPDATE cubes SET layer = ? WHERE n = ?", ((tier, key) for key, tier in rows))

    def count_uses(self, uses: Iterable[tuple[str, int, int]]) -> None:
        """Add to the recalls of cubes: (id, how often, when last). `changes` does not report it."""
        with self._connection.write() as db:
            db.executemany(
                "UPDATE cubes SET recalls = recalls + ?, recalled_at = ? WHERE id = ?",
                ((times, last, cube_id) for cube_id, times, last in uses),
            )


def _copy_beside(db: sqlite3.Connection, old: int, new: int) -> None:
    """Copy words, vectors, dates, facts and readings of one version to another."""
    db.execute("INSERT INTO words (n, terms, print) SELECT ?, terms, print FROM words WHERE n = ?", (new, old))
    db.execute("INSERT INTO vectors SELECT m, ?, vector FROM vectors WHERE n = ?", (new, old))
    names = "start, stop, phrase, begin, end, granularity, relative"
    db.execute(f"INSERT INTO dates (n, {names}) SELECT ?, {names} FROM dates WHERE n = ?", (new, old))
    copy_facts(db, old, new)
    copy_readings(db, old, new)
