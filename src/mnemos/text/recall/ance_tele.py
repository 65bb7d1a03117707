"""ANCE-Tele: hard negatives that move smoothly from one refresh of the index to the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnemos.registry import Paper, register
from mnemos.text.recall.base import Draw, Ints


@register(
    "ance-tele",
    papers=(
        Paper(
            "Reduce Catastrophic Forgetting of Dense Retrieval Training with Teleportation Negatives",
            "2210.17167",
            code="OpenMatch/ANCE-Tele",
        ),
        Paper(
            "Approximate Nearest Neighbor Negative Contrastive Learning for Dense Text Retrieval",
            "2007.00808",
            code="microsoft/ANCE",
        ),
    ),
    baselines=("star",),
)
@dataclass(frozen=True, slots=True)
class AnceTele:
    """Draw from the current best, from the negatives before (momentum) and from the neighbours of the answers (lookahead).

    With `momentum=0, lookahead=0` it is ANCE: the latest negatives only, after which what was learned in an episode is
    forgotten in the next. The three parts are sampled evenly, as in the paper.
    """

    size: int = 32  # negatives of a question
    every: int = 50  # steps of an episode, after which the index is refreshed
    pool: int = 100  # best texts of each ranking that are sampled from; the paper's 200 are of millions
    momentum: float = 1.0  # share of the negatives before, relative to that of the current best
    lookahead: float = 1.0  # share of the neighbours of the answers
    in_batch: bool = False  # hard negatives only
    by_metric: bool = False  # all pairs count alike

    def draw(self, draw: Draw) -> Ints:
        """Return (B, size) positions, sampled from the parts."""
        parts = [(1.0, draw.nearest(draw.questions, self.pool))]
        if self.momentum and (draw.before >= 0).any():
            parts.append((self.momentum, draw.before))
        if self.lookahead:
            answers = np.array([draw.rng.choice(gold) for gold in draw.gold])
            parts.append((self.lookahead, draw.nearest(draw.texts.vectors(answers), self.pool)))
        found = np.full((len(draw.questions), self.size), -1, dtype=np.int64)
        shares = np.cumsum([share for share, _ in parts]) / sum(share for share, _ in parts)
        ends = np.round(self.size * shares).astype(int)
        for row in range(len(found)):
            for start, end, (_, part) in zip((0, *ends), ends, parts, strict=False):
                there = part[row][part[row] >= 0]
                chosen = draw.rng.choice(there, min(end - start, len(there)), replace=False)
                found[row, start : start + len(chosen)] = chosen
        return found
