"""The spaces of a database."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from mnemos.cube import to_micros, utc_now
from mnemos.errors import Conflict, InvalidInput, NotFound, ReadOnly, StoreBusy, StoreError
from mnemos.location import DatabaseUrl
from mnemos.store import copying
from mnemos.store.base import Store
from mnemos.store.blobs import Blobs, FileBlobs
from mnemos.store.buckets import make_folder, open_blobs
from mnemos.store.causes import of_system
from mnemos.store.names import SUFFIX, file_stem, free, stamp
from mnemos.store.pool import Pool
from mnemos.store.postgres import spaces, vacuum
from mnemos.store.postgres.bulk import remove_index
from mnemos.store.postgres.connection import Connection
from mnemos.store.postgres.database import Database
from mnemos.store.postgres.pools import Shared
from mnemos.store.postgres.removal import TOUCHED
from mnemos.store.postgres.resident import Resident
from mnemos.store.postgres.schema import SPACE_TABLES
from mnemos.store.postgres.store import PostgresStore
from mnemos.store.postgres.vacuum import Vacuum
from mnemos.store.sqlite.foreign import GUARDED
from mnemos.store.sqlite.root import Folder
from mnemos.store.values import StoredSpace

Release = Callable[[str], None]
_SIZES = (  # what all tables take up, shared among the spaces by the keys that they were given: one scan of the names
    "SELECT space, ceil(total * (last + 1.0) / sum(last + 1) OVER ())::bigint FROM mnemos.spaces, "
    "(SELECT sum(pg_total_relation_size(('mnemos.' || t)::regclass)) AS total FROM unnest(%s::text[]) AS t) AS sizes "
    "WHERE NOT EXISTS (SELECT 1 FROM mnemos.arriving AS a WHERE a.space = spaces.space) ORDER BY space"
)


class DatabaseRoot:
    """Implements `Root` on a database, whose tables are made if they do not exist.

    Raises StoreError when it cannot be used. Payloads that are not text are in the folder or bucket that `blobs` names, or
    `blobs=` of the URL; every machine has to see it.
    """

    def __init__(
        self,
        where: DatabaseUrl,
        actor: str,
        clock: Callable[[], datetime],
        pool: Pool | None = None,
        *,
        read_only: bool = False,
        blobs: str | None = None,
    ) -> None:
        self.where, self._actor, self._clock, self._pool, self._read_only = where, actor, clock, pool, read_only
        self._blobs_given = blobs
        self._use: Shared | None = None
        self._vacuum: Vacuum | None = None
        self._enter()

    def _enter(self) -> Shared:
        """Return the use of the database, taken again after `close`."""
        if self._use is None:
            self._use = Shared(self.where, read_only=self._read_only)
            self._vacuum = Vacuum(self._use.database)
            if (place := self._place) is not None and not self._read_only:
                make_folder(place)
        return self._use

    @property
    def _database(self) -> Database:
        return self._enter().database

    @property
    def engine(self) -> str:
        """Postgres, with its version."""
        return f"Postgres {self._database.state.server.split()[0]}"

    @property
    def _place(self) -> str | None:
        return self._blobs_given or self._database.options.blobs

    def _blobs(self, name: str) -> Blobs:
        return open_blobs(place, name) if (place := self._place) else _NoBlobs(self.where)

    def _store(self, name: str, pool: Pool | None = None) -> PostgresStore:
        database = self._database
        assert self._vacuum is not None  # made with the database
        return PostgresStore(
            database, name, self._blobs(name), vacuum=self._vacuum, actor=self._actor, clock=self._clock,
            resident=Resident(pool),
        )  # fmt: skip

    def open(self, name: str) -> PostgresStore:
        """Open the store of a space; a new space is made. Costs two or three queries."""
        if self.receiving(name):
            raise StoreBusy(
                f"the space {name!r} is being copied to {self.where}: run `mnemos move` again, which finishes it."
            )
        file_stem(name)  # checks it
        if not self._database.read_only:
            spaces.make(self._database, name, to_micros(self._clock()))
        elif not self.exists(name):
            raise ReadOnly(f"there is no space {name!r} in {self.where}, which is open for reading only.")
        return self._store(name, self._pool)

    def exists(self, name: str) -> bool:
        """Tell whether there is a space of this name."""
        file_stem(name)
        return spaces.exists(self._database, name) and not self.receiving(name)

    def check(self) -> None:
        """Ask the database for something. Raises StoreError; ReadOnly when it takes no writes and is to."""
        with self._enter().connection() as db:
            row = db.execute("SELECT pg_is_in_recovery()").fetchone()
        if row is not None and row[0] and not self._read_only:
            raise ReadOnly(f"{self.where} is a standby, which takes no writes. Give the URL of the primary server.")

    def inventory(self) -> list[StoredSpace]:
        """Return the spaces, in the order of their names; their sizes are shares of the tables. One query."""
        with Connection(self._database, "").read() as db:
            rows = db.execute(_SIZES, (list(SPACE_TABLES),)).fetchall()
        return [StoredSpace(name, f"{self._database.where}", int(size), "") for name, size in rows]

    def remove(self, name: str) -> None:
        """Remove a space and everything in it; see `spaces.remove`. Raises NotFound."""
        if not self.exists(name):
            raise NotFound(f"there is no space {name!r} in {self.where}: `mnemos spaces` lists them.")
        spaces.remove(self._database, name)
        self._blobs(name).remove()
        remove_index(self._database, name)

    def salvage(self, name: str) -> NoReturn:
        """Raise StoreError: the server looks after its files, and a damaged database is restored from a backup."""
        raise StoreError(
            f"{self.where}: there is no file of {name!r} to save. Repair the server's data (pg_amcheck, its own backups), or "
            "restore the space from a file of `mnemos backup`."
        )

    def backup(self, name: str, target: Path) -> Path:
        """Copy a space as it is at one moment to a file, as the root of a folder writes it; return the file.

        Such a file is restored into any root. It is compared with the space before it has its name.
        """
        if target.is_dir():
            target = free(target / f"{file_stem(name)}-{stamp(self._clock())}{SUFFIX}")
        if target.exists():
            raise InvalidInput(f"{target} exists already: give another name. Nothing was written.")
        if not self.exists(name):
            raise NotFound(f"there is no space {name!r} in {self.where}: `mnemos spaces` lists them.")
        with _folder(target.parent) as (folder, path), closing(self._store(name)) as store:
            with store.transaction(write=False), closing(folder.receive(name)) as copy:
                copying.copy(store, copy, copying.digests_of(store, blobs=False))
                copying.copy_weights(store, copy)
            folder.accept(name)
            made = folder.backup(name, path / f"backup{SUFFIX}")
            try:
                made.rename(target)
            except OSError as error:
                raise of_system(error, target) from error
        return target

    def restore(
        self, path: Path, *, name: str | None, replace: bool, release: Release, settings: bool = False
    ) -> tuple[str, list[str]]:
        """Put a backup back, under its own name or another one; return the name of the space and what was left out.

        The file is checked and cleaned as by the root of a folder, in a folder of its own, and copied in one transaction.
        """
        with _folder(None) as (folder, _):
            found, left_out = folder.restore(path, name=name, replace=False, release=release, settings=settings)
            there = self.exists(found)
            if there and not replace:
                raise Conflict(
                    f"there is a space {found!r} already: restore under another name, or replace it. Nothing was done."
                )
            with closing(folder.open(found)) as source:
                if there:
                    left_out = left_out if settings else self._keep_guarded(source, left_out)
                    release(found)
                self._replace(source, found, there)
        return found, left_out

    def _keep_guarded(self, source: Store, left_out: list[str]) -> list[str]:
        """Put the guarded settings of the space that is replaced into a copy; return what was left out then."""
        with closing(self._store(source.space)) as old:
            kept = {name: old.meta.get(name) for name in GUARDED}
        for name, value in kept.items():
            source.meta.set(name, value)
        same = {f"the setting {name} = {value:.200}" for name, value in kept.items()}
        return [what for what in left_out if what not in same]

    def _replace(self, source: Store, name: str, there: bool) -> None:
        """Make a space what another store has, all or nothing."""
        spaces.make(self._database, name, to_micros(self._clock()))
        try:
            with closing(self._store(name)) as store, source.transaction(write=False), store.connection.write() as db:
                spaces.clear(db, name)
                copying.copy(source, store, copying.digests_of(source, blobs=False))
                copying.copy_weights(source, store)
                if there:  # another space now: what was kept of the former one is not brought up to date, but dropped
                    db.execute("UPDATE spaces SET made = %s WHERE space = %s", (to_micros(self._clock()), name))
        except BaseException:
            if not there:
                spaces.remove(self._database, name)
            raise
        if there:
            with self._database.direct() as db:
                vacuum.run(db, TOUCHED)

    def receive(self, name: str) -> PostgresStore:
        """Open the store of a space that is being copied here, which `exists` and `open` hide until `accept`."""
        if self.exists(name):
            raise Conflict(f"there is a space {name!r} in {self.where} already.")
        with self._enter().connection() as db:
            db.execute("INSERT INTO mnemos.arriving VALUES (%s) ON CONFLICT DO NOTHING", (name,))
        spaces.make(self._database, name, to_micros(self._clock()))
        return self._store(name)

    def receiving(self, name: str) -> bool:
        """Tell whether a copy of this name was begun and is not accepted."""
        with self._enter().connection() as db:
            return db.execute("SELECT 1 FROM mnemos.arriving WHERE space = %s", (name,)).fetchone() is not None

    def accept(self, name: str) -> None:
        """Show a space that was received."""
        with self._enter().connection() as db:
            db.execute("DELETE FROM mnemos.arriving WHERE space = %s", (name,))

    def refuse(self, name: str) -> None:
        """Remove what was received so far."""
        if spaces.exists(self._database, name):
            spaces.remove(self._database, name)
        self._blobs(name).remove()
        self.accept(name)

    def close(self) -> None:
        """Close the connections, unless others in this process use them; they are made again when they are needed."""
        if self._use is not None:
            if self._vacuum is not None:
                self._vacuum.flush()
            self._use.close()
            self._use = None


class _NoBlobs(FileBlobs):
    """The payloads of a space in a database whose URL names no folder for them: there are none."""

    def __init__(self, where: DatabaseUrl) -> None:
        super().__init__(Path(os.devnull))
        self._where = where

    def write(self, cube_id: str, data: bytes) -> int:
        """Raise InvalidInput."""
        raise InvalidInput(
            f"{self._where} names no folder for payloads that are not text: add blobs=FOLDER to the URL, a folder that every "
            "machine sees, or blobs=s3://BUCKET/PREFIX."
        )

    def remove(self) -> None:
        """Do nothing: there are none."""


@contextmanager
def _folder(beside: Path | None) -> Iterator[tuple[Folder, Path]]:
    """Yield the root of a folder of its own, and that folder. It is removed."""
    try:
        with tempfile.TemporaryDirectory(prefix=".mnemos-", dir=beside) as path:
            yield Folder(Path(path) / "root", "local", utc_now), Path(path)
    except OSError as error:
        raise of_system(error, beside or Path(tempfile.gettempdir())) from error
