"""API keys: the table `keys` of a file of their own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnemos.store.server import KeyRow
from mnemos.store.sqlite.private import PrivateFile

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, name TEXT, salt BLOB, hash BLOB, spaces TEXT, "
    "rights TEXT, made INTEGER, expires INTEGER, revoked INTEGER) STRICT"
)


class KeyTable:
    """Implements `Keys`."""

    remote = False

    def __init__(self, path: Path) -> None:
        self._file = PrivateFile(path, _SCHEMA)

    def add(self, row: KeyRow, *, only_first: bool = False) -> bool:
        """Store a key; with `only_first` only if there has never been any. Return whether it was stored."""
        values = (
            row.id, row.name, row.salt, row.hash, json.dumps(row.spaces), json.dumps(row.rights), row.made, row.expires,
            row.revoked,
        )  # fmt: skip
        with self._file.write() as db:
            if only_first and db.execute("SELECT count(*) FROM keys").fetchone()[0]:
                return False
            db.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        return True

    def find(self, key_id: str) -> KeyRow | None:
        """Return a key, expired and revoked ones too; None when there is no such id."""
        rows = self._file.rows("SELECT * FROM keys WHERE id = ?", (key_id,))
        return _row(rows[0]) if rows else None

    def all(self) -> list[KeyRow]:
        """Return all keys, oldest first."""
        return [_row(row) for row in self._file.rows("SELECT * FROM keys ORDER BY made, id")]

    def revoke(self, key_id: str, at: int) -> KeyRow | None:
        """Make a key invalid unless it is already; return it, or None when there is no such id."""
        with self._file.write() as db:
            db.execute("UPDATE keys SET revoked = ? WHERE id = ? AND revoked IS NULL", (at, key_id))
            row = db.execute("SELECT * FROM keys WHERE id = ?", (key_id,)).fetchone()
        return None if row is None else _row(row)

    def change_token(self) -> tuple[int, int]:
        """Return a value that is equal as long as no key was added or revoked, by this process or another."""
        return self._file.change_token()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _row(row: Sequence[Any]) -> KeyRow:
    key_id, name, salt, hash_, spaces, rights, *times = row
    return KeyRow(key_id, name, salt, hash_, tuple(json.loads(spaces)), tuple(json.loads(rights)), *times)
