"""Databases in use: one `Database`, with its pool of connections, for each URL and process."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import ConnectionPool

from mnemos.errors import StoreError
from mnemos.location import DatabaseUrl
from mnemos.store.postgres.database import Database, Db
from mnemos.store.postgres.explain import of_postgres

_lock = threading.Lock()
_databases: dict[tuple[str, bool], tuple[Database, int]] = {}  # by URL and `read_only`, with how many use it


class Shared:
    """A use of a database by this process, until `close`. Raises StoreError, with the cause, when it cannot be used."""

    def __init__(self, where: DatabaseUrl, *, read_only: bool = False) -> None:
        self.where = where
        self._key = (where.url, read_only)
        self._closed = False
        self.database = _enter(self._key)

    @contextmanager
    def connection(self) -> Iterator[Db]:
        """Lend a connection in autocommit mode that works; errors of the database come out as StoreError."""
        if self._closed:
            raise StoreError(f"{self.where} was closed: open it again.")
        database, db = self.database, None
        try:
            db = _alive(database)
            yield db
        except psycopg.Error as error:
            database.noticed(error)
            raise of_postgres(error, database.where) from error
        finally:
            if db is not None:
                database.give_back(db)

    @contextmanager
    def transaction(self) -> Iterator[Db]:
        """Lend a connection inside a transaction, which is durable when the block ends."""
        with self.connection() as db, db.transaction():
            yield db

    def close(self) -> None:
        """End this use; the last one closes the connections. Closing twice is allowed."""
        if not self._closed:
            self._closed = True
            _leave(self._key)


def _alive(database: Database) -> Db:
    """Take a connection that works; those that died while they were idle are replaced. Costs a round trip."""
    for left in range(database.options.pool, -1, -1):
        db = database.lease()
        try:
            ConnectionPool.check_connection(db)
        except psycopg.OperationalError:
            database.give_back(db)
            if not left:
                raise
        except BaseException:
            database.give_back(db)
            raise
        else:
            return db
    raise AssertionError("unreachable")


def _enter(key: tuple[str, bool]) -> Database:
    with _lock:
        if found := _databases.get(key):
            _databases[key] = found[0], found[1] + 1
            return found[0]
    made = Database(key[0], read_only=key[1])
    with _lock:
        database, uses = _databases.setdefault(key, (made, 0))
        _databases[key] = database, uses + 1
    if database is not made:
        made.close()
    return database


def _leave(key: tuple[str, bool]) -> None:
    with _lock:
        found = _databases.get(key)
        if found is None:  # of the parent of a forked process
            return
        database, uses = found
        if uses > 1:
            _databases[key] = database, uses - 1
            return
        del _databases[key]
    database.close()


def _reset() -> None:
    """Forget everything in a forked child: connections and threads belong to its parent."""
    global _lock
    _lock = threading.Lock()
    _databases.clear()


if os.name != "nt":
    os.register_at_fork(after_in_child=_reset)
