"""End-to-end memory networks: facts are looked at several times, each look changes what is asked.

B stories   N facts   D channels of a fact, such as a bag of words   d inner width   K hops
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "memory-network",
    papers=(Paper("End-To-End Memory Networks", "1503.08895", "facebookarchive/MemNN"),),
    task="slot-readers",
)
class MemoryNetwork(nn.Module):  # type: ignore[misc]
    """Answers over facts in K hops: p = softmax(u (A x + T)^T), u <- u + p (C x + T'), answer = u W (arXiv 1503.08895).

    Adjacent tying: the C of a hop is the A of the next, A of the first is that of the question, and W is the last C
    transposed; with `layer_wise` A and C are the same in all hops and u <- H u + o. T and T' are learned for the place
    of a fact, counted from the last one. Facts are vectors that A and C map, so a bag of words is a fact; the answer
    has their channels. Costs O(K N D d). `linear` leaves out the softmax, as the paper does at the start of training.
    """

    def __init__(
        self,
        width: int,  # D
        inner: int = 32,  # d
        hops: int = 3,  # K
        places: int = 64,  # facts that are told apart by their place; 0: no places
        layer_wise: bool = False,  # tie the same maps over hops
    ) -> None:
        super().__init__()
        if width < 1 or inner < 1 or hops < 1 or places < 0:
            raise InvalidInput(f"width is {width}, inner {inner}, hops {hops}, places {places}: give positive numbers.")
        self.width, self.hops, self.places, self.linear = width, hops, places, False
        count = 2 if layer_wise else hops + 1
        self.maps = nn.ParameterList(torch.randn(width, inner) * 0.1 for _ in range(count))
        self.times = nn.ParameterList(torch.randn(max(places, 1), inner) * 0.1 for _ in range(count))
        self.carry = nn.Linear(inner, inner, bias=False) if layer_wise else None

    def forward(self, facts: Tensor, question: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return answers (B, D) and the weights of the facts at each hop, (B, K, N).

        facts (B, N, D), question (B, D), mask (B, N) False where there is no fact. Raises InvalidInput for other
        shapes.
        """
        if facts.dim() != 3 or facts.shape[2] != self.width or question.shape != facts[:, 0].shape:
            raise InvalidInput(
                f"facts {tuple(facts.shape)} and question {tuple(question.shape)} do not fit: "
                f"give (B, N, {self.width}) and (B, {self.width})."
            )
        real = torch.ones_like(facts[..., 0], dtype=torch.bool) if mask is None else mask
        behind = (real.flip(1).cumsum(1).flip(1) - 1).clamp(0, max(self.places - 1, 0))  # facts after this one
        u, looks = question @ self.maps[0], []
        for hop in range(self.hops):
            first, second = (0, 1) if self.carry is not None else (hop, hop + 1)
            scores = torch.einsum("bd,bnd->bn", u, self.seen(facts, behind, first))
            p = scores.masked_fill(~real, 0.0) if self.linear else scores.masked_fill(~real, float("-inf")).softmax(-1)
            o = torch.einsum("bn,bnd->bd", p, self.seen(facts, behind, second))
            u = (u if self.carry is None else self.carry(u)) + o
            looks.append(p)
        return u @ self.maps[-1].T, torch.stack(looks, 1)

    def seen(self, facts: Tensor, behind: Tensor, which: int) -> Tensor:
        """Return facts as a map sees them, with their places, (B, N, d)."""
        mapped: Tensor = facts @ self.maps[which]
        return mapped + self.times[which][behind] if self.places else mapped
