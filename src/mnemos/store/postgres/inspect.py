"""A space seen from above: counts and sizes in SQL, and neighbours by index. Nothing here changes a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mnemos.cube import MemCube
from mnemos.facts import Link
from mnemos.store.postgres.connection import Connection
from mnemos.store.postgres.database import Db
from mnemos.store.postgres.links import follows, parents
from mnemos.store.postgres.meta import size
from mnemos.store.postgres.rows import narrowed, pages
from mnemos.store.sound import FIRST, LAST
from mnemos.store.values import IMPLIED, Days, Filter, Sizes

DAY = 86_400_000_000  # microseconds
LOCAL = "(at + 1000000::bigint * at_offset)"  # what the speaker's clock showed
SAME = 5  # cubes of the same entity that one fact leads to, the newest


class Inspector:
    """Implements `Inspect`."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._space = connection, connection.space

    def days(self, filter: Filter, since: int | None, until: int | None) -> Days:
        """Count the matching cubes by the day, of their own clocks, on which they happened in [since, until). One scan, O(N)."""
        with self._connection.read() as db:
            where, values = narrowed(db, self._space, filter)
            where = f"{where} AND at BETWEEN {FIRST} AND {LAST}"
            for bound, sign in ((since, ">="), (until, "<")):
                if bound is not None:
                    where, values = f"{where} AND at {sign} %s", [*values, bound]
            rows = db.execute(
                f"SELECT {LOCAL} / {DAY} - ({LOCAL} %% {DAY} < 0)::integer AS day, count(*), min(at), max(at) FROM cubes "
                f"WHERE space = %s AND {where} GROUP BY day ORDER BY day",
                (self._space, *values),
            ).fetchall()
        first, last = min((r[2] for r in rows), default=None), max((r[3] for r in rows), default=None)
        return Days([(r[0], r[1]) for r in rows], first, last)

    def newest(self, filter: Filter, before: int | None, limit: int) -> list[tuple[int, MemCube]]:
        """Return (key, cube) of matching versions with a key below `before`, the one written last first."""
        with self._connection.read() as db:
            return pages(db, self._space, filter, 2**62 if before is None else before, limit, newest=True)

    def sizes(self) -> Sizes:
        """Return what the space takes up. Five scans in SQL, O(N + links)."""
        texts = (
            "SELECT form, kind, replaced IS NOT NULL, count(*), sum(octet_length(text))::bigint FROM cubes WHERE space = %s "
            "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        )
        parts = (
            "SELECT (SELECT coalesce(sum(octet_length(terms)), 0)::bigint FROM words WHERE space = %s), "
            "(SELECT coalesce(sum(2 * dimension), 0)::bigint FROM vectors JOIN models USING (space, m) WHERE space = %s), "
            "(SELECT coalesce(sum(length(a) + length(b) + length(kind) + 16), 0)::bigint FROM links WHERE space = %s)"
        )
        with self._connection.read() as db:
            rows = db.execute(texts, (self._space,)).fetchall()
            row = db.execute(parts, [self._space] * 3).fetchone()
            file = size(db, self._space)
        words, vectors, links = row or (0, 0, 0)
        past = sum(bytes_ for *_, old, _, bytes_ in rows if old)
        forms = [(form, kind, n, bytes_) for form, kind, old, n, bytes_ in rows if not old]
        return Sizes(forms, words, vectors, past, links, file)

    def most_linked(self, limit: int, kind: str | None = None) -> list[str]:
        """Return the ids of the cubes with the most links, the most linked first. O(links), by index alone.

        Only the 4 `limit` cubes that most links lead from, and as many that most lead to, are counted.
        """
        pairs = ("links", "a"), ("links", "b"), *((("parents", "parent"),) if kind in (None, "derived from") else ())
        counts: dict[str, int] = {}
        with self._connection.read() as db:
            for table, column in pairs:
                only = table == "links" and kind is not None
                query = (
                    f"SELECT {column}, count(*) AS n FROM {table} WHERE space = %s{' AND kind = %s' if only else ''} "
                    "GROUP BY 1 ORDER BY n DESC, 1 LIMIT %s"
                )
                for name, n in db.execute(query, (self._space, *([kind] if only else []), 4 * limit)):
                    counts[name] = counts.get(name, 0) + n
        return sorted(counts, key=lambda name: (-counts[name], name))[:limit]

    def neighbours(self, cube_id: str, limit: int, kind: str | None = None) -> list[Link]:
        """Return the stored and implied links of a cube, at most `limit` in each direction; see `Inspect.neighbours`."""
        found: list[Link] = []
        with self._connection.read() as db:
            if kind not in IMPLIED:
                only: tuple[str, list[Any]] = (" AND kind = %s", [kind]) if kind else ("", [])
                for column in ("a", "b"):
                    query = (
                        f"SELECT a, b, kind, weight FROM links WHERE space = %s AND {column} = %s{only[0]} "
                        "ORDER BY weight DESC, a, b LIMIT %s"
                    )
                    found += [Link(*row) for row in db.execute(query, (self._space, cube_id, *only[1], limit))]
                found.sort(key=lambda link: -link.weight)
            if kind in (None, "derived from"):
                found += parents(db, self._space, cube_id, limit)
            if kind in (None, "follows"):
                found += follows(db, self._space, cube_id)
            if kind in (None, "same entity"):
                found += _same_entity(db, self._space, cube_id)
        return found

    def links_among(self, ids: Sequence[str], kind: str | None = None) -> list[Link]:
        """Return the stored links between these cubes, the strongest first. O(links that lead from them)."""
        query = "SELECT a, b, kind, weight FROM links WHERE space = %s AND a = ANY(%s) AND b = ANY(%s)"
        values: list[Any] = [self._space, list(ids), list(ids)]
        if kind is not None:
            query, values = f"{query} AND kind = %s", [*values, kind]
        with self._connection.read() as db:
            return [Link(*row) for row in db.execute(f"{query} ORDER BY weight DESC, a, kind, b", values)]


def _same_entity(db: Db, space: str, cube_id: str) -> list[Link]:
    stated = (
        "SELECT DISTINCT facts.n, subject, attribute FROM facts JOIN cubes ON cubes.space = facts.space "
        "AND cubes.n = facts.n WHERE facts.space = %s AND id = %s AND replaced IS NULL LIMIT %s"
    )
    # an inner LIMIT, since most of a busy subject's facts need not even be looked at
    others = (
        "SELECT DISTINCT id, x.n FROM (SELECT space, n FROM facts WHERE space = %s AND subject = %s AND attribute = %s "
        "AND n != %s ORDER BY n DESC LIMIT %s) AS x JOIN cubes ON cubes.space = x.space AND cubes.n = x.n "
        "WHERE replaced IS NULL AND state = 'active' ORDER BY x.n DESC"
    )
    rows = db.execute(stated, (space, cube_id, SAME)).fetchall()
    found = dict.fromkeys(i for n, s, a in rows for i, _ in db.execute(others, (space, s, a, n, SAME)).fetchall())
    return [Link(cube_id, i, "same entity") for i in found if i != cube_id]
