"""One layer of a memory in blocks: what it holds where, what it fetches, and where that is put.

B batch, H key/value heads, G query heads per key/value head, q queries of a call, D head width, N blocks so far, l
entries of a block, r summary keys of a block, U units that choose for themselves (1: all heads together, or H), k
blocks chosen.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mnemos.activation import attention
from mnemos.activation.entries import Entries
from mnemos.activation.method import Setup
from mnemos.activation.recall.tiers import Fast, Shelf
from mnemos.errors import InvalidInput

if TYPE_CHECKING:
    from mnemos.activation.recall.blocks import Blocks


class BlockStore:
    """One layer of `Blocks`. `hits` and `loads` count chosen blocks that were in the fast tier, or were not."""

    def __init__(self, blocks: Blocks, setup: Setup) -> None:
        self.blocks, self.setup = blocks, setup
        self.step = blocks.step
        self.fetches = blocks.layers is None or setup.layer in blocks.layers
        self.sinks: Entries | None = None
        self.near: Entries | None = None  # the local window and what has not been cut yet; `attended` is in its extra
        self.first = 0  # position of the first entry of near
        self.shelf = Shelf(blocks.tiers.folder)
        self.fast = Fast(blocks.tiers.room, blocks.tiers.policy, blocks.tiers.fade)
        self.starts = self.sizes = torch.empty(0, 0, dtype=torch.long)  # (B, N): of blocks, in the slow tier
        self.summaries = self.there = torch.empty(0)  # (B, H, N, r, D) at position 0, (B, H, N, r)
        self.memory: dict[str, Any] = {}
        self.chosen: Tensor | None = None  # (B, U, k) of the last call
        self.scaling = scaling_of(setup)

    # -- writing

    def put(self, new: Entries) -> None:
        """Append the entries of a call, after what the local window no longer holds has been cut into blocks."""
        if new.valid is not None:
            raise InvalidInput("a memory in blocks takes no padded batches: read rows of one length together.")
        new = Entries(new.keys, new.values)
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
            some = min(over, self.blocks.sinks - len(self.sinks))
            left = self._leave(some)
            self.sinks = self.sinks.joined(Entries(left.keys, left.values))
            over -= some
        if over < 1:
            return
        if not self.fetches:
            self._leave(over)
            return
        sizes = self.blocks.cut(self.near.keys[:, :, :over], self.first, self.setup)
        if count := sum(sizes[0]):
            self._shelve(self._leave(count), sizes)

    def _leave(self, count: int) -> Entries:
        assert self.near is not None
        left, self.near = self.near.first(count), self.near.each(lambda t: t[:, :, count:].clone())
        self.first += count
        return left

    def _shelve(self, left: Entries, sizes: list[list[int]]) -> None:
        begin, device = self.shelf.count, left.keys.device
        self.shelf.append(left.keys, left.values)
        width = max(len(row) for row in sizes)
        lengths = torch.tensor([row + [0] * (width - len(row)) for row in sizes], device=device)  # (B, n)
        inside = lengths.cumsum(1) - lengths
        index = inside[:, :, None] + torch.arange(int(lengths.max()), device=device)  # (B, n, l)
        seen = torch.arange(index.shape[2], device=device) < lengths[:, :, None]
        index = index.clamp(max=len(left) - 1)[:, None].expand(-1, left.keys.shape[1], -1, -1)
        positions = torch.arange(self.first - len(left), self.first, device=device).expand(left.keys.shape[:3])
        keys = left.keys if self.blocks.far == "kept" else self.setup.rotary().shift(left.keys, -positions)
        heads, depth = keys.shape[1], keys.shape[3]
        blocks = keys.gather(2, index.flatten(2)[..., None].expand(-1, -1, -1, depth)).view(*index.shape, depth)
        attended = left.memory("attended").gather(2, index.flatten(2)).view(index.shape)
        attended = attended.masked_fill(~seen[:, None], -1.0)
        made, there = self.blocks.summarise(blocks, seen[:, None], attended)
        assert made.shape[:3] == (keys.shape[0], heads, width)
        self.summaries, self.there = _grown(self.summaries, made), _grown(self.there, there)
        self.starts = torch.cat((self.starts, begin + inside), 1)
        self.sizes = torch.cat((self.sizes, lengths), 1)

    # -- reading

    def read(self, query: Tensor, start: int) -> Entries:
        """Return sinks, the fetched blocks and the local window for the queries (B, H*G, q, D) of a call.

        What is fetched is remembered (the fast tier, the attention that entries got), what is held does not change.
        Without queries: all entries as they were put.
        """
        assert self.near is not None
        if query.numel() == 0:
            return self._all()
        near = self._placed(self.near)
        if self.first == 0:
            return self._attended(query, near, start, 0)
        parts, sinks = [near], self.sinks
        if len(self.starts[0]):
            parts.insert(0, self._fetched(query))
        if sinks is not None and len(sinks):
            parts.insert(0, self._moved(self._sunk(sinks)))
        whole = parts[0]
        for part in parts[1:]:
            whole = whole.joined(part)
        if self.blocks.far == "row":
            whole = self._lined_up(whole)
        return self._attended(query, whole, start, len(whole) - len(near))

    def _placed(self, near: Entries) -> Entries:
        positions = torch.arange(self.first, self.first + len(near), dtype=torch.int32, device=near.keys.device)
        return Entries(near.keys, near.values, positions.expand(near.keys.shape[:3]))

    def _sunk(self, sinks: Entries) -> Entries:
        return Entries(sinks.keys, sinks.values, Entries(sinks.keys, sinks.values).positions())

    def _moved(self, entries: Entries) -> Entries:
        """Turn keys to the one position right before the local window."""
        if self.blocks.far == "one":
            entries.keys = self.setup.rotary().shift(entries.keys, self.first - 1 - entries.positions())
        return entries

    def _lined_up(self, whole: Entries) -> Entries:
        """Turn the keys of what was fetched so that it stands in a row that ends right before the local window."""
        seen = torch.ones_like(whole.positions()) if whole.valid is None else whole.valid.int()
        rank = seen.flip(2).cumsum(2).flip(2) - 1  # entries that follow
        end = self.first + len(self.near or ()) - 1
        by = torch.where(whole.positions() < self.first, end - rank - whole.positions(), 0)
        whole.keys = self.setup.rotary().shift(whole.keys, by)
        return whole

    def _fetched(self, query: Tensor) -> Entries:
        batch, heads, chosen = query.shape[0], self.summaries.shape[1], self.choose(query)
        begin = self.starts[:, None].expand(-1, chosen.shape[1], -1).gather(2, chosen.clamp(min=0))
        order = begin.masked_fill(chosen < 0, torch.iinfo(torch.long).max).argsort(2)
        self.chosen = chosen = chosen.gather(2, order)
        begin = begin.gather(2, order)
        long = self.sizes[:, None].expand(-1, chosen.shape[1], -1).gather(2, chosen.clamp(min=0))
        long = long.masked_fill(chosen < 0, 0)
        size = max(int(long.max()), 1)
        taken = self.fast.fetch(self.shelf, chosen.tolist(), self.starts, size, heads)
        keys, values = self.shelf.split(taken.flatten(2, 3))
        inside = torch.arange(size, device=query.device)
        positions = (begin[..., None] + inside).flatten(2) + len(self.sinks or ())  # (B, U, k l)
        valid = (inside < long[..., None]).flatten(2)
        full = bool(valid.all())
        shape = (batch, heads, keys.shape[2])
        return self._moved(Entries(keys, values, positions.int().expand(shape), None if full else valid.expand(shape)))

    def choose(self, query: Tensor) -> Tensor:
        """Return the blocks to fetch for the queries of a call, (B, U, k); -1 means none."""
        turned = self.turned(query)
        chosen = self.blocks.choose(self.worth(turned), self.memory)
        if not self.blocks.least:
            return chosen
        share = self._share(query, turned).gather(2, chosen.clamp(min=0))
        return chosen.masked_fill(share < self.blocks.least, -1)

    def _share(self, query: Tensor, turned: Tensor) -> Tensor:
        """Return the largest share of a query's attention that each block would get beside the local window, (B, U, N)."""
        assert self.near is not None
        batch, heads, queries = query.shape[0], self.summaries.shape[1], query.shape[2]

        def logits(asking: Tensor, keys: Tensor) -> Tensor:
            asked = asking.reshape(batch, heads, -1, queries, asking.shape[3]).float()
            return torch.einsum("bhgqd,bhnd->bhgqn", asked, keys.float()) * self.scaling

        there = self.there[:, :, None, None].flatten(4)
        far = logits(turned, self.summaries.flatten(2, 3)).masked_fill(~there, float("-inf"))
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
        turned: Tensor = self.setup.rotary().shift(query, by)
        return turned

    def worth(self, turned: Tensor) -> Tensor:
        """Return what blocks are worth to each unit, (B, U, N), -inf where a row has no such block."""
        heads = self.summaries.shape[1]
        asked = turned.reshape(turned.shape[0], heads, -1, *turned.shape[2:])
        logits = torch.einsum("bhgqd,bhnrd->bhgqnr", asked.float(), self.summaries.float()) * self.scaling
        worth = self.blocks.score(logits.masked_fill(~self.there[:, :, None, None], float("-inf")))
        worth = worth.masked_fill(self.sizes[:, None] == 0, float("-inf"))
        return worth if self.blocks.each_head else worth.sum(1, keepdim=True)

    def _attended(self, query: Tensor, whole: Entries, start: int, near: int) -> Entries:
        """Note the attention that entries get from these queries, where something is decided by it."""
        assert self.near is not None
        scored = self.blocks.tiers.policy == "score" and self.chosen is not None and near
        if not scored and not getattr(self.blocks, "by_attention", False):
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
        whole = Entries(self.near.keys, self.near.values)
        if self.shelf.count:
            index = torch.arange(self.shelf.count).expand(*whole.keys.shape[:2], -1)
            keys, values = self.shelf.split(self.shelf.take(index).to(whole.keys.device))
            whole = Entries(keys, values).joined(whole)
        if self.sinks is not None and len(self.sinks):
            whole = Entries(self.sinks.keys, self.sinks.values).joined(whole)
        return whole

    # -- the rest of the contract

    def replace(self, entries: Entries) -> None:
        """Raise InvalidInput: nothing is ever dropped here."""
        raise InvalidInput("a memory in blocks keeps everything: use it without `prompt` and `decode` budgets.")

    def rows(self, index: Tensor) -> None:
        """Keep some rows of the batch."""
        if self.near is None:
            return
        at = index.to(self.near.keys.device)
        self.near, self.sinks = self.near.rows(at), None if self.sinks is None else self.sinks.rows(at)
        self.starts, self.sizes = self.starts[at], self.sizes[at]
        if self.shelf.count:
            self.summaries, self.there = self.summaries[at], self.there[at]
            self.shelf.rows(at)
        self.memory = {name: _taken(value, at) for name, value in self.memory.items()}
        self.fast.clear()
        self.chosen = None

    def crop(self, end: int) -> None:
        """Drop what stands at or after a position. Raises InvalidInput when that reaches into what was cut into blocks."""
        if self.near is None:
            return
        if end < self.first:
            raise InvalidInput(f"positions before {self.first} lie in blocks: only what came later can be taken back.")
        self.near = self.near.first(end - self.first)

    @property
    def fast_bytes(self) -> int:
        """Bytes of the fast tier: sinks, local window, summary keys and copies of blocks."""
        tensors = (self.summaries, self.there, self.starts, self.sizes)
        near = sum(part.nbytes for part in (self.near, self.sinks) if part is not None)
        return near + int(sum(t.numel() * t.element_size() for t in tensors)) + self.fast.nbytes

    @property
    def slow_bytes(self) -> int:
        """Bytes of the slow tier."""
        return self.shelf.nbytes

    @property
    def nbytes(self) -> int:
        """Bytes of both tiers."""
        return self.fast_bytes + self.slow_bytes

    @property
    def held(self) -> int:
        """Entries held: all that were read, in layers that fetch."""
        if self.near is None:
            return 0
        return self.first + len(self.near) if self.fetches else len(self.sinks or ()) + len(self.near)

    def on_prefill_end(self) -> None:
        """Nothing to do."""


def _taken(value: Any, rows: Tensor) -> Any:
    if isinstance(value, tuple):
        return tuple(_taken(part, rows) for part in value)
    return value[rows] if isinstance(value, Tensor) else value


def _grown(old: Tensor, new: Tensor) -> Tensor:
    """Append blocks (…, n, r, …) to those before, which may have another number of summary keys."""
    if not old.numel():
        return new
    if (missing := old.shape[3] - new.shape[3]) > 0:
        new = torch.cat((new, new.new_zeros(*new.shape[:3], missing, *new.shape[4:])), 3)
    elif missing < 0:
        old = torch.cat((old, old.new_zeros(*old.shape[:3], -missing, *old.shape[4:])), 3)
    return torch.cat((old, new), 2)


def lengths(ends: list[int], most: int) -> list[int]:
    """Return the lengths between boundaries, those above `most` split."""
    found = []
    for begin, end in pairwise(ends):
        size = end - begin
        found += [most] * (size // most) + ([size % most] if size % most else [])
    return found


def scaling_of(setup: Setup) -> float:
    """Return the factor of a layer's logits."""
    for module in setup.model.modules():
        if getattr(module, "layer_idx", None) == setup.layer and isinstance(getattr(module, "scaling", None), float):
            return float(module.scaling)
    raise InvalidInput(f"layer {setup.layer} of {type(setup.model).__name__} does not say how it scales its logits.")
