"""Key norms: entries whose keys have a small norm stay."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mnemos.activation.base import LayerView
from mnemos.activation.method import CacheMethod
from mnemos.registry import Paper, register


@register(
    "knorm",
    papers=(
        Paper(
            "A Simple and Effective L2 Norm-Based Strategy for KV Cache Compression",
            "2406.11430",
            code="alessiodevoto/l2compress",
        ),
    ),
    task="key-value",
    baselines=("random-eviction", "sliding-window"),
)
@dataclass(frozen=True)
class KeyNorm:
    """Ranks by s_i = -||k_i||: in large pretrained models the keys that draw much attention have a small norm.

    It is a statistic of those models: on the small ones (`mnemos bench train-models`) it does no better than random
    eviction. The paper leaves the first two layers whole; here all layers share one budget.
    """

    def __call__(self, view: LayerView) -> Tensor:
        """Return the scores, (B, H, T); O(T D)."""
        return -view.entries.keys.float().norm(dim=-1)

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Evict from the prompt by the norms of its keys."""
        return CacheMethod(KeyNorm(), prompt=share)
