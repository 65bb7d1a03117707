"""LazyEviction: wait before evicting, and keep what comes back at intervals."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mnemos.activation.base import LayerView
from mnemos.activation.forget.lra import track
from mnemos.activation.method import CacheMethod
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "lazyeviction",
    papers=(
        Paper(
            "LazyEviction: Lagged KV Eviction with Attention Pattern Observation for Efficient Long Reasoning",
            "2506.15969",
        ),
    ),
    task="key-value-known",
    phase="decode",
    baselines=("random-eviction", "sliding-window"),
)
@dataclass(frozen=True)
class LazyEviction:
    """Ranks by 2 sigmoid(-(t - TS) / MRI) + 2 sigmoid(-1 / MRI), MRI the longest gap between two uses of an entry.

    TS is the last time its attention was above `alpha`. What has been silent for longer than it ever was before fades;
    what comes back after long gaps is waited for. What never came back has no gap, and the score 0. Evicting only every
    W calls, and keeping the W most recent, are `interval` and `recent` of the `CacheMethod`.

    On the small models, asked for a few facts over and over, it holds on to them where TOVA, H2O and a sliding window
    lose them, but no better than random eviction does, and a delay does not help: a fact draws attention only when it
    is asked for.
    """

    alpha: float | None = (
        1e-4  # attention that counts as a use; None: the uniform share of what a query sees, for short texts
    )

    def __post_init__(self) -> None:
        if self.alpha is not None and not 0 <= self.alpha < 1:
            raise InvalidInput(f"alpha is {self.alpha}: give a share of attention from 0 to below 1, or None.")

    def observe(self, view: LayerView) -> None:
        """Record uses and gaps."""
        track(view, self.alpha, view.entries.memory("last-used"), view.entries.memory("gap"))

    def __call__(self, view: LayerView) -> Tensor:
        """Return the scores, (B, H, T) from 0 to 2; where they tie, the oldest are evicted first."""
        gap = view.entries.memory("gap").clamp_min(1e-6)
        silent = view.tokens_read - view.entries.memory("last-used")
        score = 2 * torch.sigmoid(-silent / gap) + 2 * torch.sigmoid(-1 / gap)
        return score + 1e-4 * view.entries.positions() / view.tokens_read

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Evict four at a time, but no sinks; a use is attention above the uniform share."""
        return CacheMethod(LazyEviction(alpha=None), prompt=share, decode=share, interval=4, recent=0.25, sinks=4)
