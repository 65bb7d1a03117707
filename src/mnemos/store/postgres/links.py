"""Links between cubes: the table `links`, and the links that follow from other rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mnemos.facts import Link
from mnemos.store.postgres.connection import Connection
from mnemos.store.postgres.database import Db
from mnemos.store.postgres.words import many


class LinkTable:
    """Implements `Links`. A lookup costs O(log N + links found)."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._space = connection, connection.space

    def put(self, links: Iterable[Link], made: int) -> None:
        """Store links; an existing one gets the new weight."""
        self._put(links, made, "excluded.weight")

    def add(self, links: Iterable[Link], made: int) -> None:
        """Store links; the weight is added to that of an existing one."""
        self._put(links, made, "links.weight + excluded.weight")

    def _put(self, links: Iterable[Link], made: int, weight: str) -> None:
        query = (
            "INSERT INTO links (space, a, b, kind, weight, made) VALUES (%s, %s, %s, %s, %s, %s) "
            f"ON CONFLICT (space, a, kind, b) DO UPDATE SET weight = {weight}"
        )
        with self._connection.write() as db:
            many(db, query, [(self._space, x.a, x.b, x.kind, x.weight, made) for x in links])

    def find(self, ids: Sequence[str] | None = None, *, kind: str | None = None, both: bool = True) -> list[Link]:
        """Return the stored links from (and with `both` also to) these cubes; without ids all links."""
        query, values = "SELECT a, b, kind, weight FROM links WHERE space = %s", list[Any]([self._space])
        if kind:
            query, values = f"{query} AND kind = %s", [*values, kind]
        if ids is not None:
            query += " AND (a = ANY(%s) OR b = ANY(%s))" if both else " AND a = ANY(%s)"
            values += [list(ids)] * (2 if both else 1)
        with self._connection.read() as db:
            return [Link(*row) for row in db.execute(f"{query} ORDER BY a, kind, b", values)]

    def implied(self, cube_id: str) -> list[Link]:
        """Return the links of a cube that follow from other rows; see `Links.implied`."""
        entity = (
            "SELECT DISTINCT y.id, y.at, y.n FROM facts AS x JOIN facts AS z ON z.space = x.space AND z.subject = x.subject "
            "AND z.n != x.n JOIN cubes AS y ON y.space = z.space AND y.n = z.n AND y.replaced IS NULL AND y.state = 'active' "
            "WHERE x.space = %s AND x.n = %s ORDER BY y.at DESC, y.n DESC LIMIT 20"
        )
        with self._connection.read() as db:
            row = db.execute(
                "SELECT n FROM cubes WHERE space = %s AND id = %s AND replaced IS NULL", (self._space, cube_id)
            ).fetchone()
            if row is None:
                return []
            found = [*parents(db, self._space, cube_id), *follows(db, self._space, cube_id)]
            found += [Link(cube_id, i, "same entity") for i, *_ in db.execute(entity, (self._space, row[0]))]
        return found

    def keys(self, kind: str) -> list[tuple[int, int, float]]:
        """Return (key, key, weight) of the links of a kind between current versions. O(links)."""
        query = (
            "SELECT x.n, y.n, weight FROM links JOIN cubes AS x ON x.space = links.space AND x.id = a AND x.replaced IS NULL "
            "JOIN cubes AS y ON y.space = links.space AND y.id = b AND y.replaced IS NULL "
            "WHERE links.space = %s AND links.kind = %s ORDER BY a, b"
        )
        with self._connection.read() as db:
            return [(x, y, weight) for x, y, weight in db.execute(query, (self._space, kind))]


def parents(db: Db, space: str, cube_id: str, limit: int = 1_000_000) -> list[Link]:
    """Return the links of a cube to what it was derived from, and from what was derived from it."""
    found = []
    for column in ("child", "parent"):
        query = f"SELECT child, parent FROM parents WHERE space = %s AND {column} = %s ORDER BY child, parent LIMIT %s"
        found += [Link(child, parent, "derived from") for child, parent in db.execute(query, (space, cube_id, limit))]
    return found


def follows(db: Db, space: str, cube_id: str) -> list[Link]:
    """Return the links of a cube to its neighbours in its session; the later one follows the earlier. O(log N)."""
    row = db.execute(
        "SELECT session, kind, at, n FROM cubes WHERE space = %s AND id = %s AND replaced IS NULL AND session IS NOT NULL",
        (space, cube_id),
    ).fetchone()
    if row is None:
        return []
    query = (
        "SELECT id FROM cubes WHERE space = %s AND replaced IS NULL AND session = %s AND kind = %s AND (at, n) {} (%s, %s) "
        "ORDER BY at {}, n {} LIMIT 1"
    )
    before = db.execute(query.format("<", "DESC", "DESC"), (space, *row)).fetchall()
    after = db.execute(query.format(">", "ASC", "ASC"), (space, *row)).fetchall()
    return [Link(cube_id, i, "follows") for (i,) in before] + [Link(i, cube_id, "follows") for (i,) in after]
