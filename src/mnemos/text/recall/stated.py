"""What cubes state, by rules and by heads together: each value with whose it is and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mnemos.cube import MemCube
from mnemos.facts import Fact, Reading, StoredFact
from mnemos.reason.read.attributes import general
from mnemos.reason.read.reading import subject
from mnemos.store.base import Store
from mnemos.text.update.voices import narrator


@dataclass(frozen=True, slots=True)
class Stated:
    """A value that a cube states: text[start:end] lies in what says so. `confidence` is 1 where a rule read it."""

    subject: str
    attribute: str  # of the heads' set, so that what a rule read can be compared with what heads read
    value: str
    start: int
    end: int
    tense: str
    negated: bool
    confidence: float


def stated(store: Store, cubes: Mapping[int, MemCube], rules: Mapping[str, int]) -> dict[int, list[Stated]]:
    """Return what versions state, by row key, in the order of the text. Two lookups; nothing is embedded or read anew.

    What rules read comes first: a reading on the same words is left out.
    """
    keys = list(cubes)
    facts: dict[int, list[StoredFact]] = {}
    for fact in store.facts.of(keys):
        facts.setdefault(fact.key, []).append(fact)
    readings = store.readings.of(keys)
    found: dict[int, list[Stated]] = {}
    for key, cube in cubes.items():
        sure = [f.fact for f in facts.get(key, ())]
        every = [_of_fact(f) for f in sure]
        me = (narrator(cube, rules) or "user").strip().lower()
        every += [_of_reading(r, cube.text, me) for r in unread(readings.get(key, ()), sure)]
        if every:
            found[key] = sorted(every, key=lambda s: s.start)
    return found


def unread(readings: Sequence[Reading], facts: Sequence[Fact]) -> list[Reading]:
    """Return the readings whose words no rule has read."""
    return [r for r in readings if all(r.end <= f.start or r.start >= f.end for f in facts)]


def _of_fact(f: Fact) -> Stated:
    return Stated(f.subject, general(f.attribute, f.value), f.value, f.start, f.end, "now", f.negated, 1.0)


def _of_reading(r: Reading, text: str, me: str) -> Stated:
    return Stated(
        subject(r.whose, me), r.attribute, text[r.start : r.end], r.start, r.end, r.tense, r.negated, r.confidence
    )
