"""What recall reads beside a version: its terms, its dates and its vector, from the tables `words`, `dates` and `vectors`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from mnemos.store.hashes import text_hash
from mnemos.store.rows import DATE_SHAPE, to_date
from mnemos.store.sound import Row, Shape, in_time, read, tell
from mnemos.store.sqlite.fetch import fetch
from mnemos.store.sqlite.rows import chunks, select_in
from mnemos.store.values import DateRow, IndexRow

INDEX_ROWS = (
    "SELECT cubes.n, session, speaker, role, kind, at, text, terms, vector, state, learned, replaced "
    "FROM cubes LEFT JOIN words ON words.n = cubes.n "
    "LEFT JOIN vectors ON vectors.m = ? AND vectors.n = cubes.n WHERE form = 'text' AND {} ORDER BY +cubes.n"
)  # the sign keeps SQLite from reading all rows in their order to find the few that changed
_INDEX = Shape("i s? s? s? s i s s? b? s i i?")
_SPAN = Shape("i i i")
_DATES = "SELECT n, start, stop, phrase, begin, end, granularity, relative FROM dates WHERE n IN ({}) ORDER BY begin"


def put_words(db: sqlite3.Connection, rows: Iterable[tuple[int, str, Sequence[str], Sequence[DateRow]]]) -> None:
    """Write (key, text, terms, dates) of versions."""
    for n, text, terms, dates in rows:
        db.execute("INSERT INTO words VALUES (?, ?, ?)", (n, " ".join(terms), text_hash(text)))
        for d in dates:
            values = (n, d.start, d.end, d.phrase, d.span_start, d.span_end, d.granularity, d.relative)
            db.execute("INSERT INTO dates VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)


def read_dates(db: sqlite3.Connection, keys: Sequence[int], space: str) -> dict[int, list[DateRow]]:
    """Return the dates that versions mention, in the order of the text; a key without dates is left out."""
    found: dict[int, list[DateRow]] = {}
    for n, row in read(select_in(db, _DATES, keys), DATE_SHAPE, to_date, space, "date in row"):
        found.setdefault(n, []).append(row)
    return found


def index_rows(
    db: sqlite3.Connection, where: str, values: list[int], model: int | None, space: str, *, closed: bool = False
) -> tuple[list[IndexRow], list[int]]:
    """Return the versions that match an SQL condition, and unless `closed` the keys of those that are not searched.

    A damaged row is skipped; damaged terms or a damaged vector only leave a version without them. Both with a warning.
    """
    spans: dict[int, list[tuple[int, int]]] = {}
    inside = f"SELECT dates.n, start, stop FROM dates JOIN cubes ON cubes.n = dates.n WHERE {where}"
    for n, start, end in read(fetch(db, inside, values), _SPAN, _span, space, "date in row"):
        spans.setdefault(n, []).append((start, end))
    size = _vector_size(db, model)
    rows: list[IndexRow] = []
    gone: list[int] = []
    bad: list[str] = []
    for row in fetch(db, INDEX_ROWS.format(where), [-1 if model is None else model, *values]):
        if not _INDEX.fits(row) or (row[8] is not None and not _whole(row[8], size)):
            bad.append(f"row {row[0]} has damaged terms, a damaged vector, or a value of the wrong type")
            row = _mended(row, size)
            if not _INDEX.fits(row):
                continue
        n, session, speaker, role, kind, at, text, terms, vector, state, learned, replaced = row
        if not closed and (replaced is not None or state == "archived"):
            gone.append(n)
            continue
        array = None if vector is None else np.frombuffer(vector, dtype="<f2")
        if array is not None and len(vector) > size:
            array = array.reshape(-1, size // 2)
        words = tuple(terms.split(" ")) if terms else ()
        dates = tuple(spans.get(n, ()))
        states = state == "superseded", state == "archived"
        rows.append(
            IndexRow(n, session, speaker, role, kind, at, text, words, array, dates, *states, learned, replaced)
        )
    tell(space, bad)
    return _finite(rows, space), gone


def _vector_size(db: sqlite3.Connection, model: int | None) -> int:
    """Return the bytes of a vector of a model."""
    row = db.execute("SELECT dimension FROM models WHERE m = ?", (model,)).fetchone()
    return 2 * row[0] if row and isinstance(row[0], int) else -1


def _whole(vectors: bytes, size: int) -> bool:
    """Tell whether these are the bytes of one vector or more, each of `size`."""
    return size > 0 and len(vectors) >= size and len(vectors) % size == 0


def _mended(row: Row, size: int) -> Row:
    """Return a row of the index without damaged terms and a damaged vector: it is found by what is left."""
    terms = row[7] if isinstance(row[7], str) else None
    vector = row[8] if isinstance(row[8], bytes) and _whole(row[8], size) else None
    return *row[:7], terms, vector, *row[9:]


def _span(row: Row) -> tuple[int, int, int]:
    in_time(*row[1:])
    return row[0], row[1], row[2]


def _finite(rows: list[IndexRow], space: str) -> list[IndexRow]:
    """Take vectors away that hold infinities or numbers that are none, which would spoil every score."""
    bad: list[str] = []
    held = [i for i, row in enumerate(rows) if row.vector is not None]
    for part in chunks(held):
        vectors = [np.atleast_2d(v) for i in part if (v := rows[i].vector) is not None]
        wrong = np.flatnonzero(~np.isfinite(np.concatenate(vectors)).all(axis=1))
        ends = np.cumsum([len(v) for v in vectors])
        for i in (part[j] for j in sorted({int(np.searchsorted(ends, row, "right")) for row in wrong})):
            bad.append(f"row {rows[i].key} has a damaged vector")
            rows[i] = replace(rows[i], vector=None)
    tell(space, bad)
    return rows
