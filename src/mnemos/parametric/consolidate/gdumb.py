"""The baseline of all rehearsal: learn nothing but what is held, from the beginning, when it is asked for."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from mnemos.parametric.consolidate.base import Batch, Learning, Step, Strategy
from mnemos.parametric.consolidate.buffer import Buffer
from mnemos.registry import Paper, register


@register(
    "greedy-balanced",
    papers=(Paper("GDumb: A Simple Approach that Questions Our Progress in Continual Learning"),),
    task="classes in sequence",
    baselines=("replay",),
)
@dataclass
class GreedyBalanced(Strategy):
    """Holds as many samples of each class, and at the end of a task trains the model as it began on these alone (GDumb).

    The stream itself is not learned. A strategy that sits above a method that does more than this has earned its place.
    """

    items: int = 200  # samples that are held
    batch: int = 10  # of a step
    epochs: int = 30  # over the held samples
    buffer: Buffer = field(init=False, repr=False)
    first: nn.Module | None = field(init=False, repr=False, default=None)  # the model as it began

    stores_samples: ClassVar[bool] = True
    needs_tasks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.buffer = Buffer(self.items, "balanced")

    def before_task(self, learning: Learning) -> None:
        """Remember the model as it began."""
        if self.first is None:
            self.first = copy.deepcopy(learning.model)

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Return nothing to learn."""
        step.weight = 0.0
        return torch.stack([p.sum() * 0 for p in learning.weights().values()]).sum()

    def after_step(self, learning: Learning, step: Step) -> None:
        """Show the new batch to the buffer."""
        self.buffer.see(*step.batch, generator=learning.generator)

    def after_task(self, learning: Learning) -> None:
        """Train the model from its beginning on what is held."""
        assert self.first is not None  # a task began
        learning.model.load_state_dict(self.first.state_dict())
        learning.rebuild()
        rehearse(learning, self.buffer, self.batch, self.epochs)
        learning.rebuild()  # its moments are not those of the stream

    def tensors(self) -> dict[str, Tensor]:
        """Return what is held, and the model as it began."""
        first = {} if self.first is None else self.first.state_dict()
        return (self.buffer.tensors() if len(self.buffer) else {}) | {f"first.{name}": t for name, t in first.items()}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take it back."""
        first = {n.removeprefix("first."): t for n, t in tensors.items() if n.startswith("first.")}
        if first:
            self.first = copy.deepcopy(learning.model)
            self.first.load_state_dict(first)
        if held := {n: t for n, t in tensors.items() if not n.startswith("first.")}:
            self.buffer.load(held)


def rehearse(
    learning: Learning, buffer: Buffer, batch: int, epochs: int, only: list[nn.Parameter] | None = None
) -> None:
    """Train a model on a buffer alone, some passes over it; `only` some of its parameters, with an optimiser of their own."""
    optimiser = learning.optimiser if only is None else learning.optimise(only)
    learning.model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(buffer), generator=learning.generator).split(batch):
            held = Batch(*buffer.at(rows)[:3])
            learning.model.zero_grad(set_to_none=True)
            learning.cost(learning.model(held.x), held).backward()
            optimiser.step()
