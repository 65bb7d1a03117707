"""Groups of cubes that are summed up together, and whether their summary is still right.

A summary keeps a fingerprint of the cubes that it was made of (ids and versions). Nothing else says what is to be done:
a run that was stopped continues where it was, and one with nothing new does nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from mnemos.store.values import DerivedCube, Member

Level = Literal["session", "day", "week", "all"]
SHORTEST: Mapping[Level, int] = {"session": 3, "day": 2, "week": 2, "all": 2}  # members that are worth a summary


@dataclass(slots=True)
class Group:
    """Cubes that are summed up together."""

    of: str  # its name, such as "session:s1" or "day:2024-05-01"
    level: Level
    members: list[Member] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        """A hash over the members' ids and versions."""
        return fingerprint((m.id, m.version) for m in self.members)

    def is_current(self, derived: Mapping[str, DerivedCube]) -> bool:
        """Tell whether the derived cube of this group was made of these members."""
        found = derived.get(self.of)
        return found is not None and found.fingerprint == self.fingerprint


def fingerprint(pairs: Iterable[tuple[str, int]]) -> str:
    """Return a hash over (id, version) pairs, whatever their order."""
    text = "\n".join(f"{i} {v}" for i, v in sorted(pairs))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def groups(members: Iterable[Member], level: Level) -> list[Group]:
    """Return the groups of a level that are worth a summary, in the order of their first members."""
    found: dict[str, Group] = {}
    for m in members:
        of = _group_of(m, level)
        found.setdefault(of, Group(of, level)).members.append(m)
    return [g for g in found.values() if len(g.members) >= SHORTEST[level]]


def members_of(derived: Iterable[DerivedCube]) -> list[Member]:
    """Return derived cubes as members of the next level."""
    return [Member(d.key, d.id, d.version, None, d.at, d.offset) for d in derived]


def _group_of(m: Member, level: Level) -> str:
    day = m.when.date()
    if level == "session":  # what was said outside of one: by day
        return f"stream:{day}" if m.session is None else f"session:{m.session}"
    if level == "week":
        year, week, _ = day.isocalendar()
        return f"week:{year}-W{week:02}"
    return f"day:{day}" if level == "day" else "all"
