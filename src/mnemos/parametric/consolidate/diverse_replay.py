"""Rehearsal of samples that pull in different directions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.parametric.consolidate.base import Batch, Learning, Step
from mnemos.parametric.consolidate.buffer import Buffer
from mnemos.parametric.consolidate.replay import Replay
from mnemos.registry import Paper, register


@register(
    "gradient-diverse-replay",
    papers=(
        Paper("Continual Learning in Neural Networks", "1910.02718"),
        Paper("Gradient based sample selection for online continual learning", "1903.08671"),
    ),
    task="classes in sequence, unequal",
    baselines=("replay",),
)
@dataclass
class DiverseReplay(Replay):
    """Holds samples whose gradients are unlike those of what is held already (greedy GSS).

    A sample's score is 1 + the largest cosine of its gradient and those of `compare` held ones. When the buffer is full, a new
    sample with a score below 1 (its gradient points against all of them) may take the place of a held one, which is drawn by
    score: it does so with a chance of score_held / (score_held + score_new). Gradients are those of the last layer's inputs
    and logits, (softmax - label) x features, whose cosines cost no pass back.
    """

    compare: int = 10  # held samples that a new one is compared with
    scores: Tensor = field(init=False, repr=False, default_factory=lambda: torch.zeros(0))  # of the held samples

    stores_samples: ClassVar[bool] = True

    def after_step(self, learning: Learning, step: Step) -> None:
        """Show the new batch to the buffer, sample by sample."""
        batch, generator = step.batch, learning.generator
        with torch.no_grad():
            new = last_gradients(learning, batch)
            some = torch.randperm(len(self.buffer), generator=generator)[: self.compare]
            held = last_gradients(learning, Batch(*self.buffer.at(some))) if len(some) else None
        alike = new @ held.T if held is not None else torch.full((len(new), 1), -0.9)
        scores = 1 + alike.amax(1)
        for row in range(len(new)):
            one = batch.rows(slice(row, row + 1))
            if len(self.buffer) < self.items:
                self.buffer.see(*one, generator=generator)
                self.scores = torch.cat([self.scores, scores[row : row + 1]])
            elif float(scores[row]) < 1:
                place = int(torch.multinomial(self.scores.clamp(min=1e-6), 1, generator=generator))
                chance = float(self.scores[place] / (self.scores[place] + scores[row]).clamp(min=1e-6))
                if float(torch.rand((), generator=generator)) < chance:
                    put(self.buffer, place, one)
                    self.scores[place] = scores[row]

    def tensors(self) -> dict[str, Tensor]:
        """Return what is held, and the scores."""
        return {**super().tensors(), "scores": self.scores}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take it back."""
        self.scores = tensors["scores"].clone()
        super().load(learning, {name: t for name, t in tensors.items() if name != "scores"})


def put(buffer: Buffer, place: int, one: Batch) -> None:
    """Put a sample in the place of a held one."""
    for mine, given in zip(buffer.held, one, strict=True):
        mine[place] = given[0]


def last_gradients(learning: Learning, batch: Batch) -> Tensor:
    """Return the gradients (N, classes * D) of the last layer's weights for each sample, of unit length."""
    logits, features = learning.read(batch.x)
    said = learning.taking_part(logits, batch.tasks, batch.y).softmax(-1)
    error = said - F.one_hot(batch.y, said.shape[1])
    rows = error if features is None else (error[:, :, None] * features[:, None]).flatten(1)
    return F.normalize(rows, dim=-1)
