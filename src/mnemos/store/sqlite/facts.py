"""The life of cubes in a space's file: what they state, what they are linked to, what was decided, what waits.

Methods of one `Life` take part in a surrounding `connection.write()` transaction of the same thread.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from mnemos.cube import from_micros, to_micros
from mnemos.facts import Decision, Fact, KnownFact, Link, StoredFact
from mnemos.store.sqlite.connection import Connection
from mnemos.store.sqlite.rows import COLUMNS, chunks, marks

_FACT = "subject, attribute, value, exclusive, negated, begin, stop"


class Life:
    """Facts, links, decisions and pending cubes of one space. Lookups cost O(log N) a key."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    # -- facts

    def put_facts(self, rows: Iterable[StoredFact]) -> None:
        """Store what cubes state."""
        with self.connection.write() as db:
            db.executemany(
                f"INSERT OR REPLACE INTO facts (n, i, {_FACT}, since, until, ended, ended_by) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (r.n, r.i, r.fact.subject, r.fact.attribute, r.fact.value, r.fact.exclusive, r.fact.negated,
                     r.fact.begin, r.fact.stop, r.since, r.until, r.ended, r.ended_by) for r in rows
                ),
            )  # fmt: skip

    def facts(
        self,
        about: Sequence[tuple[str, str]] | None = None,
        *,
        ended: bool = False,
        subject: str | None = None,
        as_of: int | None = None,
    ) -> list[StoredFact]:
        """Return what cubes state about (subject, attribute) pairs, or all: what holds, and with `ended` what held.

        With `as_of` as it was believed at that moment.
        """
        query = f"SELECT cubes.id, n, i, {_FACT}, since, until, ended, ended_by FROM facts JOIN cubes USING (n) WHERE "
        if as_of is None:
            query += "replaced IS NULL AND state != 'archived'" + ("" if ended else " AND ended IS NULL")
        else:
            moment = int(as_of)
            query += f"learned <= {moment} AND (replaced IS NULL OR replaced > {moment})"
            query += "" if ended else f" AND (ended IS NULL OR ended > {moment})"
        with self.connection.read() as db:
            if about is None:
                where = " AND subject = ?" if subject else ""
                rows = db.execute(f"{query}{where} ORDER BY since, n, i", [subject] if subject else []).fetchall()
            else:
                rows = []
                for part in chunks([x for pair in dict.fromkeys(about) for x in pair]):
                    pairs = ", ".join(["(?, ?)"] * (len(part) // 2))
                    rows += db.execute(f"{query} AND (subject, attribute) IN (VALUES {pairs})", part).fetchall()
        return [_stored(r) for r in rows]

    def known(
        self,
        subject: str | None,
        attribute: str | None,
        as_of: datetime | None,
        true_at: datetime | None,
        *,
        ended: bool,
    ) -> list[KnownFact]:
        """Return facts as users see them: see `Space.facts`."""
        when = None if as_of is None else to_micros(as_of)
        rows = self.facts(subject=subject, as_of=when, ended=ended or true_at is not None)
        found = [known(row, when) for row in rows if attribute in (None, row.fact.attribute)]
        return found if true_at is None else [f for f in found if f.held_at(true_at)]

    def facts_of(self, keys: Sequence[int]) -> list[StoredFact]:
        """Return what versions state, by their row keys."""
        query = (
            f"SELECT cubes.id, n, i, {_FACT}, since, until, ended, ended_by FROM facts JOIN cubes USING (n) "
            "WHERE n IN ({}) ORDER BY n, i"
        )
        with self.connection.read() as db:
            return [_stored(r) for part in chunks(keys) for r in db.execute(query.format(marks(part)), part)]

    def end_fact(self, fact: StoredFact, until: int, learned: int, by: str) -> None:
        """Close a fact: it was true until `until`, as learned at `learned` from the cube `by`."""
        with self.connection.write() as db:
            db.execute(
                "UPDATE facts SET until = ?, ended = ?, ended_by = ? WHERE n = ? AND i = ?",
                (until, learned, by, fact.n, fact.i),
            )

    def retire(self, cube_id: str, until: int, learned: int, seq: int) -> None:
        """Write the next version of a cube, equal but superseded and true until `until`, with all that stands beside it."""
        with self.connection.write() as db:
            old = db.execute("SELECT n FROM cubes WHERE id = ? AND replaced IS NULL", (cube_id,)).fetchone()[0]
            db.execute("UPDATE cubes SET replaced = ?, seq = ? WHERE n = ?", (learned, seq, old))
            kept = [
                c for c in COLUMNS.split(", ") if c not in ("n", "version", "state", "learned", "replaced", "valid_to")
            ]
            new = db.execute(
                f"INSERT INTO cubes ({', '.join(kept)}, version, state, learned, valid_to, seq) "
                f"SELECT {', '.join(kept)}, version + 1, 'superseded', ?, ?, ? FROM cubes WHERE n = ? RETURNING n",
                (learned, until, seq, old),
            ).fetchone()[0]
            copy_beside(db, old, new)

    # -- links

    def put_links(self, links: Iterable[Link], made: int) -> None:
        """Store links; one that is there gets the new weight."""
        with self.connection.write() as db:
            db.executemany(
                "INSERT INTO links VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET weight = excluded.weight",
                ((x.a, x.b, x.kind, x.weight, made) for x in links),
            )

    def count_links(self, links: Iterable[Link], made: int) -> None:
        """Store links; to one that is there the weight is added."""
        with self.connection.write() as db:
            db.executemany(
                "INSERT INTO links VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET weight = weight + excluded.weight",
                ((x.a, x.b, x.kind, x.weight, made) for x in links),
            )

    def links(self, ids: Sequence[str] | None = None, *, kind: str | None = None, both: bool = True) -> list[Link]:
        """Return the links from (and with `both` also to) these cubes; without ids all links."""
        select = "SELECT a, b, kind, weight FROM links"
        with self.connection.read() as db:
            if ids is None:
                rows = db.execute(select + (" WHERE kind = ?" if kind else ""), (kind,) if kind else ()).fetchall()
            else:
                rows = []
                for column in ("a", "b") if both else ("a",):
                    for part in chunks(ids):
                        rows += db.execute(f"{select} WHERE {column} IN ({marks(part)})", part).fetchall()
                rows = [r for r in dict.fromkeys(rows) if kind is None or r[2] == kind]
        return [Link(*r) for r in rows]

    def around(self, cube_id: str) -> list[Link]:
        """Return the links of a cube that follow from the rows: derived from, follows, and same entity.

        "follows" joins neighbours in a session; "same entity" cubes that state something of the same subject, the
        newest 20. O(log N + those found).
        """
        entity = (
            "SELECT DISTINCT y.id FROM facts AS x JOIN facts AS z ON z.subject = x.subject AND z.n != x.n "
            "JOIN cubes AS y ON y.n = z.n AND y.replaced IS NULL AND y.state = 'active' WHERE x.n = ? "
            "ORDER BY y.at DESC LIMIT 20"
        )
        with self.connection.read() as db:
            row = db.execute("SELECT n FROM cubes WHERE id = ? AND replaced IS NULL", (cube_id,)).fetchone()
            if row is None:
                return []
            found = [
                Link(cube_id, p, "derived from")
                for (p,) in db.execute("SELECT parent FROM parents WHERE child = ?", (cube_id,))
            ]
            found += [
                Link(c, cube_id, "derived from")
                for (c,) in db.execute("SELECT child FROM parents WHERE parent = ?", (cube_id,))
            ]
            found += follows(db, cube_id)
            found += [Link(cube_id, i, "same entity") for (i,) in db.execute(entity, (row[0],))]
        return found

    def link_keys(self, kind: str) -> list[tuple[int, int, float]]:
        """Return (key, key, weight) of the links of a kind between current versions. O(links)."""
        with self.connection.read() as db:
            return db.execute(
                "SELECT x.n, y.n, weight FROM links JOIN cubes AS x ON x.id = a AND x.replaced IS NULL "
                "JOIN cubes AS y ON y.id = b AND y.replaced IS NULL WHERE links.kind = ?",
                (kind,),
            ).fetchall()

    # -- decisions, pending cubes

    def put_decisions(self, decisions: Iterable[Decision]) -> None:
        """Record what was decided."""
        with self.connection.write() as db:
            db.executemany(
                "INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?)",
                ((d.cube, to_micros(d.made), d.action, d.reason, json.dumps(d.others), d.maker) for d in decisions),
            )

    def decisions(self, cube_id: str | None = None, *, limit: int = 100) -> list[Decision]:
        """Return what was decided about a cube, or the latest decisions, oldest first."""
        where, values = ("WHERE cube = ?", [cube_id]) if cube_id else ("", [])
        with self.connection.read() as db:
            rows = db.execute(
                f"SELECT * FROM decisions {where} ORDER BY rowid DESC LIMIT ?", (*values, limit)
            ).fetchall()
        return [
            Decision(cube, from_micros(made), action, reason, tuple(json.loads(others)), maker)
            for cube, made, action, reason, others, maker in reversed(rows)
        ]

    def put_pending(self, ids: Iterable[str], why: str) -> None:
        """Mark cubes for another look."""
        with self.connection.write() as db:
            db.executemany("INSERT OR REPLACE INTO pending VALUES (?, 0, ?)", ((i, why) for i in ids))

    def fail(self, cube_id: str, why: str) -> None:
        """Mark a cube for another look, and count the try that failed."""
        with self.connection.write() as db:
            db.execute(
                "INSERT INTO pending VALUES (?, 1, ?) ON CONFLICT DO UPDATE SET tries = tries + 1", (cube_id, why)
            )

    def pending(self, limit: int = 1_000_000) -> list[tuple[str, int, str]]:
        """Return (id, tries, why) of the cubes that wait for another look, the least tried first."""
        with self.connection.read() as db:
            return db.execute("SELECT id, tries, why FROM pending ORDER BY tries, id LIMIT ?", (limit,)).fetchall()

    def settle(self, ids: Sequence[str], *, failed: bool = False) -> None:
        """Take cubes off the waiting list, or count one more try that failed."""
        action = "UPDATE pending SET tries = tries + 1" if failed else "DELETE FROM pending"
        with self.connection.write() as db:
            db.executemany(f"{action} WHERE id = ?", ((i,) for i in ids))

    # -- strength

    def duplicates(self, prints: Sequence[int]) -> list[tuple[int, str, str | None, str | None, str | None, int]]:
        """Return (print, id, speaker, role, session, at) of active current cubes whose terms are the same."""
        query = (
            "SELECT print, id, speaker, role, session, at FROM words JOIN cubes USING (n) "
            "WHERE print IN ({}) AND replaced IS NULL AND state = 'active' ORDER BY n"
        )
        with self.connection.read() as db:
            return [r for part in chunks(prints) for r in db.execute(query.format(marks(part)), part)]

    def put_strength(self, rows: Iterable[tuple[float, int, int, int, str]]) -> None:
        """Write (strength, layer, recalls, recalled_at, id) of current versions. The index need not know."""
        with self.connection.write() as db:
            db.executemany(
                "UPDATE cubes SET strength = ?, layer = ?, recalls = ?, recalled_at = ? WHERE id = ? AND replaced IS NULL",
                rows,
            )


def copy_beside(db: sqlite3.Connection, old: int, new: int) -> None:
    """Copy words, vectors, dates and facts of one version to another."""
    db.execute("INSERT INTO words (n, terms, print) SELECT ?, terms, print FROM words WHERE n = ?", (new, old))
    db.execute("INSERT INTO vectors SELECT m, ?, vector FROM vectors WHERE n = ?", (new, old))
    names = "start, stop, phrase, begin, end, granularity, relative"
    db.execute(f"INSERT INTO dates (n, {names}) SELECT ?, {names} FROM dates WHERE n = ?", (new, old))
    names = f"i, {_FACT}, since, until, ended, ended_by"
    db.execute(f"INSERT INTO facts (n, {names}) SELECT ?, {names} FROM facts WHERE n = ?", (new, old))


def _stored(row: Sequence[Any]) -> StoredFact:
    cube, n, i, subject, attribute, value, exclusive, negated, begin, stop, since, until, ended, ended_by = row
    fact = Fact(subject, attribute, value, bool(exclusive), bool(negated), begin, stop)
    return StoredFact(cube, n, i, fact, since, until, ended, ended_by)


def known(row: StoredFact, as_of: int | None = None) -> KnownFact:
    """Return a stored fact as users see it, at `as_of` without an end that was learned later."""
    f = row.fact
    over = row.until is not None and (as_of is None or (row.ended or 0) <= as_of)
    until = from_micros(row.until) if over and row.until is not None else None
    return KnownFact(f.subject, f.attribute, f.value, f.negated, row.cube, from_micros(row.since), until)


def follows(db: sqlite3.Connection, cube_id: str) -> list[Link]:
    """Return the links of a cube to its neighbours in its session, the later follows the earlier. O(log N)."""
    here = "SELECT n, session, kind, at FROM cubes WHERE id = ? AND replaced IS NULL AND session IS NOT NULL"
    row = db.execute(here, (cube_id,)).fetchone()
    if row is None:
        return []
    place = dict(zip(("n", "s", "k", "at"), row, strict=True))
    query = (
        "SELECT id FROM cubes WHERE replaced IS NULL AND session = :s AND kind = :k AND (at, n) {} (:at, :n) "
        "ORDER BY at {}, n {} LIMIT 1"
    )
    before = db.execute(query.format("<", "DESC", "DESC"), place).fetchall()
    after = db.execute(query.format(">", "ASC", "ASC"), place).fetchall()
    return [Link(cube_id, i, "follows") for (i,) in before] + [Link(i, cube_id, "follows") for (i,) in after]
