"""Derived cubes, and what they are derived from: `cubes` of some kinds, and the table `parents`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from mnemos.store.postgres.connection import Connection
from mnemos.store.postgres.words import many
from mnemos.store.rows import DERIVED_SHAPE, MEMBER_SHAPE, to_derived, to_member
from mnemos.store.sound import Row, read
from mnemos.store.values import DERIVED, DerivedCube, Member


class DerivedCubes:
    """Implements `Derived`."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._space = connection, connection.space

    def members(self) -> list[Member]:
        """Return the current originals, in the order of time. One scan: O(N)."""
        query = (
            "SELECT n, id, version, session, at, at_offset FROM cubes WHERE space = %s AND replaced IS NULL "
            "AND form = 'text' AND kind != ALL(%s) ORDER BY at, n"
        )
        with self._connection.read() as db:
            rows = db.execute(query, (self._space, list(DERIVED))).fetchall()
        return read(rows, MEMBER_SHAPE, to_member, self._space, "cube", key=1)

    def existing(self) -> dict[str, DerivedCube]:
        """Return the current derived cubes by what they are of, in the order of time."""
        query = (
            "SELECT id, n, version, metadata, at, at_offset FROM cubes WHERE space = %s AND replaced IS NULL "
            "AND kind = ANY(%s) ORDER BY at, n"
        )
        with self._connection.read() as db:
            rows = list(_about(db.execute(query, (self._space, list(DERIVED)))))
        found = read(rows, DERIVED_SHAPE, to_derived, self._space, "cube")
        return {cube.of: cube for cube in found}

    def parentless(self) -> list[str]:
        """Return the ids of cubes that Mnemos derived and whose parents were all erased."""
        query = (
            "SELECT id FROM cubes WHERE space = %s AND replaced IS NULL AND source = 'mnemos' AND kind = ANY(%s) AND NOT "
            "EXISTS (SELECT 1 FROM parents JOIN cubes AS p ON p.space = parents.space AND p.id = parent "
            "WHERE parents.space = cubes.space AND child = cubes.id) ORDER BY n"
        )
        with self._connection.read() as db:
            return [name for (name,) in db.execute(query, (self._space, list(DERIVED)))]

    def replace_parents(self, parents: Mapping[str, Sequence[str]]) -> None:
        """Set the parents of derived cubes, by id."""
        rows = [(self._space, child, parent) for child, names in parents.items() for parent in names]
        with self._connection.write() as db:
            db.execute("DELETE FROM parents WHERE space = %s AND child = ANY(%s)", (self._space, list(parents)))
            many(db, "INSERT INTO parents (space, child, parent) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", rows)


def _about(rows: Iterator[Row]) -> Iterator[Row]:
    """Yield the rows of cubes whose metadata says what they are of."""
    for cube_id, n, version, metadata, at, offset in rows:
        try:
            about = json.loads(metadata)
        except (ValueError, RecursionError):
            continue
        if isinstance(about, dict) and about.get("of") is not None:
            yield cube_id, n, version, about["of"], about.get("from"), at, offset, about.get("level")
