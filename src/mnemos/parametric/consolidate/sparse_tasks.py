"""Each task grows sparse connections of its own, which move while it is learned and are frozen after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning, Step
from mnemos.parametric.consolidate.made import Weights, head_of, key
from mnemos.parametric.consolidate.masked import Masks, MasksWeights
from mnemos.registry import Paper, register

Grow = Literal["random", "gradient", "unfired", "none"]
Spread = Literal["uniform", "erk"]


class Topology(Masks):
    """Connections of the newest task, among those that no earlier task uses; gradients are known for all."""

    def __init__(self, inner: nn.Module, knobs: SparseTasks) -> None:
        self.head = head_of(inner)
        super().__init__(inner)
        self.knobs = knobs
        self.shares = densities(self.shapes, knobs.density, knobs.spread)
        for name, shape in self.shapes.items():
            self.register_buffer(f"live/{key(name)}", torch.zeros(shape, dtype=torch.bool))
            self.register_buffer(f"fired/{key(name)}", torch.zeros(shape, dtype=torch.bool))  # were in use in this task

    def makes(self, name: str, weight: Tensor) -> bool:
        """Leave the head to each task: one of few weights would be used up by the first."""
        return bool(weight.dim() > 1) and name.rpartition(".")[0] != self.head

    def grow(self, task: int, weights: Weights, generator: torch.Generator) -> None:
        """Draw the task's first connections among the free ones."""
        super().grow(task, weights, generator)
        for name, used in self.used.read().items():
            live, fired = self.live(name), self.get_buffer(f"fired/{key(name)}")
            free = (~used).flatten().nonzero().flatten()
            count = round(self.shares[name] * used.numel())
            live.zero_().view(-1)[free[torch.randperm(len(free), generator=generator)[:count]]] = True
            fired.copy_(live)

    def live(self, name: str) -> Tensor:
        """Return the newest task's connections (bool) of a matrix."""
        return self.get_buffer(f"live/{key(name)}")

    def chosen(self) -> dict[str, Tensor]:
        """Return the newest task's connections."""
        return {name: self.live(name) for name in self.names}

    def movable(self) -> dict[str, Tensor]:
        """Return the weights that may change: those of the newest task's connections; none once it has ended."""
        newest = int(self.newest) >= 0
        return {name: self.live(name) & newest for name in self.names}

    def forward(self, task: int, weights: Weights) -> dict[str, Tensor]:
        """Return the weights of a task's connections, zeros elsewhere; the newest task's zeros have gradients."""
        if task != int(self.newest):
            return super().forward(task, weights)
        found = {}
        for name in self.names:
            w = weights[name]
            found[name] = torch.where(self.live(name), w, w - w.detach())
        return found

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def move(self, weights: Weights, gradients: Mapping[str, Tensor | None], generator: torch.Generator) -> None:
        """Drop the smallest connections of every matrix, and grow as many free ones, at zero."""
        used = self.used.read()
        for name in self.names:
            live, fired = self.live(name).view(-1), self.get_buffer(f"fired/{key(name)}").view(-1)
            mine = live.nonzero().flatten()
            count = min(int(self.knobs.moved * len(mine)), int((~live & ~used[name].view(-1)).sum()))
            if not count:
                continue
            w = weights[name].view(-1)
            dropped = mine[w[mine].abs().topk(count, largest=False).indices]
            score = torch.rand(len(live), generator=generator)
            gradient = gradients[name]
            if self.knobs.grow == "gradient" and gradient is not None:
                score = gradient.abs().view(-1).clone()
            elif self.knobs.grow == "unfired":
                score = score - fired.float()
            score[live | used[name].view(-1)] = -torch.inf
            grown = score.topk(count).indices
            live[dropped] = False
            live[grown] = True
            fired[grown] = True
            w[grown] = 0.0
        self.let_go()


def densities(shapes: Mapping[str, torch.Size], density: float, spread: Spread) -> dict[str, float]:
    """Return the share of each matrix that is used, so that `density` of all weights is.

    `erk`: a share in proportion to the sum of a matrix's sides over their product (Erdos-Renyi, with kernels), at most 1.
    """
    if spread == "uniform":
        return dict.fromkeys(shapes, density)
    wanted = density * sum(s.numel() for s in shapes.values())
    raw, full = {n: sum(s) / s.numel() for n, s in shapes.items()}, set[str]()
    while True:
        rest = wanted - sum(shapes[n].numel() for n in full)
        scale = (
            rest / sum(raw[n] * shapes[n].numel() for n in shapes if n not in full) if len(full) < len(shapes) else 0
        )
        over = {n for n in shapes if n not in full and raw[n] * scale > 1}
        if not over:
            return {n: 1.0 if n in full else raw[n] * scale for n in shapes}
        full |= over


@register(
    "sparse-tasks",
    papers=(
        Paper("Continual Learning with Dynamic Sparse Training: Exploring Algorithms for Effective Model Updates", "2308.14831"),
    ),
    task="tasks in sequence",
    baselines=("plain", "weight-masks")
)  # fmt: skip
@dataclass
class SparseTasks(MasksWeights):
    """Gives each task sparse connections that no other task uses, and moves these while it is learned (dynamic sparse training).

    Every `every` steps the share `moved` of the task's connections, the smallest weights, is dropped and as many free ones grown:
    drawn at random, those with the largest gradient, or those that were not in use yet in this task. After the task its
    connections are frozen, so that answers of a named task stay the same to the bit. Costs a bit a weight and
    task, and a head.
    """

    density: float = 0.1  # share of all weights that a task uses
    grow: Grow = "random"  # none: the first draw stays (static random masks)
    spread: Spread = "erk"  # of the connections over matrices; the paper: erk where they are many, uniform where few
    every: int = 20  # steps between two moves
    moved: float = 0.3  # share of the connections in a move

    def __post_init__(self) -> None:
        if not 0 < self.density <= 1 or not 0 <= self.moved < 1 or self.every < 1:
            raise InvalidInput("density is a share above 0, moved one below 1, every a number of steps from 1.")

    def maker(self, inner: nn.Module, generator: torch.Generator) -> Topology:
        """Return the connections."""
        return Topology(inner, self)

    def after_step(self, learning: Learning, step: Step) -> None:
        """Put back what must not change, and now and then move connections."""
        super().after_step(learning, step)
        weights, masks = self.own_weights, self.masks
        due = self.grow != "none" and learning.steps % self.every == 0
        if due and isinstance(masks, Topology) and int(masks.newest) == learning.task:
            masks.move(weights, {n: weights[n].grad for n in masks.names}, learning.generator)
