"""What memory layers share: the exact best of all pairs, a pool of values, and how evenly slots are used.

B queries, N = n * n slots, H heads, k slots a head, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor, nn
from torch.nn import functional


def best_sums(rows: Tensor, columns: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k largest of all rows[..., i] + columns[..., j] and their slots i * n + j, the largest first.

    Exact at the cost of two halves and k * k sums: a pair with a row that k rows surpass is surpassed by k pairs. Equal
    sums come in the order of their rows, then of their columns; equal rows or columns by their numbers.
    """
    n = columns.shape[-1]
    best_rows, i = _best(rows, k)
    best_columns, j = _best(columns, k)
    sums = (best_rows[..., :, None] + best_columns[..., None, :]).flatten(-2)  # (..., k * k)
    slots = (i[..., :, None] * n + j[..., None, :]).flatten(-2)
    scores, at = _best(sums, k)
    return scores, slots.gather(-1, at)


def _best(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k largest and where they are, of equal ones the first; only rows with equal ones are sorted whole."""
    best, at = scores.topk(min(k + 1, scores.shape[-1]), -1)  # one more: it may equal the last
    tied = (best[..., 1:] == best[..., :-1]).any(-1)
    best, at = best[..., :k], at[..., :k]
    if tied.any():
        ordered, places = scores[tied].sort(dim=-1, descending=True, stable=True)
        best, at = best.clone(), at.clone()
        best[tied], at[tied] = ordered[..., :k], places[..., :k]
    return best, at


class Values(nn.Module):  # type: ignore[misc]
    """Rows of values, one a slot; several layers may share one pool. Gradients are sparse: of touched rows only.

    A sparse gradient needs an optimiser that takes it, such as `torch.optim.SparseAdam`: the others would move rows by
    momentum that no token touched.
    """

    def __init__(self, slots: int, width: int, sparse: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(slots, width) * width**-0.5)
        self.sparse = sparse

    def forward(self, slots: Tensor, weights: Tensor) -> Tensor:
        """Return the weighted sums of rows: slots and weights (B, H, k) give (B, D)."""
        slots, weights = slots.flatten(1), weights.flatten(1)
        return functional.embedding_bag(
            slots, self.weight, per_sample_weights=weights, mode="sum", sparse=self.sparse and self.weight.requires_grad
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """How evenly slots are used."""

    used: float  # share of the slots that were read at all
    kl: float  # divergence of the weights' distribution over slots from uniform, in nats; 0 is even


def usage(slots: Tensor, weights: Tensor, total: int) -> Usage:
    """Return how evenly look-ups, of any shape, use `total` slots (section 4.4 of arXiv 1907.05242)."""
    mass = torch.zeros(total, dtype=torch.float64)
    mass.index_add_(0, slots.flatten(), weights.detach().double().flatten())
    share = mass / mass.sum()
    entropy = float(-torch.xlogy(share, share).sum())
    read = torch.zeros(total, dtype=torch.bool)
    read[slots.flatten()] = True
    return Usage(float(read.double().mean()), log(total) - entropy)
