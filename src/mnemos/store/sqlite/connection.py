"""One SQLite connection: opened safely, guarded by a lock, with errors that say what to do."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from mnemos.errors import StoreBusy, StoreCorrupt, StoreError, StoreFull
from mnemos.store.locks import try_lock
from mnemos.store.sqlite import files
from mnemos.store.sqlite.schema import VERSION, check, migrate
from mnemos.store.sqlite.where import offer

BUSY_SECONDS = 60.0


def space_name(path: Path) -> str | None:
    """Return the name of the space in a file, without changing it; None when it names none.

    Raises StoreCorrupt when it cannot be read as a space.
    """
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
        try:
            row = db.execute("SELECT value FROM meta WHERE key = 'space'").fetchone()
        finally:
            db.close()
    except sqlite3.Error as error:
        raise StoreCorrupt(f"{path} cannot be read as a space ({error}); see `mnemos doctor`.") from error
    return None if row is None else str(row[0])


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
    `secure_delete` overwrites what is removed). After a fork the child opens its own connection.
    """

    def __init__(self, path: Path, space: str) -> None:
        self.path = path
        self.space = space
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._reading = False  # the transaction that is open was begun for reading only
        self._after: list[Callable[[], None]] = []  # to call when it has been committed
        with self._errors():
            self._db: sqlite3.Connection | None = self._open()

    def _open(self) -> sqlite3.Connection:
        try:
            files.make(self.path)  # with the right mode before SQLite writes to it; -wal and -shm take theirs from it
            self._file = files.enter(self.path)
        except OSError as error:
            raise StoreError(
                f"cannot open {self.path} for writing ({error.strerror}). Check that its folder exists, is "
                "writable and is not on a full or read-only disk, or choose another root."
            ) from error
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
                migrate(db, self.space, str(self.path))
        except BaseException:
            self._end(db)
            raise
        return db

    def _end(self, db: sqlite3.Connection | None) -> None:
        try:
            if db is not None:
                db.close()
        finally:
            files.leave(self._file)

    def read(self) -> Transaction:
        """Give the connection inside one read transaction: all queries see the same state."""
        return Transaction(self, write=False)

    def write(self) -> Transaction:
        """Give the connection inside one write transaction: committed on exit, rolled back on any error."""
        return Transaction(self, write=True)

    def begin(self, write: bool) -> tuple[sqlite3.Connection, bool]:
        """Take the lock and begin a transaction, or join that of this thread; return whether it was begun."""
        self._lock.acquire()
        try:
            db = self._ready()
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

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the transaction that this is called in has been committed, after the lock is released."""
        self._after.append(callback)

    @contextmanager
    def bare(self) -> Iterator[sqlite3.Connection]:
        """Give the connection outside a transaction, for PRAGMA and VACUUM."""
        with self._errors(), self._lock:
            yield self._ready()

    @contextmanager
    def try_lock(self) -> Iterator[bool]:
        """Try to take the connection without waiting for another thread; yield whether it was taken.

        While it is held, what would wait for another process raises StoreBusy at once.
        """
        with try_lock(self._lock) as held:
            if not held or self.closed:
                yield False
                return
            db = self._ready()
            db.execute("PRAGMA busy_timeout = 0")
            try:
                yield True
            finally:
                db.execute(f"PRAGMA busy_timeout = {1000 * BUSY_SECONDS:.0f}")

    def change_token(self) -> tuple[int, int, int] | None:
        """Return a token that changes whenever the file does, here or in another process. Costs one statement.

        None inside a transaction: what that has written may still be rolled back.
        """
        with self.bare() as db:
            if db.in_transaction:
                return None
            return self._pid, db.execute("PRAGMA data_version").fetchone()[0], db.total_changes

    def _ready(self) -> sqlite3.Connection:
        if self._db is None:
            raise StoreError(f"{self.path} is closed. Open the space again with Mnemos(root).space(name).")
        if self._pid != os.getpid():
            # SQLite handles must not cross a fork; the parent's is left alone, not closed
            self._db, self._pid = self._open(), os.getpid()
        return self._db

    @property
    def closed(self) -> bool:
        """True after `close`, and in a child that has not used the connection yet."""
        return self._db is None or self._pid != os.getpid()

    def close(self) -> None:
        """Close the file. Closing twice is allowed."""
        with self._lock:
            db, self._db = self._db, None
            if db is not None and self._pid == os.getpid():
                self._end(db)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self.explain(error) from error

    def explain(self, error: sqlite3.Error) -> StoreError:
        """Return an error of SQLite as one that says what to do."""
        text = str(error)
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            return StoreFull(
                f"the disk that holds {self.path} is full. Nothing of this write was stored, and nothing was lost. "
                "Free some space and try again."
            )
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreBusy(
                f"another process has held the write lock of {self.path} for {BUSY_SECONDS:.0f} s. "
                "Nothing was stored. Try again, or look for a process that hangs."
            )
        if code == sqlite3.SQLITE_NOTADB:
            return StoreCorrupt(
                f"{self.path} is not an SQLite file, or its first page is damaged. It was not changed. "
                "Restore it from a backup or an export, or move it away to start with an empty space."
            )
        if code == sqlite3.SQLITE_CORRUPT:
            return StoreCorrupt(
                f"{self.path} is damaged ({text}). Copy the file, then run `mnemos doctor` on the space; "
                "if rows are lost, restore them from a backup or an export."
            )
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return StoreError(
                f"{self.path} cannot be written ({text}). Check the permissions of the file and of its folder."
            )
        if code == sqlite3.SQLITE_IOERR:
            return StoreError(
                f"the disk refused to read or write {self.path} ({text}). Nothing of this write was stored; "
                "check the disk and its free space."
            )
        return StoreError(f"{self.path}: {text}. This is a defect of Mnemos: please report it.")


class Transaction:
    """A transaction of a connection, as a context manager: several times as fast as a generator, and entered often."""

    __slots__ = ("_begun", "_connection", "_write")

    def __init__(self, connection: Connection, *, write: bool) -> None:
        self._connection, self._write, self._begun = connection, write, False

    def __enter__(self) -> sqlite3.Connection:
        try:
            db, self._begun = self._connection.begin(self._write)
        except sqlite3.Error as error:
            raise self._connection.explain(error) from error
        return db

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._connection.end(self._begun, commit=error is None)
        except sqlite3.Error as other:
            raise self._connection.explain(other) from other
        if isinstance(error, sqlite3.Error):
            raise self._connection.explain(error) from error
