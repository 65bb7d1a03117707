"""Statistics of the tables: a planner that has none of a new table may compare all its rows with all to join.

The server's autovacuum gathers them within minutes. What a space has been given faster than that would be searched in O(N^2)
until then, so the server is asked for them when a space has grown to more rows than it knows of.
"""

from __future__ import annotations

from contextlib import suppress

from mnemos.errors import StoreError
from mnemos.store.postgres.connection import Connection

FIRST = 128  # versions of a space from which it may pay
_TABLES = ", ".join(
    f"mnemos.{t}" for t in ("cubes", "words", "vectors", "dates", "facts", "readings", "links", "parents")
)


def doubled(before: int, after: int) -> bool:
    """Tell whether a power of two, of at least 128, was passed."""
    return after >= FIRST and after.bit_length() > before.bit_length()


def refresh(connection: Connection, rows: int) -> None:
    """Let the server gather statistics, unless it knows of so many rows: 10 ms for small tables, a second for large ones.

    A user who does not own the tables cannot: then autovacuum does it.
    """
    with suppress(StoreError), connection.bare() as db:
        known = db.execute("SELECT reltuples FROM pg_class WHERE oid = 'mnemos.cubes'::regclass").fetchone()
        if known is not None and known[0] < rows:
            db.execute(f"ANALYZE (SKIP_LOCKED) {_TABLES}")
