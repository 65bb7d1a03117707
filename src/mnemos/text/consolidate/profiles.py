"""Profiles: what is known about somebody, from the facts that hold now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mnemos.cube import from_micros, to_micros
from mnemos.facts import StoredFact
from mnemos.registry import Paper, register
from mnemos.store.values import DerivedCube, Member
from mnemos.text.base import Memory
from mnemos.text.consolidate.derive import Writer
from mnemos.text.consolidate.groups import fingerprint
from mnemos.text.consolidate.report import Budget
from mnemos.text.update.voices import Standing, standing


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known about a subject."""

    subject: str
    text: str
    facts: tuple[StoredFact, ...]  # those that the text states


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
@dataclass(frozen=True, slots=True)
class Profiles:
    """Write a profile of each subject: what has one value at a time, and what was said more than once.

    Deviation: the paper lets a model write the portrait; here it is a line a fact, dated. O(facts).
    """

    least: int = 2  # facts that make a profile
    lines: int = 60  # of a profile, at most: the newest

    def gather(self, facts: Sequence[StoredFact]) -> list[Profile]:
        """Return the profiles that facts make, by subject."""
        by_subject: dict[str, list[StoredFact]] = {}
        for fact in facts:
            if not fact.fact.negated:
                by_subject.setdefault(fact.fact.subject, []).append(fact)
        found = []
        for subject, own in sorted(by_subject.items()):
            kept = _worth_a_line(own)[-self.lines :]
            if len(kept) >= self.least:
                text = "\n".join([f"What is known about {subject}:", *map(_line, kept)])
                found.append(Profile(subject, text, tuple(kept)))
        return found

    def run(self, memory: Memory, budget: Budget) -> None:
        """Write the profiles that are missing or no longer right."""
        if budget.spent:
            return
        store, writer = memory.store, Writer(memory)
        derived, versions = store.derived.existing(), {m.id: m.version for m in store.derived.members()}
        for profile in self.gather(_known(memory)):
            if budget.spent:
                break
            _write(writer, profile, versions, derived, budget)
        writer.flush()


def _known(memory: Memory) -> list[StoredFact]:
    """Return the facts that hold: of what has one value at a time those of the best voice, none of an outside one."""
    facts = memory.store.facts.find()
    cubes = memory.store.get(sorted({f.cube for f in facts}))
    counts = [(f, standing(f.fact, cubes[f.cube], memory.trust)) for f in facts if f.cube in cubes]
    best: dict[tuple[str, str], Standing] = {}
    for f, count in counts:
        key = f.fact.subject, f.fact.attribute
        best[key] = max(count, best.get(key, count))
    least = dict.fromkeys(best, Standing.CLAIM)
    return [
        f
        for f, count in counts
        if count >= (best if f.fact.exclusive else least)[f.fact.subject, f.fact.attribute] and count > Standing.OUTSIDE
    ]


def _worth_a_line(facts: Sequence[StoredFact]) -> list[StoredFact]:
    said = Counter((f.fact.attribute, f.fact.value.lower()) for f in facts)
    latest: dict[tuple[str, str], StoredFact] = {}
    for f in sorted(facts, key=lambda f: f.since):
        key = f.fact.attribute, f.fact.value.lower()
        if f.fact.exclusive or said[key] > 1:
            latest[key] = f
    return sorted(latest.values(), key=lambda f: f.since)


def _line(f: StoredFact) -> str:
    return f"{f.fact.attribute}: {f.fact.value} (since {from_micros(f.since):%Y-%m-%d})"


def _write(
    writer: Writer, profile: Profile, versions: Mapping[str, int], derived: Mapping[str, DerivedCube], budget: Budget
) -> None:
    of = f"profile:{profile.subject}"
    ids = list(dict.fromkeys(f.cube for f in profile.facts if f.cube in versions))
    mark = fingerprint(
        [*((i, versions[i]) for i in ids), *((f.fact.attribute + f.fact.value, 0) for f in profile.facts)]
    )
    existing = derived.get(of)
    if not ids or (existing and existing.fingerprint == mark):
        return
    store = writer.memory.store
    told = store.told(ids)
    cubes = sorted(store.get(ids).values(), key=lambda c: (c.at, told[c.id]))
    members = [Member(0, c.id, c.version, None, to_micros(c.at), 0) for c in cubes]
    writer.put("profile", of, profile.text, members, mark, existing, {"subject": profile.subject})
    budget.done.count("profile")
