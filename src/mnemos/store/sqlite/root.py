"""A folder of spaces, one SQLite file each."""

from __future__ import annotations

import glob
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from mnemos.errors import Conflict, InvalidInput, NotFound, OutOfFiles, ReadOnly, StoreError
from mnemos.store import reserve
from mnemos.store.blobs import Blobs, FileBlobs, shred
from mnemos.store.buckets import KV, make_folder, open_blobs
from mnemos.store.causes import of_system
from mnemos.store.names import SUFFIX, file_stem, free, stamp
from mnemos.store.pool import Pool
from mnemos.store.sqlite.backup import copy_to, name_in, restore_from
from mnemos.store.sqlite.bulk import INDEX
from mnemos.store.sqlite.connection import space_name
from mnemos.store.sqlite.salvage import rescue
from mnemos.store.sqlite.store import SqliteStore
from mnemos.store.values import Salvaged, StoredSpace

Release = Callable[[str], None]


class Folder:
    """Implements `Root` on a folder, which is made if it does not exist. Raises StoreError when that cannot be done."""

    def __init__(
        self,
        path: Path,
        actor: str,
        clock: Callable[[], datetime],
        pool: Pool | None = None,
        *,
        read_only: bool = False,
        blobs: str | None = None,
    ) -> None:
        self.path, self._actor, self._clock, self._pool, self._read_only = path, actor, clock, pool, read_only
        self._place = blobs  # of payloads that are not text; None: beside the spaces
        try:
            if read_only and not path.is_dir():
                raise ReadOnly(f"there is no folder {path}, and a root that is opened read-only is not made.")
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            if not isinstance(error, FileExistsError | NotADirectoryError):
                raise of_system(error, path) from error
            raise StoreError(f"cannot use {path} as the root: it is not a folder. Give a folder.") from error
        if not read_only:
            reserve.keep(path)
            if blobs is not None:
                make_folder(blobs)

    @property
    def engine(self) -> str:
        """SQLite, with its version."""
        return f"SQLite {sqlite3.sqlite_version}"

    def _file(self, name: str) -> Path:
        return self.path / (file_stem(name) + SUFFIX)

    def _existing(self, name: str) -> Path:
        path = self._file(name)
        if not path.exists():
            raise NotFound(f"there is no space {name!r} under {self.path}: `mnemos spaces` lists them.")
        return path

    def _blobs(self, name: str) -> Blobs:
        return open_blobs(str(self.path) if self._place is None else self._place, name)

    def open(self, name: str) -> SqliteStore:
        """Open the store of a space; a new space is made. Costs a file open."""
        path = self._file(name)
        store = SqliteStore(
            path, name, self._blobs(name), actor=self._actor, clock=self._clock, pool=self._pool,
            read_only=self._read_only,
        )  # fmt: skip
        if (found := store.meta.get("space")) and found != name:  # one that is damaged is told, and `doctor` mends it
            store.close()
            raise StoreError(f"{path} holds the space {found!r}, not {name!r}. Rename the file back.")
        return store

    def exists(self, name: str) -> bool:
        """Tell whether there is a space of this name."""
        return self._file(name).exists()

    def check(self) -> None:
        """Write a file without a name, and look into the folder. Raises OSError."""
        with tempfile.TemporaryFile(dir=self.path) as file, os.scandir(self.path):
            file.write(b"\0")
            file.flush()

    def inventory(self) -> list[StoredSpace]:
        """Return all files of spaces, in the order of their names. Reads one row of each file."""
        return self._inventory() if self._pool is None else self._pool.with_room(self._inventory)

    def _inventory(self) -> list[StoredSpace]:
        found = []
        try:
            paths = sorted(self.path.glob("*" + SUFFIX))
        except OSError as error:
            raise of_system(error, self.path) from error
        for path in paths:
            name, problem = None, f"{path} names no space."
            try:
                name = space_name(path)
            except OutOfFiles:
                raise
            except StoreError as error:
                problem = str(error)
            if name is None and problem.endswith("names no space.") and file_stem(path.stem) == path.stem:
                name = path.stem
            found.append(StoredSpace(name, str(path), path.stat().st_size, "" if name is not None else problem))
        return found

    def remove(self, name: str) -> None:
        """Overwrite the files of a space with zeros and remove them. Raises NotFound."""
        path = self._existing(name)
        copies = self.path.glob(glob.escape(path.name) + ".*")  # from before a migration, and damaged originals
        for part in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal")), *copies):
            if part.exists():
                shred(part)
        self._blobs(name).remove()
        shutil.rmtree(path.with_suffix(INDEX), ignore_errors=True)

    def _arriving(self, name: str) -> Path:
        return self.path / f".{file_stem(name)}.moving"

    def receive(self, name: str) -> SqliteStore:
        """Open the store of a space that is being copied here, under a name that no space has."""
        if self.exists(name):
            raise Conflict(f"there is a space {name!r} under {self.path} already.")
        path = self._arriving(name)
        return SqliteStore(path, name, FileBlobs(path.with_name(path.name + KV)), actor=self._actor, clock=self._clock)

    def receiving(self, name: str) -> bool:
        """Tell whether a copy of this name was begun and is not accepted."""
        return self._arriving(name).exists()

    def accept(self, name: str) -> None:
        """Give the file that was received, and its payloads, the name of a space. Raises OSError as StoreError."""
        path, blobs = self._arriving(name), self._blobs(name)
        try:
            received = FileBlobs(path.with_name(path.name + KV))
            blobs.remove()
            for payload in received.ids():
                blobs.write(payload, received.path(payload).read_bytes())
            received.remove()
            path.rename(self._file(name))
        except OSError as error:
            raise of_system(error, path) from error

    def refuse(self, name: str) -> None:
        """Remove what was received so far."""
        path = self._arriving(name)
        for part in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
            if part.exists():
                shred(part)
        FileBlobs(path.with_name(path.name + KV)).remove()

    def close(self) -> None:
        """Do nothing: a folder holds nothing."""

    def salvage(self, name: str) -> Salvaged:
        """Save what can be read of a space that cannot be opened; see `sqlite.salvage`."""
        return rescue(self._existing(name), name)

    def backup(self, name: str, target: Path) -> Path:
        """Copy a space as it is at one moment to a file, or into a folder; return the file. See `sqlite.backup`."""
        if target.is_dir():
            if target.samefile(self.path):
                raise InvalidInput(
                    f"{target} is the root: a backup there would look like a space. Give another folder."
                )
            target = free(target / f"{file_stem(name)}-{stamp(self._clock())}{SUFFIX}")
        store = self.open(name)
        try:
            return copy_to(store, target)
        finally:
            store.close()

    def restore(
        self, path: Path, *, name: str | None, replace: bool, release: Release, settings: bool = False
    ) -> tuple[str, list[str]]:
        """Put a backup back, under its own name or another one; return the name of the space and what was left out.

        See `sqlite.backup`.
        """
        if not path.is_file():
            raise InvalidInput(f"there is no file {path}.")
        if path.suffix == SUFFIX and path.parent.samefile(self.path):
            raise InvalidInput(f"{path} is a space, which may be in use, and no backup: make one with `mnemos backup`.")
        found = name_in(path)
        wanted = name or found
        target = self._file(wanted)
        if target.exists() and not replace:
            raise Conflict(
                f"there is a space {wanted!r} already: restore under another name, or replace it. Nothing was done."
            )

        def make_room() -> None:
            if self.exists(wanted):
                release(wanted)
                self.remove(wanted)

        return wanted, restore_from(path, target, self._blobs(wanted), found, wanted, make_room, settings=settings)
