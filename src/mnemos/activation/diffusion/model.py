"""A small masked-diffusion language model: a bidirectional transformer that predicts the token behind each mask.

    B batch, H heads, D width of a head, q positions of a call, T positions of the sequence, V tokens with the mask

A call computes some positions of a sequence and attends to what a cache returns for the others. `decode` accepts any
model that is called in the same way and has a `mask`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnemos.activation.diffusion.base import EntryCache
from mnemos.errors import InvalidInput


@dataclass(frozen=True)
class Shape:
    """Sizes of a model."""

    vocabulary: int  # tokens without the mask, whose id is this number
    layers: int = 3
    hidden: int = 64  # width of the residual stream
    heads: int = 2
    width: int = 32  # of a head; even
    mlp: int = 128  # width of the gated MLP
    base: float = 100.0  # of RoPE (arXiv 2104.09864); large models take 10,000 or more, for longer texts

    def __post_init__(self) -> None:
        if min(self.vocabulary, self.layers, self.hidden, self.heads, self.width, self.mlp) < 1 or self.width % 2:
            raise InvalidInput(f"{self} is not a model: give sizes of 1 or more, and heads of an even width.")


class Layer(nn.Module):  # type: ignore[misc]
    """A transformer layer: attention and a gated MLP, each after an RMSNorm and added to its input."""

    def __init__(self, shape: Shape, index: int) -> None:
        super().__init__()
        self.index, self.heads, self.width = index, shape.heads, shape.width
        inner = shape.heads * shape.width
        self.norms = nn.ModuleList(nn.RMSNorm(shape.hidden, eps=1e-6) for _ in range(2))
        self.projections = nn.ModuleList(nn.Linear(shape.hidden, inner, bias=False) for _ in range(3))  # q, k, v
        self.out = nn.Linear(inner, shape.hidden, bias=False)
        self.gate = nn.Linear(shape.hidden, shape.mlp, bias=False)
        self.up = nn.Linear(shape.hidden, shape.mlp, bias=False)
        self.down = nn.Linear(shape.mlp, shape.hidden, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, cache: EntryCache | None) -> Tensor:
        """Return (B, q, hidden) from (B, q, hidden); cos and sin are (B, 1, q, D/2)."""
        normed = self.norms[0](x)
        query, key, value = (
            p(normed).unflatten(-1, (self.heads, self.width)).transpose(1, 2) for p in self.projections
        )
        query, key = rotate(query, cos, sin), rotate(key, cos, sin)
        keys, values = (key, value) if cache is None else cache.update(self.index, query, key, value)
        found = functional.scaled_dot_product_attention(query, keys, values)
        x = x + self.out(found.transpose(1, 2).flatten(2))
        normed = self.norms[1](x)
        return x + self.down(functional.silu(self.gate(normed)) * self.up(normed))


class MaskedLM(nn.Module):  # type: ignore[misc]
    """Embedding, transformer layers and a head that returns the logits of every token."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.mask = shape.vocabulary  # the id of a token that is not decoded
        self.embedding = nn.Embedding(shape.vocabulary + 1, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape, i) for i in range(shape.layers))
        self.norm = nn.RMSNorm(shape.hidden, eps=1e-6)
        self.head = nn.Linear(shape.hidden, shape.vocabulary, bias=False)  # the mask is never predicted
        nn.init.normal_(self.embedding.weight, std=0.2)
        frequencies = shape.base ** (-torch.arange(0, shape.width, 2) / shape.width)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, ids: Tensor, positions: Tensor | None = None, cache: EntryCache | None = None) -> Tensor:
        """Return logits (B, q, V - 1) of ids (B, q) at `positions` (B, q), by default 0, 1, ….

        Without a cache the q positions attend to each other only.
        """
        if positions is None:
            positions = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        angle = (positions[..., None] * self.frequencies)[:, None]  # (B, 1, q, D/2)
        cos, sin = angle.cos(), angle.sin()
        x = self.embedding(ids)
        for layer in self.layers:
            x = layer(x, cos, sin, cache)
        logits: Tensor = self.head(self.norm(x))
        return logits


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return x (B, H, q, D) rotated; channel i is paired with channel i + D/2."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)
