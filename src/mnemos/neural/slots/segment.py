"""A transformer layer over one segment of a text that reads slots, and what its memories share when they write them.

B texts   L tokens of a segment   D channels   N slots
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput


class SlotSegment(nn.Module):  # type: ignore[misc]
    """Reads a segment: attention to its earlier tokens, then to slots, then a feed-forward layer; a memory writes the slots.

    A subclass says how slots begin (`init_state`) and how they are written (`write`). Without slots it is the plain
    layer, which remembers nothing. Costs O(L^2 D + L N D) a segment.
    """

    def __init__(self, width: int, slots: int, heads: int, length: int) -> None:
        super().__init__()
        if width < 1 or slots < 0 or heads < 1 or width % heads or length < 1:
            raise InvalidInput(
                f"width is {width}, slots {slots}, heads {heads}, length {length}: heads has to divide the width."
            )
        self.width, self.slots, self.heads = width, slots, heads
        self.place = nn.Parameter(torch.randn(length, width) * 0.1)
        self.qkv, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3 if slots else 1))
        if slots:
            self.ask, self.read = nn.Linear(width, width), nn.Linear(width, 2 * width)
            self.join = nn.Linear(width, width)
            self.write_q, self.write_kv = nn.Linear(width, width), nn.Linear(width, 2 * width)

    def init_state(self, batch: int) -> Tensor:
        """Return the slots (B, N, D) before the first segment."""
        return self.place.new_zeros(batch, self.slots, self.width)

    def forward(self, x: Tensor, slots: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is made of a segment (B, L, D) after slots (B, N, D), and the slots after it."""
        x = x + self.place[: x.shape[1]]
        q, k, v = (self.split(t) for t in self.qkv(self.norms[0](x)).chunk(3, -1))
        x = x + self.mix(self.joined(F.scaled_dot_product_attention(q, k, v, is_causal=True)))
        if self.slots:
            x = x + self.recalled(self.norms[1](x), slots)
        x = x + self.feed(x)
        return x, self.write(self.norms[2](x), slots) if self.slots else slots

    def recalled(self, x: Tensor, slots: Tensor) -> Tensor:
        """Return what tokens (B, L, D) read of the slots."""
        k, v = (self.split(t) for t in self.read(slots).chunk(2, -1))
        joined: Tensor = self.join(self.joined(F.scaled_dot_product_attention(self.split(self.ask(x)), k, v)))
        return joined

    def write(self, x: Tensor, slots: Tensor) -> Tensor:
        """Return the slots after a segment."""
        raise NotImplementedError

    def attended(self, x: Tensor, slots: Tensor, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
        """Return how much each slot attends to itself, (B, N, 1), and what it takes from tokens x, (B, N, D)."""
        own = self.write_kv(slots).chunk(2, -1)[0]
        k, v = self.write_kv(x).chunk(2, -1)
        q = self.write_q(slots)
        scores = torch.cat([(q * own).sum(-1, keepdim=True), q @ k.transpose(1, 2)], -1)
        weights = (scores / self.width**0.5 / temperature).softmax(-1)
        return weights[..., :1], weights[..., 1:] @ v

    def split(self, x: Tensor) -> Tensor:
        """Return (B, H, L, D / H) for (B, L, D)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def joined(self, x: Tensor) -> Tensor:
        """Return (B, L, D) for (B, H, L, D / H)."""
        return x.transpose(1, 2).flatten(2)
