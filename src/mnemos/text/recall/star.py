"""STAR: static hard negatives from a warm-up index, with random ones in the same loss."""

from __future__ import annotations

from dataclasses import dataclass

from mnemos.registry import Paper, register
from mnemos.text.recall.base import Draw, Ints

DRHARD = Paper("Optimizing Dense Retrieval Model Training with Hard Negatives", "2104.08051", code="jingtaozhan/DRhard")


@register(
    "star",
    papers=(DRHARD,),
    baselines=("random-negatives",),
)
@dataclass(frozen=True, slots=True)
class Star:
    """Draw the best wrong texts of the first ranking, once, beside the answers of the batch's other questions.

    Static hard negatives alone (`in_batch=False`) may push the rest of the index out of order; the random ones keep it.
    """

    size: int = 32  # hard negatives of a question; the paper's 200 are of millions of texts
    every: int = 0  # steps between two draws: the negatives of the warm-up stay
    in_batch: bool = True  # random negatives too; False is training with static hard negatives alone
    by_metric: bool = False  # all pairs count alike

    def draw(self, draw: Draw) -> Ints:
        """Return the (B, size) best wrong positions."""
        return draw.nearest(draw.questions, self.size)
