"""Coverage, our own: heads that look far back get more of the budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mnemos.activation.base import LayerView
from mnemos.activation.forget.budgets import allocate
from mnemos.activation.forget.keydiff import KeyDiff
from mnemos.activation.method import CacheMethod
from mnemos.registry import Paper, register


@register(
    "coverage",
    papers=(
        Paper(
            "DuoAttention: Efficient Long-Context LLM Inference with Retrieval and Streaming Heads",
            "2410.10819",
            code="mit-han-lab/duo-attention",
        ),
    ),
    unmeasured="an allocation: keydiff-coverage and pairdiff-coverage are measured",
)
@dataclass(frozen=True)
class Coverage:
    """Gives heads a budget in proportion to their attention beyond the first `sinks` and the last `near` tokens.

    A head that looks at the token before it needs nothing else of the prompt; one that looks things up needs it all.
    DuoAttention trains gates to tell them apart; here the last queries of the prompt tell, in proportion and without
    labels. The rows of a batch are averaged, and the query heads of a group count by the one that looks farthest.
    """

    near: int = 4  # last tokens that do not count as far
    sinks: int = 1  # first tokens that do not count
    last: int = 32  # queries of the prompt that are looked at
    least: float = 0.125  # share of the even budget that every head keeps

    def need(self, view: LayerView, score: Tensor) -> Tensor:
        """Return the share of attention that is far, (H,) from 0 to 1; O(last T D)."""
        weights = view.weights(last=self.last)  # (B, H, G, n, T)
        entries = view.entries
        positions = entries.positions()
        queries = torch.arange(view.tokens_read - weights.shape[3], view.tokens_read, device=positions.device)
        far = positions[:, :, None] <= queries[:, None] - self.near  # (B, H, n, T)
        present = torch.ones_like(positions, dtype=torch.bool) if entries.valid is None else entries.valid
        far = far & (present & (present.cumsum(2) > self.sinks))[:, :, None]
        return (weights * far[:, :, None]).sum(-1).mean((0, 3)).amax(-1)

    def counts(self, needs: Sequence[Tensor], each: int, held: int) -> list[Tensor]:
        """Return the entries of each head, (H,), for each layer."""
        together = torch.stack(list(needs))  # (L, H)
        least = max(1, round(self.least * each))
        return list(allocate(together, each * together.numel(), least, held).unbind(0))


@register("keydiff-coverage", task="key-value", baselines=("random-eviction", "sliding-window", "keydiff"))
def keydiff_coverage(share: float) -> CacheMethod:
    """Evict from the prompt by KeyDiff, with more entries for the heads that look far back; ours."""
    return CacheMethod(KeyDiff(), prompt=share, allocation=Coverage())
