"""Queries of the table `cubes`, and filters as SQL (all values bound, none formatted)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from mnemos.cube import MemCube
from mnemos.store.conditions import conditions
from mnemos.store.rows import COLUMNS, to_cubes
from mnemos.store.sound import MOST
from mnemos.store.sqlite.fetch import fetch
from mnemos.store.sqlite.where import clauses_of
from mnemos.store.values import Filter

INSERT = f"INSERT INTO cubes ({COLUMNS}, seq) VALUES ({', '.join('?' * 25)})"
PARENTS = "(SELECT json_group_array(parent) FROM parents WHERE child = cubes.id AND typeof(parent) = 'text')"
SELECT = f"SELECT {COLUMNS}, {PARENTS} FROM cubes"
NEWEST = (  # the number of the last transaction, as rows tell it
    "coalesce((SELECT max(seq) FROM (SELECT seq FROM cubes UNION ALL SELECT seq FROM gone) "
    f"WHERE typeof(seq) = 'integer' AND seq < {MOST}), 0)"
)
_SEQ = f"CASE WHEN typeof(seq) = 'integer' AND seq < {MOST} THEN seq ELSE {NEWEST} END"  # NEWEST is slow
_HAS_DATE = "n IN (SELECT n FROM dates WHERE {})"
_CHUNK = 500  # values that one query binds at most


def chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Split values into parts that one query can bind, of even length, so that pairs stay together."""
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]


def marks(items: Sequence[Any]) -> str:
    """Return one placeholder per item."""
    return ", ".join("?" * len(items))


def select_in(db: sqlite3.Connection, query: str, values: Sequence[Any]) -> list[Any]:
    """Run a query with `IN ({})` over any number of values."""
    return [row for part in chunks(values) for row in fetch(db, query.format(marks(part)), part)]


def last_seq(db: sqlite3.Connection) -> int:
    """Return the number of the last transaction that wrote."""
    row = db.execute(f"SELECT {_SEQ} FROM counter").fetchone()
    return int(row[0]) if row else 0


def next_seq(db: sqlite3.Connection) -> int:
    """Return the number of a transaction that writes."""
    return int(db.execute(f"UPDATE counter SET seq = {_SEQ} + 1 RETURNING seq").fetchone()[0])


def pages(
    db: sqlite3.Connection, query: str, values: Sequence[Any], start: int, limit: int, space: str
) -> list[tuple[int, MemCube]]:
    """Return `limit` (key, cube) of a query that takes (start, *values, limit), whatever is damaged among them."""
    found: list[tuple[int, MemCube]] = []
    while len(found) < limit:
        rows = fetch(db, query, (start, *values, limit))
        found += to_cubes(rows, space)
        if len(rows) < limit:
            break
        start = rows[-1][0]
    return found[:limit]


def to_sql(filter: Filter) -> tuple[str, list[Any]]:
    """Return the WHERE clause of a filter and its values. O(1); the query itself uses the indexes."""
    clauses, values = conditions(filter, "?", _HAS_DATE)
    more, operands = clauses_of(filter.where)
    return " AND ".join([*clauses, *more]), [*values, *operands]
