"""TOVA: what the last query attends to least is evicted."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mnemos.activation.base import LayerView
from mnemos.activation.method import CacheMethod
from mnemos.registry import Paper, register


@register(
    "tova",
    papers=(Paper("Transformers are Multi-State RNNs", "2401.06104", code="schwartz-lab-NLP/TOVA"),),
    task="key-value-known",
    phase="decode",
    baselines=("random-eviction", "sliding-window"),
)
@dataclass(frozen=True)
class Tova:
    """Ranks by the attention of the last query, averaged over a layer's heads (Token Omission Via Attention).

    All heads of a layer hold the same tokens. Nothing is remembered between calls, and nothing recent is protected.
    """

    def __call__(self, view: LayerView) -> Tensor:
        """Return the weights, (B, H, T), the same for every head; O(T D)."""
        given = view.weights(last=1).mean((1, 2, 3))  # (B, T)
        return given[:, None].expand(view.entries.keys.shape[:3])

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Evict from the prompt by its last query, and from then on by each query."""
        return CacheMethod(Tova(), prompt=share, decode=share)
