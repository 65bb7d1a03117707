"""Rehearsal of what the model said: samples are held with their logits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from mnemos.parametric.consolidate.base import Batch, Learning, Step, Strategy
from mnemos.parametric.consolidate.buffer import Buffer
from mnemos.registry import Paper, register


@register(
    "dark-experience-replay",
    papers=(Paper("Dark Experience for General Continual Learning: a Strong, Simple Baseline", "2004.07211"),),
    task="classes in sequence",
    baselines=("replay",),
)
@dataclass
class DarkExperienceReplay(Strategy):
    """Holds samples with the logits of the step that met them, and keeps the model near these (DER; DER++ with `labels`).

    Adds `logits` * MSE of the logits on one draw, and `labels` * cross-entropy on another: a step costs the passes of one or two
    more batches. Needs no tasks.
    """

    items: int = 200  # samples that are held (reservoir)
    batch: int = 10  # of each draw
    logits: float = 0.2  # weight of the distance to the logits (alpha)
    labels: float = 0.0  # weight of the labels (beta): 0 is DER, more is DER++
    buffer: Buffer = field(init=False, repr=False)

    stores_samples: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.buffer = Buffer(self.items)

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Return what the held samples cost; there are none in the first step."""
        if not len(self.buffer):
            return None
        *held, said = self.buffer.draw(self.batch, learning.generator)
        first = step.add(Batch(*held))
        second = step.add(Batch(*self.buffer.draw(self.batch, learning.generator)[:3])) if self.labels else first
        near = self.logits * F.mse_loss(step.logits(first), said)
        return near + self.labels * step.cost(second) if self.labels else near

    def after_step(self, learning: Learning, step: Step) -> None:
        """Show the new batch and its logits to the buffer."""
        self.buffer.see(*step.batch, step.logits(), generator=learning.generator)

    def tensors(self) -> dict[str, Tensor]:
        """Return what is held."""
        return self.buffer.tensors()

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take it back."""
        self.buffer.load(tensors)
