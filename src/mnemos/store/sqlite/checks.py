"""Checks and repairs of a space's file, for `doctor`."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from mnemos.store.rows import ROW_TABLES
from mnemos.store.sound import MOST
from mnemos.store.sqlite import aside, salvage
from mnemos.store.sqlite.connection import Connection
from mnemos.store.sqlite.removal import mark_gone
from mnemos.store.sqlite.rows import NEWEST, SELECT, next_seq, pages, select_in
from mnemos.store.sqlite.words import put_words, read_dates
from mnemos.store.values import AsideRow, DamagedRecord, DateRow, Salvaged, Scanned


class Checks:
    """Implements `Checks`."""

    def __init__(self, connection: Connection, space: str) -> None:
        self._connection, self._space = connection, space

    def integrity(self) -> list[str]:
        """Return what SQLite's own check finds wrong with the pages of the file; empty when it is sound."""
        with self._connection.bare() as db:
            lines = [str(row[0]) for row in db.execute("PRAGMA integrity_check(20)")]
        return [] if lines == ["ok"] else lines

    def rebuild(self) -> bool:
        """Build the indexes again from the tables; return whether SQLite's check then finds nothing wrong."""
        with self._connection.bare() as db:
            db.execute("REINDEX")
        return not self.integrity()

    def survey(self) -> Salvaged:
        """Return what could be saved of a file with damaged pages."""
        return salvage.survey(self._connection.path)

    def salvage(self) -> Salvaged:
        """Save what can be read into a new file in the place of the damaged one; see `sqlite.salvage`."""
        with self._connection.let_go() as path:
            return salvage.rescue(path, self._space)

    def damaged(self) -> list[DamagedRecord]:
        """Return the rows that readers skip or misread, and counters that are too low. Reads every row."""
        with self._connection.read() as db:
            found = [x.record for x in aside.find(db, self._space)]
            return found + self._counters(db)

    def set_aside(self, made: int, values: Sequence[str] = ()) -> int:
        """Move the damaged rows to the table `set_aside`, and put counters right; return how many there were."""
        with self._connection.write() as db:
            found = aside.find(db, self._space) + aside.of_values(db, values)
            aside.move(db, found, made)
            counters = self._counters(db)
            if counters:
                db.execute("DELETE FROM counter")
                db.execute(f"INSERT INTO counter VALUES ({NEWEST} + 1)")
                db.execute("INSERT OR REPLACE INTO meta VALUES ('space', ?)", (self._space,))
                db.execute(f"DELETE FROM sqlite_sequence WHERE seq >= {MOST}")
                db.execute(f"UPDATE cubes SET seq = ? WHERE seq >= {MOST}", (next_seq(db),))
                db.execute(f"DELETE FROM gone WHERE seq >= {MOST}")
            mark_gone(db, next_seq(db), [x.values["n"] for x in found if x.record.table == "cubes"])
        return len(found) + len(counters)

    def erase_damaged(self) -> int:
        """Erase the damaged rows and all that was set aside; return how many rows."""
        with self._connection.write() as db:
            found = aside.find(db, self._space)
            aside.delete(db, found)
            removed = len(found) + db.execute("DELETE FROM set_aside").rowcount
        with self._connection.bare() as db:  # no bytes are left in the log
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return removed

    def aside(self) -> list[AsideRow]:
        """Return the rows that were set aside, the oldest first."""
        with self._connection.read() as db:
            return aside.read(db)

    def _counters(self, db: sqlite3.Connection) -> list[DamagedRecord]:
        """Return what is wrong with the counter of transactions and the name of the space."""
        wrong = []
        rows = db.execute(f"SELECT typeof(seq) = 'integer' AND seq >= {NEWEST} FROM counter").fetchall()
        above = f"SELECT 1 FROM cubes WHERE seq >= {MOST} UNION ALL SELECT 1 FROM gone WHERE seq >= {MOST}"
        above += f" UNION ALL SELECT 1 FROM sqlite_sequence WHERE seq >= {MOST}"
        if rows != [(1,)] or db.execute(above).fetchone():
            wrong.append(DamagedRecord("counter", "seq", None, "the number of the last transaction is wrong"))
        if db.execute("SELECT 1 FROM meta WHERE key = 'space' AND value = ?", (self._space,)).fetchone() is None:
            wrong.append(DamagedRecord("meta", "space", None, "the file does not say which space it is"))
        return wrong

    def scan(self, model: int | None, *, after: int, limit: int) -> list[Scanned]:
        """Return versions of any state with a key above `after`, with what is stored beside them."""
        with self._connection.read() as db:
            cubes = pages(db, f"{SELECT} WHERE n > ? ORDER BY n LIMIT ?", (), after, limit, self._space)
            keys = [n for n, _ in cubes]
            words = dict(select_in(db, "SELECT n, terms FROM words WHERE n IN ({})", keys))
            query = f"SELECT n, vector FROM vectors WHERE m = {-1 if model is None else int(model)} AND n IN ({{}})"
            vectors = dict(select_in(db, query, keys))
            dates = read_dates(db, keys, self._space)
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
