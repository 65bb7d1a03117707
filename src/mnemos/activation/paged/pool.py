"""Pages: keys and values in fixed-size blocks of one preallocated pool, found through a table for each sequence.

Shapes: H key/value heads, T held entries of a sequence, n new entries, q queries, D head width, G query heads a head.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mnemos.activation.paged.prefix import chained, root
from mnemos.activation.paged.softmax import Sight, attend, merge
from mnemos.activation.paged.swap import Swap
from mnemos.errors import Conflict, InvalidInput, NotFound, StoreFull
from mnemos.registry import Paper, register

RUN = 16  # blocks side by side from which on they are read in place; shorter runs are gathered into a copy
SPAN = 128  # blocks gathered at a time


@dataclass(slots=True)
class Table:
    """A sequence: its tokens, the physical block of every `size` of them, and how far each layer is written."""

    extra: dict[str, str]
    tokens: list[int]
    blocks: list[int] | None  # None while swapped out
    written: list[int]  # (layers,) entries written
    digests: list[bytes] = field(default_factory=list)  # of the full blocks that every layer has written


@register(
    "paged-attention",
    papers=(Paper("Efficient Memory Management for Large Language Model Serving with PagedAttention", "2309.06180"),),
)
class Pool:
    """Paged keys and values: block tables, reference counts, copy-on-write, shared prefixes, swapping.

    A block holds `size` tokens (16, the paper's default) of all layers. A sequence grows by whole blocks, so that it
    wastes at most size - 1 entries. Full blocks that all layers have written are named by the hash of what they hold
    (`prefix.chained`); a new sequence that begins with the same tokens under the same `extra` keys shares them, and
    they stay findable after their last sequence is freed, until the space is needed: then the least recently freed go
    first, and of one sequence the tail before the head. Space that holds nothing findable is always taken before that.

    Verbs come in pairs: `open` and `free`, `fork` and `free`, `can_grow` and `grow`, `grow` and `truncate`, `write`
    and `read`, `swap_out` and `swap_in`. Every verb that takes blocks either succeeds or changes nothing. With a
    `swap`, a pool without space first swaps out the sequences used longest ago; a sequence that was swapped out comes
    back when it is next used. Departures from the paper: one pool on one device, not one on each of two; attention is
    torch's matmul over runs of blocks, not a kernel; an evicted sequence is swapped or refused, never recomputed.
    """

    def __init__(
        self, blocks: int, *, layers: int, heads: int, width: int, size: int = 16,
        dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu", swap: Swap | None = None,
    ) -> None:  # fmt: skip
        """Reserve `blocks` blocks. Raises InvalidInput where a number is below 1."""
        numbers = {"blocks": blocks, "layers": layers, "heads": heads, "width": width, "size": size}
        if wrong := {key: n for key, n in numbers.items() if n < 1}:
            raise InvalidInput(f"a pool of {wrong}: expected 1 or more.")
        self.blocks, self.size, self.swap = blocks, size, swap
        shape = (2, heads, blocks, size, width)  # heads before blocks: neighbouring blocks are one view (H, T, D)
        self.layers = [torch.empty(shape, dtype=dtype, device=device) for _ in range(layers)]
        self.counts = [0] * blocks  # sequences that hold the block
        self._empty = list(range(blocks))  # a heap, so that what grows together lies together
        self._kept: OrderedDict[int, None] = OrderedDict()  # free but findable, the next to go first
        self._named: dict[bytes, int] = {}
        self._names: dict[int, bytes] = {}
        self._tables: OrderedDict[str, Table] = OrderedDict()  # least recently used first

    # What is there

    @property
    def nbytes(self) -> int:
        """Bytes of the whole pool."""
        return sum(x.nbytes for x in self.layers)

    @property
    def free_blocks(self) -> int:
        """Blocks that no sequence holds; some may still be findable."""
        return len(self._empty) + len(self._kept)

    @property
    def held_blocks(self) -> int:
        """Blocks that sequences hold, each counted once."""
        return self.blocks - self.free_blocks

    @property
    def waste(self) -> float:
        """The share of the held blocks' entries that hold no token."""
        filled: dict[int, int] = {}
        for table in self._tables.values():
            for i, block in enumerate(table.blocks or ()):
                filled[block] = max(filled.get(block, 0), min(self.size, len(table.tokens) - i * self.size))
        return 1 - sum(filled.values()) / (len(filled) * self.size) if filled else 0.0

    def __contains__(self, name: str) -> bool:
        return name in self._tables

    def length(self, name: str) -> int:
        """Return the tokens of a sequence."""
        return len(self._table(name).tokens)

    def table(self, name: str) -> tuple[int, ...] | None:
        """Return the physical blocks of a sequence, None while it is swapped out."""
        blocks = self._table(name).blocks
        return None if blocks is None else tuple(blocks)

    # Sequences

    def open(self, name: str, tokens: Sequence[int] = (), extra: Mapping[str, str] | None = None) -> int:
        """Begin a sequence and return how many of `tokens`, a multiple of `size`, it already holds from others.

        Never all of them: a model needs the last token for its logits. The others are to be given to `grow`. Raises
        Conflict where the name is taken.
        """
        if name in self._tables:
            raise Conflict(f"sequence {name!r} is open: free it, or choose another name.")
        extra = dict(extra or {})
        digests = []
        for digest in chained(root(extra), tokens[:-1], self.size):
            if digest not in self._named:
                break
            digests.append(digest)
        n = len(digests) * self.size
        blocks = [self._hold(self._named[digest]) for digest in digests]
        self._tables[name] = Table(extra, list(tokens[:n]), blocks, [n] * len(self.layers), digests)
        return n

    def free(self, name: str) -> None:
        """End a sequence. Its blocks that no other holds become free, tails first."""
        table = self._table(name)
        if table.blocks is None:
            self._swap().drop(name)
        else:
            self._release(table.blocks)
        del self._tables[name]

    def fork(self, name: str, other: str) -> None:
        """Begin `other` as a copy of `name`, sharing all blocks until one of them writes into one.

        Raises Conflict where the name is taken, InvalidInput where a layer has still to write what was grown.
        """
        if other in self._tables:
            raise Conflict(f"sequence {other!r} is open: free it, or choose another name.")
        table = self._used(name)
        if min(table.written) < len(table.tokens):
            raise InvalidInput(f"sequence {name!r} has grown but not every layer has written: fork it after `write`.")
        blocks = [self._hold(block) for block in table.blocks or ()]
        copies = (dict(table.extra), list(table.tokens), blocks, list(table.written), list(table.digests))
        self._tables[other] = Table(*copies)

    def can_grow(self, name: str, n: int) -> bool:
        """Whether there is space for `n` more tokens without swapping another sequence out."""
        return self._wanted(self._table(name), n) <= self.free_blocks

    def grow(self, name: str, tokens: Sequence[int]) -> range:
        """Make space for these tokens at the end and return their positions; every layer then calls `write`.

        A block shared with another sequence is copied before it is written into. Raises StoreFull, with nothing
        changed, where the pool has no space and nothing to swap out.
        """
        table = self._used(name)
        blocks = table.blocks
        assert blocks is not None
        start, partial = len(table.tokens), len(table.tokens) % self.size
        self._make_room(self._wanted(table, len(tokens)), name, blocks)
        if tokens and partial and self.counts[blocks[-1]] > 1:
            fresh = self._take()
            for layer in self.layers:
                layer[:, :, fresh] = layer[:, :, blocks[-1]]
            self._release([blocks[-1]])
            blocks[-1] = fresh
        elif tokens and partial and (digest := self._names.pop(blocks[-1], None)):
            del self._named[digest]  # cut by `truncate`: it no longer holds what its name says
        table.tokens.extend(tokens)
        while len(blocks) * self.size < len(table.tokens):
            blocks.append(self._take())
        return range(start, len(table.tokens))

    def truncate(self, name: str, length: int) -> None:
        """Take away the tokens from `length` on, as after a draft that was not accepted."""
        table = self._used(name)
        if not 0 <= length <= len(table.tokens):
            raise InvalidInput(f"sequence {name!r} has {len(table.tokens)} tokens and cannot be cut to {length}.")
        assert table.blocks is not None
        keep = -(-length // self.size)
        self._release(table.blocks[keep:])
        del table.blocks[keep:], table.tokens[length:], table.digests[length // self.size :]
        table.written = [min(n, length) for n in table.written]

    # Keys and values

    def write(self, name: str, layer: int, keys: Tensor, values: Tensor) -> None:
        """Write keys and values (H, n, D) of one layer, behind what it has written, into space made by `grow`."""
        table = self._used(name)
        store, start, n = self.layers[layer], table.written[layer], keys.shape[1]
        expected = (store.shape[1], n, store.shape[4])
        if tuple(keys.shape) != expected or tuple(values.shape) != expected:
            shapes = f"keys {tuple(keys.shape)} and values {tuple(values.shape)}"
            raise InvalidInput(f"{shapes}: expected (H, n, D) with H {expected[0]} and D {expected[2]}.")
        if start + n > len(table.tokens):
            raise InvalidInput(f"layer {layer} of {name!r} has space for {len(table.tokens) - start} entries, not {n}.")
        assert table.blocks is not None
        first, shift = divmod(start, self.size)
        at = torch.arange(shift, shift + n, device=store.device)
        blocks = torch.tensor(table.blocks[first:], dtype=torch.long, device=store.device)[at // self.size]
        store[0][:, blocks, at % self.size] = keys.to(store)
        store[1][:, blocks, at % self.size] = values.to(store)
        table.written[layer] += n
        self._name_full_blocks(table, len(table.digests))

    def read(self, name: str, layer: int) -> tuple[Tensor, Tensor]:
        """Return copies of the keys and values (H, T, D) that a layer has written, in order."""
        table = self._used(name)
        return self._gather(layer, table.blocks or [], table.written[layer])

    def attend(
        self, name: str, layer: int, query: Tensor, *, offset: int | None = None, scale: float | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return (output (G*H, q, D), log-sum-exp (G*H, q)) of `query` (G*H, q, D) over what a layer has written.

        With `offset`, query i stands at position offset + i and sees no later one. Blocks that lie side by side are
        read in place as one run; what is scattered is gathered into copies of bounded size. The parts are merged by
        their log-sum-exps, which equals attention over contiguous keys and values.
        """
        table = self._used(name)
        length = table.written[layer]
        blocks = (table.blocks or [])[: -(-length // self.size)]
        if not blocks:
            raise InvalidInput(f"sequence {name!r} holds nothing to attend to.")
        outputs, lses = [], []
        for at, n, whole in _spans(blocks):
            start, part = at * self.size, blocks[at : at + n]
            keys, values = self._view(layer, part[0], n) if whole else self._gather(layer, part, n * self.size)
            keys, values = keys[:, : length - start], values[:, : length - start]
            sight = Sight(None if offset is None else offset - start)
            output, lse = attend(query[None], keys[None], values[None], sight, scale)
            outputs.append(output[0])
            lses.append(lse[0])
        return merge(outputs, lses)

    # Swapping

    def swap_out(self, name: str) -> int:
        """Move a sequence out of the pool and return how many of its blocks became free; others keep what they share.

        Raises InvalidInput where the pool has no swap or a layer has still to write; StoreError where it cannot be
        written, in which case the sequence stays.
        """
        table = self._table(name)
        if table.blocks is None:
            return 0
        if min(table.written) < len(table.tokens):
            raise InvalidInput(f"sequence {name!r} has grown but not every layer has written: swap it after `write`.")
        before = self.free_blocks
        index = torch.tensor(table.blocks, dtype=torch.long, device=self.layers[0].device)
        self._swap().put(name, torch.stack([layer.index_select(2, index) for layer in self.layers]))
        self._release(table.blocks)
        table.blocks = None
        return self.free_blocks - before

    def swap_in(self, name: str) -> None:
        """Bring a sequence back; what is still in the pool under its name is shared again. Raises as `grow` does."""
        table = self._table(name)
        if table.blocks is not None:
            return
        saved = self._swap().take(name)
        blocks: list[int] = []
        for digest in table.digests:
            if digest not in self._named:
                break
            blocks.append(self._hold(self._named[digest]))
        shared, total = len(blocks), -(-len(table.tokens) // self.size)
        try:
            self._make_room(total - shared, name, blocks)
        except StoreFull:
            self._release(blocks)
            raise
        blocks += [self._take() for _ in range(total - shared)]
        index = torch.tensor(blocks[shared:], dtype=torch.long, device=self.layers[0].device)
        for layer, data in zip(self.layers, saved, strict=True):
            layer.index_copy_(2, index, data[:, :, shared:].to(layer))
        table.blocks = blocks
        self._swap().drop(name)
        self._name_full_blocks(table, 0)

    # Inside

    def _table(self, name: str) -> Table:
        if name not in self._tables:
            raise NotFound(f"no sequence {name!r} in the pool: `open` or `fork` it first.")
        return self._tables[name]

    def _used(self, name: str) -> Table:
        """Return a table whose blocks are in the pool, as the most recently used."""
        table = self._table(name)
        self._tables.move_to_end(name)
        self.swap_in(name)
        return table

    def _swap(self) -> Swap:
        if self.swap is None:
            raise InvalidInput("the pool has no swap: give it RamSwap() or DiskSwap(folder).")
        return self.swap

    def _wanted(self, table: Table, n: int) -> int:
        """Return the blocks that `n` more tokens take, with the copy of a shared last block."""
        total, blocks = -(-(len(table.tokens) + n) // self.size), table.blocks
        if blocks is None:
            return total
        copied = n > 0 and len(table.tokens) % self.size > 0 and self.counts[blocks[-1]] > 1
        return total - len(blocks) + copied

    def _make_room(self, wanted: int, name: str, own: Sequence[int]) -> None:
        """Swap out other sequences, least recently used first, until so many blocks are free beside the `own`."""
        if wanted <= self.free_blocks:
            return
        others = {key: table for key, table in self._tables.items() if key != name and table.blocks is not None}
        movable = [key for key, t in others.items() if min(t.written) == len(t.tokens)] if self.swap else []
        fixed = set(own).union(*(table.blocks or () for key, table in others.items() if key not in movable))
        if wanted > self.blocks - len(fixed):
            hint = "free a sequence" if self.swap else "free a sequence, or give the pool a swap"
            state = f"needs {wanted} more blocks and {self.blocks - len(fixed)} of {self.blocks} can be had"
            raise StoreFull(f"sequence {name!r} {state}: {hint}, or make the pool larger.")
        for key in movable:
            if wanted > self.free_blocks:
                self.swap_out(key)

    def _take(self) -> int:
        """Return a free block, held once: an empty one, else the findable one that is next to go."""
        if self._empty:
            block = heapq.heappop(self._empty)
        else:
            block, _ = self._kept.popitem(last=False)
            del self._named[self._names.pop(block)]
        self.counts[block] = 1
        return block

    def _hold(self, block: int) -> int:
        self._kept.pop(block, None)
        self.counts[block] += 1
        return block

    def _release(self, blocks: Sequence[int]) -> None:
        """Give blocks back, the last first, so that of a cached prefix the tail goes before the head."""
        for block in reversed(blocks):
            self.counts[block] -= 1
            if self.counts[block] == 0 and block in self._names:
                self._kept[block] = None
            elif self.counts[block] == 0:
                heapq.heappush(self._empty, block)

    def _name_full_blocks(self, table: Table, since: int) -> None:
        """Make the full blocks findable, from index `since` on, that all layers have written.

        The first block to hold something gives it its place; the others are duplicates and stay nameless.
        """
        assert table.blocks is not None
        full, known = min(table.written) // self.size, len(table.digests)
        if full > known:
            parent = table.digests[-1] if known else root(table.extra)
            table.digests += chained(parent, table.tokens[known * self.size : full * self.size], self.size)
        for digest, block in zip(table.digests[since:], table.blocks[since:], strict=False):
            if digest not in self._named and block not in self._names:
                self._named[digest], self._names[block] = block, digest

    def _view(self, layer: int, first: int, n: int) -> tuple[Tensor, Tensor]:
        """Return keys and values (H, n * size, D) of blocks side by side, in place."""
        keys, values = self.layers[layer][:, :, first : first + n].flatten(2, 3)
        return keys, values

    def _gather(self, layer: int, blocks: list[int], length: int) -> tuple[Tensor, Tensor]:
        store = self.layers[layer]
        index = torch.tensor(blocks, dtype=torch.long, device=store.device)
        keys, values = store.index_select(2, index).flatten(2, 3)[:, :, :length]
        return keys, values


def _spans(blocks: Sequence[int]) -> list[tuple[int, int, bool]]:
    """Cut a table into (index, number of blocks, whether they are one run); runs shorter than RUN are put together."""
    spans: list[tuple[int, int, bool]] = []
    at, loose = 0, False  # whether the last span may still take in a short run
    while at < len(blocks):
        n = 1
        while at + n < len(blocks) and blocks[at + n] == blocks[at] + n:
            n += 1
        if n < RUN and loose and spans[-1][1] + n <= SPAN:
            spans[-1] = (spans[-1][0], spans[-1][1] + n, False)
        else:
            spans.append((at, n, True))
            loose = n < RUN
        at += n
    return spans
