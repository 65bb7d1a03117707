"""ZigZagKV: layers whose attention is spread over more keys get more of the budget."""

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
    "zigzagkv",
    papers=(
        Paper(
            "ZigZagkv: Dynamic KV Cache Compression for Long-context Modeling based on Layer Uncertainty", "2412.09036"
        ),
    ),
    task="key-value-known",
    baselines=("random-eviction", "sliding-window"),
)
@dataclass(frozen=True)
class ZigZag:
    """Gives layer l B_min + (L B - L B_min) U_l / sum U, U_l the fewest keys that hold `mass` of the attention.

    The fewest keys are counted for each of the last `window` queries and each query head, and averaged.
    """

    mass: float = 0.9  # share of a head's attention
    least: float = 0.25  # B_min as a share of the even budget; ours to choose
    window: int = 32  # last queries that are looked at

    def __post_init__(self) -> None:
        if not (0 < self.mass <= 1 and 0 <= self.least <= 1 and self.window >= 1):
            raise InvalidInput(
                f"mass is {self.mass}, least {self.least} and window {self.window}: give a mass above 0 and at most 1, "
                "a least from 0 to 1, and a window of 1 or more."
            )

    def need(self, view: LayerView, score: Tensor) -> Tensor:
        """Return U, a number of keys, (); O(window T D)."""
        weights = view.weights(last=self.window)  # (B, H, G, n, T)
        reached = weights.sort(-1, descending=True).values.cumsum(-1) >= self.mass - 1e-6
        return (~reached).sum(-1).add(1).float().mean()

    def counts(self, needs: Sequence[Tensor], each: int, held: int) -> list[Tensor]:
        """Return the entries of each layer."""
        uncertainty = torch.stack(list(needs))
        least = max(1, int(self.least * each))
        return list(allocate(uncertainty, each * len(needs), least, held).unbind(0))

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Evict from the prompt by SnapKV, with budgets by uncertainty."""
        return CacheMethod(SnapKV(kernel=5), prompt=share, allocation=ZigZag())
