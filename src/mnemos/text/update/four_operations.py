"""Mem0's four operations: a new text is added, adds detail to a memory, contradicts one, or says nothing new."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mnemos.cube import MemCube, to_micros
from mnemos.facts import Decision, Link, StoredFact
from mnemos.index.terms import stop_terms, terms
from mnemos.reason.condense import filler_terms
from mnemos.registry import Paper, register
from mnemos.store.values import Entry
from mnemos.text.base import Memory
from mnemos.text.forget.policy import archive
from mnemos.text.update.reconcile import Reconcile
from mnemos.text.update.write import adds_nothing_else

Pair = tuple[str, str]  # subject and attribute


@register(
    "four-operations",
    baselines=("append",),
    unmeasured="tests/text/systems/test_mem0_system.py checks it within mem0",
    papers=(
        Paper(
            "Mem0: Building Production-Ready AI Agents with Scalable Long-Term Memory", "2504.19413", code="mem0ai/mem0"
        ),
    ),
)
@dataclass(frozen=True, slots=True)
class FourOperations:
    """Compare a new text with the nearest memories of the same thing: ADD, UPDATE, DELETE or NOOP.

    DELETE: it contradicts a memory, which is superseded (see `Reconcile`). UPDATE: it says all that a memory says, with more
    detail; the memory is archived. NOOP: all that it states is known, so that it is archived itself. Only texts that
    say nothing besides their facts are archived, and only for the same speaker's.

    Deviations: nothing is deleted; what is archived is out of search, counts for no prompt, and can be brought back. The
    rules read the facts and decide; a model of the space reads them again later (`SecondPass`), where the paper asks it
    twice in every write. The paper's memories are a model's sentences, here what was said. "Nearest" are those that state
    the same attribute of the same subject, by their vectors.
    """

    nearest: int = 10  # memories that a new text is compared with (s of the paper)

    def add(self, memory: Memory, entries: Sequence[Entry]) -> list[MemCube]:
        """Store entries, then decide each in the order of telling. O(facts about the same thing)."""
        with memory.store.transaction():
            cubes = Reconcile().add(memory, entries)
            known = _Known(memory, cubes, self.nearest)
            for cube in cubes:
                self._decide(memory, cube, known)
            stored = memory.store.get([cube.id for cube in cubes])
        return [stored[cube.id] for cube in cubes]

    def revise(self, memory: Memory, entry: Entry) -> None:
        """Store the next version of a cube: what it contradicts is superseded."""
        Reconcile().revise(memory, entry)

    def _decide(self, memory: Memory, cube: MemCube, known: _Known) -> None:
        own = known.own.get(cube.id, [])
        if not own or cube.id in known.gone or not known.says_only_facts(cube, own):
            return
        verdicts: dict[str, set[str]] = {}
        unknown = False
        for fact in own:
            judged = [(old, memory.rules.compare(fact.fact, old.fact).verdict) for old in known.near(cube, fact)]
            unknown |= all(verdict != "same" for _, verdict in judged)
            for old, verdict in judged:
                verdicts.setdefault(old.cube, set()).add(verdict)
        now, store = memory.now(), memory.store
        others = tuple(sorted(name for name, found in verdicts.items() if "same" in found))
        if not unknown and known.has_words(others, cube.text):
            known.archive(cube.id)
            store.decisions.put(
                [Decision(cube.id, now, "NOOP", "all that it states is known", others, memory.rules.name)]
            )
            return
        told = [name for name, found in verdicts.items() if known.is_said_by(name, cube, own)]
        for name in told:
            known.archive(name)
        if told:
            store.links.put([Link(cube.id, name, "supersedes") for name in told], to_micros(now))
            store.decisions.put(
                [Decision(cube.id, now, "UPDATE", "it says the same with more detail", tuple(told), memory.rules.name)]
            )


class _Known:
    """What is known of the things that new cubes state something of, in one transaction."""

    def __init__(self, memory: Memory, cubes: Sequence[MemCube], nearest: int) -> None:
        self.memory, self.nearest, self.gone = memory, nearest, set[str]()
        store, ids = memory.store, [cube.id for cube in cubes]
        self.own = _by_cube(f for f in store.facts.of(store.keys_of(ids)) if f.ended is None)
        pairs = sorted({_pair(f) for facts in self.own.values() for f in facts})
        found = store.facts.find(pairs) if pairs else []
        self.of: dict[Pair, list[StoredFact]] = {}
        for f in found:
            self.of.setdefault(_pair(f), []).append(f)
        names = sorted({f.cube for f in found} | set(self.own))
        self.cubes, self.told = store.get(names), store.told(names)
        self.every = _by_cube(store.facts.of(store.keys_of([n for n in names if n in self.cubes])))

    def near(self, cube: MemCube, fact: StoredFact) -> list[StoredFact]:
        """Return the facts of the same thing that the same speaker stated before: of the nearest memories."""
        before = [
            f
            for f in self.of.get(_pair(fact), [])
            if f.cube not in self.gone
            and self.told[f.cube] < self.told[cube.id]
            and (self.cubes[f.cube].speaker, self.cubes[f.cube].role) == (cube.speaker, cube.role)
        ]
        model = self.memory.model_key()
        if len(before) <= self.nearest or model is None:
            return before[-self.nearest :]
        vectors = self.memory.store.vectors.of(model, [fact.key, *(f.key for f in before)])
        mine = vectors.get(fact.key, np.zeros(1))
        cosines = {f.key: float(vectors[f.key] @ mine) if f.key in vectors else 0.0 for f in before}
        return sorted(before, key=lambda f: -cosines[f.key])[: self.nearest]

    def says_only_facts(self, cube: MemCube, facts: Sequence[StoredFact]) -> bool:
        """Tell whether a text says nothing besides some facts; one with dates tells of an event."""
        spans = [(f.fact.start, f.fact.end) for f in facts]
        dated = self.memory.store.dates([facts[0].key])
        return cube.state == "active" and not cube.pinned and not dated and adds_nothing_else(cube.text, spans)

    def has_words(self, names: Sequence[str], text: str) -> bool:
        """Tell whether memories have all content words of a text."""
        return _words(text) <= {w for name in names for w in _words(self.cubes[name].text)}

    def is_said_by(self, name: str, cube: MemCube, facts: Sequence[StoredFact]) -> bool:
        """Tell whether a memory says nothing besides what the facts of a cube say with more detail."""
        old, compare, text = self.every[name], self.memory.rules.compare, self.cubes[name].text
        said = self.says_only_facts(self.cubes[name], old) and _words(text) < _words(cube.text)
        return said and all(
            any(_pair(f) == _pair(o) and compare(f.fact, o.fact).verdict in ("same", "refines") for f in facts)
            for o in old
        )

    def archive(self, name: str) -> None:
        """Take a memory out of search."""
        self.gone.add(name)
        archive(self.memory.store, [name])


def _words(text: str) -> set[str]:
    return {t for t in terms(text) if t not in stop_terms() and t not in filler_terms()}


def _pair(fact: StoredFact) -> Pair:
    return fact.fact.subject, fact.fact.attribute


def _by_cube(facts: Iterator[StoredFact] | Sequence[StoredFact]) -> Mapping[str, list[StoredFact]]:
    found: dict[str, list[StoredFact]] = {}
    for f in facts:
        found.setdefault(f.cube, []).append(f)
    return found
