"""The read of a continuous Hopfield network as a layer: between two sets, pooling, or a look-up of learned patterns."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "hopfield-layer",
    papers=(Paper("Hopfield Networks is All You Need", "2008.02217", "ml-jku/hopfield-layers"),),
    task="associative",
)
class HopfieldLayer(nn.Module):  # type: ignore[misc]
    """Reads stored patterns by one Hopfield update, with learned projections: association, pooling or look-up.

    Z = softmax(beta R W_Q (Y W_K)^T) Y W_V of states R (B, M, D) and stored patterns Y (B, N, D), arXiv 2008.02217. The
    states are given, or learned (`queries`: pooling of a set); the stored patterns are given, or learned (`prototypes`: a
    look-up). Departure: one head, no dropout, layer norm over inputs only where `normed`.
    """

    def __init__(
        self,
        width: int,  # D
        queries: int = 0,  # learned states; 0: they are given
        prototypes: int = 0,  # learned stored patterns; 0: they are given
        beta: float | None = None,  # inverse temperature; 1 / sqrt(D) if nothing is said
        empty: bool = False,  # whether a state may read nothing (Softmax_1, arXiv 2404.03828)
        normed: bool = True,  # whether patterns and states are layer-normed before they are projected
    ) -> None:
        super().__init__()
        if width < 1 or queries < 0 or prototypes < 0 or (queries and prototypes):
            raise InvalidInput(
                f"width is {width}, queries {queries}, prototypes {prototypes}: give a positive width, and one of the others."
            )
        self.beta, self.empty = width**-0.5 if beta is None else beta, empty
        self.queries = nn.Parameter(torch.randn(queries, width) * 0.02) if queries else None
        self.prototypes = nn.Parameter(torch.randn(prototypes, width)) if prototypes else None
        self.norm = nn.LayerNorm(width) if normed else nn.Identity()
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width, bias=False) for _ in range(3))

    def forward(self, x: Tensor, stored: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Return what is read, (B, M, D).

        With `queries` x is the stored set (B, N, D); with `prototypes` x is the states; else `stored` is the set that
        states x read. `mask` (B, N) is False for stored patterns that do not exist.
        """
        if self.queries is not None:
            stored, x = x, self.queries.expand(len(x), -1, -1)
        elif self.prototypes is not None:
            stored = self.prototypes.expand(len(x), -1, -1)
        elif stored is None:
            raise InvalidInput("there is nothing to read: give `stored`, or make the layer with queries or prototypes.")
        stored = self.norm(stored)
        states = x if self.queries is not None else self.norm(x)
        scores = self.beta * self.to_q(states) @ self.to_k(stored).transpose(1, 2)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None], float("-inf"))
        weights = F.pad(scores, (0, 1)).softmax(-1)[..., :-1] if self.empty else scores.softmax(-1)
        read: Tensor = weights @ self.to_v(stored)
        return read
