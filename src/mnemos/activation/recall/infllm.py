"""InfLLM: blocks of the past, found by their representative keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from mnemos.activation.recall.blocks import Blocks
from mnemos.registry import Paper, register


@register(
    "infllm",
    papers=(
        Paper(
            "InfLLM: Unveiling the Intrinsic Capacity of LLMs for Understanding Extremely Long Sequences "
            "with Training-Free Memory",
            "2402.04617",
        ),
    ),
)
@dataclass(frozen=True)
class InfLLM(Blocks):
    """Blocks of the past are fetched by the keys that were attended to most by what followed them.

    A block is represented by its `representatives` keys with the highest average attention from the queries of the local
    window after them (§3.2); it is worth the sum of q · k over the queries of a call, its representatives and all heads.
    Everything that is far shares one position, and the fast tier lets go of the block with the least, fading attention.
    Departures: attention is summed over the queries of a key/value head; up to one block beyond the local window keeps its
    true positions until it is full.

    On the small model of `mnemos bench train-models` it does not beat mean keys, and stays near the local window: nothing
    attends to a pair before it is asked for, so that representatives are others. `NovelBlocks` finds them.
    """

    far: Literal["one", "row", "kept"] = "one"
    representatives: int = 4

    by_attention = True  # the store notes what entries get

    def summarise(self, keys: Tensor, seen: Tensor, attended: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys that were attended to most."""
        best = attended.topk(min(self.representatives, attended.shape[3]), dim=3)
        index = best.indices[..., None].expand(*best.indices.shape, keys.shape[4])
        return keys.gather(3, index), best.values >= 0

    def score(self, logits: Tensor) -> Tensor:
        """Return the mean logit over queries and representatives, summed over the query heads."""
        there = logits > float("-inf")
        total = logits.masked_fill(~there, 0.0).sum((2, 3, 5)) * logits.shape[2]
        return total / there.sum((2, 3, 5)).clamp(min=1)
