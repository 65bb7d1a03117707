"""Large memory layers with product keys (arXiv 1907.05242): a million slots at the cost of two thousand keys."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnemos.errors import InvalidInput
from mnemos.parametric.recall.lookup import Values, best_sums
from mnemos.registry import Paper, register

PKM = Paper("Large Memory Layers with Product Keys", "1907.05242", "facebookresearch/XLM")
HYDRA = Paper(
    "Hydra: A 1.6B-Parameter State-Space Language Model with Sparse Attention, Mixture-of-Experts, and Memory",
    "2508.15099",
)


@register(
    "product-keys",
    papers=(PKM, HYDRA),
    task="closed-book facts",
)
class ProductKeyMemory(nn.Module):  # type: ignore[misc]
    """Layer of n * n slots whose keys are all pairs of two tables of n half keys; the best k are found exactly.

    Every head has its own half keys and queries; all read one pool of values. The weights of a head's slots are the softmax
    of their scores. Without a norm of the queries a few slots win everything: `batch` is the paper's, `qk` compares
    directions of queries and keys at a learned temperature, as in arXiv 2412.09764.
    """

    def __init__(
        self,
        width: int,  # D, of the hidden states
        n: int = 512,  # half keys of a table; there are n * n slots
        heads: int = 4,  # each with its own half keys
        k: int = 32,  # slots of a head that take part in an answer
        key_width: int = 128,  # of a whole key
        norm: Literal["batch", "qk", "none"] = "batch",  # of the queries
        values: Values | None = None,  # a pool that other layers read too; None makes one
        sparse: bool = True,  # gradients of touched values only; needs an optimiser that takes them
    ) -> None:
        super().__init__()
        if k > n or key_width % 2:
            raise InvalidInput(f"k is {k} and key_width {key_width}: k is at most n ({n}), and a key has two halves.")
        self.n, self.heads, self.k, self.norm = n, heads, k, norm
        self.query = nn.Linear(width, heads * key_width)
        self.batch_norm = nn.BatchNorm1d(heads * key_width) if norm == "batch" else nn.Identity()
        self.keys = nn.Parameter(torch.randn(2, heads, n, key_width // 2) * (key_width // 2) ** -0.5)
        self.log_scale = nn.Parameter(torch.tensor(0.0), requires_grad=norm == "qk")
        self.values = values if values is not None else Values(n * n, width, sparse)
        if len(self.values.weight) != n * n:
            raise InvalidInput(f"the pool has {len(self.values.weight)} rows: n of {n} needs {n * n}.")

    def half_scores(self, queries: Tensor) -> Tensor:
        """Return the scores of all half keys for hidden states (B, D): (2, B, H, n)."""
        q = self.batch_norm(self.query(queries)).unflatten(-1, (self.heads, 2, -1)).movedim(-2, 0)  # (2, B, H, key / 2)
        keys = self.keys
        if self.norm == "qk":  # a temperature of sqrt(key / 2) at the start, as if entries were of unit variance
            q, keys = functional.normalize(q, dim=-1), functional.normalize(keys, dim=-1)
            q = q * (keys.shape[-1] ** 0.5 * self.log_scale.exp())
        return torch.einsum("tbhd,thnd->tbhn", q, keys)

    def look_up(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Return the slots of queries (B, D) and their weights, both (B, H, k), the heaviest first."""
        rows, columns = self.half_scores(queries)
        scores, slots = best_sums(rows, columns, self.k)
        return slots, scores.softmax(-1)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the weighted values of hidden states (..., D); of the pool's width."""
        flat = hidden.reshape(-1, hidden.shape[-1])
        read: Tensor = self.values(*self.look_up(flat))
        return read.reshape(*hidden.shape[:-1], -1)
