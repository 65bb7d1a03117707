"""Save what can be read of a damaged file into a new one, and keep the damaged one beside it.

Rows are read in ranges, which are halved where SQLite meets a damaged page, down to single rows. Tables without row numbers
are read from both ends to the first damaged page. Words, dates and vectors can be computed again.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mnemos.errors import MnemosError, StoreCorrupt
from mnemos.store.causes import of_system
from mnemos.store.names import free, stamp
from mnemos.store.sound import MOST
from mnemos.store.sqlite import aside, birth
from mnemos.store.sqlite.explain import of_sqlite
from mnemos.store.sqlite.fetch import decode
from mnemos.store.sqlite.graft import graft
from mnemos.store.values import Salvaged

EVERY = (*aside.TABLES, "audit")
_HEADER = b"SQLite format 3\0" + bytes((0x10, 0x00, 2, 2, 0, 64, 32, 32))  # of every file that we make
MANY = 1 << 16  # rows that are looked for where nothing says how many there are
TRIES = 100_000  # reads of damaged pages, after which the rest of a table counts as lost
Rows = list[tuple[Any, ...]]


def survey(path: Path) -> Salvaged:
    """Return how many rows of each table can be read, and in which tables some cannot; nothing is changed."""
    copy, source = _open(path)
    try:
        return Salvaged(*_read(source, lambda table, names, rows: None), "")
    finally:
        source.close()
        _remove(copy)


def rescue(path: Path, space: str) -> Salvaged:
    """Write what can be read into a new file in the place of the damaged one, which is kept beside it.

    No connection to the file may be open. Raises StoreCorrupt when nothing can be read, and StoreFull.
    """
    part = path.with_name(f".{path.name}.salvaged")
    kept = free(path.with_name(f"{path.name}.damaged-{stamp(datetime.now(UTC))}"))
    copy, source = _open(path)
    try:
        _remove(part)
        birth.make(part, space)
        target = sqlite3.connect(part, isolation_level=None)
        try:
            target.execute("BEGIN")
            counts, lost = _read(source, lambda table, names, rows: _write(target, table, names, rows))
            target.execute("COMMIT")
        finally:
            target.close()
        source.close()
        for end in ("", "-wal"):
            if (old := path.with_name(path.name + end)).exists():
                old.rename(kept.with_name(kept.name + end))
        path.with_name(path.name + "-shm").unlink(missing_ok=True)
        part.rename(path)
    except sqlite3.Error as error:
        raise of_sqlite(error, path) from error
    except OSError as error:
        raise of_system(error, path) from error
    finally:
        source.close()
        _remove(copy)
        _remove(part)
    return Salvaged(counts, lost, str(kept))


def _open(path: Path) -> tuple[Path | None, sqlite3.Connection]:
    """Open a damaged file for reading; if its head or its schema cannot be read, a copy with those of a new file."""
    try:
        return None, _connect(path)
    except sqlite3.DatabaseError:
        copy = path.with_name(f".{path.name}.salvaging")
        try:
            shutil.copyfile(path, copy)
            with copy.open("r+b") as file:
                file.write(_HEADER)
            graft(copy)
            return copy, _connect(copy)
        except sqlite3.DatabaseError as error:
            _remove(copy)
            raise StoreCorrupt(
                f"nothing of {path} can be read ({error}): the page that describes its tables is damaged. It was not changed. "
                "Restore the space from a backup or an export."
            ) from error
        except OSError as error:
            _remove(copy)
            raise of_system(error, copy) from error
        except MnemosError:  # no room for the new file
            _remove(copy)
            raise


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    db.text_factory = decode
    try:
        db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'cubes'").fetchone()
        db.execute("SELECT 1 FROM cubes LIMIT 0").fetchall()
    except BaseException:
        db.close()
        raise
    return db


def _read(
    db: sqlite3.Connection, use: Callable[[str, Sequence[str], Rows], None]
) -> tuple[dict[str, int], dict[str, str]]:
    """Read all tables and hand on what was read; return the number of rows by table, and what is lost by table."""
    counts: dict[str, int] = {}
    lost: dict[str, str] = {}
    for table in EVERY:
        try:
            info = db.execute(f"PRAGMA table_info({table})").fetchall()
            names = [row[1] for row in info]
            if not names:
                continue
            keys = [row[1] for row in sorted(info, key=lambda row: row[5]) if row[5]]
            rows, whole = _of_table(db, table, names, keys)
        except sqlite3.DatabaseError as error:
            counts[table], lost[table] = 0, str(error)
            continue
        counts[table] = len(rows)
        if not whole:
            lost[table] = "some rows are on damaged pages"
        use(table, names, rows)
    return counts, lost


def _of_table(db: sqlite3.Connection, table: str, names: Sequence[str], keys: Sequence[str]) -> tuple[Rows, bool]:
    """Return the rows of a table that can be read, and whether those are all."""
    query = f"SELECT {', '.join(names)} FROM {table}"
    try:
        return db.execute(query).fetchall(), True
    except sqlite3.DatabaseError:
        pass
    try:
        db.execute(f"SELECT rowid FROM {table} LIMIT 0")
    except sqlite3.OperationalError:  # WITHOUT ROWID
        order = ", ".join(keys)
        found = dict.fromkeys(_until_damage(db, f"{query} ORDER BY {order}"))
        backwards = _until_damage(db, f"{query} ORDER BY {', '.join(f'{k} DESC' for k in keys)}")
        return list(found | dict.fromkeys(backwards)), False
    return _between(db, f"{query} WHERE rowid BETWEEN ? AND ?", _greatest(db, table)), False


def _greatest(db: sqlite3.Connection, table: str) -> int:
    """Return the greatest row number of a table, or where that cannot be read, one above that of any other."""
    most = 0
    for source in (
        f"SELECT max(rowid) FROM {table}",
        "SELECT max(seq) FROM sqlite_sequence",
        "SELECT max(n) FROM words",
    ):
        with suppress(sqlite3.DatabaseError, TypeError):
            most = max(most, int(db.execute(source).fetchone()[0]))
            if source.endswith(table):
                break
    return min(most or MANY, MOST)


def _between(db: sqlite3.Connection, query: str, last: int) -> Rows:
    """Return the rows of a table that can be read, in ranges that are halved where one cannot."""
    found: Rows = []
    waiting, failures = [(1, last)], 0
    while waiting and failures < TRIES:
        first, last = waiting.pop()
        try:
            found += db.execute(query, (first, last)).fetchall()
        except sqlite3.DatabaseError:
            failures += 1
            if first < last:
                middle = (first + last) // 2
                waiting += [(middle + 1, last), (first, middle)]
    return found


def _until_damage(db: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    with suppress(sqlite3.DatabaseError):
        yield from db.execute(query)


def _write(db: sqlite3.Connection, table: str, names: Sequence[str], rows: Rows) -> None:
    """Write rows to the new file; one that its table refuses is set aside."""
    for row in rows:
        marks = ", ".join(map(aside.mark, row))
        try:
            db.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", list(map(aside.bound, row)))
        except sqlite3.IntegrityError as error:
            if table in ("meta", "set_aside"):  # the new file's own
                continue
            reason = f"salvaged, and refused by its table: {error}"
            aside.put(db, 0, table, None, reason, dict(zip(names, row, strict=True)))


def _remove(path: Path | None) -> None:
    if path is not None:
        for end in ("", "-wal", "-shm", "-journal"):
            path.with_name(path.name + end).unlink(missing_ok=True)
