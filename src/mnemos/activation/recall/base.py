"""The contract of methods that fetch blocks: how the past is cut, summarised and chosen from.

B batch, H key/value heads, G query heads per key/value head, q queries of a call, D head width, N blocks so far, l
entries of a block, r summary keys of a block, U units that choose for themselves (1: all heads together, or H), k
blocks chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch import Tensor

from mnemos.activation.base import Setup
from mnemos.activation.recall.tiers import Tiers

# Where fetched blocks stand: all at one position right before the local window (InfLLM), in a row that ends there, or where
# they were read.
Placement = Literal["one", "row", "kept"]


@dataclass
class Search:
    """The queries of a call, about to choose blocks. Valid during the call."""

    turned: Tensor  # (B, H*G, q, D), the queries as they see keys at position 0
    worth: Callable[
        [Tensor], Tensor
    ]  # queries as `turned` -> what blocks are worth to them, (B, U, N); -inf where no block
    share: Callable[[], Tensor]  # -> the most attention that a query would give each block, (B, U, N)
    sizes: Tensor  # (B, N) entries of each block; 0 where a row has no such block
    position: int  # of the last query
    setup: Setup
    memory: dict[str, Any]  # what the method remembers of the layer; change it in place


class BlockMethod(Protocol):
    """What `BlockStore` asks of a method."""

    @property
    def local(self) -> int:
        """Latest entries that are not in blocks."""
        ...

    @property
    def sinks(self) -> int:
        """First entries, which are always read."""
        ...

    @property
    def step(self) -> int:
        """The most queries that choose together."""
        ...

    @property
    def far(self) -> Placement:
        """Where fetched blocks stand."""
        ...

    @property
    def each_head(self) -> bool:
        """Whether each key/value head chooses for itself."""
        ...

    @property
    def layers(self) -> tuple[int, ...] | None:
        """The layers that fetch; None: all."""
        ...

    @property
    def tiers(self) -> Tiers:
        """Where blocks are held."""
        ...

    @property
    def uses_attention(self) -> bool:
        """Whether `summarise` looks at the attention that entries received."""
        ...

    def cut(self, keys: Tensor, first: int, setup: Setup) -> list[list[int]]:
        """Return for each row the lengths of the next blocks, from the front of keys (B, H, n, D).

        `first` is the position of the first key. The lengths of each row have the same sum, at most n; the rest is cut
        later.
        """
        ...

    def summarise(self, keys: Tensor, seen: Tensor, attended: Tensor) -> tuple[Tensor, Tensor]:
        """Return the summary keys of blocks (B, H, N, r, D), and which of them exist, (B, H, N, r).

        `keys` (B, H, N, l, D) are turned to position 0 (unless blocks stay where they are); `seen` (B, 1, N, l) is
        False behind the end of a block; `attended` (B, H, N, l) is the attention that the entries received from later
        queries.
        """
        ...

    def score(self, logits: Tensor) -> Tensor:
        """Return what blocks are worth to each head, (B, H, N).

        `logits` (B, H, G, q, N, r) are those of the queries with the summary keys, -inf where there is none.
        """
        ...

    def select(self, search: Search) -> Tensor:
        """Return the blocks that a call reads, (B, U, k); -1 means none. May change `search.memory`."""
        ...
