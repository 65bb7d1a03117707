"""Checks and repairs of a space's file, for `doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mnemos.store.base import DateRow, Scanned
from mnemos.store.sqlite.removal import ROW_TABLES, select_in
from mnemos.store.sqlite.rows import SELECT, next_seq, to_cube

if TYPE_CHECKING:
    from mnemos.store.sqlite.store import SqliteStore


class Checks:
    """What is wrong with a file, and what can be computed anew from its rows."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def integrity(self) -> list[str]:
        """Return what SQLite's own check finds wrong with the pages of the file; empty when it is sound."""
        with self._store.connection.bare() as db:
            lines = [str(row[0]) for row in db.execute("PRAGMA integrity_check(20)")]
        return [] if lines == ["ok"] else lines

    def orphans(self, *, remove: bool = False) -> int:
        """Count (and remove) words, vectors and dates whose cube is not there."""
        count = 0
        with self._store.connection.write() as db:
            for table in ROW_TABLES:
                where = f"FROM {table} WHERE n NOT IN (SELECT n FROM cubes)"
                count += db.execute(f"SELECT count(*) {where}").fetchone()[0]
                if remove:
                    db.execute(f"DELETE {where}")
        return count

    def scan(self, model: int | None, *, after: int, limit: int) -> list[Scanned]:
        """Return versions of any state with a key above `after`, and what stands beside them, for `doctor`."""
        with self._store.connection.read() as db:
            rows = db.execute(f"{SELECT} WHERE n > ? ORDER BY n LIMIT ?", (after, limit)).fetchall()
            cubes = [to_cube(row, self._store.space) for row in rows]
            keys = [n for n, _ in cubes]
            words = dict(select_in(db, "SELECT n, terms FROM words WHERE n IN ({})", keys))
            query = f"SELECT n, vector FROM vectors WHERE m = {-1 if model is None else int(model)} AND n IN ({{}})"
            vectors = dict(select_in(db, query, keys))
        dates = self._store.dates(keys)
        return [Scanned(n, c, words.get(n), tuple(dates.get(n, ())), vectors.get(n)) for n, c in cubes]

    def repair(self, rows: Sequence[tuple[int, Sequence[str], Sequence[DateRow]]], bad_vectors: Sequence[int]) -> None:
        """Write the words and dates of versions anew, and drop vectors that cannot be right."""
        with self._store.connection.write() as db:
            seq = next_seq(db)
            for table, keys in (("words", [r[0] for r in rows]), ("dates", [r[0] for r in rows]),
                                ("vectors", bad_vectors)):  # fmt: skip
                db.executemany(f"DELETE FROM {table} WHERE n = ?", ((n,) for n in keys))
            texts = dict(select_in(db, "SELECT n, text FROM cubes WHERE n IN ({})", [r[0] for r in rows]))
            self._store.put_words(db, ((n, texts[n], terms, dates) for n, terms, dates in rows if n in texts))
            touched = {*(r[0] for r in rows), *bad_vectors}
            db.executemany("UPDATE cubes SET seq = ? WHERE n = ?", ((seq, n) for n in touched))
