"""The file of a space opened for reading only: on a disk, or in a folder, that cannot be written."""

from __future__ import annotations

import os
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mnemos.errors import ReadOnly
from mnemos.store.sqlite.explain import BUSY_SECONDS
from mnemos.store.sqlite.schema import VERSION, check, migrate

# an I/O error, since the index of a log needs room: on a full disk it cannot be made either
_REFUSED = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR)
Stamp = tuple[tuple[int, int, int] | None, ...]


def writable(path: Path) -> bool:
    """Tell whether the file, and its folder, where SQLite keeps its log, may be written. A missing file may."""
    effective = os.access in os.supports_effective_ids
    if not path.exists():
        return True
    file, folder = (
        os.access(p, m, effective_ids=effective) for p, m in ((path, os.W_OK), (path.parent, os.W_OK | os.X_OK))
    )
    return file and folder


@dataclass(frozen=True)
class ReadOnlyFile:
    """A connection that writes nothing to the folder of its file, and how it came about."""

    db: sqlite3.Connection
    stamp: Stamp | None  # what the files were like, where the connection itself would not notice a change
    copy: TemporaryDirectory[str] | None  # what is read instead of the file

    def stale(self, path: Path) -> bool:
        """Tell whether the files have changed since they were opened. Costs two looks at the folder."""
        return self.stamp is not None and self.stamp != _stamp(path)

    def close(self) -> None:
        """Close the connection and remove the copy."""
        self.db.close()
        if self.copy is not None:
            self.copy.cleanup()


def open_for_reading(path: Path, space: str) -> ReadOnlyFile:
    """Open the file of a space for reading only; see `connect`. A file of an older schema is read from a migrated copy.

    Raises ReadOnly when there is no file, and sqlite3.Error.
    """
    if not path.exists():
        raise ReadOnly(f"there is no {path}, and in a root that is opened read-only no space is made.")
    opened = connect(path)
    try:
        if check(opened.db, str(path)) != VERSION:
            opened.close()
            opened = _copy(path)
            migrate(opened.db, space, str(path))
    except BaseException:
        opened.close()
        raise
    return opened


def connect(path: Path) -> ReadOnlyFile:
    """Connect to a file without writing beside it.

    SQLite reads a write-ahead log only with the index beside it, which it cannot make in such a folder. Without a log the
    file is read as it is; with one and no index, from a private copy in the folder for temporary files.
    """
    uri = path.absolute().as_uri()
    try:
        return ReadOnlyFile(_connect(f"{uri}?mode=ro"), None, None)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _REFUSED:
            raise
    stamp = _stamp(path)
    if stamp[1] is None or not stamp[1][1]:
        return ReadOnlyFile(_connect(f"{uri}?mode=ro&immutable=1"), stamp, None)
    return _copy(path)


def _connect(uri: str) -> sqlite3.Connection:
    db = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the first read opens the log
    except BaseException:
        db.close()
        raise
    return db


def _copy(path: Path) -> ReadOnlyFile:
    stamp = _stamp(path)
    folder = TemporaryDirectory(prefix="mnemos-read-", ignore_cleanup_errors=True)
    try:
        copy = Path(folder.name) / path.name
        for end in ("", "-wal"):
            if (part := path.with_name(path.name + end)).exists():
                shutil.copyfile(part, copy.with_name(path.name + end))
        return ReadOnlyFile(_connect(copy.as_uri()), stamp, folder)
    except BaseException:
        folder.cleanup()
        raise


def _stamp(path: Path) -> Stamp:
    """Return what tells one content of the file and of its log from another: inode, size and time of the last write."""
    found: list[tuple[int, int, int] | None] = []
    for part in (path, path.with_name(path.name + "-wal")):
        try:
            status = part.stat()
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        except FileNotFoundError:
            found.append(None)
    return tuple(found)
