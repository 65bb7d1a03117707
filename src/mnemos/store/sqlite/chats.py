"""Places in conversations of the proxy: the table `chats` of a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mnemos.store.server import ChatRow
from mnemos.store.sqlite.private import PrivateFile

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS chats (key TEXT, root TEXT, at REAL, done INTEGER, PRIMARY KEY (key, root)) STRICT;"
    "CREATE INDEX IF NOT EXISTS chats_at ON chats (at)"
)


class ChatTable:
    """Implements `Chats`."""

    def __init__(self, path: Path) -> None:
        self._file = PrivateFile(path, _SCHEMA)

    def find(self, keys: Sequence[str], oldest: float) -> list[ChatRow]:
        """Return the rows of some keys from `oldest` on, the newest first."""
        marks = ", ".join("?" * len(keys))
        rows = self._file.rows(
            f"SELECT key, root, at, done FROM chats WHERE key IN ({marks}) AND at >= ? ORDER BY at DESC, rowid DESC",
            (*keys, oldest),
        )
        return [ChatRow(key, root, at, bool(done)) for key, root, at, done in rows]

    def all(self) -> list[ChatRow]:
        """Return all rows, oldest first."""
        rows = self._file.rows("SELECT key, root, at, done FROM chats ORDER BY at, rowid")
        return [ChatRow(key, root, at, bool(done)) for key, root, at, done in rows]

    def put(self, rows: Sequence[ChatRow], oldest: float) -> None:
        """Write rows, a later time and `done` over those of the same key and root; remove rows from before `oldest`."""
        with self._file.write() as db:
            db.execute("DELETE FROM chats WHERE at < ?", (oldest,))
            db.executemany(
                "INSERT INTO chats VALUES (?, ?, ?, ?) ON CONFLICT (key, root) "
                "DO UPDATE SET at = max(at, excluded.at), done = max(done, excluded.done)",
                [(row.key, row.root, row.at, int(row.done)) for row in rows],
            )

    def close(self) -> None:
        """Close the file."""
        self._file.close()
