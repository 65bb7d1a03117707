"""MiKV: entries that would be evicted are held in few bits instead."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mnemos.activation.base import LayerView, Setup
from mnemos.activation.compress.bits import check_bits, packed_bits
from mnemos.activation.compress.mixed import MixedStore
from mnemos.activation.compress.packed_store import SHORT
from mnemos.activation.compress.tier import GROUP
from mnemos.activation.entries import Entries
from mnemos.activation.forget.h2o import H2O
from mnemos.activation.method import CacheMethod
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@dataclass(frozen=True)
class Demote:
    """Marks the entries that would stay as important, and evicts none: the `on_evict` of `MiKV`.

    No entry is promoted again.
    """

    def __call__(self, view: LayerView, keep: Tensor, score: Tensor) -> Entries:
        """Return all entries, the important ones marked in `extra["precise"]`."""
        entries = view.entries
        before = entries.extra.get("precise", torch.ones_like(score, dtype=torch.bool))
        count = min(keep.shape[2], int(before.sum(2).min()))
        best = score.masked_fill(~before, -torch.inf).topk(count, dim=2).indices
        precise = torch.zeros_like(before).scatter_(2, best, True)
        return replace(entries, extra=entries.extra | {"precise": precise})


@register(
    "mikv",
    papers=(
        Paper(
            "No Token Left Behind: Reliable KV Cache Compression via Importance-Aware Mixed Precision Quantization",
            "2402.18096",
        ),
    ),
    task="key-value",
    baselines=("h2o", "random-eviction"),
    phase="decode",
)
@dataclass(frozen=True)
class MiKV:
    """Holds important entries in `high` bits and the others in `low` bits, rounded per token.

    The score and budgets of the `CacheMethod`, with `on_evict=Demote()`, decide which entries are important; in the
    paper the score is H2O. With `balance`, channel c of the keys is multiplied by b_c = sqrt(max |q_c| / max |k_c|) of
    the prompt before rounding and divided by it when read (the paper divides the query, which is the same). The query
    heads of a group share b; padding counts in it. Heads must have equal budgets.

    On the small models it answers far more than eviction by the same score in as many bytes, and as much as rounding
    all entries alike.
    """

    low: int = 2  # bits of the other entries: 1, 2, 4 or 8
    high: int | None = None  # bits of the important entries; None: as the model made them
    balance: bool = True  # scale the channels of keys before rounding

    def __post_init__(self) -> None:
        check_bits(self.low, self.high or 8)

    def __call__(self, setup: Setup) -> MixedStore:
        """Return the store of a layer."""
        return MixedStore(self.low, self.high, self.balance)

    def entries_in(self, nbytes: float, entries: Entries) -> int:
        """Return how many entries of a head can be important where all together may take `nbytes`."""
        low, high = self._bytes(entries, self.low), self._bytes(entries, self.high)
        # its position, which `entry_bytes` counts, but not whether it is important: that follows from where it is held
        note = entries.entry_bytes - entries.vector_bytes - ("precise" in entries.extra) - 2 * (len(entries) < SHORT)
        balance = 2 * entries.keys.shape[3] if self.balance else 0
        left = nbytes - balance - len(entries) * (low + note)
        if left < 0:
            raise InvalidInput(
                f"{nbytes / len(entries):.0f} bytes for an entry are less than {self.low} bits a number take with their "
                f"scales and {note} bytes of notes: give a larger share, or evict some entries too."
            )
        return len(entries) if high <= low else min(len(entries), int(left / (high - low)))

    @staticmethod
    def _bytes(entries: Entries, bits: int | None) -> int:
        if bits is None:
            return entries.vector_bytes
        widths = (entries.keys.shape[3], entries.values.shape[3])
        return sum(-(-width * bits // 8) + 4 * -(-width // GROUP) for width in widths)

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Hold as many entries at 8 bits as the share affords, the others at 2; rank by H2O."""
        if share * 32 < packed_bits(2, GROUP):
            raise InvalidInput(f"a share of {share} is less than all entries take at 2 bits: evict some entries too.")
        return CacheMethod(H2O(mean=True), prompt=share, decode=share, recent=0.5, on_evict=Demote(), store=MiKV(2, 8))
