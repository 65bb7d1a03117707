"""Rehearsal: samples of the stream are held and learned again beside the new ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from torch import Tensor

from mnemos.parametric.consolidate.base import Batch, Learning, Step, Strategy
from mnemos.parametric.consolidate.buffer import Buffer, Policy
from mnemos.registry import Paper, register


@register(
    "replay",
    papers=(Paper("On Tiny Episodic Memories in Continual Learning", "1902.10486"),),
    task="classes in sequence",
    baselines=("plain",),
)
@dataclass
class Replay(Strategy):
    """Learns held samples beside every new batch (experience replay, ER).

    A step costs the pass of `batch` more samples. With `share="rows"` every sample counts as much (the loss of the paper, and of
    mammoth); with `share="tasks"` the new batch counts 1/t and the held samples 1 - 1/t at the t-th task (van de Ven 2022).
    """

    items: int = 200  # samples that are held
    batch: int = 10  # of them, learned again at each step
    policy: Policy = "reservoir"  # which are held
    share: Literal["rows", "tasks"] = "rows"  # how much the new batch counts
    last: int = 0  # tasks before this one whose classes are still held; 0: all
    buffer: Buffer = field(init=False, repr=False)

    stores_samples: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.buffer = Buffer(self.items, self.policy)

    def before_task(self, learning: Learning) -> None:
        """Drop the samples of classes that were not met lately."""
        if self.last:
            self.buffer.keep(learning.lately(self.last))

    def draw(self, learning: Learning) -> Batch:
        """Return held samples to be learned again."""
        return Batch(*self.buffer.draw(self.batch, learning.generator))

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Return what the held samples cost; there are none in the first step."""
        if not len(self.buffer) or (self.share == "tasks" and learning.tasks < 2):
            return None
        number = step.add(self.draw(learning))
        old, new = len(step.batches[number].y), len(step.batch.y)
        part = new / (new + old) if self.share == "rows" else 1 / learning.tasks
        step.weight *= part
        return (1 - part) * self.held_cost(learning, step, number)

    def held_cost(self, learning: Learning, step: Step, number: int) -> Tensor:
        """Return what the held samples, batch `number` of the step, cost."""
        return step.cost(number)

    def after_step(self, learning: Learning, step: Step) -> None:
        """Show the new batch to the buffer."""
        self.buffer.see(*step.batch, generator=learning.generator)

    def tensors(self) -> dict[str, Tensor]:
        """Return what is held."""
        return self.buffer.tensors()

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take it back."""
        self.buffer.load(tensors)
