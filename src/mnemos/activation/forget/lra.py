"""LRA and LFA: the least recently and the least frequently attended entries are evicted; the policies of Attendre."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mnemos.activation.attention import ROWS
from mnemos.activation.base import LayerView
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
    last[fresh] = (positions[fresh] + 1).to(last.dtype)
    for first in range(0, view.queries, ROWS):
        part = view.part(first, ROWS)
        weights = part.weights().amax(2)  # (B, H, n, T)
        asking = torch.arange(part.start, part.start + part.queries, device=positions.device)
        later = asking[:, None] > positions[:, :, None]
        if view.entries.valid is not None:
            later = later & view.entries.valid[:, :, None]
        level = threshold if threshold is not None else 1 / (later.sum(-1, keepdim=True) + 1)
        used = torch.where(later & (weights > level), asking[:, None] + 1.0, 0.0)  # (B, H, n, T)
        latest = torch.cat((last[:, :, None], used), 2).cummax(2).values
        if gap is not None:
            gaps = torch.where(used > 0, used - latest[:, :, :-1], 0.0).amax(2)
            gap.copy_(torch.maximum(gap, gaps))
        last.copy_(latest[:, :, -1])


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
