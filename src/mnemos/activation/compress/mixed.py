"""The store of MiKV: important entries in one precision, the others in few bits."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from mnemos.activation.compress.packed_store import without_vectors
from mnemos.activation.compress.tier import Tier
from mnemos.activation.entries import Entries, take
from mnemos.activation.plain import Plain
from mnemos.errors import InvalidInput

TAIL = 32  # newest entries that are not packed yet


class MixedStore(Plain):
    """Holds entries as they are while the prompt is read, then the others, the important ones and a tail not packed yet.

    A call reads them in that order, each part by ascending positions: to put them into the order of the text would
    cost a copy of all.
    """

    def __init__(self, low: int, high: int | None, balanced: bool) -> None:
        super().__init__()  # `entries` are all while the prompt is read, and then all without keys and values
        self.low, self.high, self.balanced = low, high, balanced
        self.asked: Tensor | None = None  # max |q| of the prompt, (B, H, 1, D)
        self.balance: Tensor | None = None  # b, (B, H, 1, D)
        self.tiers: list[Tier] = []  # the others, important entries
        self.tail: list[Tensor] = []  # keys and values of the newest, (B, H, n, D)

    def put(self, new: Entries) -> None:
        """Append the entries of a call, as important ones."""
        if self.tiers:
            if self.tail[0].shape[2] >= TAIL:
                self._pack_tail()
            self.tail = [torch.cat(pair, 2) for pair in zip(self.tail, (new.keys, new.values), strict=True)]
            at = torch.arange(self.held, self.held + len(new), dtype=torch.int32, device=new.keys.device)
            new = without_vectors(replace(new, position_ids=at.expand(new.keys.shape[:3])))
        super().put(new)

    def read(self, query: Tensor, start: int) -> Entries:
        """Return all entries, marked in `extra["precise"]`, in text order if no query asks; O(T D)."""
        entries = super().read(query, start)
        if not self.tiers:
            if query.numel():
                asked = query.abs().reshape(*entries.keys.shape[:2], -1, query.shape[3]).amax(2, keepdim=True)
                self.asked = asked if self.asked is None else torch.maximum(self.asked, asked)
            return entries
        keys, values = (t.new_empty(*t.shape[:2], len(entries), t.shape[3]) for t in self.tail)
        end = 0
        for tier in self.tiers:
            first, end = end, end + len(tier)
            tier.open_into(keys[:, :, first:end], values[:, :, first:end])
        if self.balance is not None:
            keys[:, :, :end].div_(self.balance)
        keys[:, :, end:], values[:, :, end:] = self.tail
        precise = torch.arange(len(entries), device=keys.device) >= len(self.tiers[0])
        extra = entries.extra | {"precise": precise.expand(entries.keys.shape[:3])}
        found = replace(entries, keys=keys, values=values, extra=extra)
        return found if query.numel() else found.gather(entries.positions().argsort(2))

    @property
    def budgeted(self) -> int:
        """Number of important entries of a head: those that a budget counts."""
        return self.held - len(self.tiers[0]) if self.tiers else self.held

    def replace(self, entries: Entries) -> None:
        """Take which entries are important from `entries`, as they were read, and round those that no longer are."""
        assert self.entries is not None
        if len(entries) != len(self.entries):
            raise InvalidInput("MiKV keeps all entries: use it with on_evict=Demote().")
        if not self.tiers:
            self.entries = replace(entries, position_ids=None)
            return
        others, important = self.tiers
        stays = entries.extra["precise"][:, :, len(others) :]
        kept, demoted = indices_of(stays), indices_of(~stays)
        if not demoted.shape[2]:
            return
        self._pack_tail()
        important = self.tiers[1]
        low = others.joined(Tier.of(*important.taken(demoted).open(), self.low))
        self.tiers = [low, important.taken(kept)]
        before = torch.arange(len(others), device=kept.device).expand(*kept.shape[:2], -1)
        self._order(torch.cat((before, demoted + len(others), kept + len(others)), 2))

    def on_prefill_end(self) -> None:
        """Split what is left of the prompt into the two tiers; of a later one, pack what is not yet."""
        entries = self.entries
        if self.tiers:
            self._pack_tail()
        if entries is None or self.tiers:
            return
        if self.asked is None:
            raise InvalidInput("MiKV has seen no queries of these heads: use it without budgets by head.")
        if self.balanced:
            ratio = self.asked / entries.keys.abs().amax(2, keepdim=True).clamp_min(1e-9)
            self.balance = ratio.float().sqrt().clamp(1e-3, 1e3).half()
        self.asked, extra = None, dict(entries.extra)
        precise = extra.pop("precise", torch.ones_like(entries.positions(), dtype=torch.bool))
        parts = [indices_of(~precise), indices_of(precise)]
        whole = [(take(entries.keys, index), take(entries.values, index)) for index in parts]
        self.tiers = [self._tier(*vectors, bits) for vectors, bits in zip(whole, (self.low, self.high), strict=True)]
        self.tail = [t.new_empty(*t.shape[:2], 0, t.shape[3]) for t in (entries.keys, entries.values)]
        self.entries = without_vectors(replace(entries, extra=extra).numbered())
        self._order(torch.cat(parts, 2))

    def _order(self, index: Tensor) -> None:
        """Put what is known of the entries into the order of the tiers."""
        assert self.entries is not None
        self.entries = self.entries.each(lambda t: take(t, index))

    def _pack_tail(self) -> None:
        """Pack the newest entries as important ones."""
        if self.tail[0].shape[2]:
            self.tiers[1] = self.tiers[1].joined(self._tier(self.tail[0], self.tail[1], self.high))
            self.tail = [t[:, :, :0].clone() for t in self.tail]

    def _tier(self, keys: Tensor, values: Tensor, bits: int | None) -> Tier:
        keys = keys if self.balance is None else (keys * self.balance).to(keys.dtype)
        return Tier.of(keys, values, bits)

    def select_rows(self, index: Tensor) -> None:
        """Keep some rows of the batch."""
        super().select_rows(index)
        self.tiers = [tier.rows(index) for tier in self.tiers]
        self.tail = [t.index_select(0, index.to(t.device)) for t in self.tail]
        self.asked = None if self.asked is None else self.asked.index_select(0, index.to(self.asked.device))
        self.balance = None if self.balance is None else self.balance.index_select(0, index.to(self.balance.device))

    def crop(self, end: int) -> None:
        """Remove the entries at or after position `end`, which must be important ones still."""
        before = self.held
        super().crop(end)
        if self.tiers and (removed := before - self.held):
            left = self.tail[0].shape[2] - removed
            self.tail = [t[:, :, : max(left, 0)].clone() for t in self.tail]
            if left < 0:
                index = torch.arange(len(self.tiers[1]) + left, device=self.tail[0].device)
                self.tiers[1] = self.tiers[1].taken(index.expand(*self.tail[0].shape[:2], -1))

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        own = sum(int(t.nbytes) for t in (self.asked, self.balance, *self.tail) if t is not None)
        return super().nbytes + own + sum(tier.nbytes for tier in self.tiers)


def indices_of(mask: Tensor) -> Tensor:
    """Return the indices at which a mask (B, H, T) is True, ascending, (B, H, n); every head must have n of them."""
    return mask.nonzero()[:, 2].view(*mask.shape[:2], -1)
