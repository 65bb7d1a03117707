"""A past too long to attend to: kept in blocks on a slow tier, and those a call asks for are fetched.

B batch, H key/value heads, G query heads per key/value head, q queries of a call, D head width, N blocks so far, l
entries of a block, r summary keys of a block, U units that choose for themselves (1: all heads together, or H), k
blocks chosen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from mnemos.activation.method import Setup
from mnemos.activation.recall.blockstore import BlockStore
from mnemos.activation.recall.tiers import Policy
from mnemos.errors import InvalidInput
from mnemos.registry import register


@dataclass(frozen=True)
class Tiers:
    """Where blocks lie: `room` blocks of each layer (and unit) in the fast tier, all of them on the slow one.

    The slow tier is RAM, or a file in `folder`. `policy` and `fade` say which block leaves the fast tier (`Fast`).
    """

    room: int = 32
    policy: Policy = "lru"
    fade: float = 0.1
    folder: Path | None = None


@register("blocks")
@dataclass(frozen=True)
class Blocks:
    """Sinks, the local window, and of what lies between them the `top` blocks that match a call best.

    `CacheMethod(store=Blocks(...))`. Up to `step` queries share what is fetched: a longer call is read in such parts,
    layer by layer, and within a part the choice depends on all of its queries (as in InfLLM). Nothing is dropped, and
    up to `sinks + local` tokens attention is exact. What is fetched is moved to right before the local window: "one",
    all to the same position (InfLLM); "row", one after the other; or it stays where it is: "kept". `layers` are those
    that fetch; the others see sinks and window only.

    With `least` above 0 a block is fetched only where some query of some head would give it that share of its attention
    or more, the local window competing: what the window answers is not disturbed. This is ours.

    A block is chosen by the attention that its summary keys would get there; here these are all of its keys, half of
    what is held, which stay in the fast tier. Methods override `cut`, `summarise`, `score` and `choose`. Padded batches
    are refused: read rows of one length together.
    """

    size: int = 128
    top: int = 16
    local: int = 4096
    sinks: int = 128
    step: int = 512
    far: Literal["one", "row", "kept"] = "row"
    each_head: bool = False
    least: float = 0.0
    layers: tuple[int, ...] | None = None
    tiers: Tiers = field(default_factory=Tiers)

    def __post_init__(self) -> None:
        for name in ("size", "top", "local", "step"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}, expected 1 or more.")
        if not 0 <= self.least < 1:
            raise InvalidInput(f"least is {self.least}: give a share of attention, from 0 to below 1.")
        if self.tiers.room < self.top:
            raise InvalidInput(
                f"the fast tier has room for {self.tiers.room} blocks, {self.top} are asked for at once."
            )

    def __call__(self, setup: Setup) -> BlockStore:
        """Return the store of one layer."""
        return BlockStore(self, setup)

    def cut(self, keys: Tensor, first: int, setup: Setup) -> list[list[int]]:
        """Return for each row how long the next blocks are; the same sum for all rows, at most that of keys (B, H, n, D).

        `first` is the position of the first key.
        """
        return [[self.size] * (keys.shape[2] // self.size)] * keys.shape[0]

    def summarise(self, keys: Tensor, seen: Tensor, attended: Tensor) -> tuple[Tensor, Tensor]:
        """Return the summary keys of blocks (B, H, N, r, D) and which of them are there, (B, H, N, r).

        `keys` (B, H, N, l, D) are turned to position 0 (unless "kept"); `seen` (B, 1, N, l) is False behind the end of
        a block; `attended` (B, H, N, l) is the attention that the entries got from the queries that followed them.
        Here: all keys.
        """
        return keys, seen.expand(keys.shape[:4])

    def score(self, logits: Tensor) -> Tensor:
        """Return what blocks are worth to each head, (B, H, N), by logits (B, H, G, q, N, r); -inf where nothing is.

        Here: the share of attention that their summary keys would get among all summary keys, summed over the queries.
        """
        return logits.flatten(4).softmax(-1).view(logits.shape).sum(-1).sum((2, 3))

    def choose(self, worth: Tensor, memory: dict[str, Any]) -> Tensor:
        """Return the blocks to fetch, (B, U, k), by their worth (B, U, N), -inf where a row has no such block.

        `memory` is the layer's own. A block number of -1 means none.
        """
        best = worth.topk(min(self.top, worth.shape[2]), dim=2)
        return best.indices.masked_fill(best.values == float("-inf"), -1)


@dataclass(frozen=True)
class Report:
    """What a memory in blocks holds where, and how often the fast tier had what was asked for."""

    fast_bytes: int
    slow_bytes: int
    hits: int
    loads: int

    @property
    def hit_rate(self) -> float:
        """Share of the chosen blocks that were in the fast tier; 0 when none were chosen."""
        return self.hits / max(self.hits + self.loads, 1)


def report(cache: Any) -> Report:
    """Return the report of a cache, over all layers whose stores have two tiers."""
    stores = [g.store for layer in cache.layers for g in layer.groups if hasattr(g.store, "slow_bytes")]
    return Report(
        sum(s.fast_bytes for s in stores), sum(s.slow_bytes for s in stores),
        sum(s.fast.hits for s in stores), sum(s.fast.loads for s in stores),
    )  # fmt: skip
