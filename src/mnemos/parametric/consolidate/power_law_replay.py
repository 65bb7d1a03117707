"""Rehearsal by a forgetting curve: the longer ago a task was learned, the rarer it is rehearsed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Batch, Learning
from mnemos.parametric.consolidate.replay import Replay
from mnemos.registry import Paper, register


@register(
    "power-law-replay",
    papers=(Paper("Catastrophic Interference is Mitigated in Naturalistic Power-Law Learning Environments", "2401.10393"),),
    task="tasks in sequence",
    baselines=("replay", "anchor")
)  # fmt: skip
@dataclass
class PowerLawReplay(Replay):
    """Draws the held samples of an earlier task with a chance that falls as a power of the tasks since it was learned.

    p(task) ~ age^-exponent, "exponential" exp(-exponent (age - 1)), age 1 for the task before the current one. Samples of the
    current task are not rehearsed.
    """

    law: Literal["power", "exponential"] = "power"  # of the age of a task
    exponent: float = 1.0  # d; 0: all earlier tasks alike

    def __post_init__(self) -> None:
        if self.exponent < 0:
            raise InvalidInput(f"exponent is {self.exponent}: give at least 0.")
        super().__post_init__()

    def draw(self, learning: Learning) -> Batch:
        """Return held samples of earlier tasks; of the current one where there is no other."""
        chance = self.chances(learning)
        if not float(chance.sum()):
            return super().draw(learning)
        count = min(self.batch, int((chance > 0).sum()))
        return Batch(*self.buffer.at(torch.multinomial(chance, count, generator=learning.generator)))

    def chances(self, learning: Learning) -> torch.Tensor:
        """Return the chance of each held sample, not normalised."""
        order = list(learning.task_classes)  # as they were learned
        tasks = self.buffer.held[2]
        chance = torch.zeros(len(tasks), dtype=torch.float64)
        for place, task in enumerate(order[:-1]):
            rows = tasks == task
            age = len(order) - 1 - place
            wanted = (
                age**-self.exponent if self.law == "power" else torch.tensor(-self.exponent * (age - 1)).exp().item()
            )
            chance[rows] = wanted / max(1, int(rows.sum()))
        return chance
