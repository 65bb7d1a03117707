"""One SQLite connection: opened safely, guarded by a lock, with errors that say what to do."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from mnemos.errors import ReadOnly, StoreBusy, StoreCorrupt, StoreError, StoreFull
from mnemos.store import reserve
from mnemos.store.causes import full, of_system
from mnemos.store.locks import try_lock
from mnemos.store.pool import Pool
from mnemos.store.sqlite import birth, files
from mnemos.store.sqlite.explain import BUSY_SECONDS, of_sqlite
from mnemos.store.sqlite.fetch import fetch
from mnemos.store.sqlite.readonly import ReadOnlyFile, connect, open_for_reading, writable
from mnemos.store.sqlite.schema import VERSION, check
from mnemos.store.sqlite.where import offer
from mnemos.store.transaction import Transaction

_ticks = count(1)  # the time of the pool


def space_name(path: Path) -> str | None:
    """Return the name of the space in a file, without changing it; None when it names none.

    Raises StoreCorrupt when it cannot be read as a space, and OutOfFiles, which says nothing about the file.
    """
    try:
        file = connect(path)
        try:
            row = next(iter(fetch(file.db, "SELECT value FROM meta WHERE key = 'space'")), None)
        finally:
            file.close()
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CANTOPEN:
            raise of_sqlite(error, path) from error
        raise StoreCorrupt(f"{path} cannot be read as a space ({error}); see `mnemos doctor`.") from error
    return row[0] if row is not None and isinstance(row[0], str) else None


def keep_log(db: sqlite3.Connection) -> None:
    """Turn on the write-ahead log, waiting for others that open the new file at the same time: SQLite itself does not."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.005)


class Connection:
    """A connection to the file of one space, shared by the threads of one process.

    Durable (WAL with `synchronous=FULL`: a commit is on the disk when it returns) and private (mode 0600;
    `secure_delete` overwrites what is removed). After a fork the child opens its own connection. A `pool` may close the
    file between two transactions: the next one opens it again. A file that may not be written, or any with `read_only`, is
    opened for reading: see `readonly`.
    """

    failure = sqlite3.Error

    def __init__(
        self,
        path: Path,
        space: str,
        pool: Pool | None = None,
        *,
        read_only: bool = False,
        keep_old: bool = True,
    ) -> None:
        self.path = path
        self.space = space
        self.used = next(_ticks)
        self._pool = pool
        self._keep_old = keep_old  # copy a file of an earlier schema before it is brought up to date
        self._asked_read_only = read_only
        self._reader: ReadOnlyFile | None = None  # what is open, if it is for reading only
        self.read_only = read_only  # every write raises ReadOnly; as it was when the file was opened last
        self._full = False  # it is open for reading only, since the disk has no room for a log
        self._ended = False  # by `close`
        self._opened = 0  # how often: a part of the change token, since SQLite numbers changes for each connection
        self._held = 0  # uses of the connection outside a transaction
        self._before_suspend: list[Callable[[], bool]] = []
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._reading = False  # the transaction that is open was begun for reading only
        self._after: list[Callable[[], None]] = []  # to call when it has been committed
        self._db: sqlite3.Connection | None = None
        self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        """Open the file, with room made in the pool; once more with much room if the process has no descriptor left."""
        if self._pool is None:
            return self._open_with_room()
        self._pool.enter(self)
        try:
            return self._pool.with_room(self._open_with_room, self)
        except BaseException:
            self._pool.leave(self)
            raise

    def _open_with_room(self) -> sqlite3.Connection:
        """Open the file, which needs room for SQLite's log: on a full disk that of the reserve, else only for reading."""
        self._full = False
        try:
            return self._open_file()
        except StoreFull:
            if not self.path.exists():  # a new space gets no reserve
                raise
        if reserve.release(self.path.parent):
            with suppress(StoreFull):
                return self._open_file()
        self._full = True
        return self._open_reader()

    def _open_file(self) -> sqlite3.Connection:
        self._reader = None  # after a fork it is the parent's
        self.read_only = self._asked_read_only or not writable(self.path)
        if self.read_only:
            return self._open_reader()
        try:
            if not self.path.exists():
                if self._opened:
                    raise StoreError(
                        f"{self.path} was removed by another process. Open the space again to make a new one."
                    )
                birth.make(self.path, self.space)
            self._file = files.enter(self.path)
        except OSError as error:
            raise of_system(error, self.path) from error
        db: sqlite3.Connection | None = None
        try:
            db = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            version = check(db, str(self.path))  # before anything is changed, this pragma included
            keep_log(db)
            for pragma in (
                "synchronous = FULL",
                "secure_delete = ON",
                "trusted_schema = OFF",
                "temp_store = MEMORY",
            ):
                db.execute(f"PRAGMA {pragma}")
            offer(db)
            if version != VERSION:
                birth.upgrade(db, self.path, self.space, version, copy=self._keep_old)
        except BaseException as error:
            self._end(db)
            if isinstance(error, sqlite3.Error):
                raise self.explain(error) from error
            raise
        self._opened += 1
        return db

    def _open_reader(self) -> sqlite3.Connection:
        try:
            self._reader = open_for_reading(self.path, self.space)
            self._file = files.enter(self.path)
        except sqlite3.Error as error:
            raise self.explain(error) from error
        except OSError as error:
            raise of_system(error, self.path) from error
        offer(self._reader.db)
        self._opened += 1
        return self._reader.db

    def _end(self, db: sqlite3.Connection | None) -> None:
        reader, self._reader = self._reader, None
        try:
            if reader is not None:
                reader.close()
            elif db is not None:
                db.close()
        finally:
            files.leave(self._file)

    def read(self) -> Transaction[sqlite3.Connection, sqlite3.Error]:
        """Give the connection inside one read transaction: all queries see the same state."""
        return Transaction(self, write=False)

    def write(self) -> Transaction[sqlite3.Connection, sqlite3.Error]:
        """Give the connection inside one write transaction: committed on exit, rolled back on any error."""
        return Transaction(self, write=True)

    def begin(self, write: bool) -> tuple[sqlite3.Connection, bool]:
        """Take the lock and begin a transaction, or join that of this thread; return whether it was begun."""
        self._lock.acquire()
        self.used = next(_ticks)
        try:
            db = self._ready()
            if write and self._full and not db.in_transaction:  # there may be room by now
                db = self._reopen(db)
            if write and self._reader is not None:
                raise full(self.path) if self._full else ReadOnly(self._why_not())
            if db.in_transaction:  # nested in the same thread: the outer one commits
                if write and self._reading:
                    raise StoreError(f"{self.path}: a write inside a transaction that was begun for reading only.")
                return db, False
            db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            self._reading = not write
        except BaseException:
            self._lock.release()
            raise
        return db, True

    def end(self, begun: bool, *, commit: bool) -> None:
        """Commit or roll back what `begin` has begun, release the lock, and call what waits for the commit."""
        committed: list[Callable[[], None]] = []
        try:
            if begun and self._db is not None:
                waiting, self._after = self._after, []
                try:
                    if commit:
                        self._db.execute("COMMIT")
                        committed = waiting
                finally:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
        finally:
            self._lock.release()
        for callback in committed:
            callback()

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is inside a transaction."""
        with self._lock:
            return self._db is not None and self._db.in_transaction

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the transaction that this is called in has been committed, after the lock is released."""
        self._after.append(callback)

    @contextmanager
    def bare(self) -> Iterator[sqlite3.Connection]:
        """Give the connection outside a transaction, for PRAGMA and VACUUM."""
        with self._lock:
            self.used = next(_ticks)
            self._held += 1
            try:
                yield self._ready()
            except sqlite3.Error as error:
                raise self.explain(error) from error
            finally:
                self._held -= 1

    @contextmanager
    def try_lock(self) -> Iterator[bool]:
        """Try to take the connection without waiting for another thread; yield whether it was taken.

        While it is held, what would wait for another process raises StoreBusy at once.
        """
        with try_lock(self._lock) as held:
            if not held or self.closed:
                yield False
                return
            self._held += 1
            try:
                with self._impatient(self._ready()):
                    yield True
            finally:
                self._held -= 1

    @contextmanager
    def _impatient(self, db: sqlite3.Connection) -> Iterator[None]:
        db.execute("PRAGMA busy_timeout = 0")
        try:
            yield
        finally:
            db.execute(f"PRAGMA busy_timeout = {1000 * BUSY_SECONDS:.0f}")

    def change_token(self) -> tuple[int, int, int, int] | None:
        """Return a token that changes whenever the file does, here or in another process. Costs one statement.

        None inside a transaction: what that has written may still be rolled back.
        """
        with self.bare() as db:
            if db.in_transaction:
                return None
            version = db.execute("PRAGMA data_version").fetchone()[0]
            return self._pid, self._opened, version, db.total_changes

    def _ready(self) -> sqlite3.Connection:
        if self._ended:
            raise StoreError(f"{self.path} is closed. Open the space again with Mnemos(root).space(name).")
        if self._db is None or self._pid != os.getpid():
            # suspended, or forked: SQLite handles must not cross a fork; the parent's is left alone, not closed
            self._db, self._pid = self._open(), os.getpid()
        elif self._reader is not None and not self._db.in_transaction and self._reader.stale(self.path):
            self._reopen(self._db)
        return self._db

    def _reopen(self, db: sqlite3.Connection) -> sqlite3.Connection:
        self._db = None  # first: if it cannot be opened now, the next use tries again
        self._end(db)
        self._db = self._open()
        return self._db

    def _why_not(self) -> str:
        if self._asked_read_only:
            return (
                f"nothing was written: {self.path} was opened with read_only=True. Open the root without it to write."
            )
        return (
            f"nothing was written: {self.path} or its folder may not be written by this user, or the disk is mounted "
            "read-only. Reading works. Change that and open the space again, or copy the root to a folder of your own."
        )

    @property
    def closed(self) -> bool:
        """True when no file is open: after `close` or `suspend`, and in a child that has not used the connection yet."""
        return self._db is None or self._pid != os.getpid()

    @property
    def ended(self) -> bool:
        """True after `close`."""
        return self._ended

    def before_suspend(self, callback: Callable[[], bool]) -> None:
        """Call `callback` before the file is closed by `suspend`; False prevents that. It must not wait for anything."""
        self._before_suspend.append(callback)

    def suspend(self) -> bool:
        """Close the file until the next use, unless it is in use; return whether it is closed. Never waits."""
        with try_lock(self._lock) as held:
            if not held:
                return False
            db = self._db
            if db is None or self._pid != os.getpid():
                return True
            if self._held or db.in_transaction:
                return False
            with self._impatient(db):
                if not all(callback() for callback in self._before_suspend):
                    return False
            self._db = None
            self._end(db)
        return True

    @contextmanager
    def let_go(self) -> Iterator[Path]:
        """Close the file while it is replaced; the next use opens the new one. Raises StoreBusy inside a transaction."""
        with self._lock:
            db, self._db = self._ready(), None
            if self._held or db.in_transaction:
                self._db = db
                raise StoreBusy(f"{self.path} is in use and cannot be replaced. Try again later.")
            self._end(db)
            yield self.path

    def close(self) -> None:
        """Close the file. Closing twice is allowed."""
        with self._lock:
            self._ended = True
            db, self._db = self._db, None
            if db is not None and self._pid == os.getpid():
                self._end(db)
        if self._pool is not None:
            self._pool.leave(self)

    def explain(self, error: sqlite3.Error) -> StoreError:
        """Return an error of SQLite as one that says what to do."""
        return of_sqlite(error, self.path)
