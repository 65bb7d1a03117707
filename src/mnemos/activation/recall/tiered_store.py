"""The base of the stores with two tiers, which hold every entry in full and read a few of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mnemos.activation.entries import Entries
from mnemos.activation.recall.tiers import SlowTier
from mnemos.errors import InvalidInput


class TieredStore(ABC):
    """Holds all entries: the older ones in `slow`, and what is read of them in a fast tier of the subclass."""

    def __init__(self, folder: Path | None) -> None:
        self.slow = SlowTier(folder)

    @property
    @abstractmethod
    def hits(self) -> int:
        """How often what a call asked for was in the fast tier."""

    @property
    @abstractmethod
    def loads(self) -> int:
        """How often it was not."""

    @property
    @abstractmethod
    def fast_bytes(self) -> int:
        """Bytes of the fast tier."""

    @property
    def slow_bytes(self) -> int:
        """Bytes of the slow tier."""
        return self.slow.nbytes

    @property
    def nbytes(self) -> int:
        """Bytes of both tiers."""
        return self.fast_bytes + self.slow_bytes

    def in_full(self, latest: Entries) -> Entries:
        """Return all entries in full, `latest` (those not in the slow tier) at the end."""
        latest = Entries(latest.keys, latest.values)
        if not self.slow.count:
            return latest
        index = torch.arange(self.slow.count).expand(*latest.keys.shape[:2], -1)
        keys, values = self.slow.split(self.slow.take(index).to(latest.keys.device))
        return Entries(keys, values).joined(latest)

    def replace(self, entries: Entries) -> None:
        """Raise InvalidInput: nothing is ever evicted here."""
        raise InvalidInput(f"{type(self).__name__} keeps all entries: use it without `prompt` and `decode` budgets.")


@dataclass(frozen=True)
class TierReport:
    """What stores with two tiers hold where, and how often the fast tier had what was asked for."""

    fast_bytes: int
    slow_bytes: int
    hits: int
    loads: int

    @property
    def hit_rate(self) -> float:
        """Share of what was asked for that was in the fast tier; 0 when nothing was."""
        return self.hits / max(self.hits + self.loads, 1)


def report(cache: Any) -> TierReport:
    """Return the report of a cache, over all layers whose stores have two tiers."""
    stores = [g.store for layer in cache.layers for g in layer.groups if isinstance(g.store, TieredStore)]
    return TierReport(
        sum(s.fast_bytes for s in stores), sum(s.slow_bytes for s in stores),
        sum(s.hits for s in stores), sum(s.loads for s in stores),
    )  # fmt: skip


def padding_refused(new: Entries, what: str) -> Entries:
    """Return new entries without positions, which follow from their order here. Raises InvalidInput for padding."""
    if new.valid is not None:
        raise InvalidInput(f"{what} takes no padded batches: read rows of one length together.")
    return Entries(new.keys, new.values)


def taken(value: Any, rows: Tensor) -> Any:
    """Return some rows of what a method remembers: a tensor, a tuple of such, or something without rows."""
    if isinstance(value, tuple):
        return tuple(taken(part, rows) for part in value)
    return value[rows] if isinstance(value, Tensor) else value
