"""Second pass: ask the model about cubes that only the rules have judged so far."""

from __future__ import annotations

from dataclasses import dataclass

from mnemos.cube import MemCube
from mnemos.errors import ReasonerError
from mnemos.facts import Fact
from mnemos.reason.base import Judgement, Reasoner
from mnemos.registry import register
from mnemos.store.values import DERIVED
from mnemos.text.base import Memory
from mnemos.text.consolidate.report import Budget
from mnemos.text.update.write import add_facts, read_facts, statement_of

PAGE = 200  # cubes read at once


@register("second-pass", unmeasured="it depends on the model that the space asks")
@dataclass(frozen=True, slots=True)
class SecondPass:
    """Ask the space's model about cubes that only the rules have judged so far (ours).

    A model that fails leaves a cube waiting, with the rules' judgement in force. It is never asked while the store is
    locked. One call a cube and one a conflict.
    """

    tries: int = 5  # times that a cube is shown to the model, at most
    failures: int = 3  # in a row, after which the model is not asked again in this run

    def run(self, memory: Memory, budget: Budget) -> None:
        """Judge the cubes that wait for it, as many as the limit of the budget."""
        done, store = budget.done, memory.store
        waiting = self._waiting(memory)
        failed = 0
        for start in range(0, min(len(waiting), budget.limit), PAGE):
            part = waiting[start : min(start + PAGE, budget.limit)]
            cubes = store.get(part)
            store.queue.settle([i for i in part if i not in cubes])
            for name, cube in cubes.items():
                if cube.kind in DERIVED or failed == self.failures:
                    continue  # a summary is made again with its group
                try:
                    _judge(memory, cube)
                except ReasonerError:
                    store.queue.settle([name], failed=True)
                    failed += 1
                    continue
                failed = 0
                done.reconsidered += 1
                store.queue.settle([name])
            if failed == self.failures:
                break
        done.waiting = len(waiting) - done.reconsidered
        done.ids_waiting = frozenset(self._waiting(memory))

    def _waiting(self, memory: Memory) -> list[str]:
        return [i for i, tries, _ in memory.store.queue.pending() if tries < self.tries]


def _judge(memory: Memory, cube: MemCube) -> None:
    reasoner, store = memory.reasoner, memory.store
    [key] = store.keys_of([cube.id])
    known = [f.fact for f in store.facts.of([key])]
    found = read_facts(reasoner, cube, memory.trust)
    new = tuple(f for f in found if not any(_same(memory.rules, f, old) for old in known))
    if not new:
        return
    judged: dict[tuple[Fact, Fact], Judgement] = {}
    if memory.judge.has_model:
        for old in store.facts.find([(f.subject, f.attribute) for f in new]):
            for fact in new:
                if (fact.subject, fact.attribute) == (old.fact.subject, old.fact.attribute) and old.cube != cube.id:
                    judged[fact, old.fact] = reasoner.compare(fact, old.fact)

    def compare(fact: Fact, old: Fact) -> Judgement:
        return judged.get((fact, old)) or memory.rules.compare(fact, old)

    [entry] = memory.system.encode.encode([cube], None)  # its dates
    statement = statement_of(entry, new, memory.trust)
    add_facts(store, statement, key, len(known), compare, reasoner.name, memory.trust)


def _same(rules: Reasoner, a: Fact, b: Fact) -> bool:
    return (a.subject, a.attribute) == (b.subject, b.attribute) and rules.compare(a, b).verdict == "same"
