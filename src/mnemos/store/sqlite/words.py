"""What recall reads beside a version: its terms, its dates and its vector, from the tables `words`, `dates` and `vectors`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import numpy as np

from mnemos.store.hashes import text_hash
from mnemos.store.sqlite.rows import select_in
from mnemos.store.values import DateRow, IndexRow

INDEX_ROWS = (
    "SELECT cubes.n, session, speaker, role, kind, at, text, terms, vector, state = 'superseded', "
    "replaced IS NOT NULL OR state = 'archived' "
    "FROM cubes LEFT JOIN words ON words.n = cubes.n "
    "LEFT JOIN vectors ON vectors.m = ? AND vectors.n = cubes.n WHERE form = 'text' AND {} ORDER BY cubes.n"
)
_DATES = "SELECT n, start, stop, phrase, begin, end, granularity, relative FROM dates WHERE n IN ({}) ORDER BY begin"


def put_words(db: sqlite3.Connection, rows: Iterable[tuple[int, str, Sequence[str], Sequence[DateRow]]]) -> None:
    """Write (key, text, terms, dates) of versions."""
    for n, text, terms, dates in rows:
        db.execute("INSERT INTO words VALUES (?, ?, ?)", (n, " ".join(terms), text_hash(text)))
        for d in dates:
            values = (n, d.start, d.end, d.phrase, d.span_start, d.span_end, d.granularity, d.relative)
            db.execute("INSERT INTO dates VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)


def read_dates(db: sqlite3.Connection, keys: Sequence[int]) -> dict[int, list[DateRow]]:
    """Return the dates that versions mention, in the order of the text; a key without dates is left out."""
    found: dict[int, list[DateRow]] = {}
    for n, start, end, phrase, first, last, granularity, relative in select_in(db, _DATES, keys):
        row = DateRow(start, end, phrase, first, last, granularity, bool(relative))
        found.setdefault(n, []).append(row)
    return found


def index_rows(
    db: sqlite3.Connection, where: str, values: list[int], model: int | None, query: str = INDEX_ROWS
) -> tuple[list[IndexRow], list[int]]:
    """Return the versions that match an SQL condition, and the keys of those that are not to be searched any longer."""
    spans: dict[int, list[tuple[int, int]]] = {}
    inside = f"SELECT dates.n, start, stop FROM dates JOIN cubes ON cubes.n = dates.n WHERE {where}"
    for n, start, end in db.execute(inside, values):
        spans.setdefault(n, []).append((start, end))
    rows: list[IndexRow] = []
    gone: list[int] = []
    for n, session, speaker, role, kind, at, text, terms, vector, old, closed in db.execute(
        query.format(where), [-1 if model is None else model, *values]
    ):
        if closed:
            gone.append(n)
            continue
        array = None if vector is None else np.frombuffer(vector, dtype="<f2")
        words = tuple(terms.split(" ")) if terms else ()
        dates = tuple(spans.get(n, ()))
        rows.append(IndexRow(n, session, speaker, role, kind, at, text, words, array, dates, bool(old)))
    return rows, gone
