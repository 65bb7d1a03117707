"""The embedded store: one SQLite file a space."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemos.cube import MemCube, to_micros, utc_now
from mnemos.errors import Conflict, NotFound
from mnemos.store.base import DERIVED, Changes, DateRow, Entry, Filter, IndexRow
from mnemos.store.blobs import Blobs
from mnemos.store.hashes import id_hash, text_hash
from mnemos.store.sqlite.audit import AuditTable
from mnemos.store.sqlite.checks import Checks
from mnemos.store.sqlite.connection import Connection
from mnemos.store.sqlite.facts import FactTable
from mnemos.store.sqlite.links import LinkTable
from mnemos.store.sqlite.lives import LifeTable
from mnemos.store.sqlite.queue import DecisionTable, QueueTable
from mnemos.store.sqlite.removal import activations, family, remove, select_in, traces
from mnemos.store.sqlite.rows import INSERT, SELECT, chunks, marks, next_seq, to_cube, to_row, to_sql

_INDEX_ROWS = (
    "SELECT cubes.n, session, speaker, role, kind, at, text, terms, vector, state = 'superseded', "
    "replaced IS NOT NULL OR state = 'archived' "
    "FROM cubes LEFT JOIN words ON words.n = cubes.n "
    "LEFT JOIN vectors ON vectors.m = ? AND vectors.n = cubes.n WHERE form = 'text' AND {} ORDER BY cubes.n"
)
Clock = Callable[[], datetime]


class SqliteStore:
    """Implements `Store` on one SQLite file in WAL mode, safe among threads and processes.

    Costs for a space of N cubes: a write or a lookup by id O(log N); `keys` and `snapshot` O(N);
    `changes` O(rows changed).
    """

    def __init__(self, path: Path, space: str, *, actor: str = "local", clock: Clock = utc_now) -> None:
        self.space = space
        self.clock = clock
        self.connection = Connection(path, space)
        self.facts = FactTable(self.connection)
        self.links = LinkTable(self.connection)
        self.audit = AuditTable(self.connection, clock, actor)
        self.lives = LifeTable(self.connection, space, self.audit)
        self.queue = QueueTable(self.connection)
        self.decisions = DecisionTable(self.connection)
        self.checks = Checks(self)
        self.blobs = Blobs(path)

    @property
    def path(self) -> Path:
        """The file."""
        return self.connection.path

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self.connection.closed

    # -- writing

    def insert(self, entries: Sequence[Entry], model: int | None) -> list[int]:
        """Write new versions, all or none; return their keys. An id that already has this version raises `Conflict`."""
        if not entries:
            return []
        with self.connection.write() as db:
            seq = next_seq(db)
            self._close_previous(db, seq, entries)
            self.audit.append("add", [e.cube.id for e in entries])
            return self._insert(db, seq, entries, model)

    def replace(self, entry: Entry, model: int | None) -> int:
        """Write the next version of a cube and close the current one at `entry.cube.learned`; return its key."""
        with self.connection.write() as db:
            seq = next_seq(db)
            if self._close_previous(db, seq, [entry]) != 1:
                raise Conflict(
                    f"cube {entry.cube.id} was updated or removed by somebody else. Read it again and repeat "
                    "the update."
                )
            self.audit.append("update", [entry.cube.id])
            if stale := activations(db, [entry.cube.id]):
                remove(db, stale, seq)
                self.blobs.drop(stale)
            return self._insert(db, seq, [entry], model)[0]

    @staticmethod
    def _close_previous(db: sqlite3.Connection, seq: int, entries: Sequence[Entry]) -> int:
        """Mark the versions that the entries take the place of; return how many there were."""
        later = [e.cube for e in entries if e.cube.version > 1]
        return db.executemany(
            "UPDATE cubes SET replaced = ?, seq = ? WHERE id = ? AND version = ? AND replaced IS NULL",
            ((to_micros(c.learned), seq, c.id, c.version - 1) for c in later),
        ).rowcount

    def _insert(self, db: sqlite3.Connection, seq: int, entries: Sequence[Entry], model: int | None) -> list[int]:
        row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'cubes'").fetchone()
        first = (row[0] if row else 0) + 1  # safe: the write lock is held
        numbered = list(enumerate(entries, first))
        try:
            db.executemany(INSERT, (to_row(n, e.cube, seq) for n, e in numbered))
        except sqlite3.IntegrityError as error:
            raise Conflict(
                f"a cube of this batch has an id that is already in space {self.space!r}. Use update() to change "
                "it, or leave the id out to get a new one. Nothing of the batch was stored."
            ) from error
        self.put_words(db, ((n, e.cube.text, e.terms, e.dates) for n, e in numbered))
        db.executemany(
            "INSERT OR IGNORE INTO parents VALUES (?, ?)",
            ((e.cube.id, p) for e in entries for p in e.cube.parents),
        )
        if model is not None:
            self._put_vectors(db, model, ((n, e.vector) for n, e in numbered if e.vector is not None))
        return [n for n, _ in numbered]

    @staticmethod
    def put_words(db: sqlite3.Connection, rows: Iterable[tuple[int, str, Sequence[str], Sequence[DateRow]]]) -> None:
        """Write (key, text, terms, dates) of versions."""
        for n, text, terms, dates in rows:
            db.execute("INSERT INTO words VALUES (?, ?, ?)", (n, " ".join(terms), text_hash(text)))
            for d in dates:
                values = (n, d.start, d.end, d.phrase, d.span_start, d.span_end, d.granularity, d.relative)
                db.execute("INSERT INTO dates VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def family(self, ids: Sequence[str]) -> list[str]:
        """Return those of the ids that exist, and the ids of all cubes derived from them, in any number of steps."""
        with self.connection.read() as db:
            return family(db, ids)

    def traces(self, ids: Sequence[str]) -> int:
        """Count where links, decisions, waiting lists and facts name these ids."""
        with self.connection.read() as db:
            return traces(db, ids)

    def erase(self, ids: Sequence[str]) -> list[str]:
        """Remove cubes with all their versions and everything derived from them; return the ids removed.

        The bytes are overwritten (`secure_delete`) and the write-ahead log is emptied. Hashes of the ids stay, so that
        an import does not bring them back unasked (`was_erased`). What they had superseded holds again.
        """
        with self.connection.write() as db:
            names = family(db, ids)
            if not names:
                return []
            remove(db, names, next_seq(db))
            self.audit.append("erase", names)
            self.blobs.drop(names)  # before the commit: a crash may leave a row without its file, never the reverse
        self.tidy()
        return names

    def was_erased(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that were erased from this space at some time."""
        hashes = {id_hash(name): name for name in ids}
        with self.connection.read() as db:
            return {
                hashes[r[0]] for r in select_in(db, "SELECT id_hash FROM erased WHERE id_hash IN ({})", list(hashes))
            }

    def tidy(self) -> None:
        """Empty the write-ahead log into the file, and give back pages when more than a quarter of them is free."""
        with self.connection.bare() as db:
            pages, free = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
            if 4 * free > pages:
                db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def mentions(self, text: str) -> bool:
        """Tell whether any row still holds this text, as words or metadata. Reads every row: O(N)."""
        with self.connection.read() as db:
            found = db.execute(
                "SELECT 1 FROM cubes WHERE instr(text, :t) OR instr(metadata, :t) OR instr(coalesce(source, ''), :t) "
                "UNION ALL SELECT 1 FROM words WHERE instr(terms, :t) LIMIT 1",
                {"t": text},
            ).fetchone()
        return found is not None

    # -- reading

    def get(self, ids: Sequence[str]) -> dict[str, MemCube]:
        """Return the current versions that exist, by id."""
        with self.connection.read() as db:
            rows = select_in(db, f"{SELECT} WHERE replaced IS NULL AND id IN ({{}})", ids)
        return {cube.id: cube for _, cube in (to_cube(r, self.space) for r in rows)}

    def key_of(self, cube_id: str) -> int:
        """Return the key of the current version of a cube; raises `NotFound`."""
        with self.connection.read() as db:
            row = db.execute("SELECT n FROM cubes WHERE id = ? AND replaced IS NULL", (cube_id,)).fetchone()
        if row is None:
            raise NotFound(f"there is no cube {cube_id!r} in space {self.space!r}.")
        return int(row[0])

    def keys_of(self, ids: Sequence[str]) -> list[int]:
        """Return the keys of the current versions of cubes that exist, in the order of the ids."""
        with self.connection.read() as db:
            found = dict(select_in(db, "SELECT id, n FROM cubes WHERE replaced IS NULL AND id IN ({})", list(ids)))
        return [found[i] for i in ids if i in found]

    def by_key(self, keys: Sequence[int]) -> dict[int, MemCube]:
        """Return versions by their row key."""
        with self.connection.read() as db:
            rows = select_in(db, f"{SELECT} WHERE n IN ({{}})", keys)
        return dict(to_cube(r, self.space) for r in rows)

    def versions(self, cube_id: str) -> list[MemCube]:
        """Return all versions of a cube, oldest first; empty when there is none."""
        with self.connection.read() as db:
            rows = db.execute(f"{SELECT} WHERE id = ? ORDER BY version", (cube_id,)).fetchall()
        return [to_cube(r, self.space)[1] for r in rows]

    def select(self, filter: Filter, *, after: int = 0, limit: int = 100) -> list[tuple[int, MemCube]]:
        """Return matching current versions (or those believed at `filter.as_of`) with a key above `after`."""
        where, values = to_sql(filter)
        with self.connection.read() as db:
            rows = db.execute(f"{SELECT} WHERE n > ? AND {where} ORDER BY n LIMIT ?", (after, *values, limit))
            return [to_cube(r, self.space) for r in rows]

    def keys(self, filter: Filter) -> NDArray[np.int64]:
        """Return the sorted keys of the versions that match."""
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

    def duplicates(self, hashes: Sequence[int]) -> list[tuple[int, str, str | None, str | None, str | None]]:
        """Return (hash, id, speaker, role, session) of active current cubes whose `text_hash` is among these."""
        query = (
            "SELECT print, id, speaker, role, session FROM words JOIN cubes USING (n) "
            "WHERE print IN ({}) AND replaced IS NULL AND state = 'active' ORDER BY n"
        )
        with self.connection.read() as db:
            return [r for part in chunks(hashes) for r in db.execute(query.format(marks(part)), part)]

    def dates(self, keys: Sequence[int]) -> dict[int, list[DateRow]]:
        """Return the dates each version speaks of."""
        found: dict[int, list[DateRow]] = {}
        with self.connection.read() as db:
            columns = "n, start, stop, phrase, begin, end, granularity, relative"
            query = f"SELECT {columns} FROM dates WHERE n IN ({{}}) ORDER BY begin"
            for n, start, end, phrase, first, last, granularity, relative in select_in(db, query, keys):
                row = DateRow(start, end, phrase, first, last, granularity, bool(relative))
                found.setdefault(n, []).append(row)
        return found

    # -- the index's view

    def changes(self, since: int, model: int | None) -> Changes:
        """Return what was written and what has gone after sequence number `since`."""
        with self.connection.read() as db:
            seq = db.execute("SELECT seq FROM counter").fetchone()[0]
            if seq == since:
                return Changes(seq, [], [])
            rows, gone = self._index_rows(db, "cubes.seq > ?", [since], model)
            gone += [r[0] for r in db.execute("SELECT n FROM gone WHERE seq > ?", (since,))]
        return Changes(seq, rows, gone)

    def snapshot(self, as_of: int, model: int | None) -> list[IndexRow]:
        """Return the versions that were current and active at `as_of`."""
        where = "learned <= ? AND (replaced IS NULL OR replaced > ?)"
        with self.connection.read() as db:
            query = _INDEX_ROWS.replace("replaced IS NOT NULL OR state = 'archived'", "0")
            return self._index_rows(db, where, [as_of, as_of], model, query)[0]

    def _index_rows(
        self,
        db: sqlite3.Connection,
        where: str,
        values: list[int],
        model: int | None,
        query: str = _INDEX_ROWS,
    ) -> tuple[list[IndexRow], list[int]]:
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
            spoken = tuple(spans.get(n, ()))
            rows.append(IndexRow(n, session, speaker, role, kind, at, text, words, array, spoken, bool(old)))
        return rows, gone

    # -- vectors

    def model(self, name: str, revision: str, dimension: int) -> int:
        """Return the number under which vectors of this embedding model are kept."""
        key = (name, revision, dimension)
        find = "SELECT m FROM models WHERE name = ? AND revision = ? AND dimension = ?"
        with self.connection.read() as db:
            row = db.execute(find, key).fetchone()
        if row is None:
            with self.connection.write() as db:
                db.execute("INSERT OR IGNORE INTO models (name, revision, dimension) VALUES (?, ?, ?)", key)
                row = db.execute(find, key).fetchone()
        return int(row[0])

    def unembedded(self, model: int, *, limit: int) -> list[tuple[int, str]]:
        """Return (key, text) of current versions that have no vector of this model."""
        query = (
            "SELECT n, text FROM cubes WHERE replaced IS NULL AND form = 'text' AND n NOT IN (SELECT n FROM vectors WHERE m = ?) "
            "ORDER BY n LIMIT ?"
        )
        with self.connection.read() as db:
            return db.execute(query, (model, limit)).fetchall()

    def put_vectors(self, model: int, rows: Iterable[tuple[int, NDArray[np.float16]]]) -> None:
        """Store vectors for versions that exist; those erased meanwhile are skipped."""
        with self.connection.write() as db:
            pairs = list(rows)
            alive = {r[0] for r in select_in(db, "SELECT n FROM cubes WHERE n IN ({})", [n for n, _ in pairs])}
            self._put_vectors(db, model, (p for p in pairs if p[0] in alive))
            seq = next_seq(db)
            db.executemany("UPDATE cubes SET seq = ? WHERE n = ?", ((seq, n) for n in alive))

    @staticmethod
    def _put_vectors(db: sqlite3.Connection, model: int, rows: Iterable[tuple[int, NDArray[np.float16]]]) -> None:
        values = ((model, n, np.ascontiguousarray(v, dtype="<f2").tobytes()) for n, v in rows)
        db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", values)

    def drop_other_models(self, model: int) -> int:
        """Remove the vectors of every other model; return how many."""
        with self.connection.write() as db:
            dropped = db.execute("DELETE FROM vectors WHERE m != ?", (model,)).rowcount
            db.execute("DELETE FROM models WHERE m != ?", (model,))
        return dropped

    # -- the file as a whole

    def stats(self) -> dict[str, Any]:
        """Return counts, sizes and models."""
        with self.connection.read() as db:
            cubes, sessions, speakers, first, last = db.execute(
                "SELECT count(*), count(DISTINCT session), count(DISTINCT speaker), min(at), max(at) "
                f"FROM cubes NOT INDEXED WHERE replaced IS NULL AND state = 'active' AND kind NOT IN ({marks(DERIVED)})",
                DERIVED,
            ).fetchone()
            derived = f"SELECT count(*) FROM cubes NOT INDEXED WHERE replaced IS NULL AND kind IN ({marks(DERIVED)})"
            made = db.execute(derived, DERIVED).fetchone()[0]
            rows = db.execute("SELECT count(*) FROM cubes").fetchone()[0]
            counts = "SELECT state, count(*) FROM cubes NOT INDEXED WHERE replaced IS NULL GROUP BY state"
            states = dict(db.execute(counts).fetchall())
            models = db.execute(
                "SELECT name, revision, dimension, (SELECT count(*) FROM vectors INDEXED BY vectors_n WHERE m = models.m) "
                "FROM models ORDER BY m"
            ).fetchall()
        size = sum(p.stat().st_size for p in self.path.parent.glob(self.path.name + "*"))
        return {
            "cubes": cubes, "archived": states.get("archived", 0), "superseded": states.get("superseded", 0), "derived": made,
            "versions": rows, "sessions": sessions, "speakers": speakers,
            "first_at": first, "last_at": last, "bytes": size, "path": str(self.path),
            "models": [dict(zip(("name", "revision", "dimension", "vectors"), m, strict=True)) for m in models],
        }  # fmt: skip

    def meta(self, key: str) -> str:
        """Return what `set_meta` kept; raises `NotFound` otherwise."""
        with self.connection.read() as db:
            row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise NotFound(f"space {self.space!r} has no meta entry {key!r}")
        return str(row[0])

    def get_meta(self, key: str, default: str) -> str:
        """Return what `set_meta` kept, or the default."""
        with self.connection.read() as db:
            row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return default if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Keep a value of the space under a key."""
        with self.connection.write() as db:
            db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, value))

    def close(self) -> None:
        """Release the file. Further calls raise `StoreError`."""
        self.connection.close()
