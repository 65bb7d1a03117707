"""HCAM: an agent's past in chunks, of which a query reads the best few in full."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@dataclass
class Past:
    """Past states in chunks."""

    chunks: Tensor  # (B, N, c, E)
    count: Tensor | None = None  # chunks that each row has, (B,); None: all

    @staticmethod
    def of(states: Tensor, size: int) -> Past:
        """Return states (B, T, E) cut into chunks; no gradient flows back into them. T must be a multiple of `size`."""
        if states.shape[1] % size:
            raise InvalidInput(f"{states.shape[1]} states are not whole chunks of {size}: pad them.")
        return Past(states.detach().unflatten(1, (-1, size)))


@register(
    "hcam",
    papers=(
        Paper("Towards mental time travel: a hierarchical memory for reinforcement learning agents", "2105.14039"),
    ),
)
class HCAM(nn.Module):  # type: ignore[misc]
    """Finds the `top` chunks by their mean state, attends inside each, and adds the outputs by relevance.

    For states x (B, E): n = norm(x), R = softmax over chunks of q(n) · k(mean chunk), and y = x + Σ over the `top`
    chunks of R_i · attention(n, chunk_i) (equations 1 to 3). Summaries and chunks carry no gradient; what is learnt is
    how to ask and to read. `chosen` are the chunks of the last call. Deviation: relevance is one head's, and scaled by
    the square root of the width.
    """

    def __init__(
        self,
        width: int,  # E
        heads: int = 4,  # of the attention inside a chunk
        top: int = 4,  # chunks that are read in full
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.asks, self.sums = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.inside = nn.MultiheadAttention(width, heads, batch_first=True)
        self.top = top
        self.chosen = torch.empty(0, dtype=torch.long)  # (B, k)

    def forward(self, states: Tensor, past: Past) -> Tensor:
        """Return states (B, E) with what they recall added, (B, E); reads k·c of the N·c past states of a row."""
        batch, number, size, width = past.chunks.shape
        query = self.norm(states)
        logits = (self.sums(past.chunks.mean(2)) @ self.asks(query)[:, :, None])[..., 0] * width**-0.5  # (B, N)
        if past.count is not None:
            logits = logits.masked_fill(torch.arange(number, device=logits.device) >= past.count[:, None], -1e9)
        relevance = logits.softmax(1)
        best = relevance.topk(min(self.top, number), dim=1)
        self.chosen = best.indices
        picked = past.chunks.gather(1, best.indices[:, :, None, None].expand(-1, -1, size, width)).flatten(0, 1)
        asked = query[:, None].expand(-1, best.indices.shape[1], -1).reshape(-1, 1, width)
        read = self.inside(asked, picked, picked, need_weights=False)[0].view(batch, -1, width)
        return states + (best.values[..., None] * read).sum(1)
