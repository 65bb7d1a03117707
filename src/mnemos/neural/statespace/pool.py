"""Pools of a fixed size that keep the best tokens so far: which ones each token sees, for all tokens at once.

    B sequences   P places of the pool   L entries, of which the first P are those in the pool before
    worth (B, L): how much each entry is worth keeping; below 0 it is never kept

A token that was pushed out never comes back, because those that were better stay better or are pushed out by better ones.
So what the pool holds at a time follows from the ranks up to then, without a loop; O(L^2) comparisons. Layers with a pool
read long texts chunk by chunk, so that they cost O(T).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mnemos.neural.base import State

EMPTY = -1.0  # the worth of a place without an entry
CHUNK = 128  # tokens whose pools are computed at once


def by_chunks(
    read: Callable[[Tensor, State, Tensor | None], tuple[Tensor, State]], x: Tensor, state: State, mask: Tensor | None
) -> tuple[Tensor, State]:
    """Return what `read` makes of tokens (B, T, D), chunk by chunk."""
    out = []
    for begin in range(0, x.shape[1], CHUNK):
        part = slice(begin, begin + CHUNK)
        y, state = read(x[:, part], state, None if mask is None else mask[:, part])
        out.append(y)
    return torch.cat(out, 1), state


def held(worth: Tensor, places: int, until: Tensor) -> Tensor:
    """Return (B, T, L): what the pool holds when the entries up to `until` (T,) have been offered to it.

    `until` is an index of entries, at least P - 1. Of equal ones the earlier stays.
    """
    entry = torch.arange(worth.shape[1], device=worth.device)
    equal = (worth[:, None] == worth[..., None]) & (entry < entry[:, None])
    ahead = ((worth[:, None] > worth[..., None]) | equal).int().cumsum(2)  # (B, entry, up to): how many are better
    rank = ahead[:, :, until].transpose(1, 2)
    return (entry <= until[:, None]) & (rank < places) & (worth >= 0)[:, None]


def kept(worth: Tensor, places: int) -> Tensor:
    """Return the indices (B, P) of the entries that are in the pool after all, in the order in which they came."""
    return worth.argsort(dim=1, descending=True, stable=True)[:, :places].sort(1).values


def offer(pool: list[Tensor], entry: list[Tensor], worth: int = -1) -> list[Tensor]:
    """Return a pool (B, P, ...) each after one entry (B, 1, ...) was offered: the worst goes. The formula of the others."""
    joined = [torch.cat([a, b.to(a.dtype)], 1) for a, b in zip(pool, entry, strict=True)]
    rank, size = joined[worth], joined[worth].shape[1]
    worst = size - 1 - rank.flip(1).argmin(1)  # the last one of the least worth
    stay = torch.arange(size - 1, device=rank.device).expand(len(rank), -1)
    stay = stay + (stay >= worst[:, None])
    return [take(t, stay) for t in joined]


def take(entries: Tensor, index: Tensor) -> Tensor:
    """Return entries (B, P, ...) of (B, L, ...) at an index (B, P)."""
    shape = (*index.shape, *(1,) * (entries.dim() - 2))
    return entries.gather(1, index.view(shape).expand(*index.shape, *entries.shape[2:]))
