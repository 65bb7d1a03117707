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


class MixedStore(Plain):
    """Holds entries as they are while the prompt is read, then two tiers, and which tier each entry is in."""

    def __init__(self, low: int, high: int | None, balanced: bool) -> None:
        super().__init__()  # `entries` are all while the prompt is read, and then all without keys and values
        self.low, self.high, self.balanced = low, high, balanced
        self.asked: Tensor | None = None  # max |q| of the prompt, (B, H, 1, D)
        self.balance: Tensor | None = None  # b, (B, H, 1, D)
        self.tiers: list[Tier] = []  # important entries, the others
        self.width = 0  # D

    def put(self, new: Entries) -> None:
        """Append the entries of a call, as important ones."""
        if self.tiers:
            self.tiers[0] = self.tiers[0].joined(self._tier(new.keys, new.values, self.high))
            precise = torch.ones(new.keys.shape[:3], dtype=torch.bool, device=new.keys.device)
            new = without_vectors(replace(new, extra={"precise": precise}))
        super().put(new)

    def read(self, query: Tensor, start: int) -> Entries:
        """Return all entries, in text order; O(T D)."""
        entries = super().read(query, start)
        if not self.tiers:
            if query.numel():
                asked = query.abs().reshape(*entries.keys.shape[:2], -1, query.shape[3]).amax(2, keepdim=True)
                self.asked = asked if self.asked is None else torch.maximum(self.asked, asked)
            return entries
        size = (*entries.keys.shape[:3], self.width)
        keys, values = (t.new_empty(size) for t in (entries.keys, entries.values))
        end = 0
        for tier in self.tiers:
            first, end = end, end + len(tier)
            tier.open_into(keys[:, :, first:end], values[:, :, first:end])
        if self.balance is not None:
            keys.div_(self.balance)
        order = places(entries.extra["precise"])
        return replace(entries, keys=take(keys, order), values=take(values, order))

    @property
    def budgeted(self) -> int:
        """Number of important entries of a head: those that a budget counts."""
        return len(self.tiers[0]) if self.tiers else self.held

    def replace(self, entries: Entries) -> None:
        """Take which entries are important from `entries`, and round those that no longer are."""
        assert self.entries is not None
        if len(entries) != len(self.entries):
            raise InvalidInput("MiKV keeps all entries: use it with on_evict=Demote().")
        previous, self.entries = self.entries, replace(entries, position_ids=None)
        if not self.tiers:
            return
        self.entries, before = without_vectors(self.entries), previous.extra["precise"]
        stays = entries.extra["precise"].gather(2, indices_of(before))
        kept, demoted = indices_of(stays), indices_of(~stays)
        if not demoted.shape[2]:
            return
        keys, values = self.tiers[0].taken(demoted).open()
        low = self.tiers[1].joined(Tier.of(keys, values, self.low))
        at = torch.cat((indices_of(~before), indices_of(before).gather(2, demoted)), 2)
        self.tiers = [self.tiers[0].taken(kept), low.taken(at.argsort(2))]

    def on_prefill_end(self) -> None:
        """Split what is left of the prompt into the two tiers."""
        entries = self.entries
        if entries is None or self.tiers:
            return
        if self.asked is None:
            raise InvalidInput("MiKV has seen no queries of these heads: use it without budgets by head.")
        if self.balanced:
            ratio = self.asked / entries.keys.abs().amax(2, keepdim=True).clamp_min(1e-9)
            self.balance = ratio.float().sqrt().clamp(1e-3, 1e3).half()
        self.asked, self.width = None, entries.keys.shape[3]
        everyone = torch.ones(entries.keys.shape[:3], dtype=torch.bool, device=entries.keys.device)
        precise = entries.extra.get("precise", everyone)
        self.entries = without_vectors(replace(entries, extra=entries.extra | {"precise": precise}))
        parts = [entries.gather(indices_of(mask)) for mask in (precise, ~precise)]
        widths = (self.high, self.low)
        self.tiers = [self._tier(part.keys, part.values, bits) for part, bits in zip(parts, widths, strict=True)]

    def _tier(self, keys: Tensor, values: Tensor, bits: int | None) -> Tier:
        keys = keys if self.balance is None else (keys * self.balance).to(keys.dtype)
        return Tier.of(keys, values, bits)

    def select_rows(self, index: Tensor) -> None:
        """Keep some rows of the batch."""
        super().select_rows(index)
        self.tiers = [tier.rows(index) for tier in self.tiers]
        self.asked = None if self.asked is None else self.asked.index_select(0, index.to(self.asked.device))
        self.balance = None if self.balance is None else self.balance.index_select(0, index.to(self.balance.device))

    def crop(self, end: int) -> None:
        """Remove the entries at or after position `end`, which must be important ones still."""
        before = self.held
        super().crop(end)
        if self.tiers and before > self.held:
            assert self.entries is not None
            count = self.entries.extra["precise"].sum(2)
            index = torch.arange(int(count[0, 0]), device=count.device).expand(*count.shape, -1)
            self.tiers[0] = self.tiers[0].taken(index)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        own = sum(int(t.nbytes) for t in (self.asked, self.balance) if t is not None)
        return super().nbytes + own + sum(tier.nbytes for tier in self.tiers)


def indices_of(mask: Tensor) -> Tensor:
    """Return the indices at which a mask (B, H, T) is True, ascending, (B, H, n); every head must have n of them."""
    return mask.nonzero()[:, 2].view(*mask.shape[:2], -1)


def places(precise: Tensor) -> Tensor:
    """Return where each entry (B, H, T) stands when the important ones come first, both in order."""
    first = precise.cumsum(2)
    return torch.where(precise, first - 1, first[:, :, -1:] + (~precise).cumsum(2) - 1)
