"""What can be summed up: the sessions, days and weeks of a space, and whether their summary is still right.

A summary keeps a fingerprint of the cubes it was made of (ids and versions). Nothing else says what is to be done: a
run that was stopped goes on where it was, and one with nothing new does nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mnemos.cube import from_micros
from mnemos.store.values import DerivedCube, Member


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


def units(originals: Sequence[Member]) -> list[Group]:
    """Return the sessions, and the days of what was said outside of one, in the order of time."""
    groups: dict[str, Group] = {}
    for m in originals:
        of = f"stream:{m.when.date()}" if m.session is None else f"session:{m.session}"
        groups.setdefault(of, Group(of, "session")).members.append(m)
    return list(groups.values())


def above(made: Iterable[DerivedCube], level: str) -> list[Group]:
    """Return the groups of the next level: days of sessions, or weeks of days."""
    groups: dict[str, Group] = {}
    for one in made:
        day = from_micros(one.at, one.offset).date()
        year, week, _ = day.isocalendar()
        of = f"day:{day}" if level == "day" else f"week:{year}-W{week:02}"
        member = Member(one.key, one.id, one.version, None, one.at, one.offset)
        groups.setdefault(of, Group(of, level)).members.append(member)
    return list(groups.values())
