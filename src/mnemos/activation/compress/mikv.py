"""MiKV: entries that would be evicted are held in few bits instead."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mnemos.activation.base import LayerView, Setup
from mnemos.activation.compress.bits import check_bits
from mnemos.activation.compress.mixed import MixedStore
from mnemos.activation.entries import Entries
from mnemos.activation.forget.h2o import H2O
from mnemos.activation.method import CacheMethod
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

SIDE = 1.9  # 32nds of an entry beside the codes: scale and low of 32 numbers, what is remembered of an entry, b


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

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Hold as many entries at 8 bits as the share of a float32 cache affords, the others at 2; rank by H2O."""
        precise = (share * 32 - 2 - SIDE) / (8 - 2)
        if precise <= 0:
            raise InvalidInput(f"a share of {share} is less than all entries take at 2 bits: evict some entries too.")
        precise = min(1.0, precise)
        return CacheMethod(
            H2O(mean=True), prompt=precise, decode=precise, recent=0.5, on_evict=Demote(), store=MiKV(2, 8)
        )
