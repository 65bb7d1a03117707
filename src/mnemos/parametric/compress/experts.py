"""Merging experts, then compressing what they became.

E experts, N neurons of an expert, D width of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.compress.planes import size_of
from mnemos.registry import Paper, register


@dataclass(frozen=True)
class Expert:
    """A feed-forward network: all matrices that make its neurons, and the one that reads them."""

    ups: tuple[Tensor, ...]  # (N, D), or (N,) for a bias
    down: Tensor  # (D, N)

    def permuted(self, order: Tensor) -> Expert:
        """Return the same function with its neurons in another order."""
        return Expert(tuple(up[order] for up in self.ups), self.down[:, order])

    def vectors(self) -> Tensor:
        """Return what each neuron reads and writes, (N, numbers)."""
        return torch.cat([*(up.reshape(len(up), -1) for up in self.ups), self.down.T], 1).float()


@dataclass(frozen=True)
class Merged:
    """Few experts in the place of many."""

    experts: tuple[Expert, ...]
    group: Tensor  # (E,): which of them stands for each expert there was


@register(
    "merge-then-compress",
    papers=(
        Paper(
            "Merge, Then Compress: Demystify Efficient SMoE with Hints from Its Routing Policy",
            "2310.01334",
            "UNITES-Lab/MC-SMoE",
        ),
    ),
    task="expert-merging",
    baselines=("round-to-nearest",),
)
@dataclass(frozen=True)
class MergeThenCompress:
    """Merges experts that are routed alike, weighted by use, and holds each as low-rank factors and a few whole columns.

    Merging: the most used experts lead; every other joins the leader whose router logits resemble its own most, its neurons
    are put in the order of the leader's by linear assignment, and the group is averaged by how often each expert was used.
    Compressing: W = U V of `rank` and, of what is left, the `columns` of the largest norm. Merging costs an assignment of
    O(N^3) an expert and compressing an SVD a matrix. The other settings are what the paper compares with.
    """

    rank: int = 16  # of the factors
    columns: float = 0.1  # share of the columns whose rest is kept
    align: bool = True  # put neurons in the order of the leader's
    weights: Literal["frequency", "uniform"] = "frequency"  # of the experts of a group
    grouping: Literal["router", "random"] = "router"  # which leader an expert joins
    seed: int = 0  # of a random grouping

    def __post_init__(self) -> None:
        if self.rank < 1 or not 0 <= self.columns <= 1:
            raise InvalidInput(
                f"rank is {self.rank} and columns {self.columns}: give 1 or more, and a share of 0 to 1."
            )

    def merge(self, experts: Sequence[Expert], logits: Tensor, used: Tensor, count: int) -> Merged:
        """Return `count` experts in the place of E, from router logits (texts, E) and how often each was used (E,).

        Raises InvalidInput for a count that is not from 1 to E.
        """
        if not 1 <= count <= len(experts):
            raise InvalidInput(f"count is {count}: give 1 to {len(experts)}, the number of experts.")
        leaders = used.float().sort(descending=True, stable=True).indices[:count].tolist()
        profiles = torch.nn.functional.normalize(logits.float() - logits.float().mean(0), dim=0)
        alike = profiles.T @ profiles[:, leaders]
        group = alike.argmax(1)
        if self.grouping == "random":
            group = torch.randint(count, group.shape, generator=torch.Generator().manual_seed(self.seed))
        group[leaders] = torch.arange(count)
        merged = []
        for place, leader in enumerate(leaders):
            members = (group == place).nonzero()[:, 0].tolist()
            lined = [self._aligned(experts[leader], experts[m]) if m != leader else experts[m] for m in members]
            share = used[members].double() if self.weights == "frequency" else torch.ones(len(members)).double()
            share = share / share.sum() if share.sum() > 0 else torch.full_like(share, 1 / len(share))
            merged.append(_mean(lined, share))
        return Merged(tuple(merged), group)

    def _aligned(self, leader: Expert, other: Expert) -> Expert:
        return other.permuted(alignment(leader, other)) if self.align else other

    def compress(self, weight: Tensor) -> LowRankAndColumns:
        """Return factors and whole columns of a matrix (out, in)."""
        matrix = weight.detach().float()
        rank = min(self.rank, *matrix.shape)
        left, singular, right = torch.linalg.svd(matrix, full_matrices=False)
        u, v = (left[:, :rank] * singular[:rank]).half(), right[:rank].half()
        rest = matrix - u.float() @ v.float()
        index = rest.norm(dim=0).topk(round(self.columns * matrix.shape[1])).indices.sort().values
        return LowRankAndColumns(u, v, index.int(), rest[:, index].half(), weight.dtype)


def alignment(leader: Expert, other: Expert) -> Tensor:
    """Return the order of another expert's neurons that matches a leader's best: the assignment of the largest product."""
    from scipy.optimize import linear_sum_assignment

    likeness = leader.vectors() @ other.vectors().T
    return torch.from_numpy(linear_sum_assignment(likeness.numpy(), maximize=True)[1])


def _mean(experts: Sequence[Expert], share: Tensor) -> Expert:
    def mean(tensors: Sequence[Tensor]) -> Tensor:
        return sum((s * t.double() for s, t in zip(share, tensors, strict=True)), torch.zeros(())).to(tensors[0].dtype)

    return Expert(
        tuple(mean(ups) for ups in zip(*(e.ups for e in experts), strict=True)), mean([e.down for e in experts])
    )


@dataclass(frozen=True)
class LowRankAndColumns:
    """A matrix as U V and whole columns of what is left."""

    u: Tensor  # float16 (out, rank)
    v: Tensor  # float16 (rank, in)
    index: Tensor  # int32: of the columns
    rest: Tensor  # float16 (out, columns)
    dtype: torch.dtype  # of the matrix

    @property
    def nbytes(self) -> int:
        """Bytes of factors, columns and their numbers."""
        return size_of(self.u, self.v, self.rest, self.index)

    def decompress(self) -> Tensor:
        """Return the matrix (out, in)."""
        return (self.u.float() @ self.v.float()).index_add(1, self.index.long(), self.rest.float()).to(self.dtype)
