"""The bookkeeping of a pool: which blocks are empty, held or cached, what full ones contain, what is evicted next."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Sequence

from mnemos.activation.paged.base import PrefixEntry, Ranking
from mnemos.activation.paged.eviction import EvictionQueue


class Pages:
    """Numbers of blocks, without their tensors.

    A block is *empty*, *held* (by sequences and leases, `counts` says how many), or *cached*: held by nobody, but
    named by the digest of what it contains, and so findable until it is evicted. A named block is a prefix to the
    ranking: all tokens up to its last.
    """

    def __init__(self, blocks: int, ranking: Ranking, wipe: Callable[[Sequence[int]], None]) -> None:
        self.wipe = wipe  # overwrites what is in blocks
        self.counts = [0] * blocks  # holders of each block
        self.cached: EvictionQueue[int] = EvictionQueue(ranking)
        self._empty = list(range(blocks))  # a heap, so that what grows together lies together
        self._blocks: dict[bytes, int] = {}  # by digest
        self._digests: dict[int, bytes] = {}  # the inverse
        self._entries: dict[int, PrefixEntry] = {}  # of named blocks
        self._owners: dict[int, bytes] = {}  # of named blocks
        self._secret: set[int] = set()  # held blocks to overwrite when nobody holds them any longer
        self._written: set[int] = set()  # blocks that were taken since they were overwritten
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
        self._written.add(block)
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
                if block in self._secret:
                    self._wipe([block])

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

    def name(self, block: int, digest: bytes, tokens: int, owner: bytes) -> None:
        """Make a held block findable by the digest of its content, the last of `tokens` tokens of an owner.

        The first block to contain something gets its name; a duplicate, or a block that has a name, is left as it is,
        and so is one that `forget` was told of.
        """
        if digest not in self._blocks and block not in self._digests and block not in self._secret:
            self._blocks[digest], self._digests[block] = block, digest
            self._entries[block], self._owners[block] = PrefixEntry(tokens), owner

    def unname(self, block: int) -> None:
        """Make a block unfindable, if it is named, since its content changes; its hits are forgotten with its name."""
        digest = self._digests.pop(block, None)
        if digest is not None:
            del self._blocks[digest], self._entries[block], self._owners[block]

    def forget(self, owner: bytes, held: Iterable[int]) -> int:
        """Make all blocks of an owner unfindable and overwrite them; return how many were cached.

        Those that are held, the `held` ones too, are overwritten when the last holder releases them. What lies in empty
        blocks is overwritten as well.
        """
        named = [block for block, of in self._owners.items() if of == owner]
        cached = [block for block in named if self.counts[block] == 0]
        for block in named:
            self.cached.discard(block)
            self.unname(block)
        for block in cached:
            heapq.heappush(self._empty, block)
        self._secret.update(block for block in (*named, *held) if self.counts[block])
        self._wipe([block for block in self._empty if block in self._written])
        return len(cached)

    def _wipe(self, blocks: Sequence[int]) -> None:
        self.wipe(blocks)
        self._secret.difference_update(blocks)
        self._written.difference_update(blocks)
