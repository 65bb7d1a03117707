"""KeyDiff: keys unlike the others stay."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from mnemos.activation.base import LayerView
from mnemos.activation.entries import Entries
from mnemos.activation.method import CacheMethod
from mnemos.registry import Paper, register


def anchor(entries: Entries) -> Tensor:
    """Return the mean of the normalised keys that are not padding, (B, H, 1, D)."""
    unit = normalize(entries.keys.float(), dim=-1)
    if entries.valid is None:
        return unit.mean(2, keepdim=True)
    present = entries.valid[..., None].float()
    return (unit * present).sum(2, keepdim=True) / present.sum(2, keepdim=True).clamp_min(1)


@register(
    "keydiff",
    papers=(
        Paper(
            "KeyDiff: Key Similarity-Based KV Cache Eviction for Long-Context LLM Inference in Resource-Constrained "
            "Environments",
            "2504.15364",
        ),
    ),
    task="key-value",
    baselines=("random-eviction", "sliding-window"),
)
@dataclass(frozen=True)
class KeyDiff:
    """Ranks by s_i = -cos(mu, k_i), mu the mean of the normalised keys: keys unlike the others draw more attention.

    The keys are those of the cache, with their rotation. No query is needed, so it can be asked before any question is
    known.
    """

    window: int = 0  # most recent entries that always stay: the paper's variant with a sliding window

    def __call__(self, view: LayerView) -> Tensor:
        """Return the scores, (B, H, T) from -1 to 1; O(T D)."""
        score = -cosine_similarity(view.entries.keys.float(), anchor(view.entries), dim=-1)
        if self.window:
            late = view.entries.positions() >= view.tokens_read - self.window
            score = torch.where(late, score.new_tensor(2.0), score)
        return score

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Evict from the prompt by KeyDiff."""
        return CacheMethod(KeyDiff(), prompt=share)
