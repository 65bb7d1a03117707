"""Entries whose keys have a small norm stay."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mnemos.activation.method import Method, View
from mnemos.registry import Paper, register


@register(
    "knorm",
    papers=(Paper("A Simple and Effective L2 Norm-Based Strategy for KV Cache Compression", "2406.11430"),),
    task="key-value",
    baselines=("random", "recent"),
)
@dataclass(frozen=True)
class KeyNorm:
    """s_i = -||k_i||: in large pretrained models the keys that draw much attention have a small norm.

    It is a statistic of those models: on the small ones (`mnemos bench train-models`) it does no better than random. The
    paper leaves the first two layers whole; here all layers share one budget.
    """

    def __call__(self, view: View) -> Tensor:
        """Return the scores, (B, H, T); O(T D)."""
        return -view.entries.keys.float().norm(dim=-1)

    @staticmethod
    def at_share(share: float) -> Method:
        """The prompt by the norms of its keys."""
        return Method(KeyNorm(), prompt=share)
