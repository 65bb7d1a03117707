"""Entries kept at random: the control that every score has to beat."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mnemos.activation.method import Method, View
from mnemos.registry import register


@register("random", task="key-value", phase="decode")
@dataclass(frozen=True)
class RandomKeep:
    """A number drawn once for every token seen, by row, head and layer; the entries with the largest stay.

    An entry keeps its number, so that a budget enforced again and again still keeps a uniform sample of the text.
    """

    seed: int = 0

    def __call__(self, view: View) -> Tensor:
        """Return the numbers, (B, H, T); O(tokens seen)."""
        places = view.entries.places()
        rng = torch.Generator().manual_seed(1_000_003 * self.seed + view.layer)
        drawn = torch.rand(view.seen, *places.shape[:2], generator=rng)  # tokens first: more of them change no other
        return drawn.permute(1, 2, 0).to(places.device).gather(2, places.long())

    @staticmethod
    def at_share(share: float) -> Method:
        """The prompt, and the text from then on, cut to a random share."""
        return Method(RandomKeep(), prompt=share, decode=share)
