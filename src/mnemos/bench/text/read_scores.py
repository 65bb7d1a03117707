"""What counts as read: the right value of the right person, and how far what states nothing stays unread."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_WORD = re.compile(r"[^\W_]+")
_CLOSED = frozenset(["a", "an", "the", "my", "our", "his", "her", "their", "of", "in", "at", "to", "is", "with", "s"])
SHARED = 0.5  # of the words of two values, from which they are the same value


@dataclass(frozen=True, slots=True)
class Read:
    """What a reader found in one text."""

    subject: str  # in lower case; of the speaker his name
    attribute: str
    value: str
    confidence: float
    tense: str = ""  # "past" where it is known to be over
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """Shares over a set, at one bar of confidence."""

    read: float  # of the facts: the right value of the right person
    exact: float  # of the facts: with the value as written in the gold
    falsely: float  # of the texts that state nothing: something was read
    precision: float  # of what was read in texts that state something: in the gold


def same_value(gold: str, found: str) -> bool:
    """Tell whether two values share half of their words or more; of scripts without spaces, of their signs."""
    a, b = _words(gold), _words(found)
    return 2 * len(a & b) >= SHARED * (len(a) + len(b)) > 0


def same_person(whose: str, subject: str, speaker: str) -> bool:
    """Tell whether a subject is whom the gold names: "speaker", or by a word of the name or relation."""
    if whose == "speaker":
        return subject == speaker.lower()
    return subject != speaker.lower() and bool(_words(whose) & (_words(subject) - _words(speaker)))


def right(fact: Mapping[str, Any], found: Read, speaker: str) -> bool:
    """Tell whether a fact of the gold was read."""
    return same_person(fact["whose"], found.subject, speaker) and same_value(fact["value"], found.value)


def score(items: Sequence[Mapping[str, Any]], found: Sequence[Sequence[Read]], bar: float) -> Score:
    """Return the shares over a set, of what was read with this confidence or more."""
    facts = read = exact = empty = falsely = good = stated = 0
    for item, every in zip(items, found, strict=True):
        sure = [r for r in every if r.confidence >= bar]
        speaker = item.get("speaker") or "user"
        empty += not item["facts"]
        falsely += not item["facts"] and bool(sure)
        for fact in item["facts"]:
            hits = [r for r in sure if right(fact, r, speaker)]
            facts, read = facts + 1, read + bool(hits)
            exact += any(r.value.lower() == fact["value"].lower() for r in hits)
        if item["facts"]:
            stated += len(sure)
            good += sum(any(right(fact, r, speaker) for fact in item["facts"]) for r in sure)
    return Score(read / max(facts, 1), exact / max(facts, 1), falsely / max(empty, 1), good / max(stated, 1))


def _words(text: str) -> set[str]:
    lower = text.lower()
    signs = {c for c in lower if c > "\u2fff"}
    return signs if signs else set(_WORD.findall(lower)) - _CLOSED or set(_WORD.findall(lower))
