"""Dual-coding memory: what was heard and what was seen at a moment are one entry, and either brings back the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "dual-coding",
    papers=(Paper("Grounded Language Learning Fast and Slow", "2009.01719", "google-deepmind/dm_fast_mapping"),),
    task="slot-readers",
)
class DualCoding(nn.Module):  # type: ignore[misc]
    """Reads moments by the code that is asked and returns the other code of those nearest (arXiv 2009.01719).

    Entries are pairs of language (B, N, L) and vision (B, N, V). A query is compared with the keys of its own code by
    cosine, the `k` best are read by softmax, and the values are of the other code. So a binding lives in the memory,
    and the weights hold none. `novelty` is the distance to the nearest entries, which the paper adds to the reward.
    With `crossed=False` one map of both codes is the key and the value (the baseline of a fused key). Costs O(N (L +
    V)) a read. Departure: the self-attention over what was read is left to the model around it.
    """

    def __init__(
        self,
        language: int,  # L
        vision: int,  # V
        width: int = 32,  # of the keys that are compared
        k: int = 8,  # entries that are read
        crossed: bool = True,  # keys of one code, values of the other
    ) -> None:
        super().__init__()
        if min(language, vision, width, k) < 1:
            raise InvalidInput(f"language {language}, vision {vision}, width {width}, k {k}: give positive numbers.")
        self.k, self.crossed = k, crossed
        self.heard, self.shown = nn.Linear(language, width, bias=False), nn.Linear(vision, width, bias=False)
        self.fused = None if crossed else nn.Linear(language + vision, width, bias=False)
        self.sharp = nn.Parameter(torch.tensor(2.3))  # logarithm of the inverse temperature

    def forward(self, query: Tensor, language: Tensor, vision: Tensor, by: str = "language") -> Tensor:
        """Return the other code (B, M, V or L) of moments whose code `by` is near queries (B, M, L or V)."""
        scores = self.scores(query, language, vision, by)
        best = scores.topk(min(self.k, scores.shape[-1]), -1)
        weights = torch.zeros_like(scores).scatter(-1, best.indices, best.values.softmax(-1))
        read: Tensor = weights @ (vision if by == "language" else language)
        return read

    def scores(self, query: Tensor, language: Tensor, vision: Tensor, by: str) -> Tensor:
        """Return the similarity of queries to all moments, (B, M, N)."""
        if by not in ("language", "vision"):
            raise InvalidInput(f"by is {by!r}: ask by 'language' or by 'vision'.")
        ask, own = (self.heard, language) if by == "language" else (self.shown, vision)
        keys = ask(own) if self.fused is None else self.fused(torch.cat([language, vision], -1))
        near: Tensor = F.normalize(ask(query), dim=-1) @ F.normalize(keys, dim=-1).transpose(1, 2)
        return self.sharp.exp() * near

    def novelty(self, query: Tensor, language: Tensor, vision: Tensor, by: str = "language") -> Tensor:
        """Return one minus the mean cosine to the k nearest entries, (B, M)."""
        near = self.scores(query, language, vision, by) / self.sharp.exp()
        return 1 - near.topk(min(self.k, near.shape[-1]), -1).values.mean(-1)
