"""Rates for a stream without an end: constant while data comes, lowered only for what is shipped."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning, Step, Strategy
from mnemos.parametric.consolidate.learner import Learner
from mnemos.registry import Paper, register


@register(
    "learning-rate",
    papers=(
        Paper(
            "Beyond Cosine Decay: On the effectiveness of Infinite Learning Rate Schedule for Continual Pre-training",
            "2503.02844",
        ),
    ),
    task="domains in sequence",
    baselines=("plain",),
)
@dataclass
class LearningRate(Strategy):
    """Sets the optimiser's rate at each step.

    "infinite": up to `peak` in `warm` steps, down to `constant` in `cool`, and there for as long as data comes; `annealed`
    lowers a copy to `least` in a few steps, to be shipped, while the learner goes on. "cosine": up and down to `least` in each
    task again, for which the steps of a task have to be known (`period`).
    """

    kind: Literal["infinite", "cosine"] = "infinite"  # whether it ever falls to the least by itself
    peak: float = 0.1  # the highest
    constant: float = 0.05  # of "infinite", for as long as data comes
    least: float = 0.001  # the lowest
    warm: int = 50  # steps
    cool: int = 200  # steps
    period: int = 1000  # of "cosine": steps of a task
    steps: int = field(init=False, repr=False, default=0)  # of the life; of the task with "cosine"
    left: int = field(init=False, repr=False, default=0)  # steps of an annealing
    length: int = field(init=False, repr=False, default=0)  # of it

    def __post_init__(self) -> None:
        if not 0 < self.least <= self.constant <= self.peak:
            raise InvalidInput(f"rates are {self.least}, {self.constant}, {self.peak}: give least <= constant <= peak.")

    def before_task(self, learning: Learning) -> None:
        """Warm up again, with "cosine"."""
        if self.kind == "cosine":
            self.steps = 0

    def after_backward(self, learning: Learning, step: Step) -> None:
        """Set the rate of this step."""
        for group in learning.optimiser.param_groups:
            group["lr"] = self.rate()

    def after_step(self, learning: Learning, step: Step) -> None:
        """Count the step."""
        self.steps, self.left = self.steps + 1, max(0, self.left - 1)

    def rate(self) -> float:
        """Return the rate of the next step."""
        if self.length:  # annealing: exponentially down from the constant
            return self.constant * math.pow(self.least / self.constant, 1 - self.left / self.length)
        if self.steps < self.warm:
            return self.peak * (self.steps + 1) / self.warm
        low, span = (self.constant, self.cool) if self.kind == "infinite" else (self.least, self.period - self.warm)
        along = min(1.0, (self.steps - self.warm) / max(1, span))
        return low + (self.peak - low) * (1 + math.cos(math.pi * along)) / 2

    def tensors(self) -> dict[str, Tensor]:
        """Return where it is."""
        return {"place": torch.tensor([self.steps, self.left, self.length])} if self.steps else {}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take it back."""
        if tensors:
            self.steps, self.left, self.length = tensors["place"].tolist()


def annealed(learner: Learner, batches: Iterable[tuple[Tensor, Tensor]], steps: int) -> Learner:
    """Return a copy of a learner that has learned `steps` batches of the task it is in, with its rate going down.

    The learner itself is as it was, at its constant rate. Raises InvalidInput where it has no `LearningRate`.
    """
    made = copy.deepcopy(learner)
    schedules = [s for s in made.strategies if isinstance(s, LearningRate)]
    if not schedules:
        raise InvalidInput("the learner has no LearningRate: give it one among its strategies.")
    schedules[0].left = schedules[0].length = steps
    for _, (x, y) in zip(range(steps), batches, strict=False):
        made.observe(x, y, made.task if made.task >= 0 else None)
    return made
