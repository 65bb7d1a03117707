"""Semantic cache: answers to earlier questions are served again, by rules that differ from category to category.

Questions about code or bookings differ in a word and mean something else; chat says one thing in many ways. One threshold
of similarity is too low for the one or too high for the other, and one time to live too long for prices or too short for
definitions. `replay` says what rules would have served of a log, and `choose` picks the rules of each category from that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnemos.errors import InvalidInput
from mnemos.guard.consensus import names
from mnemos.registry import Paper, register

SURE = 2.0  # standard deviations that are added to a number of bad answers
WRONG = 0.01  # share of wrong answers among those served, at most
RELAXED = 0.1  # share of a threshold that a full load takes off
_NEGATION = re.compile(r"\b(?:not|no|never|without|cannot|\w+n['’]t)\b", re.I)


@register(
    "semantic-cache",
    papers=(
        Paper(
            "Category-Aware Semantic Caching for Heterogeneous LLM Workloads",
            "2510.26835",
            code="vllm-project/semantic-router",
        ),
    ),
    task="semantic-cache",
)
@dataclass(frozen=True, slots=True)
class Category:
    """How answers of one category are kept: similarity, time to live, room, and whether at all.

    The defaults are careful: the paper gives ranges (.75 to .95; minutes to months), and `choose` fits them to a log.
    """

    threshold: float = 0.95  # cosine of two questions from which they count as the same
    days: float = 7.0  # that an answer is served; below 1 for what changes within a day
    most: int = 1_000  # answers kept; the one served longest ago goes first
    on: bool = True  # False: never cached, such as what is personal or has an effect

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1 or not self.days > 0 or self.most < 1:
            raise InvalidInput(
                f"a category has threshold {self.threshold}, days {self.days} and most {self.most}: give a threshold of 0 to "
                "1, days above 0, and room for 1 answer or more."
            )

    def least(self, load: float = 0.0) -> float:
        """Return the similarity from which an answer is served. A busy model (`load` 0 to 1) lowers it."""
        return self.threshold * (1 - RELAXED * load)

    def lasting(self, load: float = 0.0) -> float:
        """Return the days that an answer is served: twice as many for a fully loaded model."""
        return self.days * (1 + load)


def particulars(question: str) -> tuple[frozenset[str], bool]:
    """Return what two questions must share beside their meaning: names, numbers and negation, which vectors hardly see."""
    return names(question), _NEGATION.search(question) is not None


@dataclass(frozen=True, slots=True)
class Log:
    """Questions of one category in the order of time, as they would be asked without a cache."""

    vectors: NDArray[np.float32]  # (n, D) of unit length
    particulars: NDArray[np.int64]  # (n,) equal for questions with the same particulars
    days: NDArray[np.float64]  # (n,) when each was asked
    answers: NDArray[np.int64]  # (n,) equal for questions with the same right answer at their times
    meanings: NDArray[np.int64]  # (n,) equal for questions that mean the same


@dataclass(frozen=True, slots=True)
class Served:
    """What a cache made of a log."""

    asked: int
    right: int  # answers served that were right
    wrong: int  # answers served to another question
    stale: int  # answers served that had been right when they were made

    @property
    def bad(self) -> int:
        """Answers served that were not right."""
        return self.wrong + self.stale


def replay(log: Log, rules: Category, similar: NDArray[np.float32] | None = None) -> NDArray[np.int64]:
    """Return for each question of a log the earlier one whose answer it would get, (n,); -1: it misses, and is kept.

    `similar` (n, n) are the cosines, where they are known. O(n^2 D).
    """
    n = len(log.days)
    given = np.full(n, -1, dtype=np.int64)
    if not rules.on:
        return given
    similar = log.vectors @ log.vectors.T if similar is None else similar
    held, last = np.zeros(n, dtype=np.bool_), np.arange(n)  # which answers are kept, and when they were served last
    first = np.searchsorted(log.days, log.days - rules.days, side="right")  # of those that still live
    for i in range(n):
        held[: first[i]] = False
        near = first[i] + np.flatnonzero(held[first[i] : i] & (log.particulars[first[i] : i] == log.particulars[i]))
        best = near[np.argmax(similar[i, near])] if len(near) else -1
        if best >= 0 and similar[i, best] >= rules.threshold:
            given[i], last[best] = best, i
            continue
        kept = np.flatnonzero(held[:i])
        if len(kept) >= rules.most:
            held[kept[np.argmin(last[kept])]] = False
        held[i] = True
    return given


def count(log: Log, given: NDArray[np.int64], among: NDArray[np.bool_] | None = None) -> Served:
    """Return how many of the answers that a log got were right, to another question, or no longer right.

    `among` (n,) are the questions that count; all without.
    """
    asked = np.ones(len(given), dtype=np.bool_) if among is None else among
    hit = asked & (given >= 0)
    right = hit & (log.answers[given] == log.answers)
    stale = hit & ~right & (log.meanings[given] == log.meanings)
    return Served(int(asked.sum()), int(right.sum()), int((hit & ~right & ~stale).sum()), int(stale.sum()))


def choose(
    tried: Mapping[str, Sequence[tuple[Category, Served]]], wrong: float = WRONG, sure: float = SURE
) -> dict[str, Category]:
    """Return the rules of each category that serve most while the share of bad answers, over all, stays at `wrong`.

    Every category buys right answers with bad ones at the same price, the lowest one at which the share holds: no other
    choice serves more with as few bad ones. A category of which nothing is worth the price is off. Since the best of many
    rules was also lucky, bad answers count `sure` standard deviations more than there were.
    """
    off = {name: Category(on=False) for name in tried}

    def feared(served: Served) -> float:
        return served.bad + sure * (served.bad + 1) ** 0.5 if served.right + served.bad else 0.0

    every = {name: [*rows, (off[name], Served(0, 0, 0, 0))] for name, rows in tried.items()}
    best, low, high = off, 0.0, 1e4  # the price of a bad answer in right ones
    for _ in range(50):
        price = (low + high) / 2
        taken = {
            name: max(rows, key=lambda row: (row[1].right - price * feared(row[1]), -row[1].bad))
            for name, rows in every.items()
        }
        right, bad = sum(s.right for _, s in taken.values()), sum(feared(s) for _, s in taken.values())
        if bad <= wrong * (right + bad):
            best, high = {name: rules for name, (rules, _) in taken.items()}, price
        else:
            low = price
    return best
