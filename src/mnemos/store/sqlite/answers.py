"""Answers given under an Idempotency-Key: the table `answers` of a file of their own."""

from __future__ import annotations

from pathlib import Path

from mnemos.store.sqlite.private import PrivateFile

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS answers (name BLOB PRIMARY KEY, body BLOB, made REAL, cubes TEXT) STRICT;"
    "CREATE INDEX IF NOT EXISTS answers_made ON answers (made)"
)


class AnswerTable:
    """Implements `Answers`."""

    def __init__(self, path: Path) -> None:
        self._file = PrivateFile(path, _SCHEMA)

    def reserve(self, name: bytes, body: bytes, now: float, oldest: float) -> tuple[bytes, str | None] | None:
        """Reserve a name for a request and return None; or the (body, answer) stored under it, None for no answer yet."""
        with self._file.write() as db:
            db.execute("DELETE FROM answers WHERE made < ?", (oldest,))
            row = db.execute("SELECT body, cubes FROM answers WHERE name = ?", (name,)).fetchone()
            if row is None:
                db.execute("INSERT INTO answers VALUES (?, ?, ?, NULL)", (name, body, now))
        return None if row is None else (row[0], row[1])

    def finish(self, name: bytes, answer: str | None) -> None:
        """Store the answer under a reserved name; None frees the name."""
        with self._file.write() as db:
            if answer is None:
                db.execute("DELETE FROM answers WHERE name = ?", (name,))
            else:
                db.execute("UPDATE answers SET cubes = ? WHERE name = ?", (answer, name))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
