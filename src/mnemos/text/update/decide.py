"""The effect of a new statement on existing ones: ADD or SUPERSEDE, by the facts that they state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mnemos.cube import MemCube, to_micros
from mnemos.facts import Fact, StoredFact
from mnemos.reason.base import Judgement
from mnemos.store.values import Entry

Compare = Callable[[Fact, Fact], Judgement]
Key = tuple[str, str]
SUPPORTS = 8  # statements of the same that a new one is linked to, the newest


@dataclass(frozen=True, slots=True)
class NewStatement:
    """A new cube and the facts that it states."""

    entry: Entry
    facts: tuple[Fact, ...]
    trusted: bool = True  # whether it may end facts of others

    @property
    def cube(self) -> MemCube:
        """The cube."""
        return self.entry.cube


@dataclass(slots=True)
class ActiveFact:
    """A fact that holds when a statement arrives."""

    cube: str
    fact: Fact
    since: int  # when it began to hold, in microseconds since 1970
    at: int  # when it was said
    stored: StoredFact | None = None  # None: it came earlier in the same batch
    trusted: bool = True


@dataclass(frozen=True, slots=True)
class Supersession:
    """`old` stopped being true at `until` because of the cube `by`."""

    old: ActiveFact
    until: int
    by: str


@dataclass(slots=True)
class Outcome:
    """What to do with one statement."""

    action: str
    reason: str
    supersessions: list[Supersession] = field(default_factory=list)
    supports: list[str] = field(default_factory=list)
    contradicts: list[str] = field(default_factory=list)
    others: tuple[str, ...] = ()  # cubes that the decision is about


def decide(
    statement: NewStatement,
    active: dict[Key, list[ActiveFact]],
    compare: Compare,
) -> Outcome:
    """Decide between ADD and SUPERSEDE, and bring `active` up to date.

    A fact that contradicts one of the same subject and attribute ends it, unless it happened earlier: then it is ended
    itself, so that history told in any order gives the same result. An untrusted source ends no fact of a trusted one;
    it is linked as a contradiction. What says the same, or the same with more detail, is linked as support. O(facts of
    the same subject and attribute).
    """
    cube, at = statement.cube, to_micros(statement.cube.at)
    found = Outcome("ADD", "nothing known speaks about this")
    own: list[ActiveFact] = []
    for fact in statement.facts:
        new = ActiveFact(cube.id, fact, since(statement.entry, fact), at, None, statement.trusted)
        own.append(new)
        for old in active.get((fact.subject, fact.attribute), []):
            judged = compare(fact, old.fact)
            if judged.verdict == "contradicts":
                first, last = (old, new) if at >= old.at else (new, old)
                if first.trusted and not last.trusted:
                    found.contradicts.append(old.cube)
                    continue
                found.supersessions.append(Supersession(first, max(last.since, first.since), last.cube))
                found.reason = judged.reason
            elif judged.verdict != "compatible":
                found.supports = [*found.supports[1 - SUPPORTS :], old.cube]
    others = [e.old.cube if e.by == cube.id else e.by for e in found.supersessions]
    found.others = tuple(dict.fromkeys(others or found.supports))
    if found.supersessions:
        found.action = "SUPERSEDE"
    ended = {id(e.old) for e in found.supersessions}
    for new in own:
        key = (new.fact.subject, new.fact.attribute)
        active[key] = [x for x in (*active.get(key, ()), new) if id(x) not in ended]
    return found


def since(entry: Entry, fact: Fact) -> int:
    """Return when a fact began to hold, in microseconds: a past date mentioned next to it, else when it was said."""
    at = to_micros(entry.cube.at)
    near = [d.start for d in entry.dates if d.start < at and fact.start <= d.span_start <= fact.end + 20]
    return near[0] if near else at
