"""PairDiff, our own: entries whose key and value are both unlike the others stay."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from mnemos.activation.base import LayerView
from mnemos.activation.forget.coverage import Coverage
from mnemos.activation.method import CacheMethod
from mnemos.registry import Paper, register

KEYDIFF = Paper(
    "KeyDiff: Key Similarity-Based KV Cache Eviction for Long-Context LLM Inference in Resource-Constrained Environments",
    "2504.15364",
)


def unlike(vectors: Tensor, valid: Tensor) -> Tensor:
    """Return how far vectors (B, H, T, D) are from their mean direction: -cos, in standard deviations, (B, H, T)."""
    unit, present = normalize(vectors.float(), dim=-1), valid.float()
    mean = (unit * present[..., None]).sum(2, keepdim=True)
    score = -cosine_similarity(unit, mean, dim=-1)
    count = present.sum(2, keepdim=True).clamp_min(1)
    centred = score - (score * present).sum(2, keepdim=True) / count
    spread = ((centred.square() * present).sum(2, keepdim=True) / count).sqrt()
    return centred / spread.clamp_min(1e-9)


@register("pairdiff", papers=(KEYDIFF,), task="key-value", baselines=("random-eviction", "sliding-window", "keydiff"))
@dataclass(frozen=True)
class PairDiff:
    """Ranks by min(z(-cos(mean k, k_i)), z(-cos(mean v, v_i))): KeyDiff of keys and of values, and both have to agree.

    Not the paper's: a key that stands out means that an entry will be found, a value that stands out that it has
    something to say. What follows a fact has the one, what precedes it the other, the fact itself has both. z is the
    distance from the mean over a head's entries in standard deviations, so that neither side outweighs the other. No
    query is needed.
    """

    def __call__(self, view: LayerView) -> Tensor:
        """Return the scores, (B, H, T); O(T D)."""
        entries = view.entries
        valid = torch.ones_like(entries.keys[..., 0]) if entries.valid is None else entries.valid
        return torch.minimum(unlike(entries.keys, valid), unlike(entries.values, valid))

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Evict from the prompt by PairDiff, evenly over layers and heads."""
        return CacheMethod(PairDiff(), prompt=share)


@register("pairdiff-coverage", task="key-value", baselines=("random-eviction", "sliding-window", "keydiff", "pairdiff"))
def pairdiff_coverage(share: float) -> CacheMethod:
    """Evict from the prompt by PairDiff, with more entries for the heads that look far back; ours."""
    return CacheMethod(PairDiff(), prompt=share, allocation=Coverage())
