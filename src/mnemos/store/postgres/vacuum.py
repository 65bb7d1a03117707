"""Removal of the bytes of erased rows: a deleted row stays in the file of its table until VACUUM takes it out.

Tables of at most 32 MB together are written anew (VACUUM FULL: 0.1 s, others wait), which leaves nothing of an erased row in
their files. Larger ones are vacuumed in place: the row can then be read by nobody, but its bytes may stay in free room of a
page until others are written there. `Checks.rebuild` writes tables of any size anew. What no VACUUM removes: WAL until it is
recycled, replicas until they have replayed it, and backups.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from contextlib import suppress

import psycopg

from mnemos.errors import StoreError
from mnemos.store.postgres.database import Database, Db
from mnemos.store.postgres.removal import TOUCHED

SMALL = 32 * 1024 * 1024  # bytes of the tables together that are written anew
PATIENCE = 1.0  # seconds that it waits for those who use the tables
SHARE = 20  # it takes a 20th of the time at most: the next run waits for 19 times as long as the last one took
_SIZE = (
    "SELECT coalesce(sum(pg_total_relation_size(('mnemos.' || t)::regclass)), 0)::bigint FROM unnest(%s::text[]) AS t"
)


class Vacuum:
    """Cleans the tables of a database after erasures, in the thread that erased, or a little later when it was busy."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: set[str] = set()
        self._next = 0.0  # monotonic seconds
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def clean(self, tables: Collection[str]) -> None:
        """Clean these tables now, unless that was done a moment ago: then soon, in the background."""
        with self._lock:
            self._waiting.update(tables)
            wait = self._next - time.monotonic()
            if wait > 0:
                if self._timer is None:
                    self._timer = threading.Timer(wait, self.flush)
                    self._timer.daemon = True
                    self._timer.start()
                return
        self.flush()

    def flush(self) -> None:
        """Clean what waits for it. What cannot be cleaned now is, at the latest, by the server's autovacuum."""
        with self._lock:
            tables, self._waiting = sorted(self._waiting), set()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        if not tables or self._database.ended:
            return
        start = time.monotonic()
        with suppress(StoreError), self._database.direct() as db:  # the rows are gone: the commit was before
            run(db, tables)
        self._next = time.monotonic() + (SHARE - 1) * (time.monotonic() - start)


def run(db: Db, tables: Collection[str], *, full: bool = False) -> None:
    """Clean some tables. A user who does not own them cannot: then the server's autovacuum does it, within minutes."""
    assert set(tables) <= {*TOUCHED}
    row = db.execute(_SIZE, (list(tables),)).fetchone()
    names = ", ".join(f"mnemos.{table}" for table in tables)
    if full:
        db.execute(f"VACUUM (FULL) {names}")
        return
    if row is not None and row[0] <= SMALL:
        patience = threading.Timer(PATIENCE, db.cancel)  # not SET lock_timeout, which a pooler would leave to others
        patience.start()
        try:
            db.execute(f"VACUUM (FULL) {names}")
        except psycopg.errors.QueryCanceled:
            pass
        else:
            return
        finally:
            patience.cancel()
    db.execute(f"VACUUM (INDEX_CLEANUP ON) {names}")
