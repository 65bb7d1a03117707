"""Another look: cubes whose facts the rules alone have judged are shown to the model, when there is one."""

from __future__ import annotations

from mnemos.cube import MemCube
from mnemos.errors import ReasonerError
from mnemos.facts import Fact
from mnemos.reason.base import Judgement
from mnemos.store.values import DERIVED, Entry
from mnemos.text.encode.entries import words_and_dates
from mnemos.text.memory import TextMemory
from mnemos.text.update.decide import NewStatement
from mnemos.text.update.write import add_facts, is_trusted

TRIES = 5  # looks at one cube, at most
FAILURES = 3  # in a row, after which the endpoint is left alone until the next run


def reconsider(space: TextMemory, *, limit: int) -> tuple[int, int]:
    """Judge cubes that wait for it; return how many were judged and how many still wait.

    A model that fails leaves the cube waiting, with the rules' judgement in force; it is never asked while a write
    lock is held. One call a cube and one a conflict.
    """
    waiting = [i for i, tries, _ in space.store.queue.pending() if tries < TRIES]
    done = failures = 0
    for start in range(0, min(len(waiting), limit), 200):
        part = waiting[start : min(start + 200, limit)]
        cubes = space.store.get(part)
        space.store.queue.settle([i for i in part if i not in cubes])
        for name, cube in cubes.items():
            if cube.kind in DERIVED:
                continue  # a summary is made again with its group
            try:
                _judge(space, cube)
            except ReasonerError:
                space.store.queue.settle([name], failed=True)
                failures += 1
                if failures == FAILURES:
                    return done, len(waiting) - done
                continue
            failures = 0
            done += 1
            space.store.queue.settle([name])
    return done, len(waiting) - done


def _judge(space: TextMemory, cube: MemCube) -> None:
    reasoner = space.reasoner
    terms, dates = words_and_dates(cube)
    keys = space.store.keys_of([cube.id])
    if not keys:  # erased in the meantime
        return
    there = [f.fact for f in space.store.facts.of(keys)]
    found = reasoner.facts(cube.text, cube.speaker, cube.at)
    new = tuple(f for f in found if not any(_same(space, f, old) for old in there))
    if not new:
        return
    judged: dict[tuple[Fact, Fact], Judgement] = {}
    if reasoner is not space.rules:
        for old in space.store.facts.find([(f.subject, f.attribute) for f in new]):
            for fact in new:
                if (fact.subject, fact.attribute) == (old.fact.subject, old.fact.attribute) and old.cube != cube.id:
                    judged[fact, old.fact] = reasoner.compare(fact, old.fact)

    def compare(fact: Fact, old: Fact) -> Judgement:
        return judged.get((fact, old)) or space.rules.compare(fact, old)

    trust = space.trust
    statement = NewStatement(Entry(cube, terms, None, dates), new, False, is_trusted(cube, trust))
    add_facts(space.store, statement, keys[0], len(there), compare, reasoner.name, trust)


def _same(space: TextMemory, a: Fact, b: Fact) -> bool:
    return (a.subject, a.attribute) == (b.subject, b.attribute) and space.rules.compare(a, b).verdict == "same"
