"""Every task has its own mask over weights that all share; what a mask uses is frozen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning, Step
from mnemos.parametric.consolidate.made import Weights, key
from mnemos.parametric.consolidate.masked import Masks, MasksWeights
from mnemos.registry import Paper, register


class Winners(Masks):
    """Learns the mask of the newest task by scores: the highest of a layer, or those above zero (gates)."""

    def __init__(self, inner: nn.Module, knobs: WeightMasks, generator: torch.Generator) -> None:
        super().__init__(inner)
        self.knobs = knobs
        self.scores = nn.ParameterDict({key(n): torch.empty(shape) for n, shape in self.shapes.items()})
        for name, score in self.scores.items():
            nn.init.kaiming_uniform_(score, a=5**0.5, generator=generator)
            if knobs.choose == "gates":
                score.data = score.data.abs()  # all weights take part at first
            if knobs.soft:
                drawn = torch.rand(score.shape, generator=generator) * knobs.soft
                self.register_buffer(f"soft/{name}", drawn)

    def trained(self, task: int) -> Iterator[nn.Parameter]:
        """Yield the scores, which go on from where the last task left them, so that masks resemble each other."""
        if task == int(self.newest):
            yield from self.scores.parameters()

    def chosen(self) -> dict[str, Tensor]:
        """Return the mask (bool) that the scores choose now."""
        return {name: self._choose(self.scores[key(name)]) for name in self.names}

    def forward(self, task: int, weights: Weights) -> dict[str, Tensor]:
        """Return masked weights: by the scores, through which gradients pass, for the task that is learned."""
        if task != int(self.newest):
            return {n: weights[n] * self._count(n, mask) for n, mask in self.mask(task).items()}
        found = {}
        for name in self.names:
            score = self.scores[key(name)]
            soft = score if self.knobs.choose == "top" else (self.knobs.steep * score).sigmoid()
            hard = self._count(name, self._choose(score))
            found[name] = weights[name] * (hard + (soft - soft.detach()))
        return found

    def _choose(self, score: Tensor) -> Tensor:
        size = score.detach()
        if self.knobs.choose == "gates":
            return size > 0
        count = max(1, round(self.knobs.density * size.numel()))
        mask = torch.zeros(size.numel(), dtype=torch.bool)
        mask[size.abs().flatten().topk(count).indices] = True
        return mask.view_as(size)

    def _count(self, name: str, mask: Tensor) -> Tensor:
        """Return what each weight counts: 1 in the mask; outside 0, or a little that was drawn once (SoftNet)."""
        counts = mask.float()
        return torch.where(mask, counts, self.get_buffer(f"soft/{key(name)}")) if self.knobs.soft else counts


@register(
    "weight-masks",
    papers=(
        Paper("Forget-free Continual Learning with Soft-Winning SubNetworks", "2303.14962"),
        Paper(
            "Understanding Catastrophic Forgetting and Remembering in Continual Learning with Optimal Relevance Mapping",
            "2102.11343",
        ),
    ),
    task="tasks in sequence",
    baselines=("plain", "anchor"),
)
@dataclass
class WeightMasks(MasksWeights):
    """Learns for each task which of the shared weights it uses, and these weights where no earlier task uses them.

    `top` keeps the given share of every matrix by learned scores (winning subnetworks), `gates` those whose gate, a steep
    sigmoid that is rounded, is open, and presses gates to close (relevance mapping). Gradients pass the rounding as if it were
    not there. Weights of finished masks never change, so that the answers of a named task stay the same to the bit. A task
    costs one bit a weight, and its vectors. Without a named task the surest mask answers. With `soft`
    answers drift: what a mask leaves out counts a little, and is not frozen.
    """

    choose: Literal["top", "gates"] = "top"  # what makes a mask
    density: float = 0.3  # share of each matrix (c), of "top"
    soft: float = 0.0  # weights outside a mask count a random number up to this (SoftNet); 0: nothing
    steep: float = 10.0  # of the sigmoid, of "gates"
    pressure: float = 0.0  # weight of the mean open gate in the loss, of "gates"

    def __post_init__(self) -> None:
        if not 0 < self.density <= 1 or not 0 <= self.soft < 1:
            raise InvalidInput(f"density is {self.density} and soft {self.soft}: give shares, density above 0.")

    def maker(self, inner: nn.Module, generator: torch.Generator) -> Winners:
        """Return the masks."""
        return Winners(inner, self, generator)

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Press gates to close."""
        masks = self.masks
        if not self.pressure or not isinstance(masks, Winners):
            return None
        return self.pressure * torch.cat([(self.steep * s).sigmoid().flatten() for s in masks.scores.values()]).mean()
