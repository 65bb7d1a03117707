"""Pages: keys and values in fixed-size blocks of one preallocated pool, found through a table for each sequence.

Shapes: H key/value heads, T held entries of a sequence, n new entries, q queries, D head width, G query heads a head.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mnemos.activation.paged.base import Lease, NoSwap, Ranking, Swap
from mnemos.activation.paged.eviction import PrefixLru
from mnemos.activation.paged.lease import Pins
from mnemos.activation.paged.pages import Pages
from mnemos.activation.paged.prefix import block_digests, root_digest
from mnemos.activation.paged.softmax import Visibility, attend, merge
from mnemos.activation.paged.table import Table, spans
from mnemos.errors import Conflict, InvalidInput, NotFound, StoreFull
from mnemos.registry import Paper, register


@register(
    "paged-attention",
    papers=(
        Paper(
            "Efficient Memory Management for Large Language Model Serving with PagedAttention",
            "2309.06180",
            code="vllm-project/vllm",
        ),
    ),
    task="kv-pages",
)
class Pool:
    """Paged keys and values: block tables, reference counts, copy-on-write, shared prefixes, leases, swapping.

    A block holds `size` tokens (16, the paper's default) of all layers. A sequence grows by whole blocks, so it
    wastes at most size - 1 entries. Full blocks that all layers have written are named by the hash of their content
    (`prefix.block_digests`). A new sequence that starts with the same tokens under the same `extra` keys shares them.
    They stay cached after their last sequence is freed, until the space is needed: then `eviction` decides which of
    them goes first (by default the least recently freed, and of one sequence the tail before the head). Space that
    caches nothing is always taken before that.

    Verbs come in pairs: `open` and `free`, `fork` and `free`, `can_grow` and `grow`, `grow` and `truncate`, `write`
    and `read`, `pause` and `open`, `swap_out` and `swap_in`. Every verb that takes blocks either succeeds or changes
    no sequence. With a `swap`, a pool without space first swaps out the least recently used sequences; one that was
    swapped out returns when it is next used. With a `lease`, `pause` frees the sequence of a program that waits for a
    tool and pins its blocks: they are not evicted until the lease has expired, by the time that `expire` is given.
    What a lease learns from, its caller records in the lease itself.

    Deviations from the paper: one pool on one device, not one on each of two; attention is torch's matmul over runs of
    blocks, not a kernel; a preempted sequence is swapped or refused, never recomputed by the pool.
    """

    def __init__(
        self,
        blocks: int,  # of the pool
        *,
        layers: int,  # of the model
        heads: int,  # key/value heads, H
        width: int,  # of a head, D
        size: int = 16,  # tokens of a block
        dtype: torch.dtype = torch.float32,  # of keys and values
        device: str | torch.device = "cpu",  # where the pool is
        swap: Swap | None = None,  # keeps sequences that are moved out of a full pool; None refuses what does not fit
        eviction: Ranking | None = None,  # orders the cached blocks for eviction; None is `PrefixLru`
        lease: Lease | None = None,  # says how long `pause` pins blocks; None pins nothing
    ) -> None:
        """Reserve the memory of all blocks. Raises InvalidInput where a number is below 1."""
        numbers = {"blocks": blocks, "layers": layers, "heads": heads, "width": width, "size": size}
        if wrong := {key: n for key, n in numbers.items() if n < 1}:
            raise InvalidInput(f"a pool of {wrong}: expected 1 or more.")
        self.blocks, self.size = blocks, size
        self.swap: Swap = swap or NoSwap()
        shape = (2, heads, blocks, size, width)  # heads before blocks: neighbouring blocks are one view (H, T, D)
        self.layers = [torch.empty(shape, dtype=dtype, device=device) for _ in range(layers)]
        self.pages = Pages(blocks, eviction or PrefixLru())
        self.pins: Pins[str] = Pins(lease)
        self._pinned: dict[str, list[int]] = {}  # blocks that leases hold, by the name of the paused sequence
        self._tables: OrderedDict[str, Table] = OrderedDict()  # the least recently used first

    # State

    @property
    def nbytes(self) -> int:
        """Bytes of the whole pool."""
        return sum(x.nbytes for x in self.layers)

    @property
    def free_blocks(self) -> int:
        """Blocks that no sequence and no lease holds; some may be cached."""
        return self.pages.free

    @property
    def held_blocks(self) -> int:
        """Blocks that sequences and leases hold, each counted once."""
        return self.blocks - self.free_blocks

    @property
    def waste(self) -> float:
        """The share of the entries in the sequences' blocks that hold no token."""
        filled: dict[int, int] = {}
        for table in self._tables.values():
            for i, block in enumerate(table.blocks or ()):
                filled[block] = max(filled.get(block, 0), min(self.size, len(table.tokens) - i * self.size))
        return 1 - sum(filled.values()) / (len(filled) * self.size) if filled else 0.0

    def __contains__(self, name: str) -> bool:
        return name in self._tables

    def length(self, name: str) -> int:
        """Return the number of tokens of a sequence."""
        return len(self._table(name).tokens)

    def table(self, name: str) -> tuple[int, ...] | None:
        """Return the physical blocks of a sequence, None while it is swapped out."""
        blocks = self._table(name).blocks
        return None if blocks is None else tuple(blocks)

    # Sequences

    def open(self, name: str, tokens: Sequence[int] = (), extra: Mapping[str, str] | None = None) -> int:
        """Start a sequence and return how many of `tokens`, a multiple of `size`, are already in the pool.

        Never all of them: a model needs the last token for its logits. Give the others to `grow`. A lease under the
        same name ends: its program has returned. Raises Conflict where the name is taken.
        """
        self._check_new(name)
        extra = dict(extra or {})
        digests = block_digests(root_digest(extra), tokens[:-1], self.size)
        blocks = [self.pages.hold(block) for block in self.pages.find(digests)]
        self.pages.hit(blocks)
        self.unpin(name)
        n = len(blocks) * self.size
        self._tables[name] = Table(extra, list(tokens[:n]), blocks, [n] * len(self.layers), digests[: len(blocks)])
        return n

    def free(self, name: str) -> None:
        """End a sequence. Blocks without another holder become cached or empty, tails first."""
        table = self._table(name)
        if table.blocks is None:
            self.swap.drop(name)
        else:
            self.pages.release(table.blocks)
        del self._tables[name]

    def fork(self, name: str, other: str) -> None:
        """Start `other` as a copy of `name`; they share all blocks until one of them writes into one.

        Raises Conflict where the name is taken, InvalidInput where a layer has still to write what was grown.
        """
        self._check_new(other)
        table = self._used(name)
        if not table.complete:
            raise InvalidInput(f"sequence {name!r} has grown but not every layer has written: fork it after `write`.")
        blocks = [self.pages.hold(block) for block in table.blocks or ()]
        copies = (dict(table.extra), list(table.tokens), blocks, list(table.written), list(table.digests))
        self._tables[other] = Table(*copies)

    def can_grow(self, name: str, n: int) -> bool:
        """Return whether there is space for `n` more tokens without swapping another sequence out."""
        return self._wanted(self._table(name), n) <= self.free_blocks

    def grow(self, name: str, tokens: Sequence[int]) -> range:
        """Make space for tokens at the end and return their positions; every layer then calls `write`.

        A block shared with another sequence is copied before it is written into. Raises StoreFull where the pool has no
        space and nothing to swap out; nothing has changed then, but a sequence that was swapped out may be back.
        """
        table = self._used(name)
        blocks = table.blocks
        assert blocks is not None
        start, partial = len(table.tokens), len(table.tokens) % self.size
        self._make_room(self._wanted(table, len(tokens)), name, blocks)
        if tokens and partial and self.pages.counts[blocks[-1]] > 1:
            fresh = self.pages.take()
            for layer in self.layers:
                layer[:, :, fresh] = layer[:, :, blocks[-1]]
            self.pages.release([blocks[-1]])
            blocks[-1] = fresh
        elif tokens and partial:
            self.pages.unname(blocks[-1])  # cut by `truncate`: it no longer holds what its name says
        table.tokens.extend(tokens)
        while len(blocks) * self.size < len(table.tokens):
            blocks.append(self.pages.take())
        return range(start, len(table.tokens))

    def truncate(self, name: str, length: int) -> None:
        """Remove the tokens from `length` on, as after a draft that was not accepted."""
        table = self._used(name)
        if not 0 <= length <= len(table.tokens):
            raise InvalidInput(f"sequence {name!r} has {len(table.tokens)} tokens and cannot be cut to {length}.")
        assert table.blocks is not None
        keep = -(-length // self.size)
        self.pages.release(table.blocks[keep:])
        del table.blocks[keep:], table.tokens[length:], table.digests[length // self.size :]
        table.written = [min(n, length) for n in table.written]

    # Leases

    def pause(self, name: str, tool: str, *, reload: float, now: float) -> float:
        """Free the sequence of a program that calls a tool, and pin its blocks as long as the lease says.

        Returns until when, in the caller's time, `now` for not at all. What is pinned is what `open` would find: full
        blocks that all layers have written. The pin ends when a sequence of this name opens, when `expire` is given a
        later time, or by `unpin`. `reload` is the seconds that computing the cache again would take.
        """
        table = self._table(name)
        until = self.pins.start(name, tool, reload=reload, now=now)
        blocks = [self.pages.hold(block) for block in self.pages.find(table.digests)] if until > now else []
        self.free(name)
        self.pages.release(self._pinned.pop(name, ()), used=False)
        if blocks:
            self._pinned[name] = blocks
        return until

    def expire(self, now: float) -> int:
        """End the leases whose time has passed at `now` and return how many blocks became free; they stay cached."""
        before = self.free_blocks
        for name in self.pins.expired(now):
            self.unpin(name)
        return self.free_blocks - before

    def unpin(self, name: str) -> None:
        """End the lease of a program, if it has one. Its blocks are cached, as old as when the program paused."""
        self.pins.end(name)
        self.pages.release(self._pinned.pop(name, ()), used=False)

    # Keys and values

    def write(self, name: str, layer: int, keys: Tensor, values: Tensor) -> None:
        """Write keys and values (H, n, D) of one layer, after those it has written, into space made by `grow`."""
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

        With `offset`, query i is at position offset + i and sees no later one. Neighbouring blocks are read in place as
        one run; scattered ones are gathered into copies of bounded size. The parts are merged by their log-sum-exps,
        which equals attention over contiguous keys and values.
        """
        table = self._used(name)
        length = table.written[layer]
        blocks = (table.blocks or [])[: -(-length // self.size)]
        if not blocks:
            raise InvalidInput(f"sequence {name!r} holds nothing to attend to: call `grow` and `write` first.")
        outputs, lses = [], []
        for at, n, run in spans(blocks):
            start, part = at * self.size, blocks[at : at + n]
            keys, values = self._view(layer, part[0], n) if run else self._gather(layer, part, n * self.size)
            keys, values = keys[:, : length - start], values[:, : length - start]
            visible = Visibility(None if offset is None else offset - start)
            output, lse = attend(query[None], keys[None], values[None], visible, scale)
            outputs.append(output[0])
            lses.append(lse[0])
        return merge(outputs, lses)

    # Swapping

    def swap_out(self, name: str) -> int:
        """Move a sequence out of the pool and return how many blocks became free; others keep what they share with it.

        Raises InvalidInput where the pool has no swap or a layer has still to write; StoreError where it cannot be
        written, in which case the sequence stays in the pool.
        """
        table = self._table(name)
        if table.blocks is None:
            return 0
        if not table.complete:
            raise InvalidInput(f"sequence {name!r} has grown but not every layer has written: swap it after `write`.")
        before = self.free_blocks
        index = torch.tensor(table.blocks, dtype=torch.long, device=self.layers[0].device)
        self.swap.put(name, torch.stack([layer.index_select(2, index) for layer in self.layers]))
        self.pages.release(table.blocks)
        table.blocks = None
        return self.free_blocks - before

    def swap_in(self, name: str) -> None:
        """Bring a sequence back; blocks that are still cached are shared again. Raises as `grow` does."""
        table = self._table(name)
        if table.blocks is not None:
            return
        saved = self.swap.take(name)
        blocks = [self.pages.hold(block) for block in self.pages.find(table.digests)]
        shared, total = len(blocks), -(-len(table.tokens) // self.size)
        try:
            self._make_room(total - shared, name, blocks)
        except StoreFull:
            self.pages.release(blocks)
            raise
        blocks += [self.pages.take() for _ in range(total - shared)]
        index = torch.tensor(blocks[shared:], dtype=torch.long, device=self.layers[0].device)
        for layer, data in zip(self.layers, saved, strict=True):
            layer.index_copy_(2, index, data[:, :, shared:].to(layer))
        table.blocks = blocks
        self.swap.drop(name)
        self._name_full_blocks(table, 0)

    # Inside

    def _check_new(self, name: str) -> None:
        if name in self._tables:
            raise Conflict(f"sequence {name!r} is open: free it, or choose another name.")

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

    def _wanted(self, table: Table, n: int) -> int:
        """Return the blocks that `n` more tokens take, with the copy of a shared last block."""
        total, blocks = -(-(len(table.tokens) + n) // self.size), table.blocks
        if blocks is None:
            return total
        copied = n > 0 and len(table.tokens) % self.size > 0 and self.pages.counts[blocks[-1]] > 1
        return total - len(blocks) + copied

    def _make_room(self, wanted: int, name: str, own: Sequence[int]) -> None:
        """Swap out other sequences, least recently used first, until `wanted` blocks are free beside the `own`."""
        if wanted <= self.free_blocks:
            return
        others = {key: table for key, table in self._tables.items() if key != name and table.blocks is not None}
        movable = [key for key, table in others.items() if table.complete] if self.swap.enabled else []
        fixed = set(own).union(*(table.blocks or () for key, table in others.items() if key not in movable))
        fixed = fixed.union(*self._pinned.values())
        if wanted > self.blocks - len(fixed):
            hint = "free a sequence" if self.swap.enabled else "free a sequence, or give the pool a swap"
            leased = ", or end a lease" if self._pinned else ""
            state = f"needs {wanted} more blocks and {self.blocks - len(fixed)} of {self.blocks} can be had"
            raise StoreFull(f"sequence {name!r} {state}: {hint}{leased}, or make the pool larger.")
        for key in movable:
            if wanted > self.free_blocks:
                self.swap_out(key)

    def _name_full_blocks(self, table: Table, since: int) -> None:
        """Make the full blocks findable, from index `since` on, that all layers have written."""
        assert table.blocks is not None
        full, known = min(table.written) // self.size, len(table.digests)
        if full > known:
            parent = table.digests[-1] if known else root_digest(table.extra)
            table.digests += block_digests(parent, table.tokens[known * self.size : full * self.size], self.size)
        pairs = zip(table.digests[since:], table.blocks[since:], strict=False)
        for tokens, (digest, block) in enumerate(pairs, since + 1):
            self.pages.name(block, digest, tokens * self.size)

    def _view(self, layer: int, first: int, n: int) -> tuple[Tensor, Tensor]:
        """Return keys and values (H, n * size, D) of neighbouring blocks, in place."""
        keys, values = self.layers[layer][:, :, first : first + n].flatten(2, 3)
        return keys, values

    def _gather(self, layer: int, blocks: list[int], length: int) -> tuple[Tensor, Tensor]:
        store = self.layers[layer]
        index = torch.tensor(blocks, dtype=torch.long, device=store.device)
        keys, values = store.index_select(2, index).flatten(2, 3)[:, :, :length]
        return keys, values
