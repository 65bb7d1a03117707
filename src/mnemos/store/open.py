"""Where stores come from: the only place outside of a store's own package that names one."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from mnemos.distribution import install_command
from mnemos.errors import MnemosError
from mnemos.location import DatabaseUrl, Location
from mnemos.store.base import Store
from mnemos.store.pool import Pool
from mnemos.store.secret_file import secret_in
from mnemos.store.server import SERVER, Answers, Chats, Keys, Rates
from mnemos.store.values import Salvaged, StoredSpace


class Root(Protocol):
    """The spaces of one installation."""

    @property
    def engine(self) -> str:
        """The database behind the stores, with its version, for people."""

    def open(self, name: str) -> Store:
        """Open the store of a space; a new space is made. Raises StoreError, InvalidInput for a bad name."""

    def exists(self, name: str) -> bool:
        """Tell whether there is a space of this name."""

    def inventory(self) -> list[StoredSpace]:
        """Return what is stored under the root, what cannot be read as a space too."""

    def check(self) -> None:
        """Check that the root can be read and written. Raises StoreError, or OSError of the disk."""

    def receive(self, name: str) -> Store:
        """Open the store of a space that is being copied here: made if there is none, and seen by nobody until `accept`.

        Raises Conflict when there is a space of this name already.
        """

    def receiving(self, name: str) -> bool:
        """Tell whether a copy of this name was begun and is not accepted."""

    def accept(self, name: str) -> None:
        """Make a space of what was received; its store is to be closed."""

    def refuse(self, name: str) -> None:
        """Remove what was received so far."""

    def close(self) -> None:
        """Release what the root itself holds; it is taken again when it is used."""

    def remove(self, name: str) -> None:
        """Remove a space and everything in it; no handle on it may be open in this process. Raises NotFound."""

    def salvage(self, name: str) -> Salvaged:
        """Save what can be read of a space whose file is damaged; no handle on it may be open. See `Checks.salvage`."""

    def backup(self, name: str, target: Path) -> Path:
        """Copy a space as it is at one moment to a file, or into a folder; return the file.

        Raises InvalidInput when the file exists already.
        """

    def restore(
        self, path: Path, *, name: str | None, replace: bool, release: Callable[[str], None], settings: bool = False
    ) -> tuple[str, list[str]]:
        """Put a backup back, under its own name or another one; return the name of the space and what was left out.

        Left out is what a space does not have, such as triggers, and, unless `settings` is set, who is trusted.
        The backup is checked first. An existing space is left alone unless `replace`: then `release` is called with its
        name, which has to close it. Raises InvalidInput for a file that is no backup, StoreCorrupt for a damaged one,
        and Conflict when there is a space of this name.
        """


def open_root(
    where: Location,
    actor: str,
    clock: Callable[[], datetime],
    pool: Pool | None = None,
    *,
    read_only: bool = False,
    blobs: str | None = None,
) -> Root:
    """Return the spaces in a folder, which is made if it does not exist, or in a database; `pool` bounds how many are open.

    Payloads that are not text are in the folder or bucket `blobs`, see `buckets.open_blobs`; by default beside the spaces of
    a folder, and where the URL of a database says.

    With `read_only` no file of a space is changed (SQLite may leave an empty log beside one in use), and a file that may
    not be written is opened so in any case.

    Raises StoreError.
    """
    if isinstance(where, DatabaseUrl):
        _check_installed()
        from mnemos.store.postgres.root import DatabaseRoot

        return DatabaseRoot(where, actor, clock, pool, read_only=read_only, blobs=blobs)
    from mnemos.store.sqlite.root import Folder

    return Folder(where, actor, clock, pool, read_only=read_only, blobs=blobs)


def open_keys(root: Location) -> Keys:
    """Return the API keys of a root. Raises StoreError."""
    if isinstance(root, DatabaseUrl):
        _check_installed()
        from mnemos.store.postgres import server

        return server.KeyTable(root)
    from mnemos.store.sqlite import keys

    return keys.KeyTable(root / SERVER / "keys.sqlite")


def open_answers(root: Location) -> Answers:
    """Return the answers under an Idempotency-Key of a root. Raises StoreError."""
    if isinstance(root, DatabaseUrl):
        _check_installed()
        from mnemos.store.postgres import server

        return server.AnswerTable(root)
    from mnemos.store.sqlite import answers

    return answers.AnswerTable(root / SERVER / "answers.sqlite")


def open_chats(root: Location) -> Chats:
    """Return the places in conversations of a root. Raises StoreError."""
    if isinstance(root, DatabaseUrl):
        _check_installed()
        from mnemos.store.postgres import server

        return server.ChatTable(root)
    from mnemos.store.sqlite import chats

    return chats.ChatTable(root / SERVER / "chats.sqlite")


def open_rates(root: Location) -> Rates | None:
    """Return the rates of callers that all servers of a root share; None for a folder, where each process counts."""
    if not isinstance(root, DatabaseUrl):
        return None
    _check_installed()
    from mnemos.store.postgres.server import RateTable

    return RateTable(root)


def secret_of(root: Location, first: bytes | None = None) -> bytes:
    """Return the secret from which a root's message ids are derived. Raises StoreError.

    It is made on first use: `first`, or a random one.

    Without a secret, anybody could test guesses of an erased text against the ids in an archive.
    """
    first = first or secrets.token_bytes(32)
    if isinstance(root, DatabaseUrl):
        _check_installed()
        from mnemos.store.postgres.server import secret

        return secret(root, "chats", first)
    return secret_in(root / SERVER / "chats.key", first)


def _check_installed() -> None:
    """Raise MnemosError, which names the command, where the packages of a database are missing."""
    missing = [name for name in ("pgvector", "psycopg", "psycopg_pool") if find_spec(name) is None]
    if missing:
        raise MnemosError(
            f"a root in Postgres needs the package{'s' * (len(missing) > 1)} {', '.join(missing)}: {install_command('postgres')}."
        )


@contextmanager
def temporary_database() -> Iterator[DatabaseUrl]:
    """Start a Postgres of one's own and yield its URL; it ends, and all that it holds is gone, with the block or the process.

    Raises StoreError where its programs are not installed, MnemosError where the packages of a database are missing.
    """
    _check_installed()
    from mnemos.store.postgres.temporary import TemporaryServer

    with TemporaryServer() as server:
        yield DatabaseUrl(server.url())


def engines() -> dict[str, str]:
    """Return the versions of the databases behind the stores."""
    import sqlite3

    return {"sqlite": sqlite3.sqlite_version}
