"""What recall reads beside a version: its terms, its dates and its vectors, from the tables `words`, `dates` and `vectors`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector

from mnemos.store.hashes import text_hash
from mnemos.store.postgres.database import Db
from mnemos.store.rows import DATE_SHAPE, to_date
from mnemos.store.sound import read
from mnemos.store.values import DateRow, IndexRow

_ROWS = (
    "SELECT cubes.n, session, speaker, role, kind, at, text, terms, state, learned, replaced FROM cubes "
    "LEFT JOIN words ON words.space = cubes.space AND words.n = cubes.n "
    "WHERE cubes.space = %s AND form = 'text' AND {where} ORDER BY cubes.n"
)
# The keys are found first: a planner without statistics of a new table would join by comparing all rows with all.
_KEYS = "n = ANY(ARRAY(SELECT cubes.n FROM cubes WHERE cubes.space = %s AND {where}))"
_SPANS = f"SELECT n, start, stop FROM dates WHERE space = %s AND {_KEYS} ORDER BY n, begin"
_VECTORS = f"SELECT n, vector FROM vectors WHERE space = %s AND m = %s AND {_KEYS} ORDER BY n, part"
_DATES = (
    "SELECT n, start, stop, phrase, begin, finish, granularity, relative FROM dates "
    "WHERE space = %s AND n = ANY(%s::bigint[]) ORDER BY begin"
)


def put_words(db: Db, space: str, rows: Iterable[tuple[int, str, Sequence[str], Sequence[DateRow]]]) -> None:
    """Write (key, text, terms, dates) of versions."""
    words, days = [], []
    for n, text, terms, dates in rows:
        words.append((space, n, " ".join(terms), text_hash(text)))
        days += [
            (space, n, d.start, d.end, d.phrase, d.span_start, d.span_end, d.granularity, int(d.relative))
            for d in dates
        ]
    many(db, "INSERT INTO words (space, n, terms, print) VALUES (%s, %s, %s, %s)", words)
    many(
        db,
        "INSERT INTO dates (space, n, start, stop, phrase, begin, finish, granularity, relative) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        days,
    )


def put_vectors(db: Db, space: str, model: int, rows: Iterable[tuple[int, NDArray[np.float16]]]) -> None:
    """Write (key, vector) rows of versions that have none of this model: of a long text a row for each part."""
    values = [
        (space, model, n, part, HalfVector(np.ascontiguousarray(v, np.float16)))
        for n, array in rows
        for part, v in enumerate(np.atleast_2d(array))
    ]
    many(db, "INSERT INTO vectors (space, m, n, part, vector) VALUES (%s, %s, %s, %s, %s)", values)


def read_dates(db: Db, space: str, keys: Sequence[int]) -> dict[int, list[DateRow]]:
    """Return the dates that versions mention, in the order of the text; a key without dates is left out."""
    found: dict[int, list[DateRow]] = {}
    rows = db.execute(_DATES, (space, list(keys))).fetchall()
    for n, row in read(rows, DATE_SHAPE, to_date, space, "date in row"):
        found.setdefault(n, []).append(row)
    return found


def read_vectors(
    db: Db, space: str, model: int | None, where: str, values: Sequence[Any]
) -> dict[int, NDArray[np.float16]]:
    """Return the vectors of versions that match a condition on `cubes`, by key: (D,), or (1 + parts, D) of a long text."""
    return {} if model is None else _joined(_find_vectors(db, space, model, where, values))


def _find_vectors(db: Db, space: str, model: int, where: str, values: Sequence[Any]) -> Iterable[tuple[Any, ...]]:
    return db.execute(_VECTORS.format(where=where), (space, model, space, *values), binary=True)


def _joined(rows: Iterable[tuple[Any, ...]]) -> dict[int, NDArray[np.float16]]:
    """Return (key, vector) rows, those of the parts of a text together."""
    parts: dict[int, list[NDArray[np.float16]]] = {}
    for n, vector in rows:
        parts.setdefault(n, []).append(vector.to_numpy())
    return {n: v[0] if len(v) == 1 else np.stack(v) for n, v in parts.items()}


def index_rows(
    db: Db, space: str, where: str, values: Sequence[Any], model: int | None, *, closed: bool = False
) -> tuple[list[IndexRow], list[int]]:
    """Return the versions that match a condition, and unless `closed` the keys of those that are not searched."""
    bound = (space, *values)
    with db.pipeline():  # one wait for all
        dates_found = db.execute(_SPANS.format(where=where), (space, *bound))
        vectors_found = None if model is None else _find_vectors(db, space, model, where, values)
        rows_found = db.execute(_ROWS.format(where=where), bound)
    spans: dict[int, list[tuple[int, int]]] = {}
    for n, start, end in dates_found:
        spans.setdefault(n, []).append((start, end))
    vectors = {} if vectors_found is None else _joined(vectors_found)
    rows: list[IndexRow] = []
    gone: list[int] = []
    for row in rows_found:
        n, session, speaker, role, kind, at, text, terms, state, learned, replaced = row
        if not closed and (replaced is not None or state == "archived"):
            gone.append(n)
            continue
        words = tuple(terms.split(" ")) if terms else ()
        dates = tuple(spans.get(n, ()))
        states = state == "superseded", state == "archived"
        rows.append(
            IndexRow(
                n, session, speaker, role, kind, at, text, words, vectors.get(n), dates, *states, learned, replaced
            )
        )
    return rows, gone


def many(db: Db, query: str, rows: Sequence[Sequence[Any]]) -> int:
    """Run a statement for each row of values, without a wait in between; return how many rows it changed."""
    if not rows:
        return 0
    with db.cursor() as cursor:
        if len(rows) == 1:
            cursor.execute(query, rows[0])
        else:
            cursor.executemany(query, rows)
        return cursor.rowcount
