"""Selective synaptic dampening: weights that matter more to what is to be forgotten than to the rest are made smaller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.base import Example
from mnemos.parametric.changes import Change, recorded
from mnemos.parametric.forget.fisher import importances
from mnemos.registry import Paper, register


@register(
    "ssd",
    papers=(
        Paper(
            "Fast Machine Unlearning Without Retraining Through Selective Synaptic Dampening",
            "2308.07707",
            "if-loops/selective-synaptic-dampening",
        ),
    ),
    task="unlearning",
    baselines=("random-dampening", "gradient-ascent"),
)
@dataclass(frozen=True)
class Ssd:
    """Multiplies a weight by min(strength I_D / I_F, 1) where I_F > threshold I_D: two passes and no training.

    I is the mean squared gradient over single examples, of all data (D) and of what is to be forgotten (F). The authors'
    code squares the mean gradient of batches instead, which `batch` does. With `known`, I_D computed once, the training data
    need not be kept. Costs a forward and a backward pass an example.
    """

    threshold: float = 10.0  # alpha: how much more a weight has to matter to be dampened
    strength: float = 1.0  # lambda: how strongly; the smaller, the nearer to zero
    batch: int = 1  # examples whose gradients are averaged before they are squared; 1 is the Fisher information
    known: Mapping[str, Tensor] | None = None  # I_D by weight; None: of `keep` and `forget`

    def __post_init__(self) -> None:
        if self.threshold <= 0 or self.strength <= 0 or self.batch < 1:
            raise InvalidInput(
                f"threshold is {self.threshold}, strength {self.strength} and batch {self.batch}: give numbers above 0."
            )

    def unlearn(self, model: Any, tokenizer: Any, forget: Sequence[Example], keep: Sequence[Example]) -> Change:
        """Change the model's weights in place; see `Unlearner`."""
        of_all = self.known or importances(model, tokenizer, [*keep, *forget], self.batch)
        of_forget = importances(model, tokenizer, forget, self.batch)
        weights = dict(model.named_parameters())
        with recorded(model, list(weights)) as recording, torch.no_grad():
            for name, factor in self.factors(of_all, of_forget).items():
                weights[name].mul_(factor)
        return recording.change

    def factors(self, of_all: Mapping[str, Tensor], of_forget: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what each weight is multiplied by."""
        found = {}
        for name, own in of_forget.items():
            every = of_all[name].to(own)
            factor = (self.strength * every / own.clamp(min=torch.finfo(own.dtype).tiny)).clamp(max=1)
            found[name] = torch.where(own > self.threshold * every, factor, torch.ones_like(own))
        return found
