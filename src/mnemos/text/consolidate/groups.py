"""What can be summed up: the sessions, days and weeks of a space, and whether their summary is still right.

A summary keeps a fingerprint of the cubes it was made of (ids and versions). Nothing else says what is to be done: a
run that was stopped goes on where it was, and one with nothing new does nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mnemos.cube import from_micros
from mnemos.store.base import DERIVED
from mnemos.store.sqlite.rows import marks
from mnemos.store.sqlite.store import SqliteStore


@dataclass(frozen=True, slots=True)
class Member:
    """What grouping needs of a cube: its key, id and version, its session, and when it happened (microseconds)."""

    n: int
    id: str
    version: int
    session: str | None
    at: int
    offset: int

    @property
    def when(self) -> datetime:
        """When it happened, as it was given."""
        return from_micros(self.at, self.offset)


@dataclass(frozen=True, slots=True)
class Made:
    """A derived cube that is there: of what, made of which members, in which version."""

    id: str
    n: int
    version: int
    of: str
    fingerprint: str
    at: int
    offset: int
    level: str


@dataclass(slots=True)
class Group:
    """Cubes that are summed up together; `of` names the group ("session:s1", "day:2024-05-01")."""

    of: str
    level: str
    members: list[Member] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        """A hash over the members' ids and versions."""
        return fingerprint((m.id, m.version) for m in self.members)


def fingerprint(pairs: Iterable[tuple[str, int]]) -> str:
    """Return a hash over (id, version) pairs, whatever their order."""
    text = "\n".join(f"{i} {v}" for i, v in sorted(pairs))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def members(store: SqliteStore) -> list[Member]:
    """Return the originals in the order of time. One scan: O(N), 2 us a cube."""
    query = (
        "SELECT n, id, version, session, at, at_offset FROM cubes WHERE replaced IS NULL AND form = 'text' "
        f"AND kind NOT IN ({marks(DERIVED)}) ORDER BY at, n"
    )
    with store.connection.read() as db:
        return [Member(*row) for row in db.execute(query, DERIVED)]


def derived(store: SqliteStore) -> dict[str, Made]:
    """Return the derived cubes by what they are of, in the order of time."""
    query = (
        "SELECT id, n, version, json_extract(metadata, '$.of'), json_extract(metadata, '$.from'), at, at_offset, "
        f"json_extract(metadata, '$.level') FROM cubes WHERE replaced IS NULL AND kind IN ({marks(DERIVED)}) "
        "AND json_extract(metadata, '$.of') IS NOT NULL ORDER BY at, n"
    )
    with store.connection.read() as db:
        made = [Made(*row) for row in db.execute(query, DERIVED)]
    return {m.of: m for m in made}


def units(originals: Sequence[Member]) -> list[Group]:
    """Return the sessions, and the days of what was said outside of one, in the order of time."""
    groups: dict[str, Group] = {}
    for m in originals:
        of = f"stream:{m.when.date()}" if m.session is None else f"session:{m.session}"
        groups.setdefault(of, Group(of, "session")).members.append(m)
    return list(groups.values())


def above(made: Iterable[Made], level: str) -> list[Group]:
    """Return the groups of the next level: days of sessions, or weeks of days."""
    groups: dict[str, Group] = {}
    for one in made:
        day = from_micros(one.at, one.offset).date()
        year, week, _ = day.isocalendar()
        of = f"day:{day}" if level == "day" else f"week:{year}-W{week:02}"
        member = Member(one.n, one.id, one.version, None, one.at, one.offset)
        groups.setdefault(of, Group(of, level)).members.append(member)
    return list(groups.values())
