"""The store of methods that fetch blocks: what a layer holds in which tier, what it fetches, where that stands.

Dimension letters are those of `recall.base`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mnemos.activation import attention
from mnemos.activation.base import Setup
from mnemos.activation.entries import Entries
from mnemos.activation.models import attention_scaling
from mnemos.activation.recall.base import BlockMethod, Search
from mnemos.activation.recall.tiered_store import TieredStore, padding_refused, taken
from mnemos.activation.recall.tiers import FastTier
from mnemos.errors import InvalidInput


class BlockStore(TieredStore):
    """One layer: sinks and the latest entries, summaries and copies of some blocks, and all blocks in `slow`."""

    def __init__(self, blocks: BlockMethod, setup: Setup) -> None:
        super().__init__(blocks.tiers.folder)
        self.blocks, self.setup = blocks, setup
        self.step = blocks.step
        self.fetches = blocks.layers is None or setup.layer in blocks.layers
        self.sinks: Entries | None = None
        self.near: Entries | None = None  # the local window and what has not been cut yet; `attended` is in its extra
        self.first = 0  # position of the first entry of near
        self.fast = FastTier(blocks.tiers.room, blocks.tiers.eviction, blocks.tiers.decay)
        self.starts = self.sizes = torch.empty(0, 0, dtype=torch.long)  # (B, N): of blocks, in the slow tier
        self.summaries = self.present = torch.empty(0)  # (B, H, N, r, D) at position 0, (B, H, N, r)
        self.memory: dict[str, Any] = {}  # what the method remembers of this layer
        self.chosen: Tensor | None = None  # (B, U, k) of the last call
        self.scaling = attention_scaling(setup.model, setup.layer)

    # -- writing

    def put(self, new: Entries) -> None:
        """Append the entries of a call, after cutting into blocks what the local window no longer holds."""
        new = padding_refused(new, "a memory in blocks")
        if self.near is None:
            self.sinks, self.near = new.first(0), new
            self.starts = self.sizes = torch.empty(new.keys.shape[0], 0, dtype=torch.long, device=new.keys.device)
            return
        self._cut()
        self.near = self.near.joined(new)

    def _cut(self) -> None:
        assert self.near is not None
        assert self.sinks is not None
        over = len(self.near) - self.blocks.local
        if over > 0 and len(self.sinks) < self.blocks.sinks:
            count = min(over, self.blocks.sinks - len(self.sinks))
            oldest = self._remove(count)
            self.sinks = self.sinks.joined(Entries(oldest.keys, oldest.values))
            over -= count
        if over < 1:
            return
        if not self.fetches:
            self._remove(over)
            return
        sizes = self.blocks.cut(self.near.keys[:, :, :over], self.first, self.setup)
        if count := sum(sizes[0]):
            self._store(self._remove(count), sizes)

    def _remove(self, count: int) -> Entries:
        """Remove the oldest entries of `near`, and return them."""
        assert self.near is not None
        oldest, self.near = self.near.first(count), self.near.after(count)
        self.first += count
        return oldest

    def _store(self, entries: Entries, sizes: list[list[int]]) -> None:
        """Store entries as blocks of these sizes, by row: all in the slow tier, their summaries in the fast one."""
        begin, device = self.slow.count, entries.keys.device
        self.slow.append(entries.keys, entries.values)
        width = max(len(row) for row in sizes)
        lengths = torch.tensor([row + [0] * (width - len(row)) for row in sizes], device=device)  # (B, n)
        inside = lengths.cumsum(1) - lengths
        index = inside[:, :, None] + torch.arange(int(lengths.max()), device=device)  # (B, n, l)
        seen = torch.arange(index.shape[2], device=device) < lengths[:, :, None]
        index = index.clamp(max=len(entries) - 1)[:, None].expand(-1, entries.keys.shape[1], -1, -1)
        positions = torch.arange(self.first - len(entries), self.first, device=device).expand(entries.keys.shape[:3])
        kept = self.blocks.far == "kept"
        keys = entries.keys if kept else self.setup.rotary().shift(entries.keys, -positions)
        heads, depth = keys.shape[1], keys.shape[3]
        blocks = keys.gather(2, index.flatten(2)[..., None].expand(-1, -1, -1, depth)).view(*index.shape, depth)
        attended = entries.memory("attended").gather(2, index.flatten(2)).view(index.shape)
        attended = attended.masked_fill(~seen[:, None], -1.0)
        made, present = self.blocks.summarise(blocks, seen[:, None], attended)
        assert made.shape[:3] == (keys.shape[0], heads, width)
        self.summaries, self.present = _grown(self.summaries, made), _grown(self.present, present)
        self.starts = torch.cat((self.starts, begin + inside), 1)
        self.sizes = torch.cat((self.sizes, lengths), 1)

    # -- reading

    def read(self, query: Tensor, start: int) -> Entries:
        """Return sinks, the fetched blocks and the local window for the queries (B, H*G, q, D) of a call.

        Changes the fast tier, and records the attention that entries receive, but not the entries held. Without
        queries: all entries as they were put.
        """
        assert self.near is not None
        if query.numel() == 0:
            return self._all()
        near = self._placed(self.near)
        if self.first == 0:
            return self._attended(query, near, start, 0)
        parts, sinks = [near], self.sinks
        if len(self.starts[0]):
            parts.insert(0, self._fetched(query, start + query.shape[2] - 1))
        if sinks is not None and len(sinks):
            parts.insert(0, self._moved(Entries(sinks.keys, sinks.values).numbered()))
        whole = parts[0]
        for part in parts[1:]:
            whole = whole.joined(part)
        if self.blocks.far == "row":
            whole = self._lined_up(whole)
        return self._attended(query, whole, start, len(whole) - len(near))

    def _placed(self, near: Entries) -> Entries:
        positions = torch.arange(self.first, self.first + len(near), dtype=torch.int32, device=near.keys.device)
        return Entries(near.keys, near.values, positions.expand(near.keys.shape[:3]))

    def _moved(self, entries: Entries) -> Entries:
        """Turn keys to the one position right before the local window, where the method wants that."""
        if self.blocks.far == "one":
            entries.keys = self.setup.rotary().shift(entries.keys, self.first - 1 - entries.positions())
        return entries

    def _lined_up(self, whole: Entries) -> Entries:
        """Turn the keys of sinks and blocks so that they stand in a row that ends right before the local window."""
        seen = torch.ones_like(whole.positions()) if whole.valid is None else whole.valid.int()
        rank = seen.flip(2).cumsum(2).flip(2) - 1  # entries that follow
        end = self.first + len(self.near or ()) - 1
        by = torch.where(whole.positions() < self.first, end - rank - whole.positions(), 0)
        whole.keys = self.setup.rotary().shift(whole.keys, by)
        return whole

    def _fetched(self, query: Tensor, position: int) -> Entries:
        batch, heads, chosen = query.shape[0], self.summaries.shape[1], self._selected(query, position)
        begin = self.starts[:, None].expand(-1, chosen.shape[1], -1).gather(2, chosen.clamp(min=0))
        order = begin.masked_fill(chosen < 0, torch.iinfo(torch.long).max).argsort(2)
        self.chosen = chosen = chosen.gather(2, order)
        begin = begin.gather(2, order)
        length = self.sizes[:, None].expand(-1, chosen.shape[1], -1).gather(2, chosen.clamp(min=0))
        length = length.masked_fill(chosen < 0, 0)
        size = max(int(length.max()), 1)
        blocks = self.fast.fetch(self.slow, chosen.tolist(), self.starts, size, heads)
        keys, values = self.slow.split(blocks.flatten(2, 3))
        inside = torch.arange(size, device=query.device)
        within = torch.minimum(
            inside, (length - 1).clamp(min=0)[..., None]
        )  # what is behind a block's end stands at no
        positions = (begin[..., None] + within).flatten(2) + len(
            self.sinks or ()
        )  # later position: a query sees its own
        valid = (inside < length[..., None]).flatten(2)  # (B, U, k l)
        full = bool(valid.all())
        shape = (batch, heads, keys.shape[2])
        return self._moved(Entries(keys, values, positions.int().expand(shape), None if full else valid.expand(shape)))

    def _selected(self, query: Tensor, position: int) -> Tensor:
        """Return the blocks to fetch for the queries of a call, (B, U, k); -1 means none."""
        turned = self.turned(query)
        return self.blocks.select(
            Search(turned, self.worth, lambda: self.share(query, turned), self.sizes, position, self.setup, self.memory)
        )

    def share(self, query: Tensor, turned: Tensor) -> Tensor:
        """Return the most attention that a query would give each block beside the local window, (B, U, N)."""
        assert self.near is not None
        batch, heads, queries = query.shape[0], self.summaries.shape[1], query.shape[2]

        def logits(asking: Tensor, keys: Tensor) -> Tensor:
            asked = asking.reshape(batch, heads, -1, queries, asking.shape[3]).float()
            return torch.einsum("bhgqd,bhnd->bhgqn", asked, keys.float()) * self.scaling

        present = self.present[:, :, None, None].flatten(4)
        far = logits(turned, self.summaries.flatten(2, 3)).masked_fill(~present, float("-inf"))
        near = logits(query, self.near.keys)
        later = torch.ones(queries, near.shape[4], dtype=torch.bool, device=near.device).triu(
            near.shape[4] - queries + 1
        )
        weights = torch.cat((far, near.masked_fill(later, float("-inf"))), 4).softmax(-1)[..., : far.shape[4]]
        share = weights.unflatten(4, self.summaries.shape[2:4]).sum(-1).amax((2, 3))  # (B, H, N)
        return share if self.blocks.each_head else share.amax(1, keepdim=True)

    def turned(self, query: Tensor) -> Tensor:
        """Return queries that see a key at position 0 as if it stood right before the local window."""
        if self.blocks.far == "kept":
            return query
        by = -torch.full((1, 1, query.shape[2]), self.first - 1, device=query.device)
        return self.setup.rotary().shift(query, by)

    def worth(self, turned: Tensor) -> Tensor:
        """Return what blocks are worth to each unit, (B, U, N), -inf where a row has no such block."""
        heads = self.summaries.shape[1]
        asked = turned.reshape(turned.shape[0], heads, -1, *turned.shape[2:])
        logits = torch.einsum("bhgqd,bhnrd->bhgqnr", asked.float(), self.summaries.float()) * self.scaling
        worth = self.blocks.score(logits.masked_fill(~self.present[:, :, None, None], float("-inf")))
        worth = worth.masked_fill(self.sizes[:, None] == 0, float("-inf"))
        return worth if self.blocks.each_head else worth.sum(1, keepdim=True)

    def _attended(self, query: Tensor, whole: Entries, start: int, near: int) -> Entries:
        """Record the attention that entries receive from these queries, where a method or the fast tier asks for it."""
        assert self.near is not None
        scored = self.blocks.tiers.eviction == "score" and self.chosen is not None and near
        if not scored and not self.blocks.uses_attention:
            return whole
        got = attention.attention_mass(query, whole, start, self.scaling).sum(2)  # (B, H, T)
        self.near.memory("attended").add_(got[:, :, near:])
        if scored:
            assert self.chosen is not None
            units, k = self.chosen.shape[1:]
            sinks = len(self.sinks or ())
            mass = got[:, :, sinks:near].reshape(*got.shape[:2], k, -1).sum(3)
            self.fast.attended(self.chosen.tolist(), mass.sum(1, keepdim=True) if units == 1 else mass)
        return whole

    def _all(self) -> Entries:
        assert self.near is not None
        whole = self.in_full(self.near)
        if self.sinks is not None and len(self.sinks):
            whole = Entries(self.sinks.keys, self.sinks.values).joined(whole)
        return whole

    # -- rows, bytes and counts

    def on_prefill_end(self) -> None:
        """Do nothing: blocks are cut as the local window moves."""

    def select_rows(self, index: Tensor) -> None:
        """Keep some rows of the batch."""
        if self.near is None:
            return
        at = index.to(self.near.keys.device)
        self.near, self.sinks = self.near.rows(at), None if self.sinks is None else self.sinks.rows(at)
        self.starts, self.sizes = self.starts[at], self.sizes[at]
        if self.slow.count:
            self.summaries, self.present = self.summaries[at], self.present[at]
            self.slow.select_rows(at)
        self.memory = {name: taken(value, at) for name, value in self.memory.items()}
        self.fast.clear()
        self.chosen = None

    def crop(self, end: int) -> None:
        """Remove the entries at or after position `end`. Raises InvalidInput where one of them is in a block."""
        if self.near is None:
            return
        if end < self.first:
            raise InvalidInput(
                f"entries before position {self.first} are in blocks: only later ones can be removed, not from {end} on."
            )
        self.near = self.near.first(end - self.first)

    @property
    def fast_bytes(self) -> int:
        """Bytes of the fast tier: sinks, local window, summary keys and copies of blocks."""
        tensors = (self.summaries, self.present, self.starts, self.sizes)
        near = sum(part.nbytes for part in (self.near, self.sinks) if part is not None)
        return near + int(sum(t.numel() * t.element_size() for t in tensors)) + self.fast.nbytes

    @property
    def hits(self) -> int:
        """Chosen blocks that were in the fast tier."""
        return self.fast.hits

    @property
    def loads(self) -> int:
        """Chosen blocks that were not."""
        return self.fast.loads

    @property
    def held(self) -> int:
        """Number of entries: all that were read, in layers that fetch."""
        if self.near is None:
            return 0
        return self.first + len(self.near) if self.fetches else len(self.sinks or ()) + len(self.near)


def _grown(old: Tensor, new: Tensor) -> Tensor:
    """Append blocks (…, n, r, …) to older ones, which may have another number of summary keys."""
    if not old.numel():
        return new
    if (missing := old.shape[3] - new.shape[3]) > 0:
        new = torch.cat((new, new.new_zeros(*new.shape[:3], missing, *new.shape[4:])), 3)
    elif missing < 0:
        old = torch.cat((old, old.new_zeros(*old.shape[:3], -missing, *old.shape[4:])), 3)
    return torch.cat((old, new), 2)
