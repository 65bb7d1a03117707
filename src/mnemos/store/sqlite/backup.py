"""Backups: the file of a space, copied whole while it is in use, and put back."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from mnemos.errors import InvalidInput, StoreCorrupt, StoreError
from mnemos.store.blobs import Blobs, FileBlobs
from mnemos.store.causes import of_system
from mnemos.store.sqlite import carried, files, foreign
from mnemos.store.sqlite.connection import space_name
from mnemos.store.sqlite.explain import of_sqlite
from mnemos.store.sqlite.store import SqliteStore


def copy_to(store: SqliteStore, path: Path) -> Path:
    """Write a copy of a space as it is at one moment; return the file. Others may read and write during that.

    The copy holds no free pages, and so nothing that was erased; it is whole, read back and checked when it has its name.
    The payloads of weights are in it; keys and values are left out, since they are computed again.
    Raises InvalidInput when the file exists, StoreError when it cannot be written. Costs two passes over the space.
    """
    if path.exists():
        raise InvalidInput(f"{path} exists already: give another name. Nothing was written.")
    part = path.with_name(path.name + ".part")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with store.connection.bare() as db:
            try:
                db.execute("VACUUM INTO ?", (str(part),))
            except sqlite3.OperationalError as error:
                raise of_sqlite(error, part) from error
        carried.pack(part, store.blobs)
        _verify(part, store.space)
        part.replace(path)
    except OSError as error:
        raise of_system(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return path


def _verify(path: Path, space: str) -> None:
    """Read a backup as a whole, as it is on the disk. Raises StoreCorrupt when it is not what was to be written."""
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        wrong = [str(row[0]) for row in db.execute("PRAGMA integrity_check(1)") if row[0] != "ok"]
        if db.execute("SELECT 1 FROM meta WHERE key = 'space' AND value = ?", (space,)).fetchone() is None:
            wrong.append("it does not say which space it is")
    except sqlite3.Error as error:
        wrong = [str(error)]
    finally:
        db.close()
    if wrong:
        raise StoreCorrupt(
            f"the backup of the space {space!r} is damaged ({wrong[0]}) and was not kept. Try again; if it "
            "happens again, the space itself is: run `mnemos doctor`."
        )
    files.sync(path)


def restore_from(
    path: Path, target: Path, blobs: Blobs, found: str, wanted: str, make_room: Callable[[], None], *, settings: bool = False
) -> list[str]:  # fmt: skip
    """Copy a backup of the space `found` to `target` as the space `wanted`, after checking it; return what was left out.

    The payloads of its weights go to `blobs`.

    Triggers, views and other objects that a space does not have are left out, and, unless `settings` is set, the settings
    that let others in (`foreign.GUARDED`), where the space that is replaced has other ones, and the trust in weights
    (`carried.unpack`). `make_room` is called when the copy is sound and about to take its name. Raises StoreCorrupt for a
    damaged backup, and StoreError.
    """
    part = target.with_name(f".{target.name}.restoring")
    payloads = FileBlobs(part.with_name(part.name + ".payloads"))
    kept = foreign.settings_of(target) if target.exists() else {}
    try:
        part.unlink(missing_ok=True)
        payloads.remove()
        shutil.copyfile(path, part)
        part.chmod(0o600)
        left_out = foreign.disarm(part)
        left_out += carried.unpack(part, payloads, trusted=settings)
        SqliteStore(part, found, keep_old=False).close()  # brings an older file up to date
        left_out += foreign.clean(part)
        store = SqliteStore(part, found)
        try:
            if problems := store.checks.integrity():
                raise StoreCorrupt(f"{path} is damaged ({problems[0]}). Nothing was restored.")
            for name, value in foreign.settings_of(part).items():
                if not settings and kept.get(name) != value:
                    store.meta.set(name, kept.get(name, ""))
                    left_out.append(f"the setting {name} = {value:.200}")
            store.meta.set("space", wanted)
            store.tidy()
        finally:
            store.close()
        make_room()
        for cube_id in sorted(payloads.ids()):  # before the rows: what has no row is never read
            blobs.write(cube_id, payloads.path(cube_id).read_bytes())
        part.replace(target)
        return left_out
    except OSError as error:
        raise of_system(error, target) from error
    finally:
        payloads.remove()
        for end in ("", "-wal", "-shm"):
            part.with_name(part.name + end).unlink(missing_ok=True)


def name_in(path: Path) -> str:
    """Return the name of the space in a backup. Raises InvalidInput when it is none."""
    found = None
    if _is_sqlite(path):
        with contextlib.suppress(StoreError):
            found = space_name(path)
    if found is None:
        raise InvalidInput(f"{path} is not a backup of a space. `mnemos import` reads archives and other formats.")
    return found


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"
