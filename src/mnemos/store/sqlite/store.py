"""The embedded store: one SQLite file a space."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.cube import MemCube, to_micros, utc_now
from mnemos.errors import Conflict, StoreFull
from mnemos.store import base, checks, reserve
from mnemos.store.blobs import Blobs, FileBlobs
from mnemos.store.candidates import Bulk, Candidates
from mnemos.store.hashes import id_hash
from mnemos.store.pool import Pool
from mnemos.store.records import Records
from mnemos.store.rows import to_cubes, to_row
from mnemos.store.sound import MOST
from mnemos.store.sqlite import birth
from mnemos.store.sqlite.audit import AuditTable
from mnemos.store.sqlite.bulk import BulkRows
from mnemos.store.sqlite.checks import Checks
from mnemos.store.sqlite.connection import Connection
from mnemos.store.sqlite.derived import DerivedCubes
from mnemos.store.sqlite.facts import FactTable
from mnemos.store.sqlite.fetch import fetch
from mnemos.store.sqlite.inspect import Inspector
from mnemos.store.sqlite.links import LinkTable
from mnemos.store.sqlite.lives import LifeColumns
from mnemos.store.sqlite.meta import MetaTable, stats
from mnemos.store.sqlite.queue import DecisionTable, QueueTable
from mnemos.store.sqlite.readings import ReadingTable, put_readings
from mnemos.store.sqlite.records import RecordTables
from mnemos.store.sqlite.rejections import RejectionTable
from mnemos.store.sqlite.remains import Remains
from mnemos.store.sqlite.removal import activations, family, remove, shrink
from mnemos.store.sqlite.rows import (
    INSERT,
    SELECT,
    chunks,
    last_seq,
    marks,
    next_seq,
    pages,
    select_in,
    to_sql,
)
from mnemos.store.sqlite.vectors import VectorTable, put_vectors
from mnemos.store.sqlite.words import index_rows, put_words, read_dates
from mnemos.store.values import Changes, DateRow, Entry, Filter, Ints, OnErase


class SqliteStore:
    """Implements `Store` on one SQLite file in WAL mode, safe among threads and processes.

    Costs for a space of N cubes: a write or a lookup by id O(log N); `keys` O(N); `changes` O(rows changed).
    """

    def __init__(
        self,
        path: Path,
        space: str,
        blobs: Blobs | None = None,
        *,
        actor: str = "local",
        clock: Callable[[], datetime] = utc_now,
        pool: Pool | None = None,
        read_only: bool = False,
        keep_old: bool = True,
    ) -> None:
        self.space = space
        self.clock = clock
        self.connection = db = Connection(path, space, pool, read_only=read_only, keep_old=keep_old)
        self.blobs: Blobs = blobs or FileBlobs(path.with_suffix(".kv"))
        self.audit: base.Audit = AuditTable(db, clock, actor)
        self.vectors: base.Vectors = VectorTable(db)
        self.facts: base.Facts = FactTable(db)
        self.readings: base.Readings = ReadingTable(db)
        self.links: base.Links = LinkTable(db)
        self.lives: base.Lives = LifeColumns(db, space, self.audit)
        self.derived: base.Derived = DerivedCubes(db)
        self.rejections: base.Rejections = RejectionTable(db)
        self.queue: base.Queue = QueueTable(db)
        self.decisions: base.Decisions = DecisionTable(db)
        self.inspect: base.Inspect = Inspector(db, space)
        self.meta: base.Meta = MetaTable(db)
        self.remains: checks.Remains = Remains(db)
        self.checks: checks.Checks = Checks(db, space)
        self.candidates: Candidates | None = None
        self.bulk: Bulk = BulkRows(db, space)
        self.records: Records = RecordTables(db)
        self._on_erase: list[OnErase] = []

    @property
    def path(self) -> Path:
        """The file."""
        return self.connection.path

    @property
    def closed(self) -> bool:
        """True when no file is open: after `close` or `suspend`, and in a forked child that has not used the store yet."""
        return self.connection.closed

    @property
    def ended(self) -> bool:
        """True after `close`."""
        return self.connection.ended

    @property
    def read_only(self) -> bool:
        """True while the file is open for reading only; see `Store.read_only`."""
        return self.connection.read_only

    def before_suspend(self, callback: Callable[[], bool]) -> None:
        """Call `callback` before the pool closes the file; see `Store.before_suspend`."""
        self.connection.before_suspend(callback)

    def transaction(self, *, write: bool = True) -> AbstractContextManager[object]:
        """Make what this thread does one transaction; see `Store.transaction`."""
        return self.connection.write() if write else self.connection.read()

    def try_lock(self) -> AbstractContextManager[bool]:
        """Try to take the connection without waiting for another thread; yield whether it was taken."""
        return self.connection.try_lock()

    def change_token(self) -> tuple[int, int, int, int] | None:
        """Return a value that changes whenever the file does; None inside a transaction. Costs one statement."""
        return self.connection.change_token()

    def steady(self) -> AbstractContextManager[object]:
        """Do nothing: a value costs a few microseconds; see `Store.steady`."""
        return nullcontext()

    # -- writing

    def insert(self, entries: Sequence[Entry], model: int | None) -> list[int]:
        """Write new versions, all or none; return their keys. Raises Conflict when an id already has this version."""
        if not entries:
            return []
        with self.connection.write() as db:
            seq = next_seq(db)
            _close_previous(db, seq, entries)
            self.audit.append("add", [e.cube.id for e in entries])
            return self._insert(db, seq, entries, model)

    def replace(self, entry: Entry, model: int | None) -> int:
        """Write the next version of a cube and close the current one; return its key. Raises Conflict."""
        with self.connection.write() as db:
            seq = next_seq(db)
            if _close_previous(db, seq, [entry]) != 1:
                raise Conflict(
                    f"cube {entry.cube.id} was updated or removed in the meantime. Read it again and repeat the update."
                )
            self.audit.append("update", [entry.cube.id])
            if stale := activations(db, [entry.cube.id]):
                self._remove(db, stale, seq)
            return self._insert(db, seq, [entry], model)[0]

    def _insert(self, db: sqlite3.Connection, seq: int, entries: Sequence[Entry], model: int | None) -> list[int]:
        numbers = "SELECT seq FROM sqlite_sequence WHERE name = 'cubes' UNION ALL SELECT max(n) FROM cubes"
        last = f"SELECT coalesce(max(seq), 0) FROM ({numbers}) WHERE typeof(seq) = 'integer' AND seq < {MOST}"
        first = int(db.execute(last).fetchone()[0]) + 1  # safe: the write lock is held
        numbered = list(enumerate(entries, first))
        try:
            db.executemany(INSERT, (to_row(n, e.cube, seq) for n, e in numbered))
        except sqlite3.IntegrityError as error:
            raise Conflict(
                f"a cube of this batch has an id that is already in space {self.space!r}. Use update() to change "
                "it, or leave the id out to get a new one. Nothing of the batch was stored."
            ) from error
        put_words(db, ((n, e.cube.text, e.terms, e.dates) for n, e in numbered))
        put_readings(db, ((n, e.readings) for n, e in numbered if e.readings))
        db.executemany(
            "INSERT OR IGNORE INTO parents VALUES (?, ?)",
            ((e.cube.id, p) for e in entries for p in e.cube.parents),
        )
        if model is not None:
            put_vectors(db, model, ((n, e.vector) for n, e in numbered if e.vector is not None))
        return [n for n, _ in numbered]

    # -- erasing

    def erase(self, ids: Sequence[str]) -> list[str]:
        """Remove cubes with all their versions and everything derived from them; return the ids removed.

        The bytes are overwritten (`secure_delete`), and after the commit the write-ahead log is emptied. On a full disk
        the reserve of the root is used, and cubes are erased one by one if their log does not fit into it: StoreFull
        when that does not suffice either, with some of them erased.
        """
        try:
            return self._erase(ids)
        except StoreFull:
            if self.connection.in_transaction or not reserve.release(self.path.parent):
                raise
        try:
            return self._erase(ids)
        except StoreFull:
            return [name for one in ids for name in self._erase([one])]
        finally:
            self.tidy()
            reserve.keep(self.path.parent)

    def _erase(self, ids: Sequence[str]) -> list[str]:
        with self.connection.write() as db:
            names = family(db, ids)
            if names:
                self.connection.after_commit(self.tidy)
                self.audit.append("erase", names)
                self._remove(db, names, next_seq(db))
                birth.drop_copies(db, self.path)
        return names

    def _remove(self, db: sqlite3.Connection, names: Sequence[str], seq: int) -> None:
        forms = dict(select_in(db, "SELECT id, form FROM cubes WHERE id IN ({})", names)) if self._on_erase else {}
        remove(db, names, seq)
        self.blobs.drop(names)  # before the commit: a crash may leave a row without its file, never the reverse
        for callback in self._on_erase:
            self.connection.after_commit(partial(callback, forms))

    def on_erase(self, callback: OnErase) -> Callable[[], None]:
        """Call `callback` with the form of each erased cube, by id, after each commit that erased; return what ends that."""
        self._on_erase.append(callback)
        return partial(self._on_erase.remove, callback)

    def on_stale(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Do nothing: a file tells nobody of what others do with it. Return what does nothing too."""
        return lambda: None

    def family(self, ids: Sequence[str]) -> list[str]:
        """Return those of the ids that exist, and the ids of all cubes derived from them, in any number of steps."""
        with self.connection.read() as db:
            return family(db, ids)

    def was_erased(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that were erased from this space at some time."""
        hashes = {id_hash(name): name for name in ids}
        with self.connection.read() as db:
            rows = select_in(db, "SELECT id_hash FROM erased WHERE id_hash IN ({})", list(hashes))
        return {hashes[r[0]] for r in rows}

    def tidy(self) -> None:
        """Empty the write-ahead log into the file, and give back pages when more than a quarter of them is free.

        On a full disk free pages are given back a few at a time, which needs little room; nothing is raised then.
        """
        with suppress(StoreFull), self.connection.bare() as db:
            pages, free = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
            try:
                if 4 * free > pages:
                    db.execute("VACUUM")
            except sqlite3.OperationalError as error:
                if not isinstance(self.connection.explain(error), StoreFull):
                    raise
                shrink(db)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # -- reading

    def get(self, ids: Sequence[str]) -> dict[str, MemCube]:
        """Return the current versions that exist, by id."""
        with self.connection.read() as db:
            rows = select_in(db, f"{SELECT} WHERE replaced IS NULL AND id IN ({{}})", ids)
        return {cube.id: cube for _, cube in to_cubes(rows, self.space)}

    def by_key(self, keys: Sequence[int]) -> dict[int, MemCube]:
        """Return the versions that exist, by key."""
        with self.connection.read() as db:
            rows = select_in(db, f"{SELECT} WHERE n IN ({{}})", keys)
        return dict(to_cubes(rows, self.space))

    def keys_of(self, ids: Sequence[str]) -> list[int]:
        """Return the keys of the current versions that exist, in the order of the ids."""
        with self.connection.read() as db:
            found = dict(select_in(db, "SELECT id, n FROM cubes WHERE replaced IS NULL AND id IN ({})", list(ids)))
        return [found[i] for i in ids if i in found]

    def told(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the key of the first version of each cube that exists: they grow in the order of telling."""
        with self.connection.read() as db:
            return dict(select_in(db, "SELECT id, min(n) FROM cubes WHERE id IN ({}) GROUP BY id", list(ids)))

    def ids_of(self, keys: Sequence[int]) -> list[str]:
        """Return the ids of the versions that exist, in the order of the keys."""
        with self.connection.read() as db:
            found = dict(select_in(db, "SELECT n, id FROM cubes WHERE n IN ({})", keys))
        return [found[n] for n in keys if isinstance(found.get(n), str)]

    def versions(self, cube_id: str) -> list[MemCube]:
        """Return all versions of a cube, oldest first; empty when there is none."""
        with self.connection.read() as db:
            rows = fetch(db, f"{SELECT} WHERE id = ? ORDER BY version", (cube_id,))
        return [cube for _, cube in to_cubes(rows, self.space)]

    def select(self, filter: Filter, *, after: int = 0, limit: int = 100) -> list[tuple[int, MemCube]]:
        """Return (key, cube) of matching versions with a key above `after`, in the order of keys."""
        where, values = to_sql(filter)
        with self.connection.read() as db:
            return pages(db, f"{SELECT} WHERE n > ? AND {where} ORDER BY n LIMIT ?", values, after, limit, self.space)

    def keys(self, filter: Filter) -> Ints:
        """Return the sorted keys of the versions that match, (M,)."""
        where, values = to_sql(filter)
        with self.connection.read() as db:
            rows = db.execute(f"SELECT n FROM cubes WHERE {where} ORDER BY n", values)
            return np.fromiter((r[0] for r in rows), dtype=np.int64)

    def matching(self, filter: Filter, keys: Sequence[int]) -> set[int]:
        """Return those of the keys whose versions match. O(keys)."""
        where, values = to_sql(filter)
        with self.connection.read() as db:
            query = f"SELECT n FROM cubes WHERE n IN ({{}}) AND {where}"
            return {r[0] for part in chunks(keys) for r in db.execute(query.format(marks(part)), (*part, *values))}

    def dates(self, keys: Sequence[int]) -> dict[int, list[DateRow]]:
        """Return the dates that versions mention, in the order of the text."""
        with self.connection.read() as db:
            return read_dates(db, keys, self.space)

    def same_words(self, hashes: Sequence[int], filter: Filter) -> list[int]:
        """Return the keys of matching versions whose `text_hash` is one of these, in order."""
        where, values = to_sql(filter)
        query = f"SELECT n FROM words CROSS JOIN cubes USING (n) WHERE print IN ({{}}) AND {where}"
        with self.connection.read() as db:
            rows = (db.execute(query.format(marks(part)), (*part, *values)) for part in chunks(hashes))
            return sorted(r[0] for part in rows for r in part)

    def changes(self, since: int, model: int | None, *, closed: bool = False) -> Changes:
        """Return what was written and what became unsearchable after sequence number `since`; see `Cubes.changes`."""
        with self.connection.read() as db:
            seq = last_seq(db)
            if seq == since:
                return Changes(seq, [], [])
            rows, gone = index_rows(db, "cubes.seq > ?", [since], model, self.space, closed=closed)
            gone += [n for (n,) in fetch(db, "SELECT n FROM gone WHERE seq > ?", (since,)) if isinstance(n, int)]
        return Changes(seq, rows, gone)

    def stats(self) -> dict[str, Any]:
        """Return counts, sizes and models."""
        with self.connection.read() as db:
            return stats(db, self.path, self.space)

    def close(self) -> None:
        """Release the file. Further calls raise StoreError."""
        self.connection.close()


def _close_previous(db: sqlite3.Connection, seq: int, entries: Sequence[Entry]) -> int:
    """Mark the versions that the entries follow as replaced; return how many there were."""
    later = [e.cube for e in entries if e.cube.version > 1]
    return db.executemany(
        "UPDATE cubes SET replaced = ?, seq = ? WHERE id = ? AND version = ? AND replaced IS NULL",
        ((to_micros(c.learned), seq, c.id, c.version - 1) for c in later),
    ).rowcount
