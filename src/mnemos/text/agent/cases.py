"""Cases: what was done in which situation and what came of it; outcomes teach which cases help.

Memento (arXiv 2508.16153): cases with rewards, read by similarity or by a learned chance that a case helps. ArcMemo
(arXiv 2509.04439): a case with a name is a concept, an abstract routine with parameters, which later cases revise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from mnemos.arguments import check_count, check_number, check_optional, check_text, check_texts
from mnemos.cube import Hit, MemCube
from mnemos.errors import InvalidInput, NotFound
from mnemos.guard.key import key_of
from mnemos.text.agent.bank import CASE, OUTCOME, Bank, Case
from mnemos.text.agent.learned import Pool
from mnemos.text.agent.shelf import Shelf
from mnemos.text.agent.worth import cosine, words_of
from mnemos.text.context import withheld
from mnemos.text.encode.messages import clean
from mnemos.text.memory import TextMemory
from mnemos.text.recall.context import Count, pack

How = Literal["learned", "nearest"]


class Cases:
    """A bank of cases: get it from `Space.cases(name)`, in any process. Several agents may write and learn.

    Cases are cubes of the kind `agent-case`, outcomes of the kind `agent-outcome` derived from the cases that were used:
    erased with them. What was learned is computed from the outcomes and kept in RAM only, for all objects of this name.
    """

    def __init__(self, memory: TextMemory, banks: Pool[Bank], name: str, agent: str | None = None) -> None:
        self.name, self.agent = check_text(name, "name"), check_optional(agent, "agent")
        self._memory, self._banks = memory, banks
        self._cases, self._outcomes = Shelf(memory, CASE, self.name), Shelf(memory, OUTCOME, self.name)

    def add(
        self, situation: str, plan: str, *, reward: float | None = None, name: str | None = None,
        parameters: Mapping[str, str] | None = None, source: str | None = None, of: Sequence[str] = (),
    ) -> Case:  # fmt: skip
        """Store what was done in a situation, and return it. Success and failure are both worth keeping.

        `reward` is from 0 (failed) to 1 (succeeded). With a `name` it is a concept with cues, a routine and parameters: one
        of that name gets a new version. `of` are ids of cubes that it was made of: it is erased with them. Raises InvalidInput.
        """
        worked = 0.5 if reward is None else _share(reward, "reward")
        about: dict[str, Any] = {
            "situation": clean(check_text(situation, "situation")), "plan": clean(check_text(plan, "plan")), "reward": worked,
            "name": None if name is None else clean(check_text(name, "name")), "parameters": dict(parameters or {}),
            "told": reward is not None,
        }  # fmt: skip
        draft = self._cases.draft(
            f"{name + ': ' if name else ''}{situation}\n{plan}", about, speaker=self.agent, source=source,
            parents=check_texts(of, "of"),
        )  # fmt: skip
        with self._memory.store.transaction():
            known = [] if name is None else self._cases.cubes()
            old = next((cube for cube in known if cube.metadata.get("name") == about["name"]), None)
            [cube] = self._cases.write([draft if old is None else self._cases.next(old, draft)])
        return Case.of(cube)

    def outcome(self, situation: str, cases: Sequence[str], reward: float) -> None:
        """Note what came of using cases, by id, in a situation: from 0 (failed) to 1 (succeeded). Raises NotFound."""
        names = list(dict.fromkeys(check_texts(cases, "cases")))
        if not names:
            raise InvalidInput("cases is empty: give the ids of the cases that were used.")
        about = {"reward": _share(reward, "reward"), "cases": names}
        draft = self._outcomes.draft(check_text(situation, "situation"), about, speaker=self.agent, parents=names)
        self._outcomes.write([draft])

    def get(self, case_id: str) -> Case:
        """Return a case. Raises NotFound."""
        with self._banks.use(self.name) as bank:
            known = bank.known.get(check_text(case_id, "case_id"))
        if known is None:
            raise NotFound(f"there is no case {case_id!r} in the bank {self.name!r}.")
        return known.case

    def all(self) -> list[Case]:
        """Return all cases, in the order in which they were written."""
        with self._banks.use(self.name) as bank:
            return [known.case for known in bank.known.values()]

    def find(self, situation: str, k: int = 4, *, how: How = "learned", concepts: bool | None = None) -> list[Case]:
        """Return the `k` cases that help best in a situation, best first, each with its chance and its similarity.

        "learned" ranks by the chance that outcomes have taught, with a bonus for what was hardly tried; "nearest" by the
        words that two situations share, the baseline. `concepts` chooses concepts only, or none. O(cases of the bank).
        """
        check_count(k, "k")
        words = words_of(check_text(situation, "situation"))
        found = []
        scores: dict[str, float] = {}
        with self._banks.use(self.name) as bank:
            for known in bank.known.values():
                case, mark = known.case, known.mark
                if concepts is None or concepts == (case.name is not None):
                    if mark not in scores:
                        scores[mark] = bank.worth.plan_score(words, mark)
                    chance = bank.worth.chance(words, case.id, known.words, scores[mark], case.reward)
                    near = cosine(words, known.words)
                    found.append(
                        (bank.worth.rank_value(chance, case.id) if how == "learned" else near, case, chance, near)
                    )
        found.sort(key=lambda row: -row[0])
        return [replace(case, chance=chance, similarity=near) for _, case, chance, near in found[:k]]

    def prompt(self, situation: str, k: int = 4, *, tokens: int = 800, count: Count | None = None) -> str:
        """Return the cases that help best as a block for a prompt, successes and failures told apart, marked as data.

        What `Space.context` would withhold is withheld. "" where there is none.
        """
        cases = self.find(situation, k)
        cubes = self._memory.store.get([case.id for case in cases])
        hits = [Hit(_shown(cubes[case.id], case), case.chance, {}) for case in cases if case.id in cubes]
        bad = withheld(self._memory, "", hits)
        store = self._memory.store
        rows = [(row, hit) for row, hit in zip(store.keys_of([h.cube.id for h in hits]), hits, strict=True)]
        return pack([(r, h) for r, h in rows if h.cube.id not in bad], {}, tokens, count, key_of(store))


def _shown(cube: MemCube, case: Case) -> MemCube:
    came = "worked" if case.reward > 0.5 else "failed" if case.reward < 0.5 else "not known"
    needs = f"\nParameters: {', '.join(f'{n}: {t}' for n, t in case.parameters.items())}" if case.parameters else ""
    return replace(cube, text=f"{cube.text}{needs}\n(what came of it: {came}; chance to help here {case.chance:.2f})")


def _share(value: float, name: str) -> float:
    if not 0 <= check_number(value, name) <= 1:
        raise InvalidInput(f"{name} is {value!r}, expected a number from 0 (failed) to 1 (succeeded).")
    return float(value)
