"""What a search for erased cubes still finds: in rows, and in the files of the tables where this user may read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg

from mnemos.store.postgres.connection import Connection
from mnemos.store.postgres.database import Db
from mnemos.store.postgres.removal import TOUCHED, traces
from mnemos.store.rows import ROW_TABLES

NEEDLE = 48  # bytes of a needle at most
CHUNK = 1 << 24  # bytes that are read at once
MOST = 1 << 30  # bytes of files that are searched at most: those of all spaces lie in the same ones
_FILES = (
    "SELECT c.relname, pg_relation_filepath(c.oid), pg_relation_size(c.oid) FROM pg_class AS c JOIN (SELECT r.oid AS root, "
    "r.reltoastrelid AS toast FROM pg_class AS r JOIN pg_namespace AS s ON s.oid = r.relnamespace WHERE s.nspname = 'mnemos' "
    "AND r.relname = ANY(%s)) AS t ON c.oid IN (t.root, t.toast) OR c.oid IN (SELECT indexrelid FROM pg_index "
    "WHERE indrelid IN (t.root, t.toast)) ORDER BY 1"
)


class Remains:
    """Implements `Remains`."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._space = connection, connection.space

    def orphans(self) -> int:
        """Return how many words, vectors, dates and facts belong to no version."""
        counts = " + ".join(f"(SELECT count(*) FROM {table} AS x WHERE {ORPHAN})" for table in ROW_TABLES)
        with self._connection.read() as db:
            row = db.execute(f"SELECT {counts}", [self._space] * len(ROW_TABLES)).fetchone()
        return 0 if row is None else int(row[0])

    def traces(self, ids: Sequence[str]) -> int:
        """Return how often links, decisions, the queue and facts name these ids."""
        with self._connection.read() as db:
            return traces(db, self._space, ids)

    def mentions(self, text: str) -> bool:
        """Tell whether a row still holds this text, as words or metadata. Reads every row: O(N)."""
        query = (
            "SELECT 1 FROM cubes WHERE space = %(s)s AND (strpos(text, %(t)s) > 0 OR strpos(metadata, %(t)s) > 0 OR "
            "strpos(source, %(t)s) > 0) UNION ALL SELECT 1 FROM words WHERE space = %(s)s AND strpos(terms, %(t)s) > 0 LIMIT 1"
        )
        with self._connection.read() as db:
            return db.execute(query, {"s": self._space, "t": text}).fetchone() is not None

    def places(self, text: str) -> dict[str, int]:
        """Return how many rows hold this text: "cubes" as text or metadata, "words" as terms, "facts" as a value. O(N)."""
        where = {
            "cubes": "(strpos(text, %(t)s) > 0 OR strpos(metadata, %(t)s) > 0)",
            "words": "strpos(terms, lower(%(t)s)) > 0",
            "facts": "strpos(value, %(t)s) > 0",
        }
        found = {}
        with self._connection.read() as db:
            for table, match in where.items():
                query = f"SELECT count(*) FROM {table} WHERE space = %(s)s AND {match}"
                row = db.execute(query, {"s": self._space, "t": text}).fetchone()
                found[table] = 0 if row is None else int(row[0])
        return found

    def raw(self, needles: Sequence[bytes]) -> tuple[int, list[tuple[str, bytes]]]:
        """Return how many bytes of tables and indexes were read, and (file, needle) of each needle found.

        Only a superuser may read the files: for others, and above 1 GB, nothing is read. They belong to all spaces: what
        another space says is not reported. WAL, backups and replicas are never searched; they keep what was written for
        as long as the server's settings say.
        """
        searched, found = 0, list[tuple[str, bytes]]()
        with self._connection.bare() as db:
            try:
                if not _superuser(db):
                    return 0, []
                db.execute("CHECKPOINT")  # pages of the cache go to the disk
                files = db.execute(_FILES, (list(TOUCHED),)).fetchall()
                if sum(size for *_, size in files) > MOST:
                    return 0, []
                for name, path, size in files:
                    left, tail = set(needles), b""
                    for block in _blocks(db, path, size):
                        searched += len(block)
                        window = tail + block
                        for needle in [n for n in left if n in window]:
                            left.discard(needle)
                            found.append((name, needle))
                        tail = window[-NEEDLE:]
            except psycopg.errors.InsufficientPrivilege:
                return 0, []
            return searched, [x for x in found if not _elsewhere(db, self._space, x[1])]


ORPHAN = "x.space = %s AND NOT EXISTS (SELECT 1 FROM cubes AS c WHERE c.space = x.space AND c.n = x.n)"


def _blocks(db: Db, path: str, size: int) -> Iterator[bytes]:
    for start in range(0, size, CHUNK):
        row = db.execute("SELECT pg_read_binary_file(%s, %s, %s, true)", (path, start, CHUNK), binary=True).fetchone()
        if row is not None and row[0] is not None:
            yield bytes(row[0])


def _superuser(db: Db) -> bool:
    row = db.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    return row is not None and bool(row[0])


def _elsewhere(db: Db, space: str, needle: bytes) -> bool:
    """Tell whether another space says this. Reads every row, as a superuser, whom row-level security does not bind."""
    query = (
        "SELECT 1 FROM mnemos.cubes WHERE space != %(s)s AND (strpos(text, %(t)s) > 0 OR strpos(metadata, %(t)s) > 0 OR "
        "id = %(t)s) LIMIT 1"
    )
    return db.execute(query, {"s": space, "t": needle.decode()}).fetchone() is not None
