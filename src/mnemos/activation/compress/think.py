"""ThinK: channels of the keys that the last queries attend to least are left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mnemos.activation.base import Setup
from mnemos.activation.compress.bits import Packed, can_join, check_bits, joined, open_into, opened, pack, rows_of
from mnemos.activation.compress.packed_store import PackedStore
from mnemos.activation.entries import Entries
from mnemos.activation.forget.snapkv import SnapKV
from mnemos.activation.method import CacheMethod
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "think",
    papers=(
        Paper("ThinK: Thinner Key Cache by Query-Driven Pruning", "2407.21018", code="SalesforceAIResearch/ThinK"),
    ),
    task="key-value-known",
    baselines=("random-eviction", "sliding-window"),
)
@dataclass(frozen=True)
class ThinK:
    """Keeps the (1 - `ratio`) D channels of a head's keys with the largest |Q_i K_i^T|_F over the last queries.

    The product of column i of the queries and of the keys has rank one, so its norm is |Q_i| |K_i|; the query heads
    that share a key add up theirs. The keys held are narrower, with one list of channels for each row and head; what is
    read has zeros elsewhere, which is what the paper's masked query gives. Later groups are packed by the channels that
    the prompt chose. With `bits`, keys (per channel) and values (per token) are rounded too, as in KIVI. Heads must
    have equal budgets.

    On the small models ranking by the norm of keys alone answers as much; random channels answer far less.
    """

    ratio: float = 0.4  # share of the channels left out
    window: int = 32  # last queries of the prompt that choose
    residual: int = 32  # newest keys that are whole
    group: int = 32  # keys packed at a time
    by: Literal["query", "norm"] = "query"  # "norm" ranks by |K_i| alone, for comparison
    bits: int | None = None  # per number: 1, 2, 4 or 8; None: not rounded

    def __post_init__(self) -> None:
        if not 0 <= self.ratio < 1:
            raise InvalidInput(f"ratio is {self.ratio}: give the share of channels to leave out, from 0 to below 1.")
        if self.window < 1 or self.group < 1 or self.residual < 0 or self.by not in ("query", "norm"):
            raise InvalidInput(
                f"{self}: give a window and group of 1 or more and a residual of 0 or more, and rank by 'query' or 'norm'."
            )
        if self.bits is not None:
            check_bits(self.bits)

    def __call__(self, setup: Setup) -> ThinkStore:
        """Return the store of a layer."""
        return ThinkStore(self)

    def width(self, width: int) -> int:
        """Return the channels kept of D, rounded down, but at least one."""
        return max(1, int((1 - self.ratio) * width + 1e-6))

    def entries_in(self, nbytes: float, entries: Entries) -> int:
        """Return how many entries fit into bytes of a head, their positions included."""
        if self.bits is not None:
            raise InvalidInput(
                "a share of bytes says nothing of ThinK with bits: give the entries that stay as a number."
            )
        channels = self.width(entries.keys.shape[3]) + entries.values.shape[3]
        return int(nbytes / (channels * entries.keys.element_size() + 4))

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Evict by SnapKV and keep 60 % of the key channels; above a share of 0.8, leave out fewer channels only."""
        if share > 0.8:
            return CacheMethod(store=ThinK(ratio=2 * (1 - share), residual=0))
        return CacheMethod(SnapKV(kernel=5), prompt=share, store=ThinK(residual=0))


@dataclass
class NarrowPair:
    """Some channels of keys, (B, H, n, C), and whole values."""

    keys: Packed | Tensor
    values: Packed | Tensor
    owner: ThinkStore  # knows which channels

    def __len__(self) -> int:
        return int(self.keys.shape[2])

    def can_join(self, later: NarrowPair) -> bool:
        """Return whether the groups of both have one length."""
        pairs = ((self.keys, later.keys), (self.values, later.values))
        return all(can_join(*pair) for pair in pairs)

    def joined(self, later: NarrowPair) -> NarrowPair:
        """Return these entries followed by later ones."""
        return NarrowPair(joined(self.keys, later.keys), joined(self.values, later.values), self.owner)

    def open_into(self, keys: Tensor, values: Tensor) -> None:
        """Write keys, with zeros in the channels left out, and values."""
        assert self.owner.channels is not None
        narrow = opened(self.keys)
        chosen = torch.nn.functional.one_hot(self.owner.channels.long(), self.owner.width).to(narrow.dtype)
        keys.copy_(narrow @ chosen)  # (B, H, n, C) by (B, H, C, D): faster than to scatter single numbers
        open_into(self.values, values)

    def rows(self, index: Tensor) -> NarrowPair:
        """Return some rows of the batch."""
        return NarrowPair(rows_of(self.keys, index), rows_of(self.values, index), self.owner)

    @property
    def nbytes(self) -> int:
        """Bytes of both."""
        return int(self.keys.nbytes + self.values.nbytes)


class ThinkStore(PackedStore):
    """The store of `ThinK`."""

    def __init__(self, think: ThinK) -> None:
        super().__init__(think.residual, think.group)
        self.think = think
        self.asked: Tensor | None = None  # |Q_i| of the last queries of the prompt, summed over query heads, (B, H, D)
        self.channels: Tensor | None = None  # those kept, ascending, (B, H, C)
        self.width = 0  # D

    def read(self, query: Tensor, start: int) -> Entries:
        """Return all entries; while the prompt is read, remember its last queries."""
        entries = super().read(query, start)
        if self.frame is None and query.numel():
            last = query[:, :, -self.think.window :].float().norm(dim=2)  # (B, H*G, D)
            self.asked = last.reshape(*entries.keys.shape[:2], -1, last.shape[-1]).sum(2)
        return entries

    def importance(self, keys: Tensor) -> Tensor:
        """Return what decides which channels are kept, (B, H, D)."""
        norm = keys.float().norm(dim=2)
        if self.think.by == "norm":
            return norm
        if self.asked is None:
            raise InvalidInput("ThinK has seen no queries of these heads: use it without budgets by head.")
        return norm * self.asked

    def pack(self, keys: Tensor, values: Tensor) -> NarrowPair:
        """Return the entries with the channels that are kept."""
        if self.channels is None:
            self.width = keys.shape[3]
            count = self.think.width(self.width)
            self.channels = self.importance(keys).topk(count, dim=2).indices.sort(2).values.to(torch.int16)
            self.asked = None
        index = self.channels.long()[:, :, None].expand(-1, -1, keys.shape[2], -1)
        thin, bits = keys.gather(3, index), self.think.bits
        if bits is None:
            return NarrowPair(thin, values.clone(), self)
        return NarrowPair(pack(thin, bits, 2, self.group), pack(values, bits, 3), self)

    def select_rows(self, index: Tensor) -> None:
        """Keep some rows of the batch."""
        super().select_rows(index)
        self.asked = None if self.asked is None else self.asked.index_select(0, index.to(self.asked.device))
        self.channels = None if self.channels is None else self.channels.index_select(0, index.to(self.channels.device))

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return super().nbytes + sum(int(t.nbytes) for t in (self.asked, self.channels) if t is not None)
