"""What a search for erased cubes still finds: in rows, and in the raw bytes of the files."""

from __future__ import annotations

from collections.abc import Sequence

from mnemos.store.rows import ROW_TABLES
from mnemos.store.sqlite import files
from mnemos.store.sqlite.connection import Connection
from mnemos.store.sqlite.removal import traces

NEEDLE = 48  # bytes of a needle at most


class Remains:
    """Implements `Remains`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def orphans(self) -> int:
        """Return how many words, vectors, dates and facts belong to no version."""
        with self._connection.read() as db:
            return sum(
                db.execute(f"SELECT count(*) FROM {table} WHERE n NOT IN (SELECT n FROM cubes)").fetchone()[0]
                for table in ROW_TABLES
            )

    def traces(self, ids: Sequence[str]) -> int:
        """Return how often links, decisions, the queue and facts name these ids."""
        with self._connection.read() as db:
            return traces(db, ids)

    def mentions(self, text: str) -> bool:
        """Tell whether a row still holds this text, as words or metadata. Reads every row: O(N)."""
        with self._connection.read() as db:
            found = db.execute(
                "SELECT 1 FROM cubes WHERE instr(text, :t) OR instr(metadata, :t) OR instr(coalesce(source, ''), :t) "
                "UNION ALL SELECT 1 FROM words WHERE instr(terms, :t) LIMIT 1",
                {"t": text},
            ).fetchone()
        return found is not None

    def places(self, text: str) -> dict[str, int]:
        """Return how many rows hold this text: "cubes" as text or metadata, "words" as terms, "facts" as a value. O(N)."""
        where = {
            "cubes": "instr(text, :t) OR instr(metadata, :t)",
            "words": "instr(terms, lower(:t))",
            "facts": "instr(value, :t)",
        }
        with self._connection.read() as db:
            return {
                table: db.execute(f"SELECT count(*) FROM {table} WHERE {match}", {"t": text}).fetchone()[0]
                for table, match in where.items()
            }

    def raw(self, needles: Sequence[bytes]) -> tuple[int, list[tuple[str, bytes]]]:
        """Return how many bytes of the space's files were read, and (file, needle) of each needle found."""
        path, searched, found = self._connection.path, 0, []
        with files.using(path) as of:
            for file in sorted(path.parent.glob(path.name + "*")):
                left, tail = set(needles), b""
                for block in files.blocks(file, of):
                    searched += len(block)
                    window = tail + block
                    for needle in [n for n in left if n in window]:
                        left.discard(needle)
                        found.append((file.name, needle))
                    tail = window[-NEEDLE:]
        return searched, found
