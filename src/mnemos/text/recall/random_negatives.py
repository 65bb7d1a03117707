"""Random negatives: any texts but the answers."""

from __future__ import annotations

from dataclasses import dataclass

from mnemos.registry import Paper, register
from mnemos.text.recall.base import Draw, Ints


@register(
    "random-negatives",
    papers=(Paper("Dense Passage Retrieval for Open-Domain Question Answering", "2004.04906"),),
)
@dataclass(frozen=True, slots=True)
class RandomNegatives:
    """Draw texts at random at every step, and the answers of the batch's other questions: the baseline of all negatives.

    They keep the order of the whole index stable and teach little about its first ranks.
    """

    size: int = 8  # negatives of a question, besides those of its batch
    every: int = 1  # steps between two draws
    in_batch: bool = True  # also the answers of the other questions of the batch
    by_metric: bool = False  # all pairs count alike

    def draw(self, draw: Draw) -> Ints:
        """Return (B, size) random positions; -1 where gold was drawn."""
        found = draw.rng.integers(0, len(draw.texts), (len(draw.questions), self.size))
        for row, gold in zip(found, draw.gold, strict=True):
            row[(row[:, None] == gold).any(axis=1)] = -1
        return found
