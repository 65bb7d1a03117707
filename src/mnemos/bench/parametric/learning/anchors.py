"""Weights near an anchor: which measure of importance keeps permuted digits, and that it is the measure that keeps them.

Four passes over each of five permutations of 14 x 14 digits (50 of each class), 100 hidden units, SGD at .1. Strengths are
chosen on a seed that is not reported, by the same search for every row. "shuffled": the Fisher information of each weight
tensor is dealt to its weights at random, which leaves the size of the penalty and takes away what it knows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mnemos.bench.parametric.learning.trials import Trial, beside, five_permutations
from mnemos.bench.parts import Row
from mnemos.parametric.consolidate.anchor import Anchor
from mnemos.parametric.consolidate.base import Learning

STRENGTHS = tuple(10.0**power for power in range(-2, 4))


class Shuffled(Anchor):
    """EWC whose importances are dealt to the weights of a tensor at random."""

    def _importance(self, learning: Learning) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(0)
        return {
            name: t.flatten()[torch.randperm(t.numel(), generator=generator)].view_as(t)
            for name, t in super()._importance(learning).items()
        }


def measure(options: Any) -> dict[str, Row]:
    """Return a row for each importance."""
    trials = {
        "plain": Trial(),
        "all weights alike (L2)": Trial(lambda s: Anchor(s, "equal"), STRENGTHS),
        "Fisher information (EWC)": Trial(lambda s: Anchor(s, samples=200), STRENGTHS),
        "the same, shuffled": Trial(lambda s: Shuffled(s, samples=200), STRENGTHS),
        "sensitivity (MAS, no labels)": Trial(lambda s: Anchor(s, "sensitivity", samples=200), STRENGTHS),
        "path (SI)": Trial(lambda s: Anchor(s, "path"), STRENGTHS),
    }
    return beside(five_permutations(options.data), trials, options.seeds)
