"""What cubes state: the table `facts`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mnemos.facts import StoredFact
from mnemos.store.postgres.connection import Connection
from mnemos.store.postgres.database import Db
from mnemos.store.postgres.words import many
from mnemos.store.rows import FACT, FACT_SHAPE, TIMES, to_fact
from mnemos.store.sound import Row, read

_FROM = "FROM facts JOIN cubes ON cubes.space = facts.space AND cubes.n = facts.n WHERE facts.space = %s AND "
_SELECT = f"SELECT cubes.id, facts.n, i, {FACT}, {TIMES} {_FROM}"
_SET = ", ".join(f"{name} = excluded.{name}" for name in f"{FACT}, {TIMES}".split(", "))


class FactTable:
    """Implements `Facts`. A lookup costs O(log N) a key."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._space = connection, connection.space

    def put(self, rows: Iterable[StoredFact]) -> None:
        """Store facts; one with the same key and index is replaced."""
        values = [
            (self._space, r.key, r.index, r.fact.subject, r.fact.attribute, r.fact.value, int(r.fact.exclusive),
             int(r.fact.negated), r.fact.start, r.fact.end, r.since, r.until, r.ended, r.ended_by) for r in rows
        ]  # fmt: skip
        query = (
            f"INSERT INTO facts (space, n, i, {FACT}, {TIMES}) VALUES ({', '.join(['%s'] * 14)}) "
            f"ON CONFLICT (space, n, i) DO UPDATE SET {_SET}"
        )
        with self._connection.write() as db:
            many(db, query, values)

    def find(
        self,
        about: Sequence[tuple[str, str]] | None = None,
        *,
        ended: bool = False,
        subject: str | None = None,
        as_of: int | None = None,
    ) -> list[StoredFact]:
        """Return the facts about (subject, attribute) pairs, or all, or all of a `subject`; see `Facts.find`."""
        values: list[Any] = [self._space]
        if as_of is None:
            where = "replaced IS NULL AND state != 'archived'" + ("" if ended else " AND ended IS NULL")
        else:
            where = "learned <= %s AND (replaced IS NULL OR replaced > %s)"
            values += [as_of, as_of]
            if not ended:
                where, values = where + " AND (ended IS NULL OR ended > %s)", [*values, as_of]
        if about is not None:
            where += " AND (subject, attribute) IN (SELECT * FROM unnest(%s::text[], %s::text[]))"
            pairs = list(dict.fromkeys(about))
            values += [[s for s, _ in pairs], [a for _, a in pairs]]
        elif subject:
            where, values = where + " AND subject = %s", [*values, subject]
        with self._connection.read() as db:
            return self._sound(db.execute(f"{_SELECT}{where} ORDER BY since, facts.n, i", values).fetchall())

    def of(self, keys: Sequence[int]) -> list[StoredFact]:
        """Return what these versions state."""
        if not keys:
            return []
        query = _SELECT + "facts.n = ANY(%s::bigint[]) ORDER BY facts.n, i"
        with self._connection.read() as db:
            return self._sound(db.execute(query, (self._space, list(keys))).fetchall())

    def _sound(self, rows: Sequence[Row]) -> list[StoredFact]:
        return read(rows, FACT_SHAPE, to_fact, self._space, "fact of cube")

    def end(self, fact: StoredFact, until: int, learned: int, by: str) -> None:
        """Close a fact: it was true until `until`, as learned at `learned` from the cube `by`."""
        with self._connection.write() as db:
            db.execute(
                "UPDATE facts SET until = %s, ended = %s, ended_by = %s WHERE space = %s AND n = %s AND i = %s",
                (until, learned, by, self._space, fact.key, fact.index),
            )

    def active_version(self, cube_id: str) -> int | None:
        """Return the key of the current version of a cube, the one whose facts count; None unless it is active."""
        query = "SELECT n FROM cubes WHERE space = %s AND id = %s AND replaced IS NULL AND state = 'active'"
        with self._connection.read() as db:
            row = db.execute(query, (self._space, cube_id)).fetchone()
        return None if row is None else int(row[0])


def copy_beside(db: Db, space: str, old: int, new: int) -> None:
    """Copy words, vectors, dates, facts and readings of one version to another."""
    for table, names in (
        ("words", "terms, print"),
        ("vectors", "m, part, vector"),
        ("dates", "start, stop, phrase, begin, finish, granularity, relative"),
        ("facts", f"i, {FACT}, {TIMES}"),
        ("readings", "begin, stop, whose, attribute, tense, negated, confidence"),
    ):
        db.execute(
            f"INSERT INTO {table} (space, n, {names}) SELECT space, %s, {names} FROM {table} WHERE space = %s AND n = %s",
            (new, space, old),
        )
