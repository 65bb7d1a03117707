"""A past too long to attend to: cut into blocks on a slow tier, of which a call fetches those that match it best.

Dimension letters are those of `recall.base`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from mnemos.activation.base import Setup
from mnemos.activation.recall.base import Placement, Search
from mnemos.activation.recall.blockstore import BlockStore
from mnemos.activation.recall.tiers import Tiers
from mnemos.errors import InvalidInput
from mnemos.registry import register


@register("blocks")
@dataclass(frozen=True)
class Blocks:
    """Reads the sinks, the local window, and of what lies between them the `top` blocks that match a call best.

    Use it as `CacheMethod(store=Blocks(...))`. Nothing is evicted, and up to `sinks + local` tokens attention is exact.
    Up to `step` queries share what is fetched: a longer call is read in such parts, layer by layer, and within a part
    the choice depends on all of its queries (as in InfLLM). With `least` above 0 a block is fetched only if some query
    of some head would give it that share of its attention or more, the local window competing; this is ours. Padded
    batches are refused.

    A block is chosen by the attention that its summary keys would receive; here these are all of its keys, half of what
    is held, and they stay in the fast tier. Other methods override `cut`, `summarise`, `score`, `choose` or `select`.
    """

    size: int = 128  # entries of a block
    top: int = 16  # blocks fetched for a call
    local: int = 4096  # latest entries that are always read
    sinks: int = 128  # first entries that are always read
    step: int = 512  # the most queries that choose together
    far: Placement = "row"  # where fetched blocks stand: all at "one" position, in a "row", or "kept"
    each_head: bool = False  # each key/value head chooses for itself
    least: float = 0.0  # the share of attention below which a block is not fetched
    layers: tuple[int, ...] | None = None  # those that fetch (None: all); the others see sinks and window only
    tiers: Tiers = field(default_factory=Tiers)  # where blocks are held

    uses_attention: ClassVar[bool] = False  # the store records the attention that entries receive, for `summarise`

    def __post_init__(self) -> None:
        for name, value in (("size", self.size), ("top", self.top), ("local", self.local), ("step", self.step)):
            if value < 1:
                raise InvalidInput(f"{name} is {value}: give 1 or more.")
        if not 0 <= self.least < 1:
            raise InvalidInput(f"least is {self.least}: give a share of attention from 0 to below 1.")
        if self.tiers.room < self.top:
            raise InvalidInput(
                f"the fast tier has room for {self.tiers.room} blocks, but a call fetches {self.top}: "
                "give more room, or a smaller top."
            )

    def __call__(self, setup: Setup) -> BlockStore:
        """Return the store of a layer."""
        return BlockStore(self, setup)

    def cut(self, keys: Tensor, first: int, setup: Setup) -> list[list[int]]:
        """Return the lengths of the next blocks, for each row: all of `size`."""
        return [[self.size] * (keys.shape[2] // self.size)] * keys.shape[0]

    def summarise(self, keys: Tensor, seen: Tensor, attended: Tensor) -> tuple[Tensor, Tensor]:
        """Return the summary keys of blocks (B, H, N, r, D), and which of them exist, (B, H, N, r): all keys."""
        return keys, seen.expand(keys.shape[:4])

    def score(self, logits: Tensor) -> Tensor:
        """Return what blocks are worth to each head, (B, H, N): the attention that their summary keys would receive.

        It is their share of the attention among all summary keys, summed over the queries.
        """
        return attention_share(logits)

    def choose(self, worth: Tensor, memory: dict[str, Any]) -> Tensor:
        """Return the blocks with the largest worth (B, U, N), as (B, U, k); -1 where a row has no more."""
        best = worth.topk(min(self.top, worth.shape[2]), dim=2)
        return best.indices.masked_fill(best.values == float("-inf"), -1)

    def select(self, search: Search) -> Tensor:
        """Return the blocks that a call reads, (B, U, k): those of `choose` that get the `least` share of attention."""
        chosen = self.choose(search.worth(search.turned), search.memory)
        if not self.least:
            return chosen
        share = search.share().gather(2, chosen.clamp(min=0))
        return chosen.masked_fill(share < self.least, -1)


def attention_share(logits: Tensor) -> Tensor:
    """Return the share of attention of each block, (B, H, N), summed over queries; logits (B, H, G, q, N, r)."""
    return logits.flatten(4).softmax(-1).view(logits.shape).sum(-1).sum((2, 3))
