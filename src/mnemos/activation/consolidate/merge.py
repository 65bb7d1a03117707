"""Merging: evicted entries are folded into those that stay, by weights.

B batch, H key/value heads, T entries in the cache, n that stay, e that are evicted, D head width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mnemos.activation.base import LayerView
from mnemos.activation.entries import Entries
from mnemos.errors import InvalidInput


@dataclass(frozen=True)
class Merge:
    """Folds each evicted entry into the nearest that stays.

    A kept entry weighs e^1 and what is folded into it e^u, u the cosine of their keys ("similarity"), or all weigh
    alike ("mean"). With the threshold "ema", tau_0 is the mean of the best similarities of the first evicted entries,
    and from then on tau = `beta` mean + (1 - `beta`) tau, for each row and head. Keys are merged as the cache holds
    them, with their rotation; padding takes no part. O(e n D).
    """

    near: Literal["key", "position"] = (
        "key"  # the nearest has the most similar key, or the nearest position (of two the earlier)
    )
    weigh: Literal["similarity", "mean"] = "similarity"  # what an evicted entry weighs
    threshold: float | Literal["ema"] | None = None  # drop what is less similar; None: nothing
    beta: float = 0.7  # of the threshold "ema"
    evict: float = 0.0  # share of the evicted entries, the lowest scores, that is dropped in any case

    def __post_init__(self) -> None:
        if self.near not in ("key", "position") or self.weigh not in ("similarity", "mean"):
            raise InvalidInput(
                f"near is {self.near!r} and weigh {self.weigh!r}: choose 'key' or 'position', "
                "and 'similarity' or 'mean'."
            )
        if not (0 <= self.evict <= 1 and 0 <= self.beta <= 1):
            raise InvalidInput(f"evict is {self.evict} and beta {self.beta}: give shares from 0 to 1.")

    def __call__(self, view: LayerView, keep: Tensor, score: Tensor) -> Entries:
        """Return the entries that stay, with the evicted ones folded in."""
        entries = view.entries
        evicted = others(keep, len(entries))
        likeness = similarity(entries, evicted, keep)
        if self.near == "key":
            best, into = likeness.max(3)
        else:
            positions = entries.positions().long()
            into = (positions.gather(2, evicted)[..., None] - positions.gather(2, keep)[:, :, None]).abs().argmin(3)
            best = likeness.gather(3, into[..., None])[..., 0]
        joins = self._joins(entries, evicted, best, score)
        weight = best.exp() if self.weigh == "similarity" else torch.ones_like(best)
        own = torch.full(keep.shape, math.e if self.weigh == "similarity" else 1.0, device=keep.device)
        return fold(entries, keep, evicted, into, weight * joins, own)

    def entry_bytes(self, entries: Entries) -> int:
        """Return the bytes of tau."""
        return 4 if self.threshold == "ema" and "tau" not in entries.extra else 0

    def _joins(self, entries: Entries, evicted: Tensor, best: Tensor, score: Tensor) -> Tensor:
        """Return which of the evicted entries are merged, (B, H, e)."""
        valid = torch.isfinite(best)
        joins = valid.clone()
        if self.evict:
            count = int(self.evict * evicted.shape[2])
            least = score.gather(2, evicted).topk(count, dim=2, largest=False).indices
            joins.scatter_(2, least, False)
        if self.threshold == "ema":
            joins &= best >= self._tau(entries, best, valid)
        elif self.threshold is not None:
            joins &= best >= self.threshold
        return joins

    def _tau(self, entries: Entries, best: Tensor, valid: Tensor) -> Tensor:
        """Return tau, (B, H, 1), and remember it with the entries (the first is as old as any)."""
        mean = best.masked_fill(~valid, 0).sum(2, keepdim=True) / valid.sum(2, keepdim=True).clamp_min(1)
        if "tau" in entries.extra:
            mean = self.beta * mean + (1 - self.beta) * entries.extra["tau"][:, :, :1]
        entries.extra["tau"] = mean.expand(entries.keys.shape[:3]).clone()
        return mean


def others(keep: Tensor, held: int) -> Tensor:
    """Return the indices of `held` entries that are not in keep (B, H, n), in order, (B, H, held - n)."""
    evicted = torch.ones(*keep.shape[:2], held, dtype=torch.int8, device=keep.device).scatter_(2, keep, 0)
    return evicted.argsort(dim=2, descending=True, stable=True)[:, :, : held - keep.shape[2]]


def similarity(entries: Entries, evicted: Tensor, keep: Tensor) -> Tensor:
    """Return the cosine of the keys at `evicted` and at `keep`, (B, H, e, n); -inf where one of them is padding."""
    unit = normalize(entries.keys.float(), dim=-1)
    width = unit.shape[-1]
    one, other = (unit.gather(2, index[..., None].expand(-1, -1, -1, width)) for index in (evicted, keep))
    found = one @ other.mT
    if entries.valid is None:
        return found
    present = entries.valid.gather(2, evicted)[..., None] & entries.valid.gather(2, keep)[:, :, None]
    return found.masked_fill(~present, -torch.inf)


def fold(entries: Entries, keep: Tensor, evicted: Tensor, into: Tensor, weight: Tensor, own: Tensor) -> Entries:
    """Return the entries at `keep`, each the weighted mean of itself and of those at `evicted` that are folded into it.

    `into` (B, H, e) is an index into keep; `weight` (B, H, e) is 0 for what is dropped, `own` (B, H, n) the weight of a
    kept entry.
    """
    kept = entries.gather(keep)
    total = own.scatter_add(2, into, weight)[..., None]

    def mean(mine: Tensor, all_: Tensor) -> Tensor:
        index = (*evicted.shape, all_.shape[3])
        folded = all_.gather(2, evicted[..., None].expand(index)).float() * weight[..., None]
        summed = (mine.float() * own[..., None]).scatter_add(2, into[..., None].expand(index), folded)
        return (summed / total).to(mine.dtype)

    return replace(kept, keys=mean(kept.keys, entries.keys), values=mean(kept.values, entries.values))
