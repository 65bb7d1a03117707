"""Checks and repairs of a space's file, for `doctor`."""

from __future__ import annotations

from collections.abc import Sequence

from mnemos.store.sqlite.connection import Connection
from mnemos.store.sqlite.rows import ROW_TABLES, SELECT, next_seq, select_in, to_cube
from mnemos.store.sqlite.words import put_words, read_dates
from mnemos.store.values import DateRow, Scanned


class Checks:
    """Implements `Checks`."""

    def __init__(self, connection: Connection, space: str) -> None:
        self._connection, self._space = connection, space

    def integrity(self) -> list[str]:
        """Return what SQLite's own check finds wrong with the pages of the file; empty when it is sound."""
        with self._connection.bare() as db:
            lines = [str(row[0]) for row in db.execute("PRAGMA integrity_check(20)")]
        return [] if lines == ["ok"] else lines

    def scan(self, model: int | None, *, after: int, limit: int) -> list[Scanned]:
        """Return versions of any state with a key above `after`, with what is stored beside them."""
        with self._connection.read() as db:
            rows = db.execute(f"{SELECT} WHERE n > ? ORDER BY n LIMIT ?", (after, limit)).fetchall()
            cubes = [to_cube(row, self._space) for row in rows]
            keys = [n for n, _ in cubes]
            words = dict(select_in(db, "SELECT n, terms FROM words WHERE n IN ({})", keys))
            query = f"SELECT n, vector FROM vectors WHERE m = {-1 if model is None else int(model)} AND n IN ({{}})"
            vectors = dict(select_in(db, query, keys))
            dates = read_dates(db, keys)
        return [Scanned(n, c, words.get(n), tuple(dates.get(n, ())), vectors.get(n)) for n, c in cubes]

    def repair(self, rows: Sequence[tuple[int, Sequence[str], Sequence[DateRow]]], bad_vectors: Sequence[int]) -> None:
        """Write (key, terms, dates) of versions again, and remove the vectors of `bad_vectors`."""
        with self._connection.write() as db:
            seq = next_seq(db)
            keys = [r[0] for r in rows]
            for table, wrong in (("words", keys), ("dates", keys), ("vectors", bad_vectors)):
                db.executemany(f"DELETE FROM {table} WHERE n = ?", ((n,) for n in wrong))
            texts = dict(select_in(db, "SELECT n, text FROM cubes WHERE n IN ({})", keys))
            put_words(db, ((n, texts[n], terms, dates) for n, terms, dates in rows if n in texts))
            db.executemany("UPDATE cubes SET seq = ? WHERE n = ?", ((seq, n) for n in {*keys, *bad_vectors}))

    def remove_orphans(self) -> int:
        """Remove words, vectors, dates and facts that belong to no version; return how many."""
        with self._connection.write() as db:
            return sum(
                db.execute(f"DELETE FROM {table} WHERE n NOT IN (SELECT n FROM cubes)").rowcount for table in ROW_TABLES
            )
