"""Weights as a growing sum of rank-1 terms: a task adds some, and chooses among all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.made import Maker, MakesWeights, Weights, key
from mnemos.registry import Paper, register


class Ranks(Maker):
    """Makes W_t = sum_k s_tk u_k v_k^T for every matrix (m, n): u (m,), v (n,) of all tasks so far, s_t (terms,) its own.

    A kernel (out, in, ...) is made as the matrix (out, in * ...).
    """

    def __init__(self, inner: nn.Module, first: int, more: int, selects: bool) -> None:
        super().__init__(inner)
        self.first, self.more, self.selects = first, more, selects
        self.terms = nn.ModuleDict()  # by task, by weight: u (r, m) and v (r, n) that it added
        self.chosen = nn.ModuleDict()  # by task, by weight: s_t

    def grow(self, task: int, weights: Weights, generator: torch.Generator) -> None:
        """Add terms: the first task's are the largest of the model's own weights, later ones begin at zero (v = 0)."""
        added, chosen = nn.ParameterDict(), nn.ParameterDict()
        for name in self.names:
            own = weights[name].detach().flatten(1)
            if not len(self.terms):
                u, s, v = torch.linalg.svd(own, full_matrices=False)
                rank = min(self.first, len(s))
                size = s.square().sum().sqrt() / s[:rank].square().sum().sqrt()  # as large as the weights as a whole
                added[f"u/{key(name)}"] = (u[:, :rank] * (s[:rank] * size).sqrt()).T.contiguous()
                added[f"v/{key(name)}"] = (v[:rank].T * (s[:rank] * size).sqrt()).T.contiguous()
            else:
                rank = min(self.more, *own.shape)
                draw = torch.randn(rank, len(own), generator=generator)
                added[f"u/{key(name)}"] = draw / len(own) ** 0.5
                added[f"v/{key(name)}"] = torch.zeros(rank, own.shape[1])
            chosen[key(name)] = torch.ones(self._count(name) + rank)
        self.terms[str(task)], self.chosen[str(task)] = added, chosen

    def trained(self, task: int) -> Iterator[nn.Parameter]:
        """Yield the task's terms, and its choice."""
        yield from self.terms[str(task)].parameters()
        if self.selects:
            yield from self.chosen[str(task)].parameters()

    def forward(self, task: int, weights: Weights) -> dict[str, Tensor]:
        """Return the sums of a task: of the terms that were there when it was learned."""
        made = {}
        for name in self.names:
            s = self._of(self.chosen, str(task))[key(name)]
            before = [self._of(self.terms, str(t)) for t in self.tasks[: self.tasks.index(task) + 1]]
            u, v = (torch.cat([terms[f"{side}/{key(name)}"] for terms in before]) for side in "uv")
            made[name] = ((u.T * s) @ v).view_as(weights[name])
        return made

    def _count(self, name: str) -> int:
        return sum(len(self._of(self.terms, t)[f"u/{key(name)}"]) for t in self.terms)

    @staticmethod
    def _of(held: nn.ModuleDict, task: str) -> nn.ParameterDict:
        found = held[task]
        assert isinstance(found, nn.ParameterDict)
        return found


@register(
    "rank-updates",
    papers=(Paper("Incremental Task Learning with Incremental Rank Updates", "2207.09074"),),
    task="tasks in sequence",
    baselines=("plain",),
)
@dataclass
class RankUpdates(MakesWeights):
    """Gives each task a few rank-1 terms of every matrix, and its own weights for the frozen terms of all earlier tasks.

    What was learned is never changed, so that the answers of a named task stay the same to the bit. A task costs
    more * (m + n) numbers a matrix (m, n), one a term, and its vectors.
    """

    first: int = 11  # terms of the first task
    more: int = 2  # terms that each later task adds
    selects: bool = True  # learn a weight for every term; without: all earlier terms count 1

    def __post_init__(self) -> None:
        if self.first < 1 or self.more < 1:
            raise InvalidInput(f"first is {self.first} and more {self.more}: give each task at least 1 term.")

    def maker(self, inner: nn.Module, generator: torch.Generator) -> Ranks:
        """Return the sums of terms."""
        return Ranks(inner, self.first, self.more, self.selects)
