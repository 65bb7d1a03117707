"""Two speeds of weights: the fast ones learn and stay near what the slow ones see in held samples; the slow ones answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.parametric.consolidate.average import SlowCopy
from mnemos.parametric.consolidate.base import Learning, Step
from mnemos.parametric.consolidate.replay import Replay
from mnemos.registry import Paper, register


@register(
    "fast-slow-replay",
    papers=(
        Paper(
            "Analyzing and Reducing Catastrophic Forgetting in Parameter Efficient Tuning",
            "2402.18865",
            "which47/LLMCL",
        ),
    ),
    task="tasks in sequence",
    baselines=("replay", "slow-copy"),
)
@dataclass
class FastSlowReplay(Replay):
    """Adds strength * MSE of the features of held samples, between the model and its slow copy, which is served (I-LoRA).

    With `one_sided` (as the paper's code) a feature is drawn only up to the slow one: the target is the higher of the two. Over
    any weights that are trained: those of an adapter are I-LoRA. A step costs one more pass forward over the held samples.
    """

    strength: float = 1.0  # gamma
    decay: float = 0.99  # share of the slow weights that stays at a step
    one_sided: bool = True  # features are drawn up alone
    slow: SlowCopy = field(init=False, repr=False)

    alone: ClassVar[str] = "model that is served"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.slow = SlowCopy(self.decay)

    def held_cost(self, learning: Learning, step: Step, number: int) -> Tensor:
        """Return the cost of held samples, and their distance to what the slow weights see."""
        cost = super().held_cost(learning, step, number)
        if self.slow.slow is None:
            return cost
        with torch.no_grad():
            _, wanted = learning.read(step.batches[number].x, self.slow.slow.eval())
        features = step.features(number)
        assert wanted is not None  # features raise where there are none
        if self.one_sided:
            wanted = torch.maximum(wanted, features.detach())
        return cost + self.strength * F.mse_loss(features, wanted)

    def after_step(self, learning: Learning, step: Step) -> None:
        """Show the new batch to the buffer, and let the slow weights follow."""
        super().after_step(learning, step)
        self.slow.after_step(learning, step)

    def answer(self, learning: Learning, x: Tensor, task: int) -> Tensor | None:
        """Return what the slow weights say."""
        return self.slow.answer(learning, x, task)

    def tensors(self) -> dict[str, Tensor]:
        """Return what is held, and the slow weights."""
        return super().tensors() | {f"average.{name}": t for name, t in self.slow.tensors().items()}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take it back."""
        average = {n.removeprefix("average."): t for n, t in tensors.items() if n.startswith("average.")}
        self.slow.load(learning, average)
        super().load(learning, {n: t for n, t in tensors.items() if not n.startswith("average.")})
