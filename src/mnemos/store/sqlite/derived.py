"""Derived cubes, and what they are derived from: `cubes` of some kinds, and the table `parents`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mnemos.store.rows import DERIVED_SHAPE, MEMBER_SHAPE, to_derived, to_member
from mnemos.store.sound import read
from mnemos.store.sqlite.connection import Connection
from mnemos.store.sqlite.fetch import fetch
from mnemos.store.sqlite.rows import marks
from mnemos.store.values import DERIVED, DerivedCube, Member


class DerivedCubes:
    """Implements `Derived`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def members(self) -> list[Member]:
        """Return the current originals, in the order of time. One scan: O(N), 2 us a cube."""
        query = (
            "SELECT n, id, version, session, at, at_offset FROM cubes WHERE replaced IS NULL AND form = 'text' "
            f"AND kind NOT IN ({marks(DERIVED)}) ORDER BY at, n"
        )
        with self._connection.read() as db:
            rows = fetch(db, query, DERIVED)
        return read(rows, MEMBER_SHAPE, to_member, self._connection.space, "cube", key=1)

    def existing(self) -> dict[str, DerivedCube]:
        """Return the current derived cubes by what they are of, in the order of time."""
        query = (
            "SELECT id, n, version, json_extract(m, '$.of'), json_extract(m, '$.from'), at, at_offset, "
            "json_extract(m, '$.level') FROM (SELECT *, CASE WHEN typeof(metadata) = 'text' AND json_valid(metadata) "
            f"THEN metadata END AS m FROM cubes WHERE replaced IS NULL AND kind IN ({marks(DERIVED)})) "
            "WHERE json_extract(m, '$.of') IS NOT NULL ORDER BY at, n"
        )
        with self._connection.read() as db:
            rows = fetch(db, query, DERIVED)
        found = read(rows, DERIVED_SHAPE, to_derived, self._connection.space, "cube")
        return {cube.of: cube for cube in found}

    def parentless(self) -> list[str]:
        """Return the ids of cubes that Mnemos derived and whose parents were all erased."""
        query = (
            f"SELECT id FROM cubes WHERE replaced IS NULL AND source = 'mnemos' AND kind IN ({marks(DERIVED)}) "
            "AND NOT EXISTS (SELECT 1 FROM parents JOIN cubes AS p ON p.id = parent WHERE child = cubes.id)"
        )
        with self._connection.read() as db:
            return [name for (name,) in fetch(db, query, DERIVED) if isinstance(name, str)]

    def replace_parents(self, parents: Mapping[str, Sequence[str]]) -> None:
        """Set the parents of derived cubes, by id."""
        with self._connection.write() as db:
            db.executemany("DELETE FROM parents WHERE child = ?", ((child,) for child in parents))
            db.executemany(
                "INSERT OR IGNORE INTO parents VALUES (?, ?)",
                ((child, parent) for child, names in parents.items() for parent in names),
            )
