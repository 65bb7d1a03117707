"""Rehearsal of what gets lost: samples that an earlier model knew and that kinds of sample are losing now."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Batch, Learning, Step
from mnemos.parametric.consolidate.replay import Replay
from mnemos.registry import Paper, register

NEW = -1  # the bin of a sample of the current task


@register(
    "collateral-replay",
    papers=(
        Paper(
            "An Efficient Rehearsal Scheme for Catastrophic Forgetting Mitigation during Multi-stage Fine-tuning",
            "2402.08096",
            "jybai/mix-cd-rehearsal",
        ),
    ),
    task="tasks in sequence",
    baselines=("replay",),
)
@dataclass
class CollateralReplay(Replay):
    """Rehearses kinds of sample in proportion to how often they are lost: right before the task, wrong now (mix-cd).

    When a task begins, held samples fall into bins by class and by their loss. A bin's rate of loss is a moving mean over its
    own rehearsed samples, whose logits the step has anyway: no pass is added but one over the buffer a task.
    """

    levels: int = 3  # of the loss before the task, bins a class
    uniform: float = 0.3  # share of a draw that is not weighted, to find out about bins
    decay: float = 0.9  # of the moving rates
    rates: Tensor = field(init=False, repr=False, default_factory=lambda: torch.zeros(0))  # of loss, by bin

    def __post_init__(self) -> None:
        if self.levels < 1 or not 0 <= self.uniform <= 1 or not 0 <= self.decay < 1:
            raise InvalidInput("give at least 1 level, a share from 0 to 1, and a decay from 0 to below 1.")
        super().__post_init__()
        self._drawn: Tensor | None = None  # places, and the number of their batch: within a step
        self._number = 0

    def before_task(self, learning: Learning) -> None:
        """Put the held samples into bins by class and loss, and note which are right."""
        if not len(self.buffer):
            return
        x, y, tasks = self.buffer.held[:3]
        was = learning.model.training
        learning.model.eval()
        with torch.no_grad():
            logits = learning.model(x)
        learning.model.train(was)
        losses = F.cross_entropy(logits, y, reduction="none")
        level = torch.zeros_like(y)
        for c in y.unique():
            rows = (y == c).nonzero().flatten()
            level[rows[losses[rows].argsort()]] = torch.arange(len(rows)) * self.levels // len(rows)
        self.buffer.held = (x, y, tasks, logits.argmax(-1) == y, y * self.levels + level)
        self.rates = torch.full((int(y.max() + 1) * self.levels,), 0.5)

    def draw(self, learning: Learning) -> Batch:
        """Return held samples, drawn by the rates of their bins, mixed with uniform draws."""
        self._drawn = torch.multinomial(self.chances(), min(self.batch, len(self.buffer)), generator=learning.generator)
        return Batch(*(t[self._drawn] for t in self.buffer.held[:3]))

    def chances(self) -> Tensor:
        """Return the chance of each held sample."""
        right, bins = self.buffer.held[3:]
        even = torch.ones(len(bins)) / len(bins)
        damage = torch.where((bins >= 0) & right, self.rates[bins.clamp(min=0)] if len(self.rates) else 0.0, 0.0)
        total = float(damage.sum())
        return even if total <= 0 else self.uniform * even + (1 - self.uniform) * damage / total

    def held_cost(self, learning: Learning, step: Step, number: int) -> Tensor:
        """Return the mean cost, and remember where the logits are."""
        self._number = number
        return super().held_cost(learning, step, number)

    def after_step(self, learning: Learning, step: Step) -> None:
        """Learn the rates from what was rehearsed, and show the new batch to the buffer."""
        if self._drawn is not None and self._number:
            right, bins = (t[self._drawn] for t in self.buffer.held[3:])
            lost = (step.logits(self._number).detach().argmax(-1) != step.batches[self._number].y).float()
            for number in bins[(bins >= 0) & right].unique().tolist():
                rate = lost[(bins == number) & right].mean()
                self.rates[number] = self.decay * self.rates[number] + (1 - self.decay) * rate
        self._drawn, self._number = None, 0
        y = step.batch.y
        self.buffer.see(
            *step.batch, torch.zeros_like(y, dtype=torch.bool), torch.full_like(y, NEW), generator=learning.generator
        )

    def tensors(self) -> dict[str, Tensor]:
        """Return what is held, and the rates."""
        return super().tensors() | {"rates": self.rates}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take it back."""
        self.rates = tensors["rates"].clone()
        super().load(learning, {name: t for name, t in tensors.items() if name != "rates"})
