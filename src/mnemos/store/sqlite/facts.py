"""What cubes state: the table `facts`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from mnemos.facts import StoredFact
from mnemos.store.rows import FACT, FACT_SHAPE, TIMES, to_fact
from mnemos.store.sound import read
from mnemos.store.sqlite.connection import Connection
from mnemos.store.sqlite.fetch import fetch
from mnemos.store.sqlite.rows import chunks, marks, select_in

_SELECT = f"SELECT cubes.id, n, i, {FACT}, {TIMES} FROM facts JOIN cubes USING (n) WHERE "


class FactTable:
    """Implements `Facts`. A lookup costs O(log N) a key."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, rows: Iterable[StoredFact]) -> None:
        """Store facts; one with the same key and index is replaced."""
        with self._connection.write() as db:
            db.executemany(
                f"INSERT OR REPLACE INTO facts (n, i, {FACT}, {TIMES}) VALUES ({marks(range(13))})",
                (
                    (r.key, r.index, r.fact.subject, r.fact.attribute, r.fact.value, r.fact.exclusive, r.fact.negated,
                     r.fact.start, r.fact.end, r.since, r.until, r.ended, r.ended_by) for r in rows
                ),
            )  # fmt: skip

    def find(
        self,
        about: Sequence[tuple[str, str]] | None = None,
        *,
        ended: bool = False,
        subject: str | None = None,
        as_of: int | None = None,
    ) -> list[StoredFact]:
        """Return the facts about (subject, attribute) pairs, or all, or all of a `subject`; see `Facts.find`."""
        query = _SELECT
        if as_of is None:
            query += "replaced IS NULL AND state != 'archived'" + ("" if ended else " AND ended IS NULL")
        else:
            moment = int(as_of)
            query += f"learned <= {moment} AND (replaced IS NULL OR replaced > {moment})"
            query += "" if ended else f" AND (ended IS NULL OR ended > {moment})"
        with self._connection.read() as db:
            if about is None:
                where = " AND subject = ?" if subject else ""
                rows = fetch(db, f"{query}{where} ORDER BY since, n, i", [subject] if subject else [])
            else:
                rows = []
                for part in chunks([x for pair in dict.fromkeys(about) for x in pair]):
                    pairs = ", ".join(["(?, ?)"] * (len(part) // 2))
                    rows += fetch(db, f"{query} AND (subject, attribute) IN (VALUES {pairs})", part)
        return self._sound(rows)

    def of(self, keys: Sequence[int]) -> list[StoredFact]:
        """Return what these versions state."""
        query = _SELECT + "n IN ({}) ORDER BY n, i"
        with self._connection.read() as db:
            return self._sound(select_in(db, query, keys))

    def _sound(self, rows: Sequence[tuple[Any, ...]]) -> list[StoredFact]:
        return read(rows, FACT_SHAPE, to_fact, self._connection.space, "fact of cube")

    def end(self, fact: StoredFact, until: int, learned: int, by: str) -> None:
        """Close a fact: it was true until `until`, as learned at `learned` from the cube `by`."""
        with self._connection.write() as db:
            db.execute(
                "UPDATE facts SET until = ?, ended = ?, ended_by = ? WHERE n = ? AND i = ?",
                (until, learned, by, fact.key, fact.index),
            )

    def active_version(self, cube_id: str) -> int | None:
        """Return the key of the current version of a cube, the one whose facts count; None unless it is active."""
        query = "SELECT n FROM cubes WHERE id = ? AND replaced IS NULL AND state = 'active'"
        with self._connection.read() as db:
            row = db.execute(query, (cube_id,)).fetchone()
        return None if row is None else int(row[0])


def copy_facts(db: sqlite3.Connection, old: int, new: int) -> None:
    """Copy the facts of one version to another."""
    names = f"i, {FACT}, {TIMES}"
    db.execute(f"INSERT INTO facts (n, {names}) SELECT ?, {names} FROM facts WHERE n = ?", (new, old))
