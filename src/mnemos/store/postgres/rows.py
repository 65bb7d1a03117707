"""Queries of the table `cubes`, and filters as SQL. All values are bound; the space is the first of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mnemos.cube import MemCube
from mnemos.store.conditions import conditions
from mnemos.store.postgres.database import Db
from mnemos.store.rows import COLUMNS, to_cubes
from mnemos.store.values import Filter
from mnemos.store.where import Matcher, matcher, pieces_of

PARENTS = (
    "ARRAY(SELECT parent FROM parents WHERE parents.space = cubes.space AND child = cubes.id ORDER BY parent)::text[]"
)
SELECT = f"SELECT {COLUMNS}, {PARENTS} FROM cubes WHERE space = %s AND"
INSERT = f"INSERT INTO cubes (space, {COLUMNS}, seq) VALUES (%s, {', '.join(['%s'] * 25)}) ON CONFLICT DO NOTHING"
_HAS_DATE = "EXISTS (SELECT 1 FROM dates WHERE dates.space = cubes.space AND dates.n = cubes.n AND {})"
Where = tuple[str, list[Any]]


def last_seq(db: Db, space: str) -> int:
    """Return the number of the last transaction that wrote."""
    row = db.execute("SELECT seq FROM spaces WHERE space = %s", (space,)).fetchone()
    return int(row[0]) if row else 0


def next_seq(db: Db, space: str, keys: int = 0) -> tuple[int, int]:
    """Return the number of a transaction that writes, and the first of `keys` new keys: nobody else gets any of them."""
    row = db.execute(
        "UPDATE spaces SET seq = seq + 1, last = last + %s WHERE space = %s RETURNING seq, last", (keys, space)
    ).fetchone()
    assert row is not None  # the transaction has counted itself in the same row
    return int(row[0]), int(row[1]) - keys + 1


def to_sql(filter: Filter) -> tuple[str, list[Any], Matcher | None]:
    """Return the conditions of a filter on `cubes` beside the space, their values, and a test of metadata for Python."""
    clauses, values = conditions(filter, "%s", _HAS_DATE)
    if not filter.where:
        return " AND ".join(clauses), values, None
    pieces = pieces_of(filter.where)
    clauses += ["strpos(metadata, %s) > 0"] * len(pieces)
    return " AND ".join(clauses), [*values, *pieces], matcher(filter.where)


def keys_where(db: Db, space: str, filter: Filter, more: str = "", values: Sequence[Any] = ()) -> list[int]:
    """Return the sorted keys of the versions that match a filter and `more`. Metadata is tested here, 2 us a row."""
    where, bound, keep = to_sql(filter)
    about = ", metadata" if keep else ""
    rows = db.execute(
        f"SELECT cubes.n{about} FROM cubes WHERE space = %s AND {where}{more} ORDER BY n", (space, *bound, *values)
    ).fetchall()
    return [r[0] for r in rows if keep is None or _matches(keep, r[1])]


def narrowed(db: Db, space: str, filter: Filter) -> Where:
    """Return a filter as SQL alone: one of metadata as the keys that it selects."""
    where, values, keep = to_sql(filter)
    if keep is None:
        return where, values
    return "cubes.n = ANY(%s::bigint[])", [keys_where(db, space, filter)]


def pages(
    db: Db, space: str, filter: Filter, start: int, limit: int, *, newest: bool = False
) -> list[tuple[int, MemCube]]:
    """Return `limit` (key, cube) of matching versions above `start` (or with `newest` below it), whatever is damaged."""
    where, values, keep = to_sql(filter)
    query = f"{SELECT} n {'<' if newest else '>'} %s AND {where} ORDER BY n {'DESC' if newest else 'ASC'} LIMIT %s"
    found: list[tuple[int, MemCube]] = []
    while len(found) < limit:
        rows = db.execute(query, (space, start, *values, limit)).fetchall()
        found += [(n, cube) for n, cube in to_cubes(rows, space) if keep is None or keep(cube.metadata)]
        if len(rows) < limit:
            break
        start = rows[-1][0]
    return found[:limit]


def _matches(keep: Matcher, metadata: str) -> bool:
    try:
        data = json.loads(metadata)
    except (ValueError, RecursionError):
        return False
    return isinstance(data, dict) and keep(data)
