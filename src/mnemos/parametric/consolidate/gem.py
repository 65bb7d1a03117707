"""Gradients that do not undo: what held samples ask for is a bound for what new ones may change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from mnemos.parametric.consolidate.base import Batch, Learning, Step, Strategy
from mnemos.parametric.consolidate.buffer import Buffer
from mnemos.registry import Paper, register


@register(
    "averaged-gem",
    papers=(Paper("Efficient Lifelong Learning with A-GEM", "1812.00420"),),
    task="classes in sequence",
    baselines=("plain",),
)
@dataclass
class AveragedGEM(Strategy):
    """Takes out of each gradient what points against the mean gradient of held samples (A-GEM).

    g <- g - (g.r / r.r) r where g.r < 0, r the gradient of `batch` held samples: a step costs a second pass, forward and
    backward. As A-GEM does, samples are held from the end of a task on.
    """

    items: int = 200  # samples that are held
    batch: int = 128  # of them, asked at each step
    buffer: Buffer = field(init=False, repr=False)

    stores_samples: ClassVar[bool] = True
    needs_tasks: ClassVar[bool] = True
    alone: ClassVar[str] = "projection of gradients"

    def __post_init__(self) -> None:
        self.buffer, self.recent = Buffer(self.items, "balanced"), self.items

    def after_backward(self, learning: Learning, step: Step) -> None:
        """Take out of the gradient what would raise the loss of held samples."""
        if not len(self.buffer):
            return
        trained = [p for p in learning.weights().values() if p.grad is not None]
        held = Batch(*self.buffer.draw(self.batch, learning.generator))
        wanted = torch.autograd.grad(learning.cost(learning.model(held.x), held), trained)
        along = sum(float((p.grad * r).sum()) for p, r in zip(trained, wanted, strict=True))
        if along < 0:
            length = sum(float(r.square().sum()) for r in wanted)
            for p, r in zip(trained, wanted, strict=True):
                p.grad.sub_(r, alpha=along / length)

    def after_task(self, learning: Learning) -> None:
        """Hold samples of the task."""
        if learning.recent is not None and len(learning.recent):
            self.buffer.see(*learning.recent.held, generator=learning.generator)

    def tensors(self) -> dict[str, Tensor]:
        """Return what is held."""
        return self.buffer.tensors()

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take it back."""
        self.buffer.load(tensors)
