"""A small masked-diffusion language model: a transformer that sees both sides and says what stands behind each mask.

    B batch, H heads, D width of a head, q positions of a call, T positions of the sequence, V tokens with the mask

It reads some positions of a sequence, by their places, and attends to what a cache returns for the others. Another model
can take its place in `decode` when it is called in the same way and has a `mask`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnemos.errors import InvalidInput


class Reuse(Protocol):
    """What a model's layers hand their keys and values to."""

    def update(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Take in (B, H, q, D) each, and return the keys and values (B, H, n, D) that the q positions attend to."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a model; `vocabulary` does not count the mask, whose id comes after the last token's."""

    vocabulary: int
    layers: int = 3
    hidden: int = 64
    heads: int = 2
    width: int = 32  # of a head; even
    mlp: int = 128
    base: float = 100.0  # of RoPE (arXiv 2104.09864); large models take 10,000 and more, for longer texts

    def __post_init__(self) -> None:
        if min(self.vocabulary, self.layers, self.hidden, self.heads, self.width, self.mlp) < 1 or self.width % 2:
            raise InvalidInput(f"{self} is no model: give positive sizes, and heads of an even width.")


class Layer(nn.Module):  # type: ignore[misc]
    """Attention and a gated MLP, each after an RMSNorm and added to what came in."""

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

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, cache: Reuse | None) -> Tensor:
        """Return (B, q, hidden) from (B, q, hidden); cos and sin are (B, 1, q, D/2)."""
        normed = self.norms[0](x)
        query, key, value = (
            p(normed).unflatten(-1, (self.heads, self.width)).transpose(1, 2) for p in self.projections
        )
        query, key = turned(query, cos, sin), turned(key, cos, sin)
        keys, values = (key, value) if cache is None else cache.update(self.index, query, key, value)
        found = functional.scaled_dot_product_attention(query, keys, values)
        x = x + self.out(found.transpose(1, 2).flatten(2))
        normed = self.norms[1](x)
        return x + self.down(functional.silu(self.gate(normed)) * self.up(normed))


class MaskedLM(nn.Module):  # type: ignore[misc]
    """Embedding, layers, and the logits of every token at the positions of the call."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.mask = shape.vocabulary  # the id that stands for a token not yet decoded
        self.embedding = nn.Embedding(shape.vocabulary + 1, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape, i) for i in range(shape.layers))
        self.norm = nn.RMSNorm(shape.hidden, eps=1e-6)
        self.head = nn.Linear(shape.hidden, shape.vocabulary, bias=False)  # the mask is never predicted
        nn.init.normal_(self.embedding.weight, std=0.2)
        frequencies = shape.base ** (-torch.arange(0, shape.width, 2) / shape.width)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, ids: Tensor, places: Tensor | None = None, cache: Reuse | None = None) -> Tensor:
        """Return logits (B, q, V - 1) of ids (B, q) that stand at `places` (B, q), without them at 0, 1, …

        Without a cache the q positions see each other and nothing else.
        """
        if places is None:
            places = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        angle = (places[..., None] * self.frequencies)[:, None]  # (B, 1, q, D/2)
        cos, sin = angle.cos(), angle.sin()
        x = self.embedding(ids)
        for layer in self.layers:
            x = layer(x, cos, sin, cache)
        logits: Tensor = self.head(self.norm(x))
        return logits


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return x (B, H, q, D) rotated; channel i makes a pair with channel i + D/2."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)
