"""Coverage, our own: heads that look far back get the budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mnemos.activation.forget.budgets import allocate
from mnemos.activation.forget.keydiff import KeyDiff
from mnemos.activation.method import CacheMethod, LayerView
from mnemos.registry import Paper, register


@register(
    "coverage",
    papers=(
        Paper("DuoAttention: Efficient Long-Context LLM Inference with Retrieval and Streaming Heads", "2410.10819"),
    ),
)
@dataclass(frozen=True)
class Coverage:
    """A head's need is the share of its attention that goes neither to the first `sinks` nor to the last `near` tokens.

    A head that looks at the token before it needs nothing else from the prompt; one that looks things up needs it all.
    DuoAttention trains gates to tell them apart; here the last `last` queries of the prompt tell, in proportion and
    without labels. Each head keeps at least an eighth (`least`) of an even share; the rows of a batch are averaged, the
    query heads of a group count by the one that looks farthest.
    """

    near: int = 4
    sinks: int = 1
    last: int = 32
    least: float = 0.125

    def need(self, view: LayerView, score: Tensor) -> Tensor:
        """Return the far share of attention, (H,) from 0 to 1; O(last T D)."""
        weights = view.weights(last=self.last)  # (B, H, G, n, T)
        entries = view.entries
        positions = entries.positions()
        queries = torch.arange(view.tokens_read - weights.shape[3], view.tokens_read, device=positions.device)
        far = positions[:, :, None] <= queries[:, None] - self.near  # (B, H, n, T)
        there = torch.ones_like(positions, dtype=torch.bool) if entries.valid is None else entries.valid
        far = far & (there & (there.cumsum(2) > self.sinks))[:, :, None]
        return (weights * far[:, :, None]).sum(-1).mean((0, 3)).amax(-1)

    def counts(self, needs: Sequence[Tensor], each: int, held: int) -> list[Tensor]:
        """Return each head's entries."""
        together = torch.stack(list(needs))  # (L, H)
        least = max(1, round(self.least * each))
        return list(allocate(together, each * together.numel(), least, held).unbind(0))


@register("keydiff-coverage", task="key-value", baselines=("random-eviction", "sliding-window", "keydiff"))
def keydiff_coverage(share: float) -> CacheMethod:
    """The prompt by KeyDiff, with more room for the heads that look far back."""
    return CacheMethod(KeyDiff(), prompt=share, allocation=Coverage())
