"""Profiles: what is known about somebody, from the facts that hold now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mnemos.cube import from_micros
from mnemos.facts import StoredFact
from mnemos.registry import Paper, register

LEAST = 2  # facts that make a profile
LINES = 60  # of a profile, at most: the newest


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known about a subject: the text, and the facts that it says."""

    subject: str
    text: str
    facts: tuple[StoredFact, ...]


@register(
    "profiles",
    papers=(
        Paper(
            "MemoryBank: Enhancing Large Language Models with Long-Term Memory",
            "2305.10250",
            code="zhongwanjun/MemoryBank-SiliconFriend",
        ),
    ),
)
def profiles(facts: Sequence[StoredFact]) -> list[Profile]:
    """Gather active facts into one entry a subject: what has one value at a time, and what was said more than once.

    Deviation: the paper lets a model write the portrait; here it is a line a fact, dated. O(facts).
    """
    by_subject: dict[str, list[StoredFact]] = {}
    for fact in facts:
        if not fact.fact.negated:
            by_subject.setdefault(fact.fact.subject, []).append(fact)
    found = []
    for subject, own in sorted(by_subject.items()):
        said = Counter((f.fact.attribute, f.fact.value.lower()) for f in own)
        latest: dict[tuple[str, str], StoredFact] = {}
        for f in sorted(own, key=lambda f: f.since):
            if f.fact.exclusive or said[f.fact.attribute, f.fact.value.lower()] > 1:
                latest[f.fact.attribute, "" if f.fact.exclusive else f.fact.value.lower()] = f
        kept = list(latest.values())[-LINES:]
        if len(kept) >= LEAST:
            found.append(
                Profile(subject, "\n".join([f"What is known about {subject}:", *map(_line, kept)]), tuple(kept))
            )
    return found


def _line(f: StoredFact) -> str:
    return f"{f.fact.attribute}: {f.fact.value} (since {from_micros(f.since):%Y-%m-%d})"
