"""Damaged rows: found by the types that the schema declares and by what values mean, and moved to the table `set_aside`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mnemos.store.rows import COLUMNS, to_cube
from mnemos.store.sound import FIRST, LAST, MOST, UNREADABLE
from mnemos.store.sqlite.fetch import Undecodable, decode, fetch
from mnemos.store.sqlite.rows import SELECT
from mnemos.store.values import AsideRow, DamagedRecord

# The audit log can only be appended to: a damaged entry stays where it is, as evidence, and its own check tells of it.
TABLES = (
    "meta", "cubes", "parents", "words", "dates", "models", "vectors", "gone", "erased", "facts", "readings",
    "links", "decisions", "pending", "lessons", "set_aside",
)  # fmt: skip
TIMES = {
    "dates": ("start", "stop"), "facts": ("since", "until", "ended"), "decisions": ("made",), "links": ("made",),
    "lessons": ("made",), "set_aside": ("made",),
}  # fmt: skip
ABOUT = {  # the column that names a cube by id
    "cubes": "id", "parents": "child", "links": "a", "decisions": "cube", "pending": "id", "set_aside": "cube",
}  # fmt: skip
DECLARED: dict[str, tuple[type, ...]] = {"TEXT": (str,), "INTEGER": (int,), "REAL": (float, int), "BLOB": (bytes,)}


@dataclass(frozen=True, slots=True)
class Found:
    """A damaged row with its values by column and what identifies it."""

    record: DamagedRecord
    values: dict[str, Any]
    key: tuple[str, ...]  # columns; "rowid" for most tables


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the schema declares it."""

    name: str
    types: tuple[type, ...]
    primary: bool


def find(db: sqlite3.Connection, space: str) -> list[Found]:
    """Return the damaged rows of all tables. Reads every row."""
    text_factory, db.text_factory = db.text_factory, decode
    try:
        return [found for table in TABLES for found in _of_table(db, table, space)]
    finally:
        db.text_factory = text_factory


def of_values(db: sqlite3.Connection, names: Sequence[str]) -> list[Found]:
    """Return rows of `meta` that their readers found damaged."""
    rows = [r for name in names for r in fetch(db, "SELECT key, value FROM meta WHERE key = ?", (name,))]
    return [
        Found(DamagedRecord("meta", name, None, "its reader refuses it"), {"key": name, "value": value}, ("key",))
        for name, value in rows
        if isinstance(value, str)  # the others are damaged rows anyway
    ]


def move(db: sqlite3.Connection, found: Sequence[Found], made: int) -> None:
    """Copy rows to `set_aside` and delete them from their tables."""
    for x in found:
        put(db, made, x.record.table, x.record.cube, x.record.reason, x.values)
    delete(db, found)


def put(
    db: sqlite3.Connection, made: int, table: str, cube: str | None, reason: str, values: Mapping[str, Any]
) -> None:
    """Write the values of a row to `set_aside`: bytes, and texts that are not UTF-8, in hex."""
    row = {name: {"hex": value.hex()} if isinstance(value, bytes) else value for name, value in values.items()}
    db.execute(
        "INSERT INTO set_aside (made, source, cube, reason, row) VALUES (?, ?, ?, ?, ?)",
        (made, table, cube, reason, json.dumps(row, ensure_ascii=False)),
    )


def delete(db: sqlite3.Connection, found: Sequence[Found]) -> None:
    """Delete rows from their tables."""
    for x in found:
        where = " AND ".join(f"{name} IS {mark(x.values[name])}" for name in x.key)
        db.execute(f"DELETE FROM {x.record.table} WHERE {where}", [bound(x.values[name]) for name in x.key])


def read(db: sqlite3.Connection) -> list[AsideRow]:
    """Return what was set aside, the oldest first."""
    return [AsideRow(*row) for row in db.execute("SELECT made, source, cube, reason, row FROM set_aside ORDER BY i")]


def _columns(db: sqlite3.Connection, table: str) -> list[Column]:
    """Return the columns of a table. NULL is allowed where the schema allows it."""
    return [
        Column(name, DECLARED[kind] + (() if not_null or primary else (type(None),)), bool(primary))
        for _, name, kind, not_null, _, primary in db.execute(f"PRAGMA table_info({table})")
    ]


def _of_table(db: sqlite3.Connection, table: str, space: str) -> Iterator[Found]:
    shape = _columns(db, table)
    has_rowid = "WITHOUT ROWID" not in _sql(db, table)
    names = [*(["rowid"] if has_rowid else []), *(c.name for c in shape)]
    key = ("rowid",) if has_rowid else tuple(c.name for c in shape if c.primary)
    for row in db.execute(f"SELECT {', '.join(names)} FROM {table}"):
        values = dict(zip(names, row, strict=True))
        if (reason := _wrong(table, shape, values)) is not None:
            about = values.get(ABOUT.get(table, ""))
            label = ", ".join(f"{name} {values[name]!r:.40}" for name in key)
            record = DamagedRecord(table, label, about if isinstance(about, str) else None, reason)
            yield Found(record, values, key)
    if table == "cubes":
        yield from _unreadable(db, space, shape, names)


def _wrong(table: str, shape: Sequence[Column], values: dict[str, Any]) -> str | None:
    """Return what is wrong with the types and times of a row; None when nothing is."""
    for column in shape:
        value = values[column.name]
        if isinstance(value, Undecodable):
            return f"{column.name} is not UTF-8"
        if not isinstance(value, column.types):
            return f"{column.name} is of another type"
    for name in TIMES.get(table, ()):
        if values[name] is not None and not FIRST <= values[name] <= LAST:
            return f"{name} is no time"
    if table == "cubes" and values["n"] >= MOST:
        return "its number was never given"
    if table == "readings" and not 0 <= values["begin"] < values["stop"] < MOST:
        return "begin to stop is no part of a text"
    if table == "decisions" and not isinstance(_json(values["others"]), list):
        return "others is not a JSON list"
    return None


def _unreadable(db: sqlite3.Connection, space: str, shape: Sequence[Column], names: Sequence[str]) -> Iterator[Found]:
    """Yield rows of cubes whose types are right and whose values make no cube."""
    in_order = _in_order(shape)
    for row in db.execute(SELECT):
        if any(not isinstance(v, c.types) for v, c in zip(row, in_order, strict=False)):
            continue
        try:
            to_cube(row, space)
        except UNREADABLE as error:
            every = db.execute(f"SELECT {', '.join(names)} FROM cubes WHERE n = ?", (row[0],)).fetchone()
            values = dict(zip(names, every, strict=True))
            record = DamagedRecord("cubes", f"rowid {row[0]}", row[1], f"it cannot be read: {error!r:.80}")
            yield Found(record, values, ("rowid",))


def _in_order(shape: Sequence[Column]) -> list[Column]:
    """Return the columns of cubes in the order of `SELECT`."""
    by_name = {c.name: c for c in shape}
    return [by_name[name] for name in COLUMNS.split(", ")]


def _sql(db: sqlite3.Connection, table: str) -> str:
    return str(db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0])


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def mark(value: Any) -> str:
    """Return the placeholder of a value: a text that is not UTF-8 is bound as bytes."""
    return "CAST(? AS TEXT)" if isinstance(value, Undecodable) else "?"


def bound(value: Any) -> Any:
    """Return a value as it is bound to its `mark`."""
    return bytes(value) if isinstance(value, Undecodable) else value
