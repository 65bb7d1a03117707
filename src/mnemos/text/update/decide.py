"""The effect of a new statement on existing ones: ADD, UPDATE, SUPERSEDE or NOOP, by the facts that they state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mnemos.cube import MemCube, to_micros
from mnemos.facts import Fact, StoredFact
from mnemos.reason.base import Judgement
from mnemos.store.values import Entry

Compare = Callable[[Fact, Fact], Judgement]
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class NewStatement:
    """A new cube and the facts that it states."""

    entry: Entry
    facts: tuple[Fact, ...]
    mergeable: bool  # into another cube: not a turn of a session or a cube with its own id, which are kept as they are
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
    mergeable: bool
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
    into: str | None = None  # the cube that it is merged into, for UPDATE and NOOP
    supersessions: list[Supersession] = field(default_factory=list)
    supports: list[str] = field(default_factory=list)
    contradicts: list[str] = field(default_factory=list)
    others: tuple[str, ...] = ()  # cubes that the decision is about


def decide(
    statement: NewStatement,
    active: dict[Key, list[ActiveFact]],
    compare: Compare,
    only_states: Callable[[ActiveFact], bool],
) -> Outcome:
    """Decide between ADD, UPDATE, SUPERSEDE and NOOP, and bring `active` up to date.

    A fact that contradicts one of the same subject and attribute ends it, unless it happened earlier: then it is ended
    itself, so that history told in any order gives the same result. An untrusted source ends no fact of a trusted one;
    it is linked as a contradiction. A mergeable statement whose facts are all known is a NOOP; one that only adds
    detail to a cube which says nothing else (`only_states`) is an UPDATE of that cube. O(facts of the same subject and
    attribute).
    """
    cube, at = statement.cube, to_micros(statement.cube.at)
    found = Outcome("ADD", "nothing known speaks about this")
    known = 0
    refined: list[ActiveFact] = []
    own: list[ActiveFact] = []
    for fact in statement.facts:
        new = ActiveFact(cube.id, fact, since(statement.entry, fact), at, statement.mergeable, None, statement.trusted)
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
            elif judged.verdict == "same":
                known += 1
                found.supports.append(old.cube)
                break
            elif judged.verdict == "refines":
                refined.append(old)
                found.supports.append(old.cube)
    others = [e.old.cube if e.by == cube.id else e.by for e in found.supersessions]
    found.others = tuple(dict.fromkeys(others or found.supports))
    if found.supersessions:
        found.action = "SUPERSEDE"
    elif statement.mergeable and own and only_states(own[0]):
        target = found.supports[0] if found.supports else None
        if known == len(statement.facts):
            found.action, found.reason, found.into = "NOOP", "all that it states is known", target
        elif len(own) == len(refined) == 1 and refined[0].mergeable and refined[0].stored and only_states(refined[0]):
            found.action, found.reason, found.into = "UPDATE", "the same with more detail", target
    if found.into is None:
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
