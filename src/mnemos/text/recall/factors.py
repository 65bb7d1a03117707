"""Factors of the fusion: how much more or less each group of signals counts in one space, fitted to its own feedback.

The weights of `fusion` were fitted across sets and depend on the question; a space multiplies them by a number a group.
There are few groups, so that some dozens of questions can fit them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnemos.text.recall.fusion import Weights
from mnemos.text.recall.signals import SIGNALS, VECTOR_SIGNALS, Signals

Floats = NDArray[np.float64]
PARTS = (
    "near",
    "around",
    "before",
    "after",
    "session",
    "answer",
    "moment",
    "day",
    "talk",
)  # of names: not of the text alone
PERSONS = frozenset({"speaker", "took_part", "assistant", "user_me", "assistant_you"})
TIMES = frozenset({"date", "time", "later", "latest"})
SHAPES = frozenset({"question", "length", "long", "opening", "number"})
MOST = 0.7  # of the logarithm of a factor, up or down
PULL = 10.0  # towards 1, in questions that say nothing
STEPS, RATE = 100, 0.1


def group(signal: str) -> str:
    """Return the group of a signal: words or meaning of the text or around it, persons, times, or the text's shape."""
    if signal in PERSONS:
        return "persons"
    if signal in TIMES:
        return "times"
    if signal in SHAPES:
        return "shapes"
    near = any(part in signal.split("_") for part in PARTS)
    return ("meaning" if signal in VECTOR_SIGNALS else "words") + (" around" if near else "")


GROUPS = tuple(dict.fromkeys(map(group, SIGNALS)))


@dataclass(frozen=True, slots=True)
class Case:
    """One question: what each group adds to the score of each candidate, and which candidates were used."""

    parts: Floats  # (N, G)
    used: NDArray[np.bool_]  # (N,)


def case(found: Signals, by: Weights, at: NDArray[np.int64], used: NDArray[np.bool_]) -> Case:
    """Return a question as a case: the candidates are the positions `at`."""
    parts = np.zeros((len(at), len(GROUPS)))
    for name, weight in by.items():
        if weight and name in found:
            parts[:, GROUPS.index(group(name))] += weight * found[name][at]
    return Case(parts, used)


def fit(cases: Sequence[Case]) -> dict[str, float]:
    """Return the factor of each group: the softmax over the candidates puts more on those that were used.

    Gradient descent on the logarithms of the factors, some 50 ms for 100 questions.
    """
    logs = np.zeros(len(GROUPS))
    cases = [c for c in cases if c.used.any() and not c.used.all()]
    for _ in range(STEPS if cases else 0):
        factors = np.exp(logs)
        slope = PULL * logs
        for c in cases:
            scores = c.parts @ factors
            share = np.exp(scores - scores.max())
            among = np.where(c.used, share, 0)
            slope += (share / share.sum() - among / among.sum()) @ c.parts * factors
        logs = np.clip(logs - RATE * slope / (len(cases) + PULL), -MOST, MOST)
    return dict(zip(GROUPS, np.round(np.exp(logs), 4).tolist(), strict=True))


def apply(by: Weights, factors: Mapping[str, float]) -> Weights:
    """Return the weights of signals, each times the factor of its group."""
    if not factors:
        return by
    return {name: weight * factors.get(group(name), 1.0) for name, weight in by.items()}
