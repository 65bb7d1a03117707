"""What a space looks like from above: counts and sizes by SQL, and neighbours by index. Nothing here changes a file.

`NOT INDEXED` where a query is about all current cubes: the index over ids would fetch every row from another page.
"""

from __future__ import annotations

import glob
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mnemos.cube import MemCube
from mnemos.facts import Link
from mnemos.store.base import Filter
from mnemos.store.sqlite.links import follows
from mnemos.store.sqlite.removal import select_in
from mnemos.store.sqlite.rows import SELECT, to_cube, to_sql
from mnemos.store.sqlite.store import SqliteStore

DAY = 86_400_000_000  # microseconds
IMPLIED = ("derived from", "follows", "same entity")  # kinds of links that follow from the rows
SAME = 5  # cubes of the same entity that one fact leads to, the newest


@dataclass(frozen=True, slots=True)
class Days:
    """How many cubes happened on each day (days since 1970, UTC), and the first and the last moment in microseconds."""

    counts: list[tuple[int, int]]
    first: int | None
    last: int | None


def days(store: SqliteStore, filter: Filter, since: int | None, until: int | None) -> Days:
    """Count the cubes that match by the day on which they happened, from `since` to before `until`. One scan, O(N)."""
    where, values = to_sql(filter)
    for bound, sign in ((since, ">="), (until, "<")):
        if bound is not None:
            where, values = f"{where} AND at {sign} ?", [*values, bound]
    query = (
        f"SELECT at / {DAY} - (at % {DAY} < 0) AS day, count(*), min(at), max(at) FROM cubes NOT INDEXED "
        f"WHERE {where} GROUP BY day ORDER BY day"
    )
    with store.connection.read() as db:
        rows = db.execute(query, values).fetchall()
    return Days([r[:2] for r in rows], rows[0][2] if rows else None, rows[-1][3] if rows else None)


def newest(store: SqliteStore, filter: Filter, before: int | None, limit: int) -> list[tuple[int, MemCube]]:
    """Return (key, cube) of matching current versions with a key below `before`, the one written last first."""
    where, values = to_sql(filter)
    query = f"{SELECT} WHERE n < ? AND {where} ORDER BY n DESC LIMIT ?"
    with store.connection.read() as db:
        rows = db.execute(query, (2**62 if before is None else before, *values, limit))
        return [to_cube(r, store.space) for r in rows]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Number and UTF-8 bytes of the texts by (form, kind), and the bytes of what stands beside them in the file."""

    forms: list[tuple[str, str, int, int]]
    words: int
    vectors: int
    versions: int
    links: int
    file: int


def sizes(store: SqliteStore) -> Sizes:
    """Return what a space takes up, by form and by part. Four scans in SQL, O(N + links); vectors are counted, not read."""
    size = "length(CAST({} AS BLOB))"
    texts = (
        f"SELECT form, kind, replaced IS NOT NULL, count(*), sum({size.format('text')}) FROM cubes "
        "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    # the index over n is a tenth of the table, whose rows hold the vectors
    vectors = (
        "SELECT 2 * dimension * (SELECT count(*) FROM vectors INDEXED BY vectors_n WHERE m = models.m) FROM models"
    )
    with store.connection.read() as db:
        rows = db.execute(texts).fetchall()
        words = db.execute(f"SELECT coalesce(sum({size.format('terms')}), 0) FROM words").fetchone()[0]
        held = sum(r[0] for r in db.execute(vectors))
        links = db.execute("SELECT coalesce(sum(length(a) + length(b) + length(kind) + 16), 0) FROM links").fetchone()[
            0
        ]
    past = sum(bytes_ for *_, old, _, bytes_ in rows if old)
    file = sum(p.stat().st_size for p in store.path.parent.glob(glob.escape(store.path.name) + "*"))
    return Sizes([(f, k, n, bytes_) for f, k, old, n, bytes_ in rows if not old], words, held, past, links, file)


# -- links


def most_linked(db: sqlite3.Connection, limit: int, kind: str | None = None) -> list[str]:
    """Return the ids of the cubes with the most kept links, the most linked first. O(links), by index alone.

    Looked at are the 4 `limit` cubes that most links lead from, and as many that most lead to.
    """
    where, values = ("WHERE kind = ?", [kind]) if kind else ("", [])
    pairs = ("links", "a"), ("links", "b"), *((("parents", "parent"),) if kind in (None, "derived from") else ())
    counts: dict[str, int] = {}
    for table, column in pairs:
        only = (where, values) if table == "links" else ("", [])
        query = f"SELECT {column}, count(*) AS n FROM {table} {only[0]} GROUP BY 1 ORDER BY n DESC, 1 LIMIT ?"
        for name, n in db.execute(query, (*only[1], 4 * limit)):
            counts[name] = counts.get(name, 0) + n
    return sorted(counts, key=lambda name: (-counts[name], name))[:limit]


def newest_ids(db: sqlite3.Connection, limit: int) -> list[str]:
    """Return the ids of the active cubes that were written last. O(log N + those)."""
    query = "SELECT id FROM cubes WHERE replaced IS NULL AND state = 'active' ORDER BY n DESC LIMIT ?"
    return [r[0] for r in db.execute(query, (limit,))]


def neighbours(db: sqlite3.Connection, name: str, most: int, kind: str | None = None) -> list[Link]:
    """Return the links of a cube, kept ones and those that follow from the rows, at most `most` of each kind of row.

    Of the same entity are here the newest cubes that state something of the same subject and attribute. O(log N +
    links of the cube).
    """
    found: list[Link] = []
    if kind not in IMPLIED:
        only, values = (" AND kind = ?", (kind,)) if kind else ("", ())
        for column in ("a", "b"):
            query = f"SELECT a, b, kind, weight FROM links WHERE {column} = ?{only} ORDER BY weight DESC LIMIT ?"
            found += [Link(*r) for r in db.execute(query, (name, *values, most))]
        found.sort(key=lambda link: -link.weight)
    if kind in (None, "derived from"):
        for query in (
            "SELECT child, parent FROM parents WHERE child = ? LIMIT ?",
            "SELECT child, parent FROM parents WHERE parent = ? LIMIT ?",
        ):
            found += [Link(a, b, "derived from") for a, b in db.execute(query, (name, most))]
    if kind in (None, "follows"):
        found += follows(db, name)
    if kind in (None, "same entity"):
        found += _same(db, name)
    return found


def _same(db: sqlite3.Connection, name: str) -> list[Link]:
    stated = "SELECT DISTINCT n, subject, attribute FROM facts JOIN cubes USING (n) WHERE id = ? AND replaced IS NULL LIMIT ?"
    # an inner LIMIT, since most of a busy subject's facts need not even be looked at
    others = (
        "SELECT DISTINCT id FROM (SELECT n FROM facts WHERE subject = ? AND attribute = ? AND n != ? "
        "ORDER BY n DESC LIMIT ?) JOIN cubes USING (n) WHERE replaced IS NULL AND state = 'active'"
    )
    rows = db.execute(stated, (name, SAME)).fetchall()
    found = dict.fromkeys(i for n, s, a in rows for (i,) in db.execute(others, (s, a, n, SAME)))
    return [Link(name, i, "same entity") for i in found if i != name]


def links_among(db: sqlite3.Connection, ids: Sequence[str], kind: str | None = None) -> list[Link]:
    """Return the kept links between these cubes, the strongest first. O(links that lead from them)."""
    wanted, names = set(ids), list(ids)
    rows: Iterable[Sequence[Any]] = select_in(db, "SELECT a, b, kind, weight FROM links WHERE a IN ({})", names)
    found = [Link(*r) for r in rows if r[1] in wanted and kind in (None, r[2])]
    return sorted(found, key=lambda link: -link.weight)
