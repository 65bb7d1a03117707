"""Convert rows of the table `cubes` to MemCubes and back, and filters to SQL (all values bound, none formatted)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from mnemos.cube import MemCube, from_micros, to_micros
from mnemos.store.sqlite.sound import MOST, Shape, fetch, in_time, read
from mnemos.store.sqlite.where import clauses_of
from mnemos.store.values import DERIVED, Filter

COLUMNS = (
    "n, id, version, form, kind, state, text, session, speaker, role, source, at, at_offset, learned, replaced, "
    "valid_from, valid_to, strength, recalls, recalled_at, metadata, pinned, layer, zone"
)
INSERT = f"INSERT INTO cubes ({COLUMNS}, seq) VALUES ({', '.join('?' * 25)})"
PARENTS = "(SELECT json_group_array(parent) FROM parents WHERE child = cubes.id AND typeof(parent) = 'text')"
SELECT = f"SELECT {COLUMNS}, {PARENTS} FROM cubes"
ROW_TABLES = ("words", "vectors", "dates", "facts", "readings")  # stored beside a row of `cubes`, keyed by n
_CUBE = Shape("i s i s s s s s? s? s? s? i i i i? i? i? r i i? s i i s? s")
_FORMS = {"text", "activation", "parametric"}
_STATES = {"active", "superseded", "archived"}
NEWEST = (  # the number of the last transaction, as rows tell it
    "coalesce((SELECT max(seq) FROM (SELECT seq FROM cubes UNION ALL SELECT seq FROM gone) "
    f"WHERE typeof(seq) = 'integer' AND seq < {MOST}), 0)"
)
_SEQ = f"CASE WHEN typeof(seq) = 'integer' AND seq < {MOST} THEN seq ELSE {NEWEST} END"  # NEWEST is slow
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


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def to_row(n: int, cube: MemCube, seq: int) -> tuple[Any, ...]:
    """Return the values of one `INSERT`."""
    offset = cube.at.utcoffset()
    return (
        n, cube.id, cube.version, cube.form, cube.kind, cube.state, cube.text, cube.session, cube.speaker,
        cube.role, cube.source, to_micros(cube.at), int(offset.total_seconds()) if offset else 0,
        to_micros(cube.learned), _micros(cube.replaced), _micros(cube.valid_from), _micros(cube.valid_to),
        cube.strength, cube.recalls, _micros(cube.recalled_at), json.dumps(dict(cube.metadata)), cube.pinned, cube.layer,
        cube.timezone, seq,
    )  # fmt: skip


def to_cubes(rows: Iterable[tuple[Any, ...]], space: str) -> list[tuple[int, MemCube]]:
    """Return (key, cube) of rows of `SELECT`; damaged ones are skipped, with a warning."""
    return read(rows, _CUBE, lambda row: to_cube(row, space), space, "cube", key=1)


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


def to_cube(row: Sequence[Any], space: str) -> tuple[int, MemCube]:
    """Return (key, cube) of one row of `SELECT`. Raises ValueError and the like for damaged values."""
    (n, id_, version, form, kind, state, text, session, speaker, role, source, at, at_offset, learned, replaced,
     valid_from, valid_to, strength, recalls, recalled_at, metadata, pinned, layer, zone, parents) = row  # fmt: skip
    if (
        form not in _FORMS
        or state not in _STATES
        or not isinstance(about := {} if metadata == "{}" else json.loads(metadata), dict)
    ):
        raise ValueError(f"form {form}, state {state}, metadata {metadata}")
    in_time(recalled_at)
    cube = MemCube(
        id=id_, text=text, space=space, at=from_micros(at, at_offset), learned=from_micros(learned), form=form,
        kind=kind, state=state, version=version, session=session, speaker=speaker, role=role, source=source,
        parents=() if parents == "[]" else tuple(json.loads(parents)), replaced=_moment(replaced), valid_from=_moment(valid_from),
        valid_to=_moment(valid_to), strength=strength, recalls=recalls, recalled_at=_moment(recalled_at),
        metadata=about, pinned=bool(pinned), layer=layer, timezone=zone,
    )  # fmt: skip
    return n, cube


def to_sql(filter: Filter) -> tuple[str, list[Any]]:
    """Return the WHERE clause of a filter and its values. O(1); the query itself uses the indexes."""
    clauses: list[str] = []
    values: list[Any] = []
    if filter.kind is None and not filter.derived and filter.state is not None:
        clauses.append(f"kind NOT IN ({marks(DERIVED)})")
        values += DERIVED
    if filter.superseded and filter.state == "active":
        clauses.append("state IN ('active', 'superseded')")
        filter = replace(filter, state=None)
    for column in ("session", "speaker", "role", "kind", "source", "state"):
        wanted = getattr(filter, column)
        if wanted is not None:
            clauses.append(f"{column} = ?")
            values.append(wanted)
    if filter.as_of is None:
        clauses.append("replaced IS NULL")
    else:
        clauses.append("learned <= ? AND (replaced IS NULL OR replaced > ?)")
        values += [filter.as_of, filter.as_of]
    if filter.true_at is not None:
        clauses.append(
            "(coalesce(valid_from, at) <= ? OR (valid_from IS NULL AND n IN (SELECT n FROM dates WHERE start <= ?))) "
            "AND (valid_to IS NULL OR valid_to > ?)"
        )
        values += [filter.true_at] * 3
    if filter.since is not None or filter.until is not None:
        since = -(2**63) if filter.since is None else filter.since
        until = 2**63 - 1 if filter.until is None else filter.until
        clauses.append("(at >= ? AND at < ?)")
        values += [since, until]
        if filter.mentioned:
            clauses[-1] = f"({clauses[-1]} OR n IN (SELECT n FROM dates WHERE start < ? AND stop > ?))"
            values += [until, since]
    more, operands = clauses_of(filter.where)
    return " AND ".join([*clauses, *more]), [*values, *operands]
