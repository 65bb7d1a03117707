"""Rehearsal with rest: several views of few samples a step, so that a sample comes back later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Batch, Learning, Step
from mnemos.parametric.consolidate.replay import Replay
from mnemos.registry import Paper, register


class View(Protocol):
    """Changes samples so that they keep their labels."""

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return another view (N, ...) of x (N, ...)."""
        ...


def noisy(x: Tensor, generator: torch.Generator) -> Tensor:
    """Return x with a tenth of its own deviation as noise: a view for any kind of x that is made of real numbers."""
    return x + 0.1 * x.std() * torch.randn(x.shape, generator=generator)


@register(
    "view-batch-replay",
    papers=(Paper("Do Your Best and Get Enough Rest for Continual Learning", "2503.18371", "hankyul2/ViewBatchModel"),),
    task="classes in sequence",
    baselines=("replay",),
)
@dataclass
class ViewBatchReplay(Replay):
    """Reads `views` views of each new and each held sample, which are to say the same.

    Give the learner batches of B / views samples: the step costs what it did with B, and a sample comes back `views` times
    later. Held samples are `batch` / views. Adds strength * KL(p(first view) || p(other view)), the first one's gradient stopped.
    """

    views: int = 4  # V, of a sample; 1 is replay of single views
    strength: float = 1.0  # of the distance between views
    view: View = noisy  # makes one; the first view is the sample itself

    def __post_init__(self) -> None:
        if not 1 <= self.views <= self.batch:
            raise InvalidInput(f"views is {self.views}: give from 1 to the batch of {self.batch} held samples.")
        super().__post_init__()
        self._new: Batch | None = None  # the batch of this step as it came

    def seen_often(self, batch: Batch, learning: Learning) -> Batch:
        """Return all views of a batch, all first views first."""
        others = [self.view(batch.x, learning.generator) for _ in range(self.views - 1)]
        return Batch(torch.cat([batch.x, *others]), batch.y.repeat(self.views), batch.tasks.repeat(self.views))

    def draw(self, learning: Learning) -> Batch:
        """Return the views of held samples."""
        held = Batch(*self.buffer.draw(self.batch // self.views, learning.generator))
        return self.seen_often(held, learning)

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Return what held samples cost, and how far the views are from each other."""
        self._new = step.batch
        step.replace(self.seen_often(step.batch, learning))
        cost = super().loss(learning, step)
        if self.views == 1 or not self.strength:
            return cost
        apart = self.strength * torch.stack([self.apart(step.logits(n)) for n in range(len(step.batches))]).mean()
        return apart if cost is None else cost + apart

    def apart(self, logits: Tensor) -> Tensor:
        """Return the mean KL(p(first view) || p(other view)) of logits (views * N, classes)."""
        first, *others = logits.log_softmax(-1).chunk(self.views)
        wanted = first.detach()
        return torch.stack([F.kl_div(o, wanted, log_target=True, reduction="batchmean") for o in others]).mean()

    def after_step(self, learning: Learning, step: Step) -> None:
        """Show the samples as they came to the buffer."""
        if self._new is not None:
            self.buffer.see(*self._new, generator=learning.generator)
        self._new = None
