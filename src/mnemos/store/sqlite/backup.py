"""Backups: the file of a space, copied whole while it is in use, and put back."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from mnemos.errors import Conflict, InvalidInput, StoreCorrupt, StoreError
from mnemos.store.sqlite.connection import space_name
from mnemos.store.sqlite.names import SUFFIX, file_name
from mnemos.store.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from mnemos.system import Mnemos


def backup(memory: Mnemos, name: str, target: Path) -> Path:
    """Write a copy of a space as it is at one moment, to a file or into a folder; return the file.

    Others may go on reading and writing meanwhile. The copy holds no free pages, and so nothing that was erased; it is
    whole when it has its name. Raises InvalidInput when the file is there already. Costs one pass over the space.
    """
    space = memory.existing(name)
    space.flush()
    path = target / file_name(name) if target.is_dir() else target
    if path.exists():
        raise InvalidInput(f"{path} is there already: give another name. Nothing was written.")
    part = path.with_name(path.name + ".part")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with space.store.connection.bare() as db:
            db.execute("VACUUM INTO ?", (str(part),))
        part.replace(path)
    except OSError as error:
        raise StoreError(
            f"cannot write {path} ({error.strerror}). Check that the folder is there and writable."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return path


def restore(memory: Mnemos, path: Path, *, name: str | None = None, replace: bool = False) -> str:
    """Put a backup back, under its own name or another one; return the name of the space.

    The file is checked first. A space that is there stays as it is unless `replace`. Raises InvalidInput for a file
    that is no backup, StoreCorrupt for a damaged one, and Conflict when there is a space of this name.
    """
    if not path.is_file():
        raise InvalidInput(f"there is no file {path}.")
    if path.suffix == SUFFIX and path.parent.samefile(memory.root):
        raise InvalidInput(f"{path} is a space, which may be in use, and no backup: make one with `mnemos backup`.")
    found = _name_in(path)
    wanted = name or found
    there = memory.root / file_name(wanted)
    if there.exists() and not replace:
        raise Conflict(
            f"there is a space {wanted!r} already: restore under another name, or replace it. Nothing was done."
        )
    part = there.with_name(f".{there.name}.restoring")
    try:
        shutil.copyfile(path, part)
        part.chmod(0o600)
        store = SqliteStore(part, found)  # brings an older file up to date
        try:
            if problems := store.checks.integrity():
                raise StoreCorrupt(f"{path} is damaged ({problems[0]}). Nothing was restored.")
            store.set_meta("space", wanted)
            store.tidy()
        finally:
            store.close()
        if wanted in memory:
            memory.remove(wanted)
        part.replace(there)
    finally:
        for end in ("", "-wal", "-shm"):
            part.with_name(part.name + end).unlink(missing_ok=True)
    return wanted


def _name_in(path: Path) -> str:
    """Return the name of the space in a backup."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = space_name(path) if _is_sqlite(path) else None
    if found is None:
        raise InvalidInput(f"{path} is not a backup of a space. `mnemos import` reads archives and other formats.")
    return found


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"
