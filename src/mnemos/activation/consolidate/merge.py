"""Merging: what does not stay is folded into what does, by weights.

B batch, H key/value heads, T entries held, n that stay, e that do not, D head width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mnemos.activation.entries import Entries
from mnemos.activation.method import LayerView
from mnemos.errors import InvalidInput


@dataclass(frozen=True)
class Merge:
    """The `on_evict` that folds each entry that does not stay into the nearest that does.

    `near` is the kept entry with the most similar key (cosine u) or the one whose position is nearest (of two the
    earlier). It weighs e^1 and what goes into it e^u (`weigh` "similarity"), or all alike ("mean"). What is less
    similar than `threshold` is dropped: a number, or "ema", which is tau_0 = the mean of the best similarities of what
    goes at first, and from then on tau = `beta` that mean + (1 - beta) tau, for each row and head. Of what does not
    stay, the share `evict` with the lowest scores is dropped beforehand. Keys are merged as the cache holds them, with
    their rotation; padding never takes part. O(e n D).
    """

    near: Literal["key", "position"] = "key"
    weigh: Literal["similarity", "mean"] = "similarity"
    threshold: float | Literal["ema"] | None = None
    beta: float = 0.7
    evict: float = 0.0

    def __post_init__(self) -> None:
        if self.near not in ("key", "position") or self.weigh not in ("similarity", "mean"):
            raise InvalidInput(
                f"near {self.near!r} and weigh {self.weigh!r}: choose 'key' or 'position', and 'similarity' or 'mean'."
            )
        if not (0 <= self.evict <= 1 and 0 <= self.beta <= 1):
            raise InvalidInput(f"evict {self.evict} and beta {self.beta}: give shares from 0 to 1.")

    def __call__(self, view: LayerView, keep: Tensor, score: Tensor) -> Entries:
        """Return the entries that stay, with the others in them."""
        entries = view.entries
        gone = others(keep, len(entries))
        likeness = similarity(entries, gone, keep)
        if self.near == "key":
            best, into = likeness.max(3)
        else:
            positions = entries.positions().long()
            into = (positions.gather(2, gone)[..., None] - positions.gather(2, keep)[:, :, None]).abs().argmin(3)
            best = likeness.gather(3, into[..., None])[..., 0]
        joins = self._joins(entries, gone, best, score)
        weight = best.exp() if self.weigh == "similarity" else torch.ones_like(best)
        own = torch.full(keep.shape, math.e if self.weigh == "similarity" else 1.0, device=keep.device)
        return fold(entries, keep, gone, into, weight * joins, own)

    def _joins(self, entries: Entries, gone: Tensor, best: Tensor, score: Tensor) -> Tensor:
        """Return which of those that do not stay are merged, (B, H, e)."""
        valid = torch.isfinite(best)
        joins = valid.clone()
        if self.evict:
            count = int(self.evict * gone.shape[2])
            least = score.gather(2, gone).topk(count, dim=2, largest=False).indices
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
    gone = torch.ones(*keep.shape[:2], held, dtype=torch.int8, device=keep.device).scatter_(2, keep, 0)
    return gone.argsort(dim=2, descending=True, stable=True)[:, :, : held - keep.shape[2]]


def similarity(entries: Entries, gone: Tensor, keep: Tensor) -> Tensor:
    """Return the cosine of the keys at `gone` and at `keep`, (B, H, e, n); -inf where one of them is padding."""
    unit = normalize(entries.keys.float(), dim=-1)
    width = unit.shape[-1]
    one, other = (unit.gather(2, index[..., None].expand(-1, -1, -1, width)) for index in (gone, keep))
    found = one @ other.mT
    if entries.valid is None:
        return found
    there = entries.valid.gather(2, gone)[..., None] & entries.valid.gather(2, keep)[:, :, None]
    return found.masked_fill(~there, -torch.inf)


def fold(entries: Entries, keep: Tensor, gone: Tensor, into: Tensor, weight: Tensor, own: Tensor) -> Entries:
    """Return the entries at `keep`, each the weighted mean of itself and of those at `gone` that go into it.

    `into` (B, H, e) says where in `keep`; `weight` (B, H, e) is 0 for what is dropped, `own` (B, H, n) what kept ones
    weigh.
    """
    kept = entries.gather(keep)
    total = own.scatter_add(2, into, weight)[..., None]

    def mean(stays: Tensor, all_: Tensor) -> Tensor:
        index = (*gone.shape, all_.shape[3])
        goes = all_.gather(2, gone[..., None].expand(index)).float() * weight[..., None]
        summed = (stays.float() * own[..., None]).scatter_add(2, into[..., None].expand(index), goes)
        return (summed / total).to(stays.dtype)

    return replace(kept, keys=mean(kept.keys, entries.keys), values=mean(kept.values, entries.values))
