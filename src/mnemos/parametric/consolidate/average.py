"""A slow copy of the model: it is served while the fast one learns."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning, Step, Strategy
from mnemos.registry import Paper, register


@register(
    "slow-copy",
    papers=(
        Paper("Improving Online Continual Learning Performance and Stability with Temporal Ensembles", "2306.16817"),
    ),
    task="stability gap",
    baselines=("replay",),
    unmeasured="its first run is under way",
)
@dataclass
class SlowCopy(Strategy):
    """Serves a moving average of the weights: slow <- decay * slow + (1 - decay) * fast after every step.

    While few steps were made the decay is lower, (1 + steps) / (10 + steps), so that the first weights count for little. Costs
    a copy of the weights and an addition to each at a step; training is not changed.
    """

    decay: float = 0.99  # share of the slow weights that stays at a step
    slow: nn.Module | None = field(init=False, repr=False, default=None)
    steps: int = field(init=False, repr=False, default=0)

    alone: ClassVar[str] = "model that is served"

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise InvalidInput(f"decay is {self.decay}: give a share from 0 to below 1, such as 0.99.")

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def after_step(self, learning: Learning, step: Step) -> None:
        """Let the slow weights follow."""
        self.steps += 1
        if self.slow is None:
            self.slow = copy.deepcopy(learning.model).requires_grad_(False)
        share = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        fast = learning.model.state_dict()
        for name, slow in self.slow.state_dict().items():
            if slow.is_floating_point():
                slow.lerp_(fast[name], share)
            else:
                slow.copy_(fast[name])

    def answer(self, learning: Learning, x: Tensor, task: int) -> Tensor | None:
        """Return what the slow weights say."""
        if self.slow is None:
            return None
        said: Tensor = self.slow.eval()(x)
        return said

    def tensors(self) -> dict[str, Tensor]:
        """Return the slow weights."""
        if self.slow is None:
            return {}
        return {"steps": torch.tensor(self.steps), **{f"slow.{name}": t for name, t in self.slow.state_dict().items()}}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take them back."""
        if tensors:
            self.steps = int(tensors["steps"])
            self.slow = copy.deepcopy(learning.model).requires_grad_(False)
            self.slow.load_state_dict({n.removeprefix("slow."): t for n, t in tensors.items() if n != "steps"})
