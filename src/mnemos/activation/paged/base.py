"""The contracts of the page engine: pools of keys and values, exact attention over them, and the parts of a pool.

A pool holds the keys and values of many sequences in pages of one memory. Full pages stay findable after their sequence
is freed, until their space is needed. Three parts decide what happens then, and none of them ever changes a page:

- a ranking orders the pages that no sequence and no lease holds: the lowest is evicted first;
- a lease says how long the pages of a program are pinned while a tool works, by the times that its caller reports;
- a swap keeps the pages of a sequence that is moved out of the pool.

Units: tokens, seconds, bytes. H key/value heads, G query heads a key/value head, T entries, n new entries, q queries,
D head width, B requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from torch import Tensor

from mnemos.errors import InvalidInput

if TYPE_CHECKING:
    from mnemos.activation.paged.softmax import Visibility


@dataclass(slots=True)
class PrefixEntry:
    """A cached prefix, as a ranking sees it. Of a pool, each page stands for the prefix that ends with it."""

    tokens: int
    hits: int = 1  # lookups that found it, and the one that computed it
    last: int = 0  # when it was last used, as a number that grows with every use


@runtime_checkable
class Ranking(Protocol):
    """Orders cached prefixes for eviction."""

    def priority(self, entry: PrefixEntry) -> tuple[float, ...]:
        """Return what the order is by, compared from the left: the entry with the lowest is evicted first.

        It depends on the entry alone, so it may be asked once and kept until the entry changes. For a prefix and a
        longer one that extends it, it must not be lower for the shorter: a page without those before it is not found.
        """
        ...


@runtime_checkable
class Lease(Protocol):
    """Decides how long a cache is pinned after a turn that calls a tool, and learns from what its caller records.

    A pinned cache is not evicted. After that time it may be: whoever needs the space does it. All times are in seconds.
    """

    def ttl(self, tool: str, reload: float) -> float:
        """Return how long to pin, 0 or less for not at all; `reload` is how long computing the cache again would take."""
        ...

    def record_tool(self, tool: str, seconds: float) -> None:
        """Record how long a tool call took."""
        ...

    def record_wait(self, seconds: float) -> None:
        """Record how long a request whose cache was evicted waited to be admitted."""
        ...

    def record_program(self, turns: int) -> None:
        """Record how many turns a program had when it ended."""
        ...


@runtime_checkable
class Swap(Protocol):
    """Keeps one tensor a sequence. Every `put` is followed by a `drop`, with any number of `take` between."""

    @property
    def enabled(self) -> bool:
        """Whether it keeps anything at all; a pool swaps nothing out where it does not."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes kept now."""
        ...

    def put(self, name: str, blocks: Tensor) -> None:
        """Keep the tensor under a name that is not in use. Raises StoreError where it cannot be written."""
        ...

    def take(self, name: str) -> Tensor:
        """Return the tensor and keep it. Raises StoreError where it cannot be read."""
        ...

    def drop(self, name: str) -> None:
        """Delete the tensor."""
        ...


@runtime_checkable
class SequencePool(Protocol):
    """Holds the keys and values of many sequences by name. Verbs that take space either succeed or change nothing."""

    def open(self, name: str, tokens: Sequence[int], extra: Mapping[str, str] | None) -> int:
        """Start a sequence and return how many of `tokens` it already holds; `extra` keys part equal tokens."""
        ...

    def grow(self, name: str, tokens: Sequence[int]) -> range:
        """Make space for tokens at the end and return their positions. Raises StoreFull without space."""
        ...

    def write(self, name: str, layer: int, keys: Tensor, values: Tensor) -> None:
        """Append keys and values (H, n, D) of one layer into space made by `grow`."""
        ...

    def read(self, name: str, layer: int) -> tuple[Tensor, Tensor]:
        """Return the keys and values (H, T, D) that a layer has written, in order."""
        ...

    def free(self, name: str) -> None:
        """End a sequence."""
        ...


@runtime_checkable
class PagePolicy(Protocol):
    """Chooses the pages that a sequence lets go of, so that it holds no more than a budget."""

    def pages(self, pool: Any, name: str) -> list[int]:
        """Return the indices of pages to give to `Pool.evict`, never the last one. Changes nothing."""
        ...


@runtime_checkable
class Attention(Protocol):
    """Exact attention over given keys and values, in a form that can be merged with that over others."""

    def attend(
        self, query: Tensor, keys: Tensor, values: Tensor, visible: Visibility, scale: float | None
    ) -> tuple[Tensor, Tensor]:
        """Return (output (B, G*H, q, D), log-sum-exp (B, G*H, q)) of `query` (B, G*H, q, D).

        `keys` and `values` are (B, H, T, D); `scale` is 1 / sqrt(D) by default. Changes none of them.
        """
        ...


@runtime_checkable
class ReservedMemory(Protocol):
    """Space reserved as one tensor, of which only what was written takes memory."""

    tensor: Tensor

    @property
    def resident(self) -> int:
        """Bytes in memory now."""
        ...

    def release(self, start: int, stop: int | None) -> int:
        """Release rows of the first dimension, which read as 0 from then on; return the bytes released."""
        ...


class NoLease:
    """Pins nothing and learns nothing: the null lease."""

    def ttl(self, tool: str, reload: float) -> float:
        """Return 0."""
        return 0.0

    def record_tool(self, tool: str, seconds: float) -> None:
        """Ignore it."""

    def record_wait(self, seconds: float) -> None:
        """Ignore it."""

    def record_program(self, turns: int) -> None:
        """Ignore it."""


class NoSwap:
    """Keeps nothing: the null swap. A pool with it refuses what does not fit."""

    enabled = False
    nbytes = 0

    def put(self, name: str, blocks: Tensor) -> None:
        """Raise InvalidInput."""
        raise InvalidInput(
            f"sequence {name!r} cannot be swapped: the pool has no swap. Give it RamSwap() or DiskSwap(folder)."
        )

    def take(self, name: str) -> Tensor:
        """Raise InvalidInput."""
        raise InvalidInput(f"sequence {name!r} was not swapped out.")

    def drop(self, name: str) -> None:
        """Raise InvalidInput."""
        raise InvalidInput(f"sequence {name!r} was not swapped out.")


KINDS: dict[str, type] = {
    "ranking": Ranking,
    "lease": Lease,
    "swap": Swap,
    "sequence-pool": SequencePool,
    "page-policy": PagePolicy,
    "attention": Attention,
    "reserved-memory": ReservedMemory,
}
