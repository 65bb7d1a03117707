"""Transactions of one space: a connection of the pool each, bound to the thread that began it.

Nothing is left set on a connection between two transactions, so that a pooler in transaction mode may stand in between: the
space, the role, time limits and the path are set with SET LOCAL, locks are held by the transaction.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from mnemos.errors import ReadOnly, StoreError
from mnemos.store.locks import try_lock
from mnemos.store.postgres.database import Database, Db
from mnemos.store.postgres.explain import WAIT_SECONDS, of_postgres
from mnemos.store.transaction import Transaction

_LIMIT = f"set_config('statement_timeout', '{WAIT_SECONDS}s', true)"
_SET = f"SELECT set_config('mnemos.space', %s, true), set_config('search_path', %s, true), {_LIMIT}"
_ROLE = "SELECT set_config('role', %s, true)"
_READ = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_SET}"
_WRITE = (
    f"BEGIN ISOLATION LEVEL READ COMMITTED; {_SET}, set_config('lock_timeout', %s, true), set_config('synchronous_commit', "
    "CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true); "
    "SELECT pg_advisory_xact_lock(%s)"
)
_COUNT = "UPDATE spaces SET writes = writes + 1 WHERE space = %s RETURNING writes"
_TOKEN = "SELECT made, seq, writes FROM mnemos.spaces WHERE space = %s"  # a table that has no rows of one space only
Token = tuple[int, int, int]
T = TypeVar("T")


def lock_key(space: str) -> int:
    """Return the number of the advisory lock that writers of a space hold."""
    digest = hashlib.blake2b(space.encode("utf-8", "surrogatepass"), digest_size=8, person=b"mnemos").digest()
    return int.from_bytes(digest, "big", signed=True)


@dataclass(slots=True)
class Steady:
    """What was current at the begin of a block: the change token, and the values of `meta` once one was asked for."""

    token: Token | None
    meta: dict[str, str] | None = None


class _Local(threading.local):
    """What belongs to one thread."""

    def __init__(self) -> None:
        self.db: Db | None = None  # inside a transaction
        self.pid = 0
        self.reading = False
        self.impatient = False  # raise StoreBusy instead of waiting
        self.steady: Steady | None = None  # what is taken for current in a block of `Connection.steady`
        self.after: list[Callable[[], None]] = []  # to call when it has been committed


class Connection:
    """The transactions of one space, for all threads of a process. Threads do not wait for each other to read.

    Writers of a space, on whatever machine, take turns by an advisory lock that the transaction holds: what a writer reads is
    what the one before has committed. A transaction for reading sees one state (REPEATABLE READ).
    """

    failure = psycopg.Error

    def __init__(self, database: Database, space: str, used: Callable[[], None] = lambda: None) -> None:
        self.database, self.space = database, space
        self.ended = False
        self._used = used  # to call at each transaction
        self._key = lock_key(space)
        self._local = _Local()
        self._lock = threading.RLock()  # of `try_lock`
        self._pid = os.getpid()
        self._kept: Steady | None = None  # the last one

    def read(self) -> Transaction[Db, psycopg.Error]:
        """Give a connection inside one read transaction: all queries see the same state."""
        return Transaction(self, write=False)

    def write(self) -> Transaction[Db, psycopg.Error]:
        """Give a connection inside one write transaction: committed on exit, rolled back on any error."""
        return Transaction(self, write=True)

    def begin(self, write: bool) -> tuple[Db, bool]:
        """Begin a transaction, or join that of this thread; return its connection and whether it was begun."""
        local = self._local
        if local.db is not None and local.pid == os.getpid():
            if write and local.reading:
                raise StoreError(f"space {self.space!r}: a write inside a transaction that was begun for reading only.")
            return local.db, False
        self._check(write)
        if write:
            local.steady = None
        local.db, local.pid, local.reading, local.after = self._begun(write), os.getpid(), not write, []
        return local.db, True

    def _check(self, write: bool) -> None:
        if self.ended:
            raise StoreError(f"space {self.space!r} is closed. Open the space again with Mnemos(URL).space(name).")
        if write and self.database.read_only:
            raise ReadOnly(
                f"nothing was written: {self.database.where} was opened with read_only=True, or is a standby, or its "
                "default_transaction_read_only is on. Open the primary server for writing."
            )
        self._pid = os.getpid()
        self._used()

    def _begun(self, write: bool) -> Db:
        """Return a connection inside a new transaction. One that died while it was idle is replaced."""
        for left in range(self.database.options.pool, -1, -1):
            db = self.database.lease()
            try:
                self._run(db, _WRITE if write else _READ, write=write)
            except BaseException as error:
                alive = not db.closed
                self._undo(db)
                if alive or not left or not isinstance(error, psycopg.OperationalError):
                    raise
            else:
                return db
        raise AssertionError("unreachable")

    def _run(self, db: Db, begin: str, *, write: bool) -> None:
        """Begin in one message: parameters are merged here, since a prepared statement holds one command."""
        role = self.database.options.role
        values: list[Any] = [self.space, self.database.path]
        if write:
            values += ["1ms" if self._local.impatient else f"{WAIT_SECONDS}s", self._key]
        if role is not None:
            begin, values = f"{begin}; {_ROLE}", [*values, role]
        if write:
            begin, values = f"{begin}; {_COUNT}", [*values, self.space]
        with psycopg.ClientCursor(db) as cursor:
            cursor.execute(begin, values)
            while cursor.nextset():
                pass
            if write and not cursor.rowcount:
                raise StoreError(
                    f"space {self.space!r} was removed by another process, or this user may not use it. Open the space "
                    "again to make a new one."
                )

    def _undo(self, db: Db) -> None:
        try:
            if not db.closed and db.info.transaction_status != TransactionStatus.IDLE:
                db.execute("ROLLBACK")
        except psycopg.Error:
            db.close()  # the server undoes what was not committed
        self.database.give_back(db)

    def end(self, begun: bool, *, commit: bool) -> None:
        """Commit or roll back what `begin` has begun, and call what waits for the commit."""
        local = self._local
        if not begun or local.db is None:
            return
        db, waiting = local.db, local.after
        local.db, local.after = None, []
        try:
            if commit:
                if db.info.transaction_status == TransactionStatus.INERROR:
                    raise StoreError(
                        f"space {self.space!r}: a statement of this transaction failed, and nothing of it was stored. "
                        "Repeat it without what failed."
                    )
                db.execute("COMMIT")
        finally:
            self._undo(db)
        if commit:
            for callback in waiting:
                callback()

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is inside a transaction."""
        return self._local.db is not None and self._local.pid == os.getpid()

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the transaction that this is called in has been committed."""
        self._local.after.append(callback)

    @contextmanager
    def bare(self) -> Iterator[Db]:
        """Give a connection outside a transaction, for VACUUM and the like. Names are to be qualified."""
        self._check(write=False)
        db = self.database.lease()
        try:
            yield db
        except psycopg.Error as error:
            raise self.explain(error) from error
        finally:
            self._undo(db)

    @contextmanager
    def try_lock(self) -> Iterator[bool]:
        """Try to take the space without waiting for another thread; yield whether it was taken.

        While it is held, what would wait for another writer raises StoreBusy at once.
        """
        with try_lock(self._lock) as held:
            self._local.impatient = held and not self.ended
            try:
                yield self._local.impatient
            finally:
                self._local.impatient = False

    def change_token(self) -> Token | None:
        """Return a token that changes with every write transaction of the space, whoever commits it. One message.

        None inside a transaction: what that has written may still be rolled back.
        """
        if self.in_transaction:
            return None
        if self._local.steady is not None:
            return self._local.steady.token
        if self.database.options.role is not None:
            rows = self.ask(_TOKEN, (self.space,))
        else:
            self._check(write=False)
            try:
                rows = self._with_living(lambda db: db.execute(_TOKEN, (self.space,)).fetchall())
            except psycopg.Error as error:
                raise self.explain(error) from error
        return None if not rows else (rows[0][0], rows[0][1], rows[0][2])

    @contextmanager
    def steady(self) -> Iterator[None]:
        """Take the change token, and the values of `meta`, for unchanged in this block, unless this thread writes.

        The values are kept until the token changes, so that a search of a space to which nobody writes costs one message.
        """
        if self.in_transaction or self._local.steady is not None:
            yield
            return
        token = self.change_token()
        if self._kept is None or self._kept.token != token or token is None:
            self._kept = Steady(token)
        self._local.steady = self._kept
        try:
            yield
        finally:
            self._local.steady = None

    def value(self, key: str) -> str | None:
        """Return a value of `meta`, or None."""
        steady = self._local.steady  # None once this thread writes
        if steady is None:
            rows = self.ask("SELECT value FROM meta WHERE space = %s AND key = %s", (self.space, key))
            return str(rows[0][0]) if rows else None
        if steady.meta is None:
            steady.meta = dict(self.ask("SELECT key, value FROM meta WHERE space = %s", (self.space,)))
        return steady.meta.get(key)

    def ask(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the rows of one query: in the transaction of this thread, or else in one of its own and one message."""
        if self.in_transaction and self._local.db is not None:
            return self._local.db.execute(query, values).fetchall()
        self._check(write=False)
        role = self.database.options.role
        begin, bound = (_READ, []) if role is None else (f"{_READ}; {_ROLE}", [role])
        at = begin.count(";") + 1  # of its results in those of the message

        def run(db: Db) -> list[tuple[Any, ...]]:
            with psycopg.ClientCursor(db) as cursor:
                cursor.execute(f"{begin}; {query}; COMMIT", [self.space, self.database.path, *bound, *values])
                for _ in range(at):
                    cursor.nextset()
                return cursor.fetchall()

        try:
            return self._with_living(run)
        except psycopg.Error as error:
            raise self.explain(error) from error

    def _with_living(self, act: Callable[[Db], T]) -> T:
        """Return what `act` returns for a connection of the pool. One that died while it was idle is replaced."""
        for left in range(self.database.options.pool, -1, -1):
            db = self.database.lease()
            try:
                return act(db)
            except psycopg.OperationalError:
                if not db.closed or not left:
                    raise
            finally:
                self._undo(db)
        raise AssertionError("unreachable")

    @property
    def closed(self) -> bool:
        """True after `close`, and in a forked child that has not used the space yet."""
        return self.ended or self._pid != os.getpid()

    def close(self) -> None:
        """End this handle. The pool stays open, for the other spaces."""
        self.ended = True

    def explain(self, error: psycopg.Error) -> Exception:
        """Return an error of Postgres as one that says what to do."""
        self.database.noticed(error)
        return of_postgres(error, self.database.where)
