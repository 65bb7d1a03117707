"""Cases: what was done in which situation and what came of it; outcomes teach which cases help.

Memento (arXiv 2508.16153): cases with rewards, read by similarity or by a learned chance that a case helps. ArcMemo
(arXiv 2509.04439): a case with a name is a concept, an abstract routine with parameters, which later cases revise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from mnemos.arguments import check_count, check_number, check_optional, check_text, check_texts
from mnemos.cube import Hit, MemCube
from mnemos.errors import InvalidInput, NotFound
from mnemos.guard.key import key_of
from mnemos.store.values import Filter
from mnemos.text.agent.shelf import PAGE, Shelf
from mnemos.text.agent.worth import Worth, cosine, words_of
from mnemos.text.context import withheld
from mnemos.text.memory import TextMemory
from mnemos.text.recall.context import Count, pack

CASE, OUTCOME = "agent-case", "agent-outcome"  # kinds of the cubes
How = Literal["learned", "nearest"]


@dataclass(frozen=True, slots=True)
class Case:
    """What was done in a situation, and what came of it; with a name it is a concept."""

    id: str
    situation: str  # for a concept: the cues by which it is found
    plan: str
    reward: float  # from 0, it failed, to 1, it succeeded; 0.5: not known
    name: str | None = None  # of a concept
    parameters: Mapping[str, str] = field(default_factory=dict)  # of a concept: names and types
    chance: float = 0.0  # that it helps in the situation that was asked for
    similarity: float = 0.0  # to that situation, by words


class Cases:
    """A bank of cases: get it from `Space.cases(name)`, in any process. Several agents may write and learn.

    Cases are cubes of the kind `agent-case`, outcomes of the kind `agent-outcome` derived from the cases that were used:
    erased with them. What was learned is computed from the outcomes when it is needed, and is nowhere else.
    """

    def __init__(self, memory: TextMemory, name: str, agent: str | None = None) -> None:
        self.name, self.agent = check_text(name, "name"), check_optional(agent, "agent")
        self._memory = memory
        self._cases, self._outcomes = Shelf(memory, CASE, self.name), Shelf(memory, OUTCOME, self.name)
        self._known: dict[str, tuple[Case, frozenset[str], str]] = {}  # by id: the case, its words, its plan's mark
        self._worth, self._token = Worth(), object()
        self._keys: list[int] = []  # of the rows that were read

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
            "situation": check_text(situation, "situation"), "plan": check_text(plan, "plan"), "reward": worked,
            "name": check_optional(name, "name"), "parameters": dict(parameters or {}), "told": reward is not None,
        }  # fmt: skip
        draft = self._cases.draft(
            f"{name + ': ' if name else ''}{situation}\n{plan}", about, speaker=self.agent, source=source,
            parents=check_texts(of, "of"),
        )  # fmt: skip
        with self._memory.store.transaction():
            old = next((c for c in self._cases.cubes() if name is not None and c.metadata.get("name") == name), None)
            [cube] = self._cases.write([draft if old is None else self._cases.next(old, draft)])
        return _case(cube)

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
        self._read()
        if check_text(case_id, "case_id") not in self._known:
            raise NotFound(f"there is no case {case_id!r} in the bank {self.name!r}.")
        return self._known[case_id][0]

    def all(self) -> list[Case]:
        """Return all cases, in the order in which they were written."""
        self._read()
        return [case for case, _, _ in self._known.values()]

    def find(self, situation: str, k: int = 4, *, how: How = "learned", concepts: bool | None = None) -> list[Case]:
        """Return the `k` cases that help best in a situation, best first, each with its chance and its similarity.

        "learned" ranks by the chance that outcomes have taught, with a bonus for what was hardly tried; "nearest" by the
        words that two situations share, the baseline. `concepts` chooses concepts only, or none. O(cases of the bank).
        """
        check_count(k, "k")
        self._read()
        words = words_of(check_text(situation, "situation"))
        found = []
        scores: dict[str, float] = {}
        for case, known, mark in self._known.values():
            if concepts is None or concepts == (case.name is not None):
                if mark not in scores:
                    scores[mark] = self._worth.plan_score(words, mark)
                chance = self._worth.chance(words, case.id, known, scores[mark], case.reward)
                near = cosine(words, known)
                value = self._worth.rank_value(chance, case.id) if how == "learned" else near
                found.append((value, case, chance, near))
        found.sort(key=lambda row: -row[0])
        return [_with(case, chance, near) for _, case, chance, near in found[:k]]

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

    def _read(self) -> None:
        """Bring cases and what was learned up to date: what is new is learned, and after an erasure all is learned anew."""
        store = self._memory.store
        token = store.change_token()
        if token is not None and token == self._token:
            return
        filters = [Filter(kind=kind, session=self.name, superseded=True) for kind in (CASE, OUTCOME)]
        with store.transaction(write=False):
            keys = sorted(int(key) for filter in filters for key in store.keys(filter))
            if keys[: len(self._keys)] != self._keys:
                self._known, self._worth, self._keys = {}, Worth(), []
            after = self._keys[-1] if self._keys else 0
            rows = [row for filter in filters for row in _rows(self._memory, filter, after)]
        for _, cube in sorted(rows, key=lambda row: row[0]):
            self._take(cube)
        self._keys, self._token = keys, token

    def _take(self, cube: MemCube) -> None:
        if cube.kind == CASE:
            case = _case(cube)
            words, mark = words_of(case.situation), _mark(case.plan)
            self._known[case.id] = case, words, mark
            if cube.metadata.get("told") and case.name is None:
                self._worth.learn(words, None, frozenset(), mark, 0.5, case.reward)
            return
        words, reward = words_of(cube.text), float(cube.metadata["reward"])
        for name in cube.metadata["cases"]:
            if name in self._known:
                case, known, mark = self._known[name]
                self._worth.learn(words, name, known, mark, case.reward, reward)


def _rows(memory: TextMemory, filter: Filter, after: int) -> list[tuple[int, MemCube]]:
    found: list[tuple[int, MemCube]] = []
    while rows := memory.store.select(filter, after=after, limit=PAGE):
        after = rows[-1][0]
        found += rows
    return found


def _case(cube: MemCube) -> Case:
    data = cube.metadata
    return Case(cube.id, data["situation"], data["plan"], float(data["reward"]), data["name"], dict(data["parameters"]))


def _with(case: Case, chance: float, near: float) -> Case:
    return Case(case.id, case.situation, case.plan, case.reward, case.name, case.parameters, chance, near)


def _shown(cube: MemCube, case: Case) -> MemCube:
    came = "worked" if case.reward > 0.5 else "failed" if case.reward < 0.5 else "not known"
    needs = f"\nParameters: {', '.join(f'{n}: {t}' for n, t in case.parameters.items())}" if case.parameters else ""
    return replace(cube, text=f"{cube.text}{needs}\n(what came of it: {came}; chance to help here {case.chance:.2f})")


def _mark(plan: str) -> str:
    return hashlib.blake2b(" ".join(plan.split()).casefold().encode(), digest_size=8).hexdigest()


def _share(value: float, name: str) -> float:
    if not 0 <= check_number(value, name) <= 1:
        raise InvalidInput(f"{name} is {value!r}, expected a number from 0 (failed) to 1 (succeeded).")
    return float(value)
