"""Errors of SQLite as errors of Mnemos, with the real cause and what to do."""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from pathlib import Path

from mnemos.errors import StoreBusy, StoreCorrupt, StoreError
from mnemos.store.causes import full, of_system

BUSY_SECONDS = 60.0
_PROBE = 65_536  # bytes: more than SQLite needs at once


def of_sqlite(error: sqlite3.Error, path: Path) -> StoreError:
    """Return an error of SQLite about a space as one that says what to do."""
    text, extended = str(error), getattr(error, "sqlite_errorcode", 0)
    code = extended & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return full(path)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusy(
            f"another process has held the write lock of {path} for {BUSY_SECONDS:.0f} s. "
            "Nothing was stored. Try again, or look for a process that hangs."
        )
    if code == sqlite3.SQLITE_NOTADB:
        return StoreCorrupt(
            f"{path} is not an SQLite file, or its first page is damaged. It was not changed. "
            "Restore it from a backup or an export, or move it away to start with an empty space."
        )
    if code == sqlite3.SQLITE_CORRUPT:
        return StoreCorrupt(
            f"{path} is damaged ({text}). Copy the file, then run `mnemos doctor` on the space; "
            "if rows are lost, restore them from a backup or an export."
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR):
        if (cause := probe(path)) is not None:
            return of_system(cause, path)
        if code == sqlite3.SQLITE_IOERR:
            return StoreError(
                f"the disk refused to read or write {path} ({text}). Nothing of this write was stored; check the disk."
            )
        return StoreError(f"{path} cannot be written ({text}). Check the permissions of the file and of its folder.")
    return StoreError(f"{path}: {text}. This is a defect of Mnemos: please report it.")


def probe(path: Path) -> OSError | None:
    """Return what the system says to opening a file and to writing beside it; None when it allows both.

    SQLite says "unable to open" and "disk I/O error" whatever the cause. Costs a small file in the folder.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))  # fails only for want of descriptors
        if path.exists() and not os.access(path, os.R_OK | os.W_OK):
            os.close(os.open(path.parent, os.O_RDONLY))
            return PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        with tempfile.TemporaryFile(dir=path.parent) as file:
            file.write(bytes(_PROBE))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error
    return None
