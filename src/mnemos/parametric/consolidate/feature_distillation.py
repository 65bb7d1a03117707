"""Features stay where they were, or where a map finds them again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning, Step, Strategy
from mnemos.registry import Paper, register

Kept = Literal["values", "directions", "map"]
Of = Literal["new", "held", "all"]


@register(
    "feature-distillation",
    papers=(
        Paper(
            "An Investigation of the Combination of Rehearsal and Knowledge Distillation in Continual Learning for Spoken"
            " Language Understanding",
            "2211.08161",
        ),
        Paper(
            "Preserving Linear Separability in Continual Learning by Backward Feature Projection",
            "2303.14595",
            "rvl-lab-utoronto/BFP",
        ),
    ),
    task="classes in sequence",
    baselines=("replay",),
)  # fmt: skip
@dataclass
class FeatureDistillation(Strategy):
    """Holds the features of samples to those that the model had of them before the task.

    strength * mean |A h_new(x) - h_old(x)|^2 (squares summed over features). `keep` says what of the features: their "values"
    (A = 1), their "directions" (both of unit length: POD-flat of PODNet, arXiv 2004.13513), or all up to a linear "map" A (D, D),
    learned beside the model from A = 1 at each task (backward feature projection): then earlier classes stay linearly
    separable, and new directions are free. Put it behind a strategy that replays, to hold what is replayed too; a step costs
    one more pass forward. Stores a copy of the model, and A.
    """

    strength: float = 1.0  # weight of the term
    keep: Kept = "values"  # what is held of the features
    of: Of = "all"  # samples: of the new batch, of those that strategies before this one add, or all
    rate: float = 0.1  # of plain gradient descent on A
    a: Tensor | None = field(init=False, repr=False, default=None)  # A (D, D)

    needs_tasks: ClassVar[bool] = True
    needs_previous: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.strength < 0 or self.rate <= 0:
            raise InvalidInput("give a strength of at least 0, and a rate above 0.")

    def before_task(self, learning: Learning) -> None:
        """Begin with A = 1."""
        self.a = None

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Return how far the features are from those before."""
        numbers = chosen(step, self.of)
        if learning.previous is None or not numbers:
            return None
        with torch.no_grad():
            _, before = learning.read(torch.cat([step.batches[n].x for n in numbers]), learning.previous)
        now = torch.cat([step.features(n) for n in numbers])
        assert before is not None  # `features` has raised without a classifier
        if self.keep == "directions":
            before, now = F.normalize(before, dim=-1), F.normalize(now, dim=-1)
        if self.keep == "map":
            if self.a is None:
                self.a = torch.eye(now.shape[1], dtype=now.dtype, device=now.device).requires_grad_()
            now = now @ self.a.T
        return self.strength * (now - before).square().sum(-1).mean()

    def after_step(self, learning: Learning, step: Step) -> None:
        """Make the map's own step."""
        if self.a is not None and self.a.grad is not None:
            with torch.no_grad():
                self.a -= self.rate * self.a.grad
            self.a.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """Return the map."""
        return {} if self.a is None else {"a": self.a}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take it back."""
        self.a = tensors["a"].clone().requires_grad_() if tensors else None


def chosen(step: Step, of: Of) -> list[int]:
    """Return the numbers of a step's batches that are meant."""
    return list(range(len(step.batches)))[slice(*{"new": (0, 1), "held": (1, None), "all": (0, None)}[of])]
