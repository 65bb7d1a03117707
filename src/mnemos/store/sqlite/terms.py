"""The stored terms of all versions, renewed after a change of how texts are split into words."""

from __future__ import annotations

import sqlite3
from contextlib import suppress

PAGE = 1_000


def renew_terms(db: sqlite3.Connection) -> None:
    """Write the terms of every text that has others now; rows that are the same are left alone.

    Part of a migration, and so of its transaction. About 40 us a version.
    """
    after = 0
    query = "SELECT n, CAST(text AS BLOB), terms FROM words JOIN cubes USING (n) WHERE n > ? ORDER BY n LIMIT ?"
    while rows := db.execute(query, (after, PAGE)).fetchall():
        from mnemos.index.terms import index_terms  # slow to import, and a new file has no rows

        after = rows[-1][0]
        changed: list[tuple[str, int]] = []
        for n, text, old in rows:
            with suppress(UnicodeDecodeError):  # a damaged row, which `doctor` finds
                if (new := " ".join(index_terms(str(text, "utf-8")))) != old:
                    changed.append((new, n))
        db.executemany("UPDATE words SET terms = ? WHERE n = ?", changed)
