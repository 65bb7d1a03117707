"""The store of a space in a Postgres database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np

from mnemos.cube import MemCube, to_micros, utc_now
from mnemos.errors import Conflict
from mnemos.store import base, checks
from mnemos.store.blobs import Blobs
from mnemos.store.candidates import Bulk, Candidates
from mnemos.store.hashes import id_hash
from mnemos.store.postgres import statistics
from mnemos.store.postgres.audit import AuditTable
from mnemos.store.postgres.bulk import BulkRows
from mnemos.store.postgres.candidates import IndexedCandidates
from mnemos.store.postgres.checks import Checks
from mnemos.store.postgres.connection import Connection, Token, lock_key
from mnemos.store.postgres.database import Database, Db
from mnemos.store.postgres.derived import DerivedCubes
from mnemos.store.postgres.facts import FactTable
from mnemos.store.postgres.inspect import Inspector
from mnemos.store.postgres.links import LinkTable
from mnemos.store.postgres.lives import LifeColumns
from mnemos.store.postgres.meta import MetaTable, stats
from mnemos.store.postgres.notices import NOTIFY
from mnemos.store.postgres.queue import DecisionTable, QueueTable, RejectionTable
from mnemos.store.postgres.readings import ReadingTable, put_readings
from mnemos.store.postgres.records import RecordTables
from mnemos.store.postgres.remains import Remains
from mnemos.store.postgres.removal import activations, family, remove
from mnemos.store.postgres.resident import Resident
from mnemos.store.postgres.rows import INSERT, SELECT, keys_where, last_seq, next_seq, pages
from mnemos.store.postgres.vacuum import Vacuum
from mnemos.store.postgres.vectors import VectorTable
from mnemos.store.postgres.words import index_rows, many, put_vectors, put_words, read_dates
from mnemos.store.records import Records
from mnemos.store.rows import to_cubes, to_row
from mnemos.store.values import Changes, DateRow, Entry, Filter, Ints, OnErase


class PostgresStore:
    """Implements `Store` on the tables of a database, safe among threads, processes and machines.

    Costs for a space of N cubes: a write or a lookup by id O(log N) and a few messages to the server; `keys`
    O(N); `changes` O(rows changed). The space has to exist: see `postgres.spaces`.
    """

    def __init__(
        self,
        database: Database,
        space: str,
        blobs: Blobs,
        *,
        vacuum: Vacuum,
        actor: str = "local",
        clock: Callable[[], datetime] = utc_now,
        resident: Resident | None = None,
    ) -> None:
        self.space = space
        self.clock = clock
        self._resident = resident or Resident(None)
        self.connection = db = Connection(database, space, self._resident.touch)
        self.blobs = blobs
        self._vacuum = vacuum
        self.audit: base.Audit = AuditTable(db, clock, actor)
        self.vectors: base.Vectors = VectorTable(db)
        self.facts: base.Facts = FactTable(db)
        self.readings: base.Readings = ReadingTable(db)
        self.links: base.Links = LinkTable(db)
        self.lives: base.Lives = LifeColumns(db, self.audit)
        self.derived: base.Derived = DerivedCubes(db)
        self.rejections: base.Rejections = RejectionTable(db)
        self.queue: base.Queue = QueueTable(db)
        self.decisions: base.Decisions = DecisionTable(db)
        self.inspect: base.Inspect = Inspector(db)
        self.meta: base.Meta = MetaTable(db)
        self.remains: checks.Remains = Remains(db)
        self.checks: checks.Checks = Checks(db)
        self.bulk: Bulk = BulkRows(db, space)
        self.candidates: Candidates | None = IndexedCandidates(db)
        self.records: Records = RecordTables(db)
        self._on_erase: list[OnErase] = []
        self._stops: list[Callable[[], None]] = []  # of `on_stale`

    @property
    def closed(self) -> bool:
        """True after `close`, and in a forked child that has not used the store yet."""
        return self.connection.closed

    @property
    def ended(self) -> bool:
        """True after `close`."""
        return self.connection.ended

    @property
    def read_only(self) -> bool:
        """True when the database is open for reading only, or is a standby; see `Store.read_only`."""
        return self.connection.database.read_only

    def before_suspend(self, callback: Callable[[], bool]) -> None:
        """Call `callback` before a pool suspends the space; see `Store.before_suspend`."""
        self._resident.before_suspend(callback)

    def transaction(self, *, write: bool = True) -> AbstractContextManager[object]:
        """Make what this thread does one transaction; see `Store.transaction`."""
        return self.connection.write() if write else self.connection.read()

    def try_lock(self) -> AbstractContextManager[bool]:
        """Try to take the space without waiting for another thread; yield whether it was taken."""
        return self.connection.try_lock()

    def change_token(self) -> Token | None:
        """Return a value that changes with every write; None inside a transaction. Costs one statement."""
        return self.connection.change_token()

    def steady(self) -> AbstractContextManager[object]:
        """Ask for the change token and values of `meta` once in this block; see `Store.steady`."""
        return self.connection.steady()

    # -- writing

    def insert(self, entries: Sequence[Entry], model: int | None) -> list[int]:
        """Write new versions, all or none; return their keys. Raises Conflict when an id already has this version."""
        if not entries:
            return []
        with self.connection.write() as db:
            seq, first = next_seq(db, self.space, len(entries))
            self._close_previous(db, seq, entries)
            keys = self._insert(db, seq, first, entries, model)
            self.audit.append("add", [e.cube.id for e in entries])
            if statistics.doubled(first - 1, keys[-1]):
                self.connection.after_commit(partial(statistics.refresh, self.connection, keys[-1]))
        return keys

    def replace(self, entry: Entry, model: int | None) -> int:
        """Write the next version of a cube and close the current one; return its key. Raises Conflict."""
        with self.connection.write() as db:
            seq, first = next_seq(db, self.space, 1)
            if self._close_previous(db, seq, [entry]) != 1:
                raise Conflict(
                    f"cube {entry.cube.id} was updated or removed in the meantime. Read it again and repeat the update."
                )
            self.audit.append("update", [entry.cube.id])
            if stale := activations(db, self.space, [entry.cube.id]):
                self._remove(db, stale, seq)
            return self._insert(db, seq, first, [entry], model)[0]

    def _close_previous(self, db: Db, seq: int, entries: Sequence[Entry]) -> int:
        """Mark the versions that the entries follow as replaced; return how many there were."""
        query = "UPDATE cubes SET replaced = %s, seq = %s WHERE space = %s AND id = %s AND version = %s AND replaced IS NULL"
        later = [e.cube for e in entries if e.cube.version > 1]
        return many(db, query, [(to_micros(c.learned), seq, self.space, c.id, c.version - 1) for c in later])

    def _insert(self, db: Db, seq: int, first: int, entries: Sequence[Entry], model: int | None) -> list[int]:
        numbered = list(enumerate(entries, first))
        if many(db, INSERT, [(self.space, *to_row(n, e.cube, seq)) for n, e in numbered]) != len(entries):
            keys = [n for n, _ in numbered]  # an outer transaction may go on
            db.execute("DELETE FROM cubes WHERE space = %s AND n = ANY(%s::bigint[])", (self.space, keys))
            raise Conflict(
                f"a cube of this batch has an id that is already in space {self.space!r}. Use update() to change "
                "it, or leave the id out to get a new one. Nothing of the batch was stored."
            )
        with db.pipeline():  # one wait for all
            put_words(db, self.space, ((n, e.cube.text, e.terms, e.dates) for n, e in numbered))
            put_readings(db, self.space, ((n, e.readings) for n, e in numbered if e.readings))
            many(
                db,
                "INSERT INTO parents (space, child, parent) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                [(self.space, e.cube.id, p) for e in entries for p in e.cube.parents],
            )
            if model is not None:
                put_vectors(db, self.space, model, ((n, e.vector) for n, e in numbered if e.vector is not None))
        return [n for n, _ in numbered]

    # -- erasing

    def erase(self, ids: Sequence[str]) -> list[str]:
        """Remove cubes with all their versions and everything derived from them; return the ids removed.

        After the commit the tables are cleaned of their bytes: see `vacuum` for what is left where.
        """
        with self.connection.write() as db:
            names = family(db, self.space, ids)
            if names:
                self.audit.append("erase", names)
                self._remove(db, names, next_seq(db, self.space)[0])
        return names

    def _remove(self, db: Db, names: Sequence[str], seq: int) -> None:
        forms: dict[str, str] = {}
        if self._on_erase:
            rows = db.execute("SELECT id, form FROM cubes WHERE space = %s AND id = ANY(%s)", (self.space, list(names)))
            forms = dict(rows)
        touched = remove(db, self.space, names, seq)
        db.execute(NOTIFY, (str(lock_key(self.space)),))
        self.blobs.drop(names)  # before the commit: a crash may leave a row without its file, never the reverse
        self.connection.after_commit(partial(self._vacuum.clean, touched))
        for callback in self._on_erase:
            self.connection.after_commit(partial(callback, forms))

    def on_erase(self, callback: OnErase) -> Callable[[], None]:
        """Call `callback` with the form of each erased cube, by id, after each commit that erased; return what ends that."""
        self._on_erase.append(callback)
        return partial(self._on_erase.remove, callback)

    def on_stale(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` soon after anybody has erased from the space, until what is returned is called, or `close`."""
        if not self.connection.database.prepare:  # a pooler: it would leave the listening to a stranger
            return lambda: None
        stop = self.connection.database.notices.listen(lock_key(self.space), callback)
        self._stops.append(stop)
        return stop

    def family(self, ids: Sequence[str]) -> list[str]:
        """Return those of the ids that exist, and the ids of all cubes derived from them, in any number of steps."""
        with self.connection.read() as db:
            return family(db, self.space, ids)

    def was_erased(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that were erased from this space at some time."""
        if not ids:
            return set()
        hashes = {id_hash(name): name for name in ids}
        with self.connection.read() as db:
            rows = db.execute(
                "SELECT id_hash FROM erased WHERE space = %s AND id_hash = ANY(%s)", (self.space, list(hashes))
            )
            return {hashes[r[0]] for r in rows}

    # -- reading

    def get(self, ids: Sequence[str]) -> dict[str, MemCube]:
        """Return the current versions that exist, by id."""
        if not ids:
            return {}
        with self.connection.read() as db:
            rows = db.execute(f"{SELECT} replaced IS NULL AND id = ANY(%s)", (self.space, list(ids))).fetchall()
        return {cube.id: cube for _, cube in to_cubes(rows, self.space)}

    def by_key(self, keys: Sequence[int]) -> dict[int, MemCube]:
        """Return the versions that exist, by key."""
        if not keys:
            return {}
        with self.connection.read() as db:
            rows = db.execute(f"{SELECT} n = ANY(%s::bigint[])", (self.space, list(keys))).fetchall()
        return dict(to_cubes(rows, self.space))

    def keys_of(self, ids: Sequence[str]) -> list[int]:
        """Return the keys of the current versions that exist, in the order of the ids."""
        if not ids:
            return []
        query = "SELECT id, n FROM cubes WHERE space = %s AND replaced IS NULL AND id = ANY(%s)"
        with self.connection.read() as db:
            found: dict[str, int] = dict(db.execute(query, (self.space, list(ids))))
        return [found[i] for i in ids if i in found]

    def told(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the key of the first version of each cube that exists: they grow in the order of telling."""
        if not ids:
            return {}
        query = "SELECT id, min(n) FROM cubes WHERE space = %s AND id = ANY(%s) GROUP BY id"
        with self.connection.read() as db:
            return dict(db.execute(query, (self.space, list(ids))))

    def ids_of(self, keys: Sequence[int]) -> list[str]:
        """Return the ids of the versions that exist, in the order of the keys."""
        if not keys:
            return []
        query = "SELECT n, id FROM cubes WHERE space = %s AND n = ANY(%s::bigint[])"
        with self.connection.read() as db:
            found: dict[int, str] = dict(db.execute(query, (self.space, list(keys))))
        return [found[n] for n in keys if n in found]

    def versions(self, cube_id: str) -> list[MemCube]:
        """Return all versions of a cube, oldest first; empty when there is none."""
        with self.connection.read() as db:
            rows = db.execute(f"{SELECT} id = %s ORDER BY version", (self.space, cube_id)).fetchall()
        return [cube for _, cube in to_cubes(rows, self.space)]

    def select(self, filter: Filter, *, after: int = 0, limit: int = 100) -> list[tuple[int, MemCube]]:
        """Return (key, cube) of matching versions with a key above `after`, in the order of keys."""
        with self.connection.read() as db:
            return pages(db, self.space, filter, after, limit)

    def keys(self, filter: Filter) -> Ints:
        """Return the sorted keys of the versions that match, (M,)."""
        with self.connection.read() as db:
            return np.array(keys_where(db, self.space, filter), dtype=np.int64)

    def matching(self, filter: Filter, keys: Sequence[int]) -> set[int]:
        """Return those of the keys whose versions match. O(keys)."""
        if not keys:
            return set()
        with self.connection.read() as db:
            return set(keys_where(db, self.space, filter, " AND cubes.n = ANY(%s::bigint[])", (list(keys),)))

    def dates(self, keys: Sequence[int]) -> dict[int, list[DateRow]]:
        """Return the dates that versions mention, in the order of the text."""
        if not keys:
            return {}
        with self.connection.read() as db:
            return read_dates(db, self.space, keys)

    def same_words(self, hashes: Sequence[int], filter: Filter) -> list[int]:
        """Return the keys of matching versions whose `text_hash` is one of these, in order."""
        if not hashes:
            return []
        same = " AND cubes.n = ANY(ARRAY(SELECT n FROM words WHERE space = %s AND print = ANY(%s::bigint[])))"
        with self.connection.read() as db:
            return keys_where(db, self.space, filter, same, (self.space, list(hashes)))

    def changes(self, since: int, model: int | None, *, closed: bool = False) -> Changes:
        """Return what was written and what became unsearchable after sequence number `since`; see `Cubes.changes`."""
        with self.connection.read() as db:
            seq = last_seq(db, self.space)
            if seq == since:
                return Changes(seq, [], [])
            rows, gone = index_rows(db, self.space, "cubes.seq > %s", [since], model, closed=closed)
            query = "SELECT n FROM gone WHERE space = %s AND seq > %s"
            gone += [n for (n,) in db.execute(query, (self.space, since))]
        return Changes(seq, rows, gone)

    def stats(self) -> dict[str, Any]:
        """Return counts, sizes and models."""
        with self.connection.read() as db:
            return stats(db, self.space, f"{self.connection.database.where}#{self.space}")

    def close(self) -> None:
        """Release the store. Further calls raise StoreError."""
        if not self.connection.ended and not self.connection.closed:
            self._vacuum.flush()
        self._resident.leave()
        for stop in self._stops:
            stop()
        self.connection.close()
