"""New files of spaces, and copies of old ones before they are brought to the current schema."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import warnings
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from mnemos.errors import SpaceMigrated
from mnemos.store.blobs import shred
from mnemos.store.causes import of_system
from mnemos.store.names import stamp
from mnemos.store.sqlite import files
from mnemos.store.sqlite.explain import of_sqlite
from mnemos.store.sqlite.schema import VERSION, migrate

COPIES = "copies"  # in `meta`: names of the copies beside the file


def make(path: Path, space: str) -> None:
    """Make the file of a new space: with all its tables, or not at all. Raises StoreError.

    It is made under another name and then linked to its own, which fails if another process was first: then that file
    is the space. On a disk without links an empty file is made.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.new")
    try:
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
        db = sqlite3.connect(part, isolation_level=None)
        try:
            for pragma in ("journal_mode = MEMORY", "synchronous = OFF", "auto_vacuum = INCREMENTAL"):
                db.execute(f"PRAGMA {pragma}")
            migrate(db, space, str(path))
        finally:
            db.close()
        files.sync(part)
        try:
            os.link(part, path)
        except FileExistsError:
            return
        except OSError:
            files.make(path)
        with suppress(OSError):
            files.sync(path.parent)
    except sqlite3.Error as error:
        raise of_sqlite(error, path) from error
    except OSError as error:
        raise of_system(error, path) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def upgrade(db: sqlite3.Connection, path: Path, space: str, version: int, *, copy: bool) -> None:
    """Bring a file to the current schema, all or nothing; with `copy` keep what it was, beside it, and say so.

    The copy is named after the file, its version and the time. It is removed with the first erasure, since it may hold
    what is erased then. Costs one pass over the space.
    """
    kept = _copy(db, path, version) if copy and version else None
    migrate(db, space, str(path))
    if kept is None:
        return
    _note(db, kept.name)
    warnings.warn(
        f"{path} was written by an earlier Mnemos and was brought from schema {version} to {VERSION}. A copy from before "
        f"is {kept}: remove it when you need it no longer. The first erasure in the space removes it.",
        SpaceMigrated,
        stacklevel=2,
    )


def drop_copies(db: sqlite3.Connection, path: Path) -> None:
    """Overwrite and remove the copies that `upgrade` kept. One look-up where there are none."""
    row = db.execute("SELECT value FROM meta WHERE key = ?", (COPIES,)).fetchone()
    if row is None:
        return
    with suppress(ValueError, TypeError):  # damaged: `remains` still searches what is beside the file
        for name in json.loads(row[0]):
            with suppress(FileNotFoundError):
                shred(path.with_name(Path(name).name))
    db.execute("DELETE FROM meta WHERE key = ?", (COPIES,))


def _copy(db: sqlite3.Connection, path: Path, version: int) -> Path | None:
    """Copy a file as it is at one moment; None when another process has brought it to a later version by then."""
    target = path.with_name(f"{path.name}.v{version}-{stamp(datetime.now(UTC))}")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        db.execute("VACUUM INTO ?", (str(part),))
        files.sync(part)
        copied = sqlite3.connect(part)
        try:
            same = copied.execute("PRAGMA user_version").fetchone()[0] == version
        finally:
            copied.close()
        if same:
            part.replace(target)
        return target if same else None
    except OSError as error:
        raise of_system(error, target) from error
    finally:
        part.unlink(missing_ok=True)


def _note(db: sqlite3.Connection, name: str) -> None:
    row = db.execute("SELECT value FROM meta WHERE key = ?", (COPIES,)).fetchone()
    names = json.dumps([*(json.loads(row[0]) if row else ()), name])
    db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (COPIES, names))
