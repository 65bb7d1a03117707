"""The effect of a new statement on existing ones: ADD or SUPERSEDE, by the facts that they state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mnemos.cube import MemCube, to_micros
from mnemos.facts import Fact, StoredFact
from mnemos.reason.base import Judgement
from mnemos.reason.certain import Said, surely_ends
from mnemos.store.values import Entry
from mnemos.text.update.voices import Standing

Compare = Callable[[Fact, Fact], Judgement]
Key = tuple[str, str]
SUPPORTS = 8  # statements of the same that a new one is linked to, the newest


@dataclass(slots=True)
class Statement:
    """A fact as it was said, and until when it holds as far as is known. Times are microseconds since 1970."""

    cube: str
    said: Said
    since: int  # when it began to hold
    at: int  # when it was said
    standing: Standing
    stored: StoredFact | None = None  # None: it comes in this batch
    until: int | None = None
    by: str | None = None  # the cube that says so

    @property
    def fact(self) -> Fact:
        """The fact."""
        return self.said.fact


@dataclass(frozen=True, slots=True)
class NewStatement:
    """A new cube and the facts that it states."""

    entry: Entry
    said: tuple[Statement, ...]

    @property
    def cube(self) -> MemCube:
        """The cube."""
        return self.entry.cube


@dataclass(slots=True)
class Outcome:
    """What to do with one statement."""

    action: str = "ADD"
    reason: str = "it ends nothing"
    ended: list[Statement] = field(default_factory=list)  # what it ended, or ended earlier than was known
    supersedes: list[tuple[str, str]] = field(default_factory=list)  # (later, earlier) cubes, ended before or not
    supports: list[str] = field(default_factory=list)
    contradicts: list[str] = field(default_factory=list)
    others: tuple[str, ...] = ()  # cubes that the decision is about


def decide(statement: NewStatement, known: dict[Key, list[Statement]], compare: Compare) -> Outcome:
    """Decide between ADD and SUPERSEDE, and bring `known` up to date: every statement, ended or not.

    Of two facts that contradict each other, the one said later ends the one said earlier, from when the later one holds:
    so each fact holds until the first that contradicts it, and history told in any order gives the same intervals. It
    ends it only if that is certain (see `reason.certain`) and said by no lesser voice; else both stay, linked. O(facts
    of the same subject and attribute).
    """
    found = Outcome()
    for new in statement.said:
        before = known.setdefault((new.fact.subject, new.fact.attribute), [])
        for old in before:
            if old.cube != new.cube:
                _relate(new, old, compare(new.fact, old.fact), found)
        before.append(new)
    others = [s.by if s.cube == statement.cube.id else s.cube for s in found.ended]
    found.others = tuple(dict.fromkeys([name for name in others if name] or found.supports))
    if found.ended:
        found.action = "SUPERSEDE"
    return found


def _relate(new: Statement, old: Statement, judged: Judgement, found: Outcome) -> None:
    if judged.verdict == "contradicts":
        later, earlier = (new, old) if new.at >= old.at else (old, new)
        if later.standing < earlier.standing or not surely_ends(later.said, earlier.said):
            found.contradicts.append(old.cube)
        else:
            found.supersedes.append((later.cube, earlier.cube))
            if _end(earlier, later):
                found.ended = [s for s in found.ended if s is not earlier] + [earlier]
                found.reason = judged.reason
    elif judged.verdict != "compatible" and old.until is None and old.standing == new.standing:
        found.supports = [*found.supports[1 - SUPPORTS :], old.cube]


def _end(earlier: Statement, later: Statement) -> bool:
    """End a statement where a later one begins, unless it ended before; return whether that is news."""
    until = max(earlier.since, later.since)
    if earlier.until is not None and earlier.until <= until:
        return False
    earlier.until, earlier.by = until, later.cube
    return True


def since(entry: Entry, fact: Fact) -> int:
    """Return when a fact began to hold, in microseconds: a past date mentioned next to it, else when it was said."""
    at = to_micros(entry.cube.at)
    near = [d.start for d in entry.dates if d.start < at and fact.start <= d.span_start <= fact.end + 20]
    return near[0] if near else at
