"""Blocks found by the keys that are least like the others."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import normalize

from mnemos.activation.recall.blocks import Blocks
from mnemos.registry import Paper, register


@register(
    "novel-blocks",
    papers=(
        Paper(
            "KeyDiff: Key Similarity-Based KV Cache Eviction for Long-Context LLM Inference in "
            "Resource-Constrained Environments",
            "2504.15364",
        ),
    ),
)
@dataclass(frozen=True)
class NovelBlocks(Blocks):
    """Finds a block by those of its keys that are least like the other keys.

    The blocks are InfLLM's; their `representatives` are the keys with the lowest cosine to the mean of all (normalised)
    keys cut at the same time, which is KeyDiff's score. It asks nothing of the queries that came before, so a question
    that nobody expected finds its block. Worth is the share of attention (`Blocks.score`).

    On the small model of `mnemos bench train-models` a quarter of the keys finds key-value pairs as well as all of them
    (`Blocks`), but not passkeys: what follows the first value is not unlike the rest.
    """

    representatives: int = 4  # keys that stand for a block

    def summarise(self, keys: Tensor, seen: Tensor, attended: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys least like the mean, and which exist."""
        units = normalize(keys.float(), dim=-1).masked_fill(~seen[..., None], 0.0)
        anchor = normalize(units.sum((2, 3)), dim=-1)
        like = (units * anchor[:, :, None, None]).sum(-1).masked_fill(~seen, float("inf"))
        best = like.topk(min(self.representatives, like.shape[3]), dim=3, largest=False)
        index = best.indices[..., None].expand(*best.indices.shape, keys.shape[4])
        return keys.gather(3, index), best.values < float("inf")
