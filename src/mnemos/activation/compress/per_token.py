"""Entries in few bits from which single ones can be evicted: 4-bit storage beside eviction while generating."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mnemos.activation.base import Setup
from mnemos.activation.compress.bits import check_bits
from mnemos.activation.compress.packed_store import without_vectors
from mnemos.activation.compress.tier import GROUP, Tier
from mnemos.activation.entries import Entries, take
from mnemos.activation.forget.scissorhands import PAPER, Scissorhands
from mnemos.activation.method import CacheMethod
from mnemos.activation.plain import Plain
from mnemos.errors import InvalidInput
from mnemos.registry import register

TAIL = 32  # newest entries that are not packed yet


@dataclass(frozen=True)
class PerToken:
    """Rounds keys and values per token, so that any entry can be evicted and none is rounded twice.

    Up to `TAIL` of the newest entries wait to be packed.
    """

    bits: int = 4  # per number: 1, 2, 4 or 8

    def __post_init__(self) -> None:
        check_bits(self.bits)

    def __call__(self, setup: Setup) -> PerTokenStore:
        """Return the store of a layer."""
        return PerTokenStore(self.bits)

    def entries_in(self, nbytes: float, entries: Entries) -> int:
        """Return how many entries of a head fit into bytes, their positions and notes included."""
        widths = (entries.keys.shape[3], entries.values.shape[3])
        packed = sum(-(-width * self.bits // 8) + 4 * -(-width // GROUP) for width in widths)
        return min(len(entries), int(nbytes / (packed + entries.entry_bytes - entries.vector_bytes)))


class PerTokenStore(Plain):
    """The store of `PerToken`: entries while the prompt is read, then packed ones, and a tail that is not yet."""

    def __init__(self, bits: int) -> None:
        super().__init__()  # `entries` are all while the prompt is read, and then all without keys and values
        self.bits = bits
        self.tier: Tier | None = None
        self.tail: list[Tensor] = []  # keys and values of the newest, (B, H, n, D)

    def put(self, new: Entries) -> None:
        """Append the entries of a call."""
        if self.tier is not None:
            if self.tail[0].shape[2] >= TAIL:
                self._pack_tail()
            self.tail = [torch.cat(pair, 2) for pair in zip(self.tail, (new.keys, new.values), strict=True)]
            new = without_vectors(new)
        super().put(new)

    def read(self, query: Tensor, start: int) -> Entries:
        """Return all entries; O(T D)."""
        entries = super().read(query, start)
        if self.tier is None:
            return entries
        keys, values = (t.new_empty(*t.shape[:2], len(entries), t.shape[3]) for t in self.tail)
        end = len(self.tier)
        self.tier.open_into(keys[:, :, :end], values[:, :, :end])
        keys[:, :, end:], values[:, :, end:] = self.tail
        return replace(entries, keys=keys, values=values)

    def replace(self, entries: Entries) -> None:
        """Hold only these of the entries. Raises InvalidInput for entries that were changed: they would be lost."""
        if self.tier is None:
            self.entries = entries
            return
        held = self.read(torch.empty(0), 0)
        index = torch.searchsorted(held.positions().long(), entries.positions().long()).clamp_max(len(held) - 1)
        pairs = ((held.keys, entries.keys), (held.values, entries.values))
        if not all(torch.equal(take(mine, index), its) for mine, its in pairs):
            raise InvalidInput("entries that are packed per token can be evicted but not merged: use on_evict=Drop().")
        self._keep(index, without_vectors(entries))

    def trim(self, sinks: int, count: int) -> None:
        """Drop `count` entries behind the first `sinks`; O(T)."""
        assert self.entries is not None
        if self.tier is None:
            super().trim(sinks, count)
            return
        left = torch.arange(len(self.entries), device=self.tail[0].device)
        index = torch.cat((left[:sinks], left[sinks + count :])).expand(*self.tail[0].shape[:2], -1)
        self._keep(index, self.entries.numbered().each(lambda t: take(t, index)))

    def _keep(self, index: Tensor, entries: Entries) -> None:
        self._pack_tail()
        assert self.tier is not None
        self.tier, self.entries = self.tier.taken(index), entries

    def on_prefill_end(self) -> None:
        """Pack what is left of the prompt, or of a later one."""
        if self.tier is not None:
            self._pack_tail()
        elif (entries := self.entries) is not None:
            self.tier = Tier.of(entries.keys, entries.values, self.bits)
            self.tail = [t[:, :, :0].clone() for t in (entries.keys, entries.values)]
            self.entries = without_vectors(entries)

    def _pack_tail(self) -> None:
        if self.tier is not None and self.tail[0].shape[2]:
            self.tier = self.tier.joined(Tier.of(self.tail[0], self.tail[1], self.bits))
            self.tail = [t[:, :, :0].clone() for t in self.tail]

    def select_rows(self, index: Tensor) -> None:
        """Keep some rows of the batch."""
        super().select_rows(index)
        self.tier = None if self.tier is None else self.tier.rows(index)
        self.tail = [t.index_select(0, index.to(t.device)) for t in self.tail]

    def crop(self, end: int) -> None:
        """Remove the entries at or after position `end`."""
        before = self.held
        super().crop(end)
        if self.tier is not None and before > self.held:
            left = max(self.held - len(self.tier), 0)
            self.tail = [t[:, :, :left].clone() for t in self.tail]
            if self.held < len(self.tier):
                index = torch.arange(self.held, device=self.tail[0].device)
                self.tier = self.tier.taken(index.expand(*self.tail[0].shape[:2], -1))

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return super().nbytes + sum(int(t.nbytes) for t in self.tail) + (0 if self.tier is None else self.tier.nbytes)


@register(
    "scissorhands-int4",
    papers=(PAPER,),
    task="key-value-known",
    phase="decode",
    baselines=("scissorhands", "random-eviction", "sliding-window"),
    unmeasured="`mnemos bench kv` measures it; no result of it is recorded yet",
)
def scissorhands_int4(share: float) -> CacheMethod:
    """Evict by Scissorhands and hold what stays in 4 bits, as its authors combine them; while generating, too."""
    return CacheMethod(Scissorhands(window=4), prompt=share, decode=share, store=PerToken(4))
