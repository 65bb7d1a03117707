"""Connections to databases: one pool for each database and process, shared by everything that uses it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from mnemos.errors import StoreError
from mnemos.location import DatabaseUrl
from mnemos.store.postgres.refused import of_connecting, of_statement

MOST = 16  # connections of a process to a database, beside those of spaces at work
IDLE = 300.0  # seconds after which an unused connection is closed
CONNECT = 10  # seconds that connecting may take
WAIT = 15.0  # seconds for which a caller waits for a connection

_lock = threading.Lock()
_pools: dict[str, tuple[ConnectionPool[psycopg.Connection[Any]], int]] = {}  # by URL, with how many use it


class Shared:
    """A use of the pool of a database, until `close`. Raises StoreError, with the cause, when it cannot be reached."""

    def __init__(self, where: DatabaseUrl) -> None:
        self.where = where
        self._closed = False
        self._pool = _enter(where)

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        """Lend a connection in autocommit mode that works; errors of the database come out as StoreError."""
        if self._closed:
            raise StoreError(f"the connection to {self.where} was closed: open the root again.")
        try:
            with self._pool.connection(WAIT) as db:
                yield db
        except (PoolTimeout, PoolClosed) as error:
            check(self.where)
            raise StoreError(
                f"{self.where} has no connection free: all {MOST} of this process are in use. Try again later."
            ) from error
        except psycopg.Error as error:
            raise of_statement(error, self.where) from error

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[Any]]:
        """Lend a connection inside a transaction, which is durable when the block ends."""
        with self.connection() as db, db.transaction():
            yield db

    def close(self) -> None:
        """End this use; the last one closes the connections. Closing twice is allowed."""
        if not self._closed:
            self._closed = True
            _leave(self.where)


def check(where: DatabaseUrl) -> None:
    """Connect once. Raises StoreError that says why that does not work."""
    try:
        psycopg.connect(where.url, connect_timeout=CONNECT).close()
    except (psycopg.Error, UnicodeError) as error:
        raise of_connecting(error, where) from None  # the cause may quote the URL


def _enter(where: DatabaseUrl) -> ConnectionPool[psycopg.Connection[Any]]:
    with _lock:
        if found := _pools.get(where.url):
            _pools[where.url] = found[0], found[1] + 1
            return found[0]
    check(where)
    pool = ConnectionPool(
        where.url, min_size=0, max_size=MOST, max_idle=IDLE, timeout=WAIT, open=False, name="mnemos",
        kwargs={"autocommit": True, "connect_timeout": CONNECT, "application_name": "mnemos"},
        check=ConnectionPool.check_connection,
    )  # fmt: skip
    with _lock:
        shared, uses = _pools.setdefault(where.url, (pool, 0))
        _pools[where.url] = shared, uses + 1
        if shared is pool:
            pool.open()
    return shared


def _leave(where: DatabaseUrl) -> None:
    with _lock:
        found = _pools.get(where.url)
        if found is None:  # of the parent of a forked process
            return
        pool, uses = found
        if uses > 1:
            _pools[where.url] = pool, uses - 1
            return
        del _pools[where.url]
    pool.close()


def _reset() -> None:
    """Forget everything in a forked child: connections and threads belong to its parent."""
    global _lock
    _lock = threading.Lock()
    _pools.clear()


if os.name != "nt":
    os.register_at_fork(after_in_child=_reset)
