"""Ada-KV: the heads of a layer share its budget by where the largest scores are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mnemos.activation.base import LayerView
from mnemos.activation.forget.budgets import allocate
from mnemos.activation.forget.snapkv import SnapKV
from mnemos.activation.method import CacheMethod
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "adakv",
    papers=(
        Paper(
            "Ada-KV: Optimizing KV Cache Eviction by Adaptive Budget Allocation for Efficient LLM Inference",
            "2407.11550",
            code="FFY0/AdaKV",
        ),
    ),
    task="key-value-known",
    baselines=("random-eviction", "sliding-window"),
)
@dataclass(frozen=True)
class AdaKV:
    """Gives a head as many entries as it has among the H*b largest scores of its layer.

    What a head does not get is freed: heads hold different numbers of entries. The rows of a batch share the numbers,
    which are those of their mean. A model with one key/value head has nothing to share. Works with any score.
    """

    safeguard: float = 0.2  # share of b, the even budget of a head, that every head keeps

    def __post_init__(self) -> None:
        if not 0 <= self.safeguard <= 1:
            raise InvalidInput(f"safeguard is {self.safeguard}: give a share from 0 to 1.")

    def need(self, view: LayerView, score: Tensor) -> Tensor:
        """Return the scores, (B, H, T)."""
        return score

    def counts(self, needs: Sequence[Tensor], each: int, held: int) -> list[Tensor]:
        """Return the entries of each head, (H,), for each layer."""
        found = []
        for score in needs:
            rows, heads, entries = score.shape
            best = score.flatten(1).topk(each * heads, dim=1).indices // entries  # the heads of the largest, (B, H b)
            won = torch.stack([(best == head).sum() for head in range(heads)]) / rows
            target = self.safeguard * each + (1 - self.safeguard) * won.double()
            found.append(allocate(target, each * heads, int(bool((target < 1).any())), held))
        return found

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Evict from the prompt by SnapKV, with budgets that heads share."""
        return CacheMethod(SnapKV(kernel=5), prompt=share, allocation=AdaKV())
