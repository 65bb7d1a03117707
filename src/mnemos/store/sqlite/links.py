"""Links between cubes: the table `links`, and the links that follow from other rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from mnemos.facts import Link
from mnemos.store.sound import Shape, read
from mnemos.store.sqlite.connection import Connection
from mnemos.store.sqlite.fetch import fetch
from mnemos.store.sqlite.rows import chunks, marks

_LINK = Shape("s s s r")
_WEIGHTED = Shape("i i r")
_PAIR = Shape("s s")


class LinkTable:
    """Implements `Links`. A lookup costs O(log N + links found)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, links: Iterable[Link], made: int) -> None:
        """Store links; an existing one gets the new weight."""
        self._put(links, made, "excluded.weight")

    def add(self, links: Iterable[Link], made: int) -> None:
        """Store links; the weight is added to that of an existing one."""
        self._put(links, made, "weight + excluded.weight")

    def _put(self, links: Iterable[Link], made: int, weight: str) -> None:
        with self._connection.write() as db:
            db.executemany(
                f"INSERT INTO links VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET weight = {weight}",
                ((x.a, x.b, x.kind, x.weight, made) for x in links),
            )

    def find(self, ids: Sequence[str] | None = None, *, kind: str | None = None, both: bool = True) -> list[Link]:
        """Return the stored links from (and with `both` also to) these cubes; without ids all links."""
        select = "SELECT a, b, kind, weight FROM links"
        with self._connection.read() as db:
            if ids is None:
                rows = fetch(db, select + (" WHERE kind = ?" if kind else ""), (kind,) if kind else ())
            else:
                rows = []
                for column in ("a", "b") if both else ("a",):
                    for part in chunks(ids):
                        rows += fetch(db, f"{select} WHERE {column} IN ({marks(part)})", part)
                rows = [r for r in dict.fromkeys(rows) if kind is None or r[2] == kind]
        return stored(rows, self._connection.space)

    def implied(self, cube_id: str) -> list[Link]:
        """Return the links of a cube that follow from other rows; see `Links.implied`."""
        entity = (
            "SELECT DISTINCT y.id, y.at, y.n FROM facts AS x JOIN facts AS z ON z.subject = x.subject AND z.n != x.n "
            "JOIN cubes AS y ON y.n = z.n AND y.replaced IS NULL AND y.state = 'active' WHERE x.n = ? "
            "ORDER BY y.at DESC, y.n DESC LIMIT 20"
        )
        with self._connection.read() as db:
            row = db.execute("SELECT n FROM cubes WHERE id = ? AND replaced IS NULL", (cube_id,)).fetchone()
            if row is None:
                return []
            found: list[Link] = []
            for column in ("child", "parent"):
                query = f"SELECT child, parent FROM parents WHERE {column} = ?"
                found += parents(fetch(db, query, (cube_id,)), self._connection.space)
            found += follows(db, cube_id)
            found += [Link(cube_id, i, "same entity") for i, *_ in fetch(db, entity, (row[0],)) if isinstance(i, str)]
        return found

    def keys(self, kind: str) -> list[tuple[int, int, float]]:
        """Return (key, key, weight) of the links of a kind between current versions. O(links)."""
        with self._connection.read() as db:
            rows = fetch(
                db,
                "SELECT x.n, y.n, weight FROM links JOIN cubes AS x ON x.id = a AND x.replaced IS NULL "
                "JOIN cubes AS y ON y.id = b AND y.replaced IS NULL WHERE links.kind = ?",
                (kind,),
            )
        return read(rows, _WEIGHTED, lambda r: (r[0], r[1], r[2]), self._connection.space, "link of row")


def stored(rows: Sequence[tuple[Any, ...]], space: str) -> list[Link]:
    """Return the links of (a, b, kind, weight) rows."""
    return read(rows, _LINK, lambda r: Link(*r), space, "link of")


def parents(rows: Sequence[tuple[Any, ...]], space: str) -> list[Link]:
    """Return the links of (child, parent) rows."""
    return read(rows, _PAIR, lambda r: Link(r[0], r[1], "derived from"), space, "parent of")


def follows(db: sqlite3.Connection, cube_id: str) -> list[Link]:
    """Return the links of a cube to its neighbours in its session; the later one follows the earlier. O(log N)."""
    here = "SELECT n, session, kind, at FROM cubes WHERE id = ? AND replaced IS NULL AND session IS NOT NULL"
    row = next(iter(fetch(db, here, (cube_id,))), None)
    if row is None:
        return []
    place = dict(zip(("n", "s", "k", "at"), row, strict=True))
    query = (
        "SELECT id FROM cubes WHERE replaced IS NULL AND session = :s AND kind = :k AND (at, n) {} (:at, :n) "
        "ORDER BY at {}, n {} LIMIT 1"
    )
    before = [i for (i,) in fetch(db, query.format("<", "DESC", "DESC"), place) if isinstance(i, str)]
    after = [i for (i,) in fetch(db, query.format(">", "ASC", "ASC"), place) if isinstance(i, str)]
    return [Link(cube_id, i, "follows") for i in before] + [Link(i, cube_id, "follows") for i in after]
