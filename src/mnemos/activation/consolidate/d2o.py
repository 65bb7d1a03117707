"""D2O: layers share the budget by how spread their attention is, and evicted entries are merged where they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mnemos.activation.base import LayerView
from mnemos.activation.consolidate.merge import Merge
from mnemos.activation.forget.budgets import allocate
from mnemos.activation.forget.h2o import H2O
from mnemos.activation.method import CacheMethod
from mnemos.registry import Paper, register


@dataclass(frozen=True)
class Density:
    """Gives layers with dense attention more, in proportion to softmax(-F / mean F), F its variance over entries.

    F_l is the variance over the entries of the attention that each received from the prompt, averaged over rows and
    heads. The division by the mean over the layers is ours: without it one layer may get next to nothing.
    """

    least: float = 0.5  # share of the even budget that every layer keeps

    def need(self, view: LayerView, score: Tensor) -> Tensor:
        """Return F of a layer, ()."""
        return view.attention_mass().float().var(-1).mean()

    def counts(self, needs: Sequence[Tensor], each: int, held: int) -> list[Tensor]:
        """Return the entries of each layer."""
        spread = torch.stack([need.cpu() for need in needs])
        weights = torch.softmax(-spread / spread.mean().clamp_min(1e-9), 0)
        return list(allocate(weights, each * len(needs), max(1, int(self.least * each)), held).unbind(0))


@register(
    "d2o",
    papers=(
        Paper(
            "D2O: Dynamic Discriminative Operations for Efficient Generative Inference of Large Language Models",
            "2406.13035",
            code="AIoT-MLSys-Lab/D2O",
        ),
    ),
    task="key-value",
    baselines=("h2o", "random-eviction", "sliding-window"),
    phase="decode",
)
def d2o(share: float) -> CacheMethod:
    """Evict by accumulated attention, merge what is like a kept key by an EMA threshold, and share budgets by layer.

    Half of what stays of a prompt is recent. Importance is H2O's attention per query, where the paper has the sum. What
    is generated has a separate budget, as a layer's part of the prompt's would otherwise be lost with the next token.

    On the small models it answers more than the same eviction without merging where the question is not known (less
    where it is), but less than random eviction, and no more than with even layers. On SmolLM2 dropping
    answers as much with half of the bytes, and more with a quarter.
    """
    return CacheMethod(
        H2O(mean=True),
        prompt=share,
        decode=share,
        separate_budgets=True,
        recent=0.5,
        allocation=Density(),
        on_evict=Merge(threshold="ema"),
    )
