"""Checks and repairs of the rows of a space, for `doctor`. The server itself looks after its files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mnemos.errors import StoreError
from mnemos.store.postgres import vacuum
from mnemos.store.postgres.connection import Connection
from mnemos.store.postgres.database import Db
from mnemos.store.postgres.remains import ORPHAN
from mnemos.store.postgres.removal import TOUCHED, delete_rows
from mnemos.store.postgres.rows import SELECT, next_seq
from mnemos.store.postgres.words import put_words, read_dates, read_vectors
from mnemos.store.rows import ROW_TABLES, to_cube, to_cubes
from mnemos.store.sound import UNREADABLE
from mnemos.store.values import AsideRow, DamagedRecord, DateRow, Salvaged, Scanned


@dataclass(frozen=True, slots=True)
class _Found:
    record: DamagedRecord
    key: Any


class Checks:
    """Implements `Checks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._space = connection, connection.space

    def integrity(self) -> list[str]:
        """Return what the server has found wrong with pages of the database: it checks those that it reads."""
        with self._connection.bare() as db:
            row = db.execute(
                "SELECT checksum_failures, checksum_last_failure FROM pg_stat_database WHERE datname = current_database()"
            ).fetchone()
        if row is None or not row[0]:
            return []
        return [f"{row[0]} pages of the database had wrong checksums, the last one at {row[1]}: run pg_amcheck"]

    def rebuild(self) -> bool:
        """Write the tables and their indexes anew, which leaves nothing of erased rows in them. Others wait meanwhile."""
        with self._connection.database.direct() as db:
            vacuum.run(db, TOUCHED, full=True)
        return not self.integrity()

    def survey(self) -> Salvaged:
        """Raise StoreError: damaged pages are the server's to repair."""
        raise StoreError(
            f"{self._connection.database.where}: damaged pages of a Postgres are repaired on the server. Copy its data "
            "directory, run pg_amcheck, and restore a backup of the server."
        )

    def salvage(self) -> Salvaged:
        """Raise StoreError; see `survey`."""
        return self.survey()

    def damaged(self) -> list[DamagedRecord]:
        """Return the cubes and decisions that readers skip. Reads every row: types are checked by the server."""
        with self._connection.read() as db:
            return [x.record for x in self._find(db)]

    def set_aside(self, made: int, values: Sequence[str] = ()) -> int:
        """Move the damaged rows, and `values` of `Meta`, to the table `set_aside`; return how many there were."""
        put = (
            "INSERT INTO set_aside (space, made, source, cube, reason, row) "
            "SELECT %s, %s, %s, %s, %s, row_to_json(x)::text FROM {} AS x WHERE space = %s AND {} = %s"
        )
        with self._connection.write() as db:
            found = self._find(db)
            found += [_Found(DamagedRecord("meta", name, None, "its reader refuses it"), name) for name in values]
            column = {"cubes": "n", "decisions": "i", "meta": "key"}
            for x in found:
                r, name = x.record, column[x.record.table]
                values_ = (self._space, made, r.table, r.cube, r.reason, self._space, x.key)
                db.execute(put.format(r.table, name), values_)
            self._delete(db, found, column)
        return len(found)

    def erase_damaged(self) -> int:
        """Erase the damaged rows and all that was set aside; return how many rows."""
        with self._connection.write() as db:
            found = self._find(db)
            self._delete(db, found, {"cubes": "n", "decisions": "i"})
            aside = db.execute("DELETE FROM set_aside WHERE space = %s", (self._space,)).rowcount
        return len(found) + aside

    def _delete(self, db: Db, found: Sequence[_Found], column: dict[str, str]) -> None:
        seq, _ = next_seq(db, self._space)
        delete_rows(db, self._space, [x.key for x in found if x.record.table == "cubes"], seq)
        for x in found:
            table = x.record.table
            if table != "cubes":
                db.execute(f"DELETE FROM {table} WHERE space = %s AND {column[table]} = %s", (self._space, x.key))

    def aside(self) -> list[AsideRow]:
        """Return the rows that were set aside, the oldest first."""
        query = "SELECT made, source, cube, reason, row FROM set_aside WHERE space = %s ORDER BY i"
        with self._connection.read() as db:
            return [AsideRow(*row) for row in db.execute(query, (self._space,))]

    def _find(self, db: Db) -> list[_Found]:
        found = []
        for row in db.execute(f"{SELECT} true ORDER BY n", (self._space,)):
            try:
                to_cube(row, self._space)
            except UNREADABLE as error:
                what = DamagedRecord("cubes", f"n {row[0]}", row[1], f"it cannot be read: {error!r:.80}")
                found.append(_Found(what, row[0]))
        for i, cube, others in db.execute("SELECT i, cube, others FROM decisions WHERE space = %s", (self._space,)):
            if not _is_list(others):
                found.append(_Found(DamagedRecord("decisions", f"i {i}", cube, "others is not a JSON list"), i))
        return found

    def scan(self, model: int | None, *, after: int, limit: int) -> list[Scanned]:
        """Return versions of any state with a key above `after`, with what is stored beside them."""
        among = "cubes.n = ANY(%s::bigint[])"
        with self._connection.read() as db:
            rows = db.execute(f"{SELECT} n > %s ORDER BY n LIMIT %s", (self._space, after, limit)).fetchall()
            cubes = to_cubes(rows, self._space)
            keys = [n for n, _ in cubes]
            found = db.execute(
                "SELECT n, terms FROM words WHERE space = %s AND n = ANY(%s::bigint[])", (self._space, keys)
            )
            words: dict[int, str] = dict(found)
            vectors = read_vectors(db, self._space, model, among, (keys,))
            dates = read_dates(db, self._space, keys)
        held = {n: v.astype("<f2").tobytes() for n, v in vectors.items()}
        return [Scanned(n, c, words.get(n), tuple(dates.get(n, ())), held.get(n)) for n, c in cubes]

    def repair(self, rows: Sequence[tuple[int, Sequence[str], Sequence[DateRow]]], bad_vectors: Sequence[int]) -> None:
        """Write (key, terms, dates) of versions again, and remove the vectors of `bad_vectors`."""
        keys, bad = [r[0] for r in rows], list(bad_vectors)
        with self._connection.write() as db:
            seq, _ = next_seq(db, self._space)
            for table, wrong in (("words", keys), ("dates", keys), ("vectors", bad)):
                db.execute(f"DELETE FROM {table} WHERE space = %s AND n = ANY(%s::bigint[])", (self._space, wrong))
            found = db.execute(
                "SELECT n, text FROM cubes WHERE space = %s AND n = ANY(%s::bigint[])", (self._space, keys)
            )
            texts: dict[int, str] = dict(found)
            put_words(db, self._space, ((n, texts[n], terms, dates) for n, terms, dates in rows if n in texts))
            db.execute(
                "UPDATE cubes SET seq = %s WHERE space = %s AND n = ANY(%s::bigint[])",
                (seq, self._space, [*keys, *bad]),
            )

    def remove_orphans(self) -> int:
        """Remove words, vectors, dates and facts that belong to no version; return how many."""
        with self._connection.write() as db:
            return sum(
                db.execute(f"DELETE FROM {table} AS x WHERE {ORPHAN}", (self._space,)).rowcount for table in ROW_TABLES
            )


def _is_list(text: str) -> bool:
    try:
        return isinstance(json.loads(text), list)
    except (ValueError, RecursionError):
        return False
