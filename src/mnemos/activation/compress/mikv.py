"""MiKV: entries that would be evicted stay, in few bits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mnemos.activation.compress.bits import WIDTHS
from mnemos.activation.compress.mixed import Mixed
from mnemos.activation.entries import Entries
from mnemos.activation.forget.h2o import H2O
from mnemos.activation.method import CacheMethod, LayerView, Setup
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

SIDE = 1.9  # 32nds of an entry beside the codes: scale and low of 32 numbers, what is remembered of an entry, b


@dataclass(frozen=True)
class Demote:
    """The `on_evict` that goes with `MiKV`: marks those that stay as precise and lets none go. None is promoted again."""

    def __call__(self, view: LayerView, keep: Tensor, score: Tensor) -> Entries:
        """Return all entries, with who is precise in `extra`."""
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
    """Important entries in `high` bits (None: as they are), the others in `low` bits, per token: a `store`.

    Which are important says the score of the `CacheMethod`, with `on_evict=Demote()` and its budgets; in the paper that
    is H2O. With `balance`, channel c of the keys is multiplied by b_c = sqrt(max |q_c| / max |k_c|) of the prompt
    before it is rounded, and divided by it when read (the paper divides the query, which is the same). The query heads
    of a group share b. Padding counts in b. Heads must have equal budgets. On the small models it answers far more than
    eviction by the same score in as many bytes, and as much as rounding all alike.
    """

    low: int = 2
    high: int | None = None
    balance: bool = True

    def __post_init__(self) -> None:
        for bits in (self.low, self.high or 8):
            if bits not in WIDTHS:
                raise InvalidInput(f"{bits} bits cannot be packed: choose from {', '.join(map(str, WIDTHS))}.")

    def __call__(self, setup: Setup) -> Mixed:
        """Return the store of a layer."""
        return Mixed(self.low, self.high, self.balance)

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """As many entries at 8 bits as the share of a float32 cache affords, the others at 2; importance by H2O."""
        precise = (share * 32 - 2 - SIDE) / (8 - 2)
        if precise <= 0:
            raise InvalidInput(f"{share} of a cache is less than all entries take at 2 bits: evict some, too.")
        precise = min(1.0, precise)
        return CacheMethod(
            H2O(mean=True), prompt=precise, decode=precise, recent=0.5, on_evict=Demote(), store=MiKV(2, 8)
        )
