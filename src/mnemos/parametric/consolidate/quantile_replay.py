"""Rehearsal for the worst: a high quantile of the risks of earlier environments, not their mean."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning, Step
from mnemos.parametric.consolidate.replay import Replay
from mnemos.registry import Paper, register


@register(
    "quantile-replay",
    papers=(
        Paper(
            "Analysis of the Memorization and Generalization Capabilities of AI Agents: Are Continual Learners Robust?"
        ),
    ),
    task="environments in sequence",
    baselines=("replay", "averaged-gem"),
)
@dataclass
class QuantileReplay(Replay):
    """Counts the held samples by the alpha-quantile of the risk over environments; a task is an environment.

    "normal" fits a normal distribution to the mean losses of the environments in the draw: mean + z(alpha) * deviation.
    "tail" is their conditional value at risk: the mean of the highest (1 - alpha) of them.
    """

    batch: int = 30  # more than replay draws: every environment needs some
    alpha: float = 0.8  # of the quantile; 0.5 of "normal" and 0 of "tail" are the mean over environments
    fit: Literal["normal", "tail"] = "normal"  # how the quantile is estimated

    def __post_init__(self) -> None:
        if not 0 <= self.alpha < 1 or (self.fit == "normal" and self.alpha == 0):
            raise InvalidInput(f"alpha is {self.alpha}: give a share from 0 to below 1, for example 0.8.")
        super().__post_init__()

    def held_cost(self, learning: Learning, step: Step, number: int) -> Tensor:
        """Return the quantile of the environments' risks."""
        batch, logits = step.batches[number], step.logits(number)
        rows = [(batch.tasks == task).nonzero().flatten() for task in batch.tasks.unique()]
        return self.risk(torch.stack([learning.cost(logits[r], batch.rows(r)) for r in rows]))

    def risk(self, risks: Tensor) -> Tensor:
        """Return the quantile of risks (environments,)."""
        if self.fit == "tail":
            count = max(1, round((1 - self.alpha) * len(risks)))
            return risks.topk(count).values.mean()
        spread = (
            risks.std(correction=0) if len(risks) > 1 and float(risks.detach().std()) > 1e-6 else risks.new_zeros(())
        )
        return risks.mean() + NormalDist().inv_cdf(self.alpha) * spread
