"""A resonator: factors of a product of hypervectors, found by iteration over codebooks.

F factors   D channels   A_f codebook (n, D) of factor f, of -1 and 1   s a product of one row of each codebook
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.neural.associative.base import rows
from mnemos.registry import Paper, register


class Factors(NamedTuple):
    """Which row of each codebook was found for each product (M, F), and after how many rounds (M)."""

    chosen: Tensor
    rounds: Tensor


@register(
    "resonator",
    papers=(
        Paper("Self-Attention Based Semantic Decomposition in Vector Symbolic Architectures", "2403.13218"),
        Paper(
            "Resonator networks outperform optimization methods at solving high-dimensional vector factorization",
            "1906.11684",
        ),
    ),
    task="associative",
)  # fmt: skip
class Resonator:
    """Factors products s = a * b * c of rows of known codebooks by cleaning up one factor after the other.

    Each round updates a <- clean(A, s * b * c) from the estimates of the others. With attention (arXiv 2403.13218)
    clean(A, x) = A^T softmax(beta A x / sqrt(D)), brought back to the length sqrt(D); without (the classical resonator, arXiv
    1906.11684) clean(A, x) = sign(A^T A x). A product is done once its nearest rows make it up. Departure: an estimate that
    stays as it is without being right begins again from a random sum of rows, in both.
    A round costs O(M F n D).
    """

    def __init__(
        self,
        codebooks: Sequence[Tensor],  # A_f (n_f, D), of -1 and 1
        attention: bool = True,  # clean up by softmax; False: by the sum of outer products and the sign
        beta: float = 0.7,  # inverse temperature, of scores whose noise has the standard deviation 1
        rounds: int = 200,  # at most
        seed: int = 0,  # of the estimates that are begun again
    ) -> None:
        if len(codebooks) < 2 or rounds < 1 or beta <= 0:
            raise InvalidInput(
                f"there are {len(codebooks)} codebooks, {rounds} rounds and beta is {beta}: give two codebooks at least."
            )
        self.width = codebooks[0].shape[-1]
        self.codebooks = [rows(book, self.width, "codebooks").float() for book in codebooks]
        self.attention, self.beta, self.rounds = attention, beta, rounds
        self.generator = torch.Generator().manual_seed(seed)

    def clean(self, factor: int, x: Tensor) -> Tensor:
        """Return the estimates (M, D) of a factor for what is left of the products."""
        book = self.codebooks[factor]
        scores = x @ book.T / self.width**0.5
        if not self.attention:
            return torch.where(scores @ book >= 0, 1.0, -1.0)
        mixed = (self.beta * scores).softmax(-1) @ book
        return mixed * (self.width**0.5 / mixed.norm(dim=-1, keepdim=True))

    def factor(self, products: Tensor) -> Factors:
        """Return the factors of products (M, D)."""
        s = rows(products, self.width, "products").float()
        states = [self.begin(book, len(s)) for book in self.codebooks]
        took = torch.full((len(s),), self.rounds)
        going = torch.ones(len(s), dtype=torch.bool)
        for done in range(self.rounds):
            before = torch.stack(states)
            for f in range(len(states)):
                rest = s * torch.stack(states[:f] + states[f + 1 :]).prod(0)
                states[f] = torch.where(going[:, None], self.clean(f, rest), states[f])
            still = (torch.stack(states) * before).mean(-1).amin(0) > 1 - 1e-3  # no factor turned
            right = (bind(self.codebooks, self.chosen(states)) * s).mean(-1) > 0.5
            took[going & right] = done + 1
            going &= ~right
            if not bool(going.any()):
                break
            for f, book in enumerate(self.codebooks):
                states[f] = torch.where((going & still)[:, None], self.again(book, len(s)), states[f])
        return Factors(self.chosen(states), took)

    def chosen(self, states: Sequence[Tensor]) -> Tensor:
        """Return the rows that estimates are nearest to, (M, F)."""
        return torch.stack([self.nearest(x @ book.T) for x, book in zip(states, self.codebooks, strict=True)], 1)

    def again(self, book: Tensor, count: int) -> Tensor:
        """Return estimates to begin again from: random sums of all rows."""
        total = torch.randn(count, len(book), generator=self.generator) @ book
        if not self.attention:
            return torch.where(total >= 0, 1.0, -1.0)
        return total * (self.width**0.5 / total.norm(dim=-1, keepdim=True))

    def nearest(self, scores: Tensor) -> Tensor:
        """Return the rows that estimates are; without attention also where two factors have changed their signs."""
        return (scores if self.attention else scores.abs()).argmax(-1)

    def begin(self, book: Tensor, count: int) -> Tensor:
        """Return the estimate that favours no row: the sum of all, brought to the length of one."""
        total = book.sum(0)
        if not self.attention:
            return torch.where(total >= 0, 1.0, -1.0).expand(count, -1)
        return (total * (self.width**0.5 / total.norm())).expand(count, -1)


def bind(codebooks: Sequence[Tensor], chosen: Tensor) -> Tensor:
    """Return the products (M, D) of the chosen rows (M, F)."""
    return torch.stack([book[chosen[:, f]] for f, book in enumerate(codebooks)]).prod(0)
