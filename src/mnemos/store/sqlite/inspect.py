"""A space seen from above: counts and sizes in SQL, and neighbours by index. Nothing here changes a file.

`NOT INDEXED` where a query is about all current cubes: the index over ids would fetch every row from another page.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from mnemos.cube import MemCube
from mnemos.facts import Link
from mnemos.store.sound import FIRST, LAST, Shape, read
from mnemos.store.sqlite.connection import Connection
from mnemos.store.sqlite.fetch import fetch
from mnemos.store.sqlite.links import follows, parents, stored
from mnemos.store.sqlite.meta import size_on_disk
from mnemos.store.sqlite.rows import SELECT, pages, select_in, to_sql
from mnemos.store.values import IMPLIED, Days, Filter, Sizes

DAY = 86_400_000_000  # microseconds
LOCAL = "(at + 1000000 * at_offset)"  # what the speaker's clock showed
_SIZES = Shape("s s i i i?")
SAME = 5  # cubes of the same entity that one fact leads to, the newest


class Inspector:
    """Implements `Inspect`."""

    def __init__(self, connection: Connection, space: str) -> None:
        self._connection, self._space = connection, space

    def days(self, filter: Filter, since: int | None, until: int | None) -> Days:
        """Count the matching cubes by the day, of their own clocks, on which they happened in [since, until). One scan, O(N)."""
        where, values = to_sql(filter)
        where = f"{where} AND typeof(at) = 'integer' AND at BETWEEN {FIRST} AND {LAST}"
        for bound, sign in ((since, ">="), (until, "<")):
            if bound is not None:
                where, values = f"{where} AND at {sign} ?", [*values, bound]
        query = (
            f"SELECT {LOCAL} / {DAY} - ({LOCAL} % {DAY} < 0) AS day, count(*), min(at), max(at) FROM cubes NOT INDEXED "
            f"WHERE {where} GROUP BY day ORDER BY day"
        )
        with self._connection.read() as db:
            rows = db.execute(query, values).fetchall()
        first, last = min((r[2] for r in rows), default=None), max((r[3] for r in rows), default=None)
        return Days([r[:2] for r in rows], first, last)

    def newest(self, filter: Filter, before: int | None, limit: int) -> list[tuple[int, MemCube]]:
        """Return (key, cube) of matching versions with a key below `before`, the one written last first."""
        where, values = to_sql(filter)
        query = f"{SELECT} WHERE n < ? AND {where} ORDER BY n DESC LIMIT ?"
        with self._connection.read() as db:
            return pages(db, query, values, 2**62 if before is None else before, limit, self._space)

    def sizes(self) -> Sizes:
        """Return what the space takes up. Four scans in SQL, O(N + links)."""
        size = "length(CAST({} AS BLOB))"
        texts = (
            f"SELECT form, kind, replaced IS NOT NULL, count(*), sum({size.format('text')}) FROM cubes "
            "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        )
        words = f"SELECT coalesce(sum({size.format('terms')}), 0) FROM words"
        vectors = "SELECT coalesce(sum(length(vector)), 0) FROM vectors"
        links = "SELECT coalesce(sum(length(a) + length(b) + length(kind) + 16), 0) FROM links"
        with self._connection.read() as db:
            rows = read(fetch(db, texts), _SIZES, tuple, self._space, "kind")
            parts = [db.execute(query).fetchone()[0] for query in (words, links)]
            held = db.execute(vectors).fetchone()[0]
        past = sum(bytes_ for *_, old, _, bytes_ in rows if old)
        forms = [(form, kind, n, bytes_) for form, kind, old, n, bytes_ in rows if not old]
        return Sizes(forms, parts[0], held, past, parts[1], size_on_disk(self._connection.path))

    def most_linked(self, limit: int, kind: str | None = None) -> list[str]:
        """Return the ids of the cubes with the most links, the most linked first. O(links), by index alone.

        Only the 4 `limit` cubes that most links lead from, and as many that most lead to, are counted.
        """
        where, values = ("WHERE kind = ?", [kind]) if kind else ("", [])
        pairs = ("links", "a"), ("links", "b"), *((("parents", "parent"),) if kind in (None, "derived from") else ())
        counts: dict[str, int] = {}
        with self._connection.read() as db:
            for table, column in pairs:
                only = (where, values) if table == "links" else ("", [])
                query = f"SELECT {column}, count(*) AS n FROM {table} {only[0]} GROUP BY 1 ORDER BY n DESC, 1 LIMIT ?"
                for name, n in fetch(db, query, (*only[1], 4 * limit)):
                    if isinstance(name, str):
                        counts[name] = counts.get(name, 0) + n
        return sorted(counts, key=lambda name: (-counts[name], name))[:limit]

    def neighbours(self, cube_id: str, limit: int, kind: str | None = None) -> list[Link]:
        """Return the stored and implied links of a cube, at most `limit` in each direction; see `Inspect.neighbours`."""
        found: list[Link] = []
        with self._connection.read() as db:
            if kind not in IMPLIED:
                only, values = (" AND kind = ?", (kind,)) if kind else ("", ())
                for column in ("a", "b"):
                    query = (
                        f"SELECT a, b, kind, weight FROM links WHERE {column} = ?{only} ORDER BY weight DESC LIMIT ?"
                    )
                    found += stored(fetch(db, query, (cube_id, *values, limit)), self._space)
                found.sort(key=lambda link: -link.weight)
            if kind in (None, "derived from"):
                for column in ("child", "parent"):
                    query = f"SELECT child, parent FROM parents WHERE {column} = ? LIMIT ?"
                    found += parents(fetch(db, query, (cube_id, limit)), self._space)
            if kind in (None, "follows"):
                found += follows(db, cube_id)
            if kind in (None, "same entity"):
                found += _same_entity(db, cube_id)
        return found

    def links_among(self, ids: Sequence[str], kind: str | None = None) -> list[Link]:
        """Return the stored links between these cubes, the strongest first. O(links that lead from them)."""
        wanted = set(ids)
        with self._connection.read() as db:
            rows = select_in(db, "SELECT a, b, kind, weight FROM links WHERE a IN ({})", ids)
        found = [x for x in stored(rows, self._space) if x.b in wanted and kind in (None, x.kind)]
        return sorted(found, key=lambda link: -link.weight)


def _same_entity(db: sqlite3.Connection, cube_id: str) -> list[Link]:
    stated = "SELECT DISTINCT n, subject, attribute FROM facts JOIN cubes USING (n) WHERE id = ? AND replaced IS NULL LIMIT ?"
    # an inner LIMIT, since most of a busy subject's facts need not even be looked at
    others = (
        "SELECT DISTINCT id FROM (SELECT n FROM facts WHERE subject = ? AND attribute = ? AND n != ? "
        "ORDER BY n DESC LIMIT ?) JOIN cubes USING (n) WHERE replaced IS NULL AND state = 'active'"
    )
    rows = fetch(db, stated, (cube_id, SAME))
    found = dict.fromkeys(i for n, s, a in rows for (i,) in fetch(db, others, (s, a, n, SAME)))
    return [Link(cube_id, i, "same entity") for i in found if i != cube_id and isinstance(i, str)]
