"""Random dampening: the control of selective dampening."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from mnemos.parametric.base import Example
from mnemos.parametric.changes import Change, recorded
from mnemos.parametric.forget.fisher import importances
from mnemos.parametric.forget.ssd import Ssd
from mnemos.registry import register


@register("random-dampening", task="unlearning")
@dataclass(frozen=True)
class RandomDampening:
    """Dampens as many weights of each tensor as SSD would, by the same factors, at random places: a baseline.

    What selective dampening does beyond this is due to which weights it selects. Costs what SSD costs.
    """

    like: Ssd = field(default_factory=Ssd)  # whose factors are dealt out
    seed: int = 0  # of the places

    def unlearn(self, model: Any, tokenizer: Any, forget: Sequence[Example], keep: Sequence[Example]) -> Change:
        """Change the model's weights in place; see `Unlearner`."""
        of_all = self.like.known or importances(model, tokenizer, [*keep, *forget], self.like.batch)
        factors = self.like.factors(of_all, importances(model, tokenizer, forget, self.like.batch))
        weights = dict(model.named_parameters())
        draw = torch.Generator().manual_seed(self.seed)
        with recorded(model, list(weights)) as recording, torch.no_grad():
            for name, factor in factors.items():
                dealt = factor.reshape(-1)[torch.randperm(factor.numel(), generator=draw).to(factor.device)]
                weights[name].mul_(dealt.view(factor.shape))
        return recording.change
