"""LRA and LFA: the least recently and the least frequently attended entries are evicted; the policies of Attendre."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mnemos.activation.base import LayerView
from mnemos.activation.entries import Entries
from mnemos.activation.forget.h2o import H2O
from mnemos.activation.method import CacheMethod
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

ATTENDRE = Paper(
    "Attendre: Wait To Attend By Retrieval With Evicted Queries in Memory-Based Transformers for Long Context Processing",
    "2401.04881",
)


def track(view: LayerView, threshold: float | None, last: Tensor, gap: Tensor | None = None) -> None:
    """Update when each entry last received noticeable attention, and the longest gap between two such times.

    `last` (B, H, T) holds positions plus one (0: never), `gap` (B, H, T) numbers of tokens; both are changed in place.
    Writing an entry is its first use. Noticeable is above `threshold`, or above the uniform level (None). O(q T D).
    """
    positions = view.entries.positions()
    fresh = (last == 0) & (positions >= view.start)
    torch.where(fresh, (positions + 1).to(last.dtype), last, out=last)
    for b, h, first, weights in view.weight_blocks():
        strongest, asking = (
            weights.amax(0),
            torch.arange(first, first + weights.shape[1], device=last.device) + view.start,
        )
        used = noticed(view.entries, strongest, asking, threshold, (b, h))
        recent = last[b, h, : used.shape[1]]
        if gap is None:
            torch.maximum(recent, torch.where(used, asking[:, None] + 1.0, 0.0).amax(0), out=recent)
            continue
        longest = gap[b, h, : used.shape[1]]
        for now, row in zip((asking + 1.0).tolist(), used, strict=True):
            torch.maximum(longest, (now - recent).mul_(row), out=longest)
            recent.masked_fill_(row, now)


def noticed(entries: Entries, weights: Tensor, asking: Tensor, threshold: float | None, at: tuple[int, int]) -> Tensor:
    """Return which entries of a row and head got noticeable `weights` (n, t) from later queries at positions (n,)."""
    if (
        entries.position_ids is None and entries.valid is None
    ):  # entry i stands at i: none but its own query is not later
        used = weights > (1 / (asking[:, None] + 1) if threshold is None else threshold)
        used.diagonal(int(asking[0])).fill_(False)
        return used
    end = weights.shape[1]
    later = asking[:, None] > entries.positions()[at][:end]
    if entries.valid is not None:
        later &= entries.valid[at][:end]
    return later & (weights > (1 / (later.sum(-1, keepdim=True) + 1) if threshold is None else threshold))


@register(
    "lra", papers=(ATTENDRE,), task="key-value-known", phase="decode", baselines=("random-eviction", "sliding-window")
)
@dataclass(frozen=True)
class Lra:
    """Evicts the entry whose last noticeable attention is longest ago.

    Least frequently attended, the paper's other policy, is H2O's sum without its recent half: the preset "lfa", which
    on the small models barely beats random eviction at a quarter and loses to it below, as H2O's sum does.
    """

    threshold: float | None = None  # attention that is noticeable; None: above the uniform share of what a query sees

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold < 1:
            raise InvalidInput(f"threshold is {self.threshold}: give a share of attention from 0 to below 1, or None.")

    def observe(self, view: LayerView) -> None:
        """Record what the queries of a call attended to."""
        track(view, self.threshold, view.entries.memory("last-used"))

    def __call__(self, view: LayerView) -> Tensor:
        """Return the position of the last use, plus one, (B, H, T); ties are broken against the oldest."""
        return view.entries.memory("last-used") + view.entries.positions() / (view.tokens_read + 1)

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Evict the least recently attended, from the prompt and from what is generated."""
        return CacheMethod(Lra(), prompt=share, decode=share)


@register(
    "lfa", papers=(ATTENDRE,), task="key-value-known", phase="decode", baselines=("random-eviction", "sliding-window")
)
def lfa(share: float) -> CacheMethod:
    """Evict the least frequently attended, from the prompt and from what is generated."""
    return CacheMethod(H2O(), prompt=share, decode=share)
