"""A small SQLite file that only this user may read, shared by threads and processes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mnemos.errors import StoreError
from mnemos.store.sqlite import files
from mnemos.store.sqlite.connection import keep_log


class PrivateFile:
    """The connection of one file, whose tables `schema` makes if they do not exist. Raises StoreError."""

    def __init__(self, path: Path, schema: str) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            files.make(path)
            self._db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
            keep_log(self._db)
            for pragma in ("synchronous = FULL", "secure_delete = ON"):
                self._db.execute(f"PRAGMA {pragma}")
            self._db.executescript(schema)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"cannot use {path} ({error}). Check that its folder is writable.") from error

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Give the connection inside one write transaction."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise StoreError(f"{self.path} cannot be used ({error}).") from error

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        with self._lock:
            try:
                return self._db.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise StoreError(f"{self.path} cannot be read ({error}).") from error

    def change_token(self) -> tuple[int, int]:
        """Return a value that changes whenever the file does, here or in another process."""
        with self._lock:
            return self.rows("PRAGMA data_version")[0][0], self._db.total_changes

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()
