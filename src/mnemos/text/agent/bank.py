"""Bank: the cases of one name in RAM with what their outcomes taught, brought up to date by what is new."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mnemos.cube import MemCube
from mnemos.text.agent.learned import Learned
from mnemos.text.agent.worth import Worth, words_of

CASE, OUTCOME = "agent-case", "agent-outcome"  # kinds of the cubes


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

    @staticmethod
    def of(cube: MemCube) -> Case:
        """Return the case that a cube holds."""
        data = cube.metadata
        name, parameters = data["name"], dict(data["parameters"])
        return Case(cube.id, data["situation"], data["plan"], float(data["reward"]), name, parameters)


@dataclass(frozen=True, slots=True)
class Known:
    """A case, its words, and a mark of its plan."""

    case: Case
    words: frozenset[str]
    mark: str


class Bank(Learned):
    """What is known of one bank: its cases, and what their outcomes taught."""

    kinds = CASE, OUTCOME

    def reset(self) -> None:
        """Forget all cases."""
        self.known: dict[str, Known] = {}
        self.worth = Worth()

    def learn(self, rows: list[tuple[int, MemCube]]) -> None:
        """Add new cases, and learn from new outcomes in the order in which they were written."""
        for _, cube in rows:
            if cube.kind == CASE:  # a concept that was revised is newer than outcomes of it
                case = Case.of(cube)
                self.known[case.id] = Known(case, words_of(case.situation), _mark(case.plan))
        for _, cube in sorted(rows, key=lambda row: row[0]):
            if cube.kind == OUTCOME:
                self._learn_outcome(cube.metadata, words_of(cube.text))
            elif cube.metadata.get("told") and cube.metadata["name"] is None:
                known = self.known[cube.id]
                self.worth.learn(known.words, None, frozenset(), known.mark, 0.5, known.case.reward)

    def _learn_outcome(self, about: Mapping[str, Any], words: frozenset[str]) -> None:
        for name in about["cases"]:
            if (known := self.known.get(name)) is not None:
                reward = float(about["reward"])
                self.worth.learn(words, name, known.words, known.mark, known.case.reward, reward)


def _mark(plan: str) -> str:
    return hashlib.blake2b(" ".join(plan.split()).casefold().encode(), digest_size=8).hexdigest()
