"""A threshold that learns from outcomes: what is shown, or kept, as long as it pays, though what pays changes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What came of decisions, by bin of the score: how often it helped and how often it did not, older ones counting less."""

    good: Floats = field(default_factory=lambda: np.zeros(0))  # (bins,)
    bad: Floats = field(default_factory=lambda: np.zeros(0))  # (bins,)


@register(
    "adaptive-threshold",
    papers=(Paper("Human-inspired Perspectives: A Survey on AI Long-term Memory", "2411.00489"),),
    task="cognition",
)
@dataclass(frozen=True, slots=True)
class Controller:
    """Choose a threshold of a score (relevance, similarity, retention) by whether what passed it was of use.

    The survey asks for stores that adapt to feedback and gives no formula; this one is a discounted bandit on a monotone
    curve. The chance that something helps is estimated in each bin of the score, made to rise with it (isotonic), and
    raised by a bonus where little is known (UCB), so that what was written off is tried again. The threshold is the lowest
    score at which an outcome is worth its cost. An outcome loses half its weight within `half` later ones, so that
    the curve follows a shift. A use that is not told changes nothing.
    """

    bins: int = 20  # of the score, between 0 and 1
    half: float = 150.0  # outcomes until one counts half
    gain: float = 1.0  # of showing what helps
    cost: float = 1.0  # of showing what does not
    bonus: float = 0.15  # of a bin of which nothing is known, to the chance; 0 never explores

    def start(self) -> Outcomes:
        """Return what is known at first: nothing."""
        return Outcomes(np.zeros(self.bins), np.zeros(self.bins))

    def observe(self, known: Outcomes, score: float, helped: bool) -> Outcomes:
        """Return what is known after one more outcome. Raises InvalidInput for a score outside 0 to 1."""
        if not 0 <= score <= 1:
            raise InvalidInput(f"score is {score}, expected 0 to 1: scale it first.")
        fade = 0.5 ** (1 / self.half)
        good, bad = known.good * fade, known.bad * fade
        (good if helped else bad)[min(int(score * self.bins), self.bins - 1)] += 1
        return Outcomes(good, bad)

    def chances(self, known: Outcomes) -> Floats:
        """Return the chance that something in each bin helps, (bins,), rising with the score."""
        count = known.good + known.bad
        total = max(float(count.sum()), 1.0)
        prior = (np.arange(self.bins) + 0.5) / self.bins  # before anything is known, the score itself
        raw = (known.good + prior) / (count + 1)
        unsure: Floats = self.bonus * np.sqrt(np.log1p(total) / (1 + count) / np.log1p(self.half))
        return rising(raw, count + 1) + unsure

    def threshold(self, known: Outcomes) -> float:
        """Return the score from which on something is worth showing; 1 where nothing is."""
        worth = self.chances(known) * (self.gain + self.cost) >= self.cost
        return float(np.argmax(worth)) / self.bins if worth.any() else 1.0


def rising(values: Floats, weights: Floats) -> Floats:
    """Return the nearest values, by weighted squares, that never fall: pooled adjacent violators. O(n)."""
    levels: list[tuple[float, float, int]] = []  # mean, weight, length
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        level = (value, weight, 1)
        while levels and levels[-1][0] > level[0]:
            mean, mass, length = levels.pop()
            both = mass + level[1]
            level = ((mean * mass + level[0] * level[1]) / both, both, length + level[2])
        levels.append(level)
    return np.repeat(np.array([mean for mean, _, _ in levels]), [length for _, _, length in levels])
