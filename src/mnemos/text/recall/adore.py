"""ADORE: only the question side is trained, against what the whole index ranks best at each step."""

from __future__ import annotations

from dataclasses import dataclass

from mnemos.registry import register
from mnemos.text.recall.base import Draw, Ints
from mnemos.text.recall.star import DRHARD


@register(
    "adore",
    papers=(DRHARD,),
    baselines=("star", "random-negatives"),
)
@dataclass(frozen=True, slots=True)
class Adore:
    """Draw the best wrong texts of the whole index at every step, each pair weighed by what it changes in the metric.

    The vectors of the texts stay as they are, so that the index is right at every step and a memory can be adapted to its
    use without embedding it again. One product of (B, D) and (D, N) a step.
    """

    size: int = 50  # texts of a ranking; the paper takes 200 of millions
    every: int = 1  # steps between two draws
    in_batch: bool = False  # true top ranks only
    by_metric: bool = True  # LambdaRank: a pair counts as much as swapping it changes the reciprocal rank

    def draw(self, draw: Draw) -> Ints:
        """Return the (B, size) best wrong positions."""
        return draw.nearest(draw.questions, self.size)
