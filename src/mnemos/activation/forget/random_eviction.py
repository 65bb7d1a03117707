"""Random eviction: the baseline that every score has to beat."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mnemos.activation.base import LayerView
from mnemos.activation.method import CacheMethod
from mnemos.registry import register


@register("random-eviction", task="key-value", phase="decode")
@dataclass(frozen=True)
class RandomEviction:
    """Draws a number once for every token read, by row, head and layer; the entries with the largest stay.

    An entry keeps its number, so that a budget enforced again and again still keeps a uniform sample of the text.
    """

    seed: int = 0  # of the numbers

    def __call__(self, view: LayerView) -> Tensor:
        """Return the numbers, (B, H, T); O(tokens read)."""
        positions = view.entries.positions()
        rng = torch.Generator().manual_seed(1_000_003 * self.seed + view.layer)
        # tokens first: more of them change no other
        drawn = torch.rand(view.tokens_read, *positions.shape[:2], generator=rng)
        return drawn.permute(1, 2, 0).to(positions.device).gather(2, positions.long())

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Evict at random, from the prompt and from what is generated."""
        return CacheMethod(RandomEviction(), prompt=share, decode=share)
