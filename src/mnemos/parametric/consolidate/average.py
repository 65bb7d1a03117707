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
        Paper("Large Continual Instruction Assistant", "2410.10868", "JingyangQiao/CoIN"),
    ),
    task="stability gap",
    baselines=("replay",),
    unmeasured="its first run is under way",
)
@dataclass
class SlowCopy(Strategy):
    """Serves a moving average of the weights: slow <- decay * slow + (1 - decay) * fast after every step.

    While few steps were made the decay is lower, (1 + steps) / (10 + steps), so that the first weights count for little. Costs
    a copy of the weights and an addition to each at a step; training is not changed. `dynamic` chooses 1 - decay for every weight
    tensor at every step: 2 (1 + |g|) / (|fast - slow| |g - g before|) with sums of absolute values, where that is below 1, else
    .01 (CoIN's released code); it holds the gradients of a step too.
    """

    decay: float = 0.99  # share of the slow weights that stays at a step
    dynamic: bool = False  # choose it by gradients
    slow: nn.Module | None = field(init=False, repr=False, default=None)
    steps: int = field(init=False, repr=False, default=0)
    gradients: dict[str, Tensor] = field(init=False, repr=False, default_factory=dict)  # of the step before

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
        fast, weights = learning.model.state_dict(), learning.weights()
        for name, slow in self.slow.state_dict().items():
            if slow.is_floating_point():
                dynamic = self._share(name, fast[name] - slow, weights[name].grad) if name in weights else None
                slow.lerp_(fast[name], share if dynamic is None else dynamic)
            else:
                slow.copy_(fast[name])

    def _share(self, name: str, apart: Tensor, gradient: Tensor | None) -> float | None:
        """Return the share by which a weight follows; None where that is not chosen by gradients."""
        if not self.dynamic or gradient is None:
            return None
        before = self.gradients.get(name, torch.zeros_like(gradient))
        self.gradients[name] = gradient.clone()
        below = float(apart.abs().sum() * (gradient - before).abs().sum())
        found = 2 * (1 + float(gradient.abs().sum())) / below if below else 1.0
        return found if 0 < found < 1 else 0.01

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
        slow = {f"slow.{name}": t for name, t in self.slow.state_dict().items()}
        return {"steps": torch.tensor(self.steps), **slow, **{f"last.{n}": g for n, g in self.gradients.items()}}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take them back."""
        if tensors:
            self.steps = int(tensors["steps"])
            self.slow = copy.deepcopy(learning.model).requires_grad_(False)
            self.slow.load_state_dict({n[5:]: t for n, t in tensors.items() if n.startswith("slow.")})
            self.gradients = {n[5:]: t.clone() for n, t in tensors.items() if n.startswith("last.")}
