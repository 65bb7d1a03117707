"""TOVA: what the last query attends to least goes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mnemos.activation.method import CacheMethod, LayerView
from mnemos.registry import Paper, register


@register(
    "tova",
    papers=(Paper("Transformers are Multi-State RNNs", "2401.06104"),),
    task="key-value-known",
    phase="decode",
    baselines=("random-eviction", "sliding-window"),
)
@dataclass(frozen=True)
class Tova:
    """Token Omission Via Attention: the attention of the last query, averaged over a layer's heads, says who stays.

    All heads of a layer hold the same tokens. Nothing is remembered between calls, nothing recent is protected.
    """

    def __call__(self, view: LayerView) -> Tensor:
        """Return the weights, (B, H, T), the same for every head; O(T D)."""
        given = view.weights(last=1).mean((1, 2, 3))  # (B, T)
        return given[:, None].expand(view.entries.keys.shape[:3])

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """The prompt by its last query, and the text from then on by each."""
        return CacheMethod(Tova(), prompt=share, decode=share)
