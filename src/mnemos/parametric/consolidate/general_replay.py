"""Rehearsal of a small general set, whose features stay on their side of a threshold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Batch, Learning, Step, Strategy
from mnemos.parametric.consolidate.buffer import Buffer
from mnemos.registry import Paper, register


@register(
    "general-replay",
    papers=(
        Paper(
            "GeRe: Towards Efficient Anti-Forgetting in Continual Learning of LLM via General Samples Replay",
            "2508.04676",
            "Qznan/GeRe",
        ),
    ),
    task="a general model learns tasks",
    baselines=("replay",),
)
@dataclass
class GeneralReplay(Strategy):
    """Rehearses a fixed set of samples of the first task, which is the general one, in all later tasks (GeRe).

    With `pin` "margin" a feature of theirs that was high (above mean + deviation over the set) has to stay above, a low one
    below, a neutral one between; the distance to the border is what counts. "features" and "logits" hold to the values,
    "labels" only rehearses. A step costs the passes of `batch` more samples.
    """

    items: int = 200  # samples that are held
    batch: int = 10  # of them, learned again at each step
    pin: Literal["margin", "features", "logits", "labels"] = "margin"  # what of them is held to
    strength: float = 0.0  # of the pin; 0: it weighs as much as the labels do (the paper offers this and 100)
    buffer: Buffer = field(init=False, repr=False)  # x, y, tasks, and what is pinned
    full: bool = field(init=False, repr=False, default=False)

    stores_samples: ClassVar[bool] = True
    needs_tasks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.strength < 0:
            raise InvalidInput(f"strength is {self.strength}: give at least 0.")
        self.buffer, self.recent = Buffer(self.items), self.items

    def after_task(self, learning: Learning) -> None:
        """After the first task hold samples of it, with what the model makes of them."""
        if self.full or learning.recent is None or not len(learning.recent):
            return
        held = Batch(*learning.recent.held)
        was = learning.model.training
        learning.model.eval()
        with torch.no_grad():
            logits, features = learning.read(held.x)
        learning.model.train(was)
        wanted = logits if self.pin == "logits" or features is None else features
        self.buffer.see(*held, wanted, generator=learning.generator)
        self.full = True

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Return what the held samples cost, and how far their pinned values are off."""
        if not self.full:
            return None
        *held, wanted = self.buffer.draw(self.batch, learning.generator)
        number = step.add(Batch(*held))
        step.weight *= 0.5
        cost = 0.5 * step.cost(number)
        if self.pin == "labels":
            return cost
        off = self.off(step, number, wanted)
        strength = self.strength or float((2 * cost / off.clamp_min(1e-9)).detach())
        return cost + strength * off

    def off(self, step: Step, number: int, wanted: Tensor) -> Tensor:
        """Return the mean distance of the pinned values to where they may be."""
        if self.pin == "logits":
            return F.kl_div(step.logits(number).log_softmax(-1), wanted.log_softmax(-1), log_target=True,
                            reduction="batchmean")  # fmt: skip
        features = step.features(number)
        if self.pin == "features":
            return F.mse_loss(features, wanted)
        everything = self.buffer.held[3]
        return margin(features, wanted, everything.mean(0), everything.std(0)).mean()

    def tensors(self) -> dict[str, Tensor]:
        """Return what is held."""
        return self.buffer.tensors() if self.full else {}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take it back."""
        self.full = bool(tensors)
        if tensors:
            self.buffer.load(tensors)


def margin(features: Tensor, wanted: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Return by how much features (N, D) cross the border of the class, high, low or neutral, that `wanted` (N, D) has."""
    top, bottom = mean + deviation, mean - deviation
    high, low = wanted >= top, wanted <= bottom
    below, above = F.relu(top - features), F.relu(features - bottom)  # where it should be high; low
    outside = F.relu(features - top) + F.relu(bottom - features)
    return torch.where(high, below, torch.where(low, above, outside))
