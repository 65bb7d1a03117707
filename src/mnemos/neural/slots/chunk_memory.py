"""Hierarchical chunk attention: summaries of chunks say where to look, and attention goes into the best chunks only.

B sequences   N entries in chunks of c   D channels   M queries
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "hierarchical-chunks",
    papers=(
        Paper(
            "Towards mental time travel: a hierarchical memory for reinforcement learning agents",
            "2105.14039",
            "google-deepmind/deepmind-research",
        ),
    ),
    task="slot-readers",
)  # fmt: skip
class HierarchicalChunks(nn.Module):  # type: ignore[misc]
    """Reads stored states by attention to summaries of chunks, and inside the `k` best ones (arXiv 2105.14039).

    Summary = mean of a chunk; the best chunks by Q S^T; output = sum of softmax weights of these times attention inside
    each. Stored states get no gradient, so a long past costs no memory in training. Costs O(M (N / c + k c) D) instead
    of O(M N D).
    """

    def __init__(
        self,
        width: int,  # D
        chunk: int = 8,  # c
        k: int = 2,  # chunks that are looked into
    ) -> None:
        super().__init__()
        if min(width, chunk, k) < 1:
            raise InvalidInput(f"width {width}, chunk {chunk}, k {k}: give positive numbers.")
        self.width, self.chunk, self.k = width, chunk, k
        self.ask, self.look = nn.Linear(width, width), nn.Linear(width, width)  # where, and what
        self.sum_key, self.key, self.value = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, queries: Tensor, stored: Tensor) -> tuple[Tensor, Tensor]:
        """Return what queries (B, M, D) read of stored states (B, N, D), and the weights of all chunks (B, M, N / c).

        Raises InvalidInput where c does not divide N.
        """
        if stored.dim() != 3 or stored.shape[1] % self.chunk or stored.shape[2] != self.width or queries.dim() != 3:
            raise InvalidInput(
                f"stored states have the shape {tuple(stored.shape)}: "
                f"give (B, N, {self.width}), N a multiple of {self.chunk}."
            )
        chunks = stored.detach().unflatten(1, (-1, self.chunk))  # (B, G, c, D)
        where = self.ask(queries) @ self.sum_key(chunks.mean(2)).transpose(1, 2) / self.width**0.5  # (B, M, G)
        best = where.topk(min(self.k, where.shape[-1]), -1)
        weights = torch.zeros_like(where).scatter(-1, best.indices, best.values.softmax(-1))
        row = torch.arange(len(stored))[:, None, None]
        inside = chunks[row, best.indices]  # (B, M, k, c, D)
        scores = torch.einsum("bmd,bmkcd->bmkc", self.look(queries), self.key(inside)) / self.width**0.5
        read = torch.einsum("bmkc,bmkcd->bmkd", scores.softmax(-1), self.value(inside))
        return torch.einsum("bmk,bmkd->bmd", best.values.softmax(-1), read), weights
