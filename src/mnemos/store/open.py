"""Where stores come from: the only place outside of a store's own package that names one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from mnemos.store.base import Store
from mnemos.store.pool import Pool
from mnemos.store.server import Answers, Chats, Keys
from mnemos.store.values import Salvaged, StoredSpace


class Root(Protocol):
    """The spaces of one installation."""

    def open(self, name: str) -> Store:
        """Open the store of a space; a new space is made. Raises StoreError, InvalidInput for a bad name."""

    def exists(self, name: str) -> bool:
        """Tell whether there is a space of this name."""

    def inventory(self) -> list[StoredSpace]:
        """Return what is stored under the root, what cannot be read as a space too."""

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
    where: Path, actor: str, clock: Callable[[], datetime], pool: Pool | None = None, *, read_only: bool = False
) -> Root:
    """Return the spaces in a folder, which is made if it does not exist; `pool` bounds how many are open.

    With `read_only` no file of a space is changed (SQLite may leave an empty log beside one in use), and a file that may
    not be written is opened so in any case.

    Raises StoreError.
    """
    from mnemos.store.sqlite.root import Folder

    return Folder(where, actor, clock, pool, read_only=read_only)


def open_keys(path: Path) -> Keys:
    """Return the API keys in a file, which is made if it does not exist. Raises StoreError."""
    from mnemos.store.sqlite.keys import KeyTable

    return KeyTable(path)


def open_answers(path: Path) -> Answers:
    """Return the answers in a file, which is made if it does not exist. Raises StoreError."""
    from mnemos.store.sqlite.answers import AnswerTable

    return AnswerTable(path)


def open_chats(path: Path) -> Chats:
    """Return the places in conversations in a file, which is made if it does not exist. Raises StoreError."""
    from mnemos.store.sqlite.chats import ChatTable

    return ChatTable(path)


def engines() -> dict[str, str]:
    """Return the versions of the databases behind the stores."""
    import sqlite3

    return {"sqlite": sqlite3.sqlite_version}
