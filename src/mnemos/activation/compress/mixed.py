"""The store of MiKV: important entries in one precision, the others in few bits."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from mnemos.activation.compress.packed_store import without_vectors
from mnemos.activation.compress.tier import Tier
from mnemos.activation.entries import Entries
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
        precise = entries.extra["precise"]
        order = (~precise).int().argsort(dim=2, stable=True).argsort(2)[..., None]  # where each stands in the tiers
        both = [tier.open() for tier in self.tiers]
        keys, values = (torch.cat([pair[i] for pair in both], 2) for i in (0, 1))
        keys = keys.gather(2, order.expand(-1, -1, -1, keys.shape[3]))
        values = values.gather(2, order.expand(-1, -1, -1, values.shape[3]))
        keys = keys if self.balance is None else (keys / self.balance).to(keys.dtype)
        return replace(entries, keys=keys, values=values)

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
        self.asked = None
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
    count = int(mask[0, 0].sum()) if mask.numel() else 0
    return (~mask).int().argsort(dim=2, stable=True)[:, :, :count]
