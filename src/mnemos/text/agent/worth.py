"""Worth: the chance that a case helps in a situation, learned online from outcomes.

The learned read of Memento (arXiv 2508.16153): Q(s, c) is the probability that using case c in situation s succeeds, by
binary cross-entropy. The paper trains a network; here it is a logistic model of the words of both, by AdaGrad.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mnemos.index.terms import stop_terms, terms

RATE = 0.5  # of a step, before AdaGrad divides it
REPLAYS = 6  # earlier outcomes that are learned again with each new one
NEAR, WORKED = 3.0, 1.0  # weights of similarity and of a success before anything was learned
BONUS = 0.15  # of a case that was never tried; it shrinks with the root of its outcomes
BIAS = -2.0  # before anything was learned
MOST = 64  # terms of a situation that are looked at

Feature = tuple[str, ...]


def words_of(text: str) -> frozenset[str]:
    """Return the content terms of a situation, at most `MOST`."""
    return frozenset([t for t in dict.fromkeys(terms(text)) if t not in stop_terms()][:MOST])


def cosine(a: frozenset[str], b: frozenset[str]) -> float:
    """Return the cosine of two sets of terms."""
    return len(a & b) / math.sqrt(len(a) * len(b)) if a and b else 0.0


@dataclass
class Worth:
    """A logistic model: which words two situations must share, which plan suits which word, which case is good."""

    weights: dict[Feature, float] = field(default_factory=dict)
    squares: dict[Feature, float] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)  # outcomes by case
    past: list[tuple[Sequence[tuple[Feature, float]], float]] = field(default_factory=list)  # what was learned from

    def plan_score(self, words: frozenset[str], plan: str) -> float:
        """Return what the words of a situation say for a plan, in log-odds."""
        return self._score(_of_plan(words, plan))

    def chance(self, words: frozenset[str], case: str, known: frozenset[str], score: float, reward: float) -> float:
        """Return the probability that a case helps in a situation; `score` is the `plan_score` of its plan."""
        return _sigmoid(score + self._score(_of_case(words, case, known, reward)))

    def rank_value(self, chance: float, case: str) -> float:
        """Return the chance with a bonus for what was hardly tried."""
        return chance + BONUS / math.sqrt(1 + self.tries.get(case, 0))

    def learn(
        self, words: frozenset[str], case: str | None, known: frozenset[str], plan: str, reward: float, outcome: float
    ) -> None:
        """Move towards what came of it: an outcome from 0 (failed) to 1 (succeeded)."""
        features = [*_of_plan(words, plan), *(_of_case(words, case, known, reward) if case is not None else ())]
        self.past.append((features, outcome))
        count = len(self.past)
        for i in range(min(REPLAYS, count - 1)):  # a fixed walk over the past: the same outcomes teach the same
            self._step(*self.past[(count * 7919 + i * 104_729) % (count - 1)])
        self._step(features, outcome)
        if case is not None:
            self.tries[case] = self.tries.get(case, 0) + 1

    def _step(self, features: Sequence[tuple[Feature, float]], outcome: float) -> None:
        error = outcome - _sigmoid(self._score(features))
        for name, value in features:
            step = error * value
            self.squares[name] = square = self.squares.get(name, 0.0) + step * step
            if square:
                before = self.weights.get(name, _START.get(name, 0.0))
                self.weights[name] = before + RATE * step / math.sqrt(square + 1e-3)

    def _score(self, features: Iterable[tuple[Feature, float]]) -> float:
        return sum(value * self.weights.get(name, _START.get(name, 0.0)) for name, value in features)


_START: dict[Feature, float] = {("near",): NEAR, ("worked",): WORKED, ("bias",): BIAS}


def _of_plan(words: frozenset[str], plan: str) -> Sequence[tuple[Feature, float]]:
    each = 1.0 / math.sqrt(max(len(words), 1))
    return [(("bias",), 1.0), *((("plan", plan, term), each) for term in words)]


def _of_case(words: frozenset[str], case: str, known: frozenset[str], reward: float) -> Sequence[tuple[Feature, float]]:
    found: list[tuple[Feature, float]] = [
        (("near",), cosine(words, known)), (("worked",), 2.0 * reward - 1.0), (("case", case), 1.0),
    ]  # fmt: skip
    return [*found, *((("shared", term), 0.5) for term in words & known)]


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, x))))
