"""A database: its pool of connections, checked when it is opened, and made again in a forked child."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

import psycopg
from psycopg import conninfo
from psycopg_pool import ConnectionPool, PoolTimeout

from mnemos.errors import InvalidInput, StoreError
from mnemos.location import masked
from mnemos.store.postgres import schema
from mnemos.store.postgres.adapt import adapt, adapt_text
from mnemos.store.postgres.explain import POOLER, of_postgres, shown
from mnemos.store.postgres.notices import Notices

logging.getLogger("psycopg.pool").addHandler(logging.NullHandler())  # its errors are raised where they are met
Db: TypeAlias = psycopg.Connection[tuple[Any, ...]]
CONNECT_SECONDS = 10
RECONNECT_SECONDS = 2.0  # for which the pool itself tries again, ever more rarely; then the next call does, at once
OWN = ("pool", "prepare", "role", "blobs", "index")  # parameters of a URL that only Mnemos reads
PREPARE_AFTER = 3  # executions of a query on one connection, from which the server keeps its plan


@dataclass(frozen=True, slots=True)
class Options:
    """How to connect: the URL without what only Mnemos reads, and that."""

    conninfo: str
    pool: int = 16  # connections of this process at most
    prepare: bool = True  # prepared statements; off behind a pooler in transaction mode
    role: str | None = None  # the role that reads and writes, by SET LOCAL ROLE: see `security`
    blobs: str | None = None  # the folder or bucket of payloads that are not text
    index: Path | None = None  # a folder of this machine for the indexes of large spaces: see `BulkRows`


def parse(url: str) -> Options:
    """Read a URL: postgresql://user@host/database?pool=16&prepare=off&role=NAME&blobs=FOLDER&index=FOLDER.

    What else follows the ? is for libpq. Raises InvalidInput.
    """
    before, _, query = url.rpartition("?") if "?" in url.rpartition("@")[2] else (url, "", "")
    given = {part: part.partition("=")[::2] for part in query.split("&") if part}
    own = {key: unquote(value) for key, value in given.values() if key in OWN}
    rest = "&".join(part for part, (key, _) in given.items() if key not in own)
    plain = f"{before}?{rest}" if rest else before
    try:
        conninfo.conninfo_to_dict(plain)
    except psycopg.Error:
        raise InvalidInput(
            f"{masked(url)} is not a URL that Postgres' client can read. Check what follows the ?, and that special "
            "characters of a name or password are percent-encoded."
        ) from None  # its message may quote the password
    pool, prepare = own.get("pool", "16"), own.get("prepare", "on")
    if not (pool.isascii() and pool.isdigit() and 0 < int(pool) <= 10_000):
        raise InvalidInput(f"pool= of {shown(url)} is {pool!r}: give the number of connections, 1 or more.")
    if prepare not in ("on", "off"):
        raise InvalidInput(f"prepare= of {shown(url)} is {prepare!r}: give on, or off behind a pooler.")
    index = Path(own["index"]).expanduser() if own.get("index") else None
    return Options(plain, int(pool), prepare == "on", own.get("role") or None, own.get("blobs") or None, index)


class Database:
    """The connections of this process to one database, shared by its threads and spaces.

    Opening connects, checks the server and its pgvector, and brings the tables up to date. Raises StoreError and its kinds.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self.options = parse(url)
        self.where = shown(self.options.conninfo)
        self.prepare = self.options.prepare
        self._pool: ConnectionPool[Db] | None = None
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self.ended = False
        self.notices = Notices(self.direct, lambda: self.ended)
        with self.direct() as db:
            self.state = schema.prepare(db, self.where, read_only=read_only)
        self.read_only = read_only or self.state.read_only
        names = dict.fromkeys(("mnemos", self.state.vector_schema, "pg_temp"))
        self.path = ", ".join(names)  # where names are looked up

    @contextmanager
    def direct(self) -> Iterator[Db]:
        """Give a connection outside the pool and outside a transaction. Raises StoreError with the cause."""
        try:
            with psycopg.connect(
                self.options.conninfo, autocommit=True, connect_timeout=CONNECT_SECONDS, prepare_threshold=None,
                client_encoding="UTF8", application_name="mnemos",
            ) as db:  # fmt: skip
                adapt_text(db)
                yield db
        except psycopg.Error as error:
            raise of_postgres(error, self.where) from error

    def lease(self) -> Db:
        """Take a connection out of the pool. Raises psycopg errors."""
        try:
            db = self._ready().getconn()
        except PoolTimeout:
            with self.direct():  # tells why, if the server is down
                pass
            raise
        if not self.prepare:
            db.prepare_threshold = None
        return db

    def give_back(self, db: Db) -> None:
        """Put a connection back; a broken one is replaced by another."""
        if self._pool is not None and self._pid == os.getpid():
            self._pool.putconn(db)

    def noticed(self, error: psycopg.Error) -> None:
        """Turn prepared statements off when an error shows that a pooler does not carry them."""
        if error.sqlstate in POOLER:
            self.prepare = False

    def _ready(self) -> ConnectionPool[Db]:
        if self.ended:
            raise StoreError(f"{self.where} is closed. Open it again with Mnemos(URL).")
        with self._lock:
            if self._pool is None or self._pid != os.getpid():  # connections do not cross a fork
                self._pid = os.getpid()
                self._pool = ConnectionPool(
                    self.options.conninfo, min_size=0, max_size=self.options.pool, timeout=CONNECT_SECONDS,
                    reconnect_timeout=RECONNECT_SECONDS, open=True,
                    num_workers=1, configure=adapt,
                    kwargs={
                        "autocommit": True, "connect_timeout": CONNECT_SECONDS, "client_encoding": "UTF8",
                        "prepare_threshold": PREPARE_AFTER if self.prepare else None, "application_name": "mnemos",
                    },
                )  # fmt: skip
            return self._pool

    def close(self) -> None:
        """Close all connections; closing twice is allowed."""
        self.ended = True
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None and self._pid == os.getpid():
            pool.close()
