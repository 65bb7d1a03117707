"""The bookkeeping of a pool: which blocks are empty, held or cached, what full ones contain, what is evicted next."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Sequence

from mnemos.activation.paged.base import PrefixEntry, Ranking
from mnemos.activation.paged.eviction import EvictionQueue


class Pages:
    """Numbers of blocks, without their tensors.

    A block is *empty*, *held* (by sequences and leases, `counts` says how many), or *cached*: held by nobody, but
    named by the digest of what it contains, and so findable until it is evicted. A named block is a prefix to the
    ranking: all tokens up to its last.
    """

    def __init__(self, blocks: int, ranking: Ranking) -> None:
        self.counts = [0] * blocks  # holders of each block
        self.cached: EvictionQueue[int] = EvictionQueue(ranking)
        self._empty = list(range(blocks))  # a heap, so that what grows together lies together
        self._blocks: dict[bytes, int] = {}  # by digest
        self._digests: dict[int, bytes] = {}  # the inverse
        self._entries: dict[int, PrefixEntry] = {}  # of named blocks
        self._clock = itertools.count(1)

    @property
    def free(self) -> int:
        """Number of blocks that nobody holds."""
        return len(self._empty) + len(self.cached)

    def take(self) -> int:
        """Return a block, held once: an empty one if there is any, else the cached one to evict first."""
        if self._empty:
            block = heapq.heappop(self._empty)
        else:
            block = self.cached.pop()
            self.unname(block)
        self.counts[block] = 1
        return block

    def hold(self, block: int) -> int:
        """Add a holder to a block and return the block."""
        self.cached.discard(block)
        self.counts[block] += 1
        return block

    def release(self, blocks: Sequence[int], *, used: bool = True) -> None:
        """Take away a holder of each block, the last block first, so that the tail of a prefix is older than its head.

        A block without holders becomes cached if it is named, else empty. `used` says whether the holder used the
        block until now, which makes it the most recently used.
        """
        for block in reversed(blocks):
            self.counts[block] -= 1
            entry = self._entries.get(block)
            if entry is not None and used:
                entry.last = next(self._clock)
            if self.counts[block] == 0 and entry is not None:
                self.cached.add(block, entry)
            elif self.counts[block] == 0:
                heapq.heappush(self._empty, block)

    def find(self, digests: Iterable[bytes]) -> list[int]:
        """Return the blocks of the longest findable prefix of a chain of digests."""
        blocks: list[int] = []
        for digest in digests:
            if digest not in self._blocks:
                break
            blocks.append(self._blocks[digest])
        return blocks

    def hit(self, blocks: Iterable[int]) -> None:
        """Count a lookup that found these held blocks."""
        for block in blocks:
            self._entries[block].hits += 1

    def name(self, block: int, digest: bytes, tokens: int) -> None:
        """Make a held block findable by the digest of its content, the last of `tokens` tokens.

        The first block to contain something gets its name; a duplicate, or a block that has a name, is left as it is.
        """
        if digest not in self._blocks and block not in self._digests:
            self._blocks[digest], self._digests[block] = block, digest
            self._entries[block] = PrefixEntry(tokens)

    def unname(self, block: int) -> None:
        """Make a block unfindable, if it is named, since its content changes; its hits are forgotten with its name."""
        digest = self._digests.pop(block, None)
        if digest is not None:
            del self._blocks[digest], self._entries[block]
