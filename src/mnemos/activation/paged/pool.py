"""Pages: keys and values in fixed-size blocks of one preallocated pool, found through a table for each sequence.

Shapes: H key/value heads, T held entries of a sequence, n new entries, q queries, D head width, G query heads a head.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mnemos.activation.paged.base import Lease, NoSwap, Ranking, Swap
from mnemos.activation.paged.blocks import Blocks
from mnemos.activation.paged.eviction import PrefixLru
from mnemos.activation.paged.lease import Pins
from mnemos.activation.paged.pages import Pages
from mnemos.activation.paged.prefix import block_digests, root_digest
from mnemos.activation.paged.table import EVICTED, Table, wasted
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
        self.tensors = Blocks(blocks, layers, heads, width, size, dtype, device)
        self.layers = self.tensors.layers
        self.pages = Pages(blocks, eviction or PrefixLru(), self.tensors.wipe)
        self.pins: Pins[str] = Pins(lease)
        self._pinned: dict[str, list[int]] = {}  # blocks that leases hold, by the name of the paused sequence
        self._tables: OrderedDict[str, Table] = OrderedDict()  # the least recently used first

    # State

    @property
    def nbytes(self) -> int:
        """Bytes of the whole pool."""
        return self.tensors.nbytes

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
        return wasted(self._tables.values(), self.size)

    def __contains__(self, name: str) -> bool:
        return name in self._tables

    def length(self, name: str) -> int:
        """Return the number of tokens of a sequence."""
        return len(self._table(name).tokens)

    def table(self, name: str) -> tuple[int, ...] | None:
        """Return the physical blocks of a sequence, -1 for those evicted; None while it is swapped out."""
        blocks = self._table(name).blocks
        return None if blocks is None else tuple(blocks)

    # Sequences

    def open(self, name: str, tokens: Sequence[int] = (), extra: Mapping[str, str] | None = None) -> int:
        """Start a sequence and return how many of `tokens`, a multiple of `size`, are already in the pool.

        Never all of them: a model needs the last token for its logits. Give the others to `grow`. A lease under the
        same name ends: its program has returned. Raises Conflict where the name is taken.
        """
        self._check_new(name)
        digests = block_digests(root_digest(extra := dict(extra or {})), tokens[:-1], self.size)
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
            self.pages.release(table.held)
        del self._tables[name]

    def fork(self, name: str, other: str) -> None:
        """Start `other` as a copy of `name`; they share all blocks until one of them writes into one.

        Raises Conflict where the name is taken, InvalidInput where a layer has still to write what was grown.
        """
        self._check_new(other)
        table = self._used(name)
        if not table.complete:
            raise InvalidInput(f"sequence {name!r} has grown but not every layer has written: fork it after `write`.")
        for block in table.held:
            self.pages.hold(block)
        copies = (dict(table.extra), list(table.tokens), list(table.blocks or ()), list(table.written))
        self._tables[other] = Table(*copies, list(table.digests), set(table.evicted))

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
            self.tensors.copy(blocks[-1], fresh)
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
        if keep - 1 in table.evicted and length % self.size:
            raise InvalidInput(f"sequence {name!r} cannot be cut to {length}: the block that ends there was evicted.")
        self.pages.release([block for block in table.blocks[keep:] if block != EVICTED])
        table.evicted = {i for i in table.evicted if i < keep}
        del table.blocks[keep:], table.tokens[length:], table.digests[length // self.size :]
        table.written = [min(n, length) for n in table.written]

    def evict(self, name: str, pages: Sequence[int]) -> int:
        """Let go of pages of a sequence, by their index in it, and return how many blocks became free.

        Nothing reads them for this sequence from then on; its length and positions stay, and what they contain stays
        findable until the space is needed. Raises InvalidInput for the last page.
        """
        table = self._used(name)
        assert table.blocks is not None
        last = len(table.blocks) - 1
        if not table.complete or (pages and not 0 <= min(pages) <= max(pages) < last):
            raise InvalidInput(f"pages {list(pages)} of {name!r}: give indices below {last}, once all is written.")
        before, chosen = self.free_blocks, [i for i in dict.fromkeys(pages) if i not in table.evicted]
        self.pages.release([table.blocks[i] for i in chosen])
        for i in chosen:
            table.blocks[i] = EVICTED
        table.evicted.update(chosen)
        return self.free_blocks - before

    def forget(self, extra: Mapping[str, str]) -> int:
        """Erase what was computed under these `extra` keys: unfindable at once, and overwritten when nobody holds it.

        Returns how many cached blocks were erased. Open sequences go on with what they have; leases end.
        """
        for name in list(self._pinned):
            self.unpin(name)
        held = [block for table in self._tables.values() if table.extra == dict(extra) for block in table.held]
        return self.pages.forget(root_digest(extra), held)

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

    def unpin_next(self) -> bool:
        """End the lease that ends first, before its time; return whether there was one."""
        if (name := self.pins.soonest()) is not None:
            self.unpin(name)
        return name is not None

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
        self.tensors.write(layer, self.tensors.slots(table.blocks, start, n), keys, values)
        table.written[layer] += n
        self._name_full_blocks(table, len(table.digests))

    def slots(self, name: str, start: int, n: int) -> Tensor:
        """Return where entries of a sequence are (see `Blocks.slots`): every layer writes there, then `mark_written`."""
        return self.tensors.slots(self._used(name).blocks or (), start, n)

    def mark_written(self, name: str) -> None:
        """Record that every layer has written all that was grown."""
        table = self._used(name)
        table.written = [len(table.tokens)] * len(self.layers)
        self._name_full_blocks(table, len(table.digests))

    def read(self, name: str, layer: int) -> tuple[Tensor, Tensor]:
        """Return copies of the keys and values (H, T, D) that a layer has written, in order, without evicted pages."""
        table = self._used(name)
        length = table.written[layer] - len(table.evicted) * self.size
        return self.tensors.gather(layer, self.tensors.index(table.held), length)

    def attend(
        self, name: str, layer: int, query: Tensor, *, offset: int | None = None, scale: float | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return (output (G*H, q, D), log-sum-exp (G*H, q)) of `query` (G*H, q, D), see `Blocks.attend`."""
        table = self._used(name)
        length = table.written[layer]
        blocks = (table.blocks or [])[: -(-length // self.size)]
        if not blocks:
            raise InvalidInput(f"sequence {name!r} holds nothing to attend to: call `grow` and `write` first.")
        return self.tensors.attend(layer, blocks, length, query, offset, scale)

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
        self.swap.put(name, self.tensors.save(table.held))
        self.pages.release(table.held)
        table.blocks = None
        return self.free_blocks - before

    def swap_in(self, name: str) -> None:
        """Bring a sequence back; blocks that are still cached are shared again. Raises as `grow` does."""
        table = self._table(name)
        if table.blocks is not None:
            return
        saved = self.swap.take(name)
        total = -(-len(table.tokens) // self.size)
        findable = table.digests[: min(table.evicted, default=total)]
        blocks = [self.pages.hold(block) for block in self.pages.find(findable)]
        shared = len(blocks)
        try:
            self._make_room(total - len(table.evicted) - shared, name, blocks)
        except StoreFull:
            self.pages.release(blocks)
            raise
        blocks += [EVICTED if i in table.evicted else self.pages.take() for i in range(shared, total)]
        table.blocks = blocks
        self.tensors.load(table.held[shared:], saved[:, :, :, shared:])
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
            return total - len(table.evicted)
        copied = n > 0 and len(table.tokens) % self.size > 0 and self.pages.counts[blocks[-1]] > 1
        return total - len(blocks) + copied

    def _make_room(self, wanted: int, name: str, own: Sequence[int]) -> None:
        """Swap out other sequences, least recently used first, until `wanted` blocks are free beside the `own`."""
        if wanted <= self.free_blocks:
            return
        others = {key: table for key, table in self._tables.items() if key != name and table.blocks is not None}
        movable = [key for key, table in others.items() if table.complete] if self.swap.enabled else []
        fixed = set(own).union(*(table.blocks or () for key, table in others.items() if key not in movable))
        fixed = fixed.union(*self._pinned.values()) - {EVICTED}
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
        for i in range(since, len(table.digests)):
            if table.blocks[i] != EVICTED:
                owner = root_digest(table.extra)
                self.pages.name(table.blocks[i], table.digests[i], (i + 1) * self.size, owner)
