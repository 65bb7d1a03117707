"""InfLLM: blocks of the past, found by their representative keys.

Dimension letters are those of `recall.base`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from mnemos.activation.recall.base import Placement
from mnemos.activation.recall.blocks import Blocks
from mnemos.registry import Paper, register


def representatives(keys: Tensor, attended: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the `count` keys of each block that received most attention (§3.2), (B, H, N, r, D), and which exist.

    `keys` (B, H, N, l, D) and `attended` (B, H, N, l) are those of `BlockMethod.summarise`.
    """
    best = attended.topk(min(count, attended.shape[3]), dim=3)
    index = best.indices[..., None].expand(*best.indices.shape, keys.shape[4])
    return keys.gather(3, index), best.values >= 0


def mean_logit(logits: Tensor) -> Tensor:
    """Return what blocks are worth, (B, H, N): the mean logit over queries and keys, summed over query heads.

    `logits` (B, H, G, q, N, r) are -inf where there is no representative.
    """
    present = logits > float("-inf")
    total = logits.masked_fill(~present, 0.0).sum((2, 3, 5)) * logits.shape[2]
    return total / present.sum((2, 3, 5)).clamp(min=1)


@register(
    "infllm",
    papers=(
        Paper(
            "InfLLM: Unveiling the Intrinsic Capacity of LLMs for Understanding Extremely Long Sequences "
            "with Training-Free Memory",
            "2402.04617",
            code="thunlp/InfLLM",
        ),
    ),
)
@dataclass(frozen=True)
class InfLLM(Blocks):
    """Finds a block by those of its keys that later tokens attended to most.

    A block is represented by its `representatives` keys with the highest average attention from the queries of the
    local window after them (§3.2); it is worth the sum of q · k over the queries of a call, its representatives and all
    heads. Everything far shares one position, and `Tiers(eviction="score")` evicts the block with the least, decaying
    attention.

    Deviations: attention is summed over the queries of a key/value head; up to one block beyond the local window keeps
    its true positions until it is full. On the small model of `mnemos bench train-models` it does not beat mean keys,
    and stays near the local window: nothing attends to a pair before it is asked for, so other keys represent it.
    `NovelBlocks` finds it.
    """

    far: Placement = "one"  # where fetched blocks stand
    representatives: int = 4  # keys that stand for a block

    uses_attention: ClassVar[bool] = True

    def summarise(self, keys: Tensor, seen: Tensor, attended: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys that received most attention, and which exist."""
        return representatives(keys, attended, self.representatives)

    def score(self, logits: Tensor) -> Tensor:
        """Return the mean logit over queries and representatives, summed over the query heads."""
        return mean_logit(logits)
