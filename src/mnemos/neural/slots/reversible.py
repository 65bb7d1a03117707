"""R3Mem: a chunk of a text is compressed into a few vectors, and the same weights run backwards restore it.

B texts   L tokens of a chunk   D channels   M vectors that are kept
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


class Coupling(nn.Module):  # type: ignore[misc]
    """A layer that can be run backwards: y1 = x1 + F(x2), y2 = x2 + G(y1), F attention to all tokens, G a feed-forward layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        """Return both halves (B, T, D / 2) of what is made of x."""
        y1 = x1 + self.attended(x2)
        return y1, x2 + self.feed(self.between(y1))

    def inverse(self, y1: Tensor, y2: Tensor) -> tuple[Tensor, Tensor]:
        """Return the halves of which `forward` makes these."""
        x2 = y2 - self.feed(self.between(y1))
        return y1 - self.attended(x2), x2

    def attended(self, x: Tensor) -> Tensor:
        """Return F."""
        q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in self.qkv(self.before(x)).chunk(3, -1))
        joined: Tensor = self.join(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return joined


@register(
    "reversible-memory",
    papers=(Paper("R^3Mem: Bridging Memory Retention and Retrieval via Reversible Compression", "2502.15957"),),
    task="slot-readers",
)
class ReversibleMemory(nn.Module):  # type: ignore[misc]
    """Compresses a chunk into M vectors by couplings, and restores it by the same couplings backwards (arXiv 2502.15957).

    Forwards, the tokens and M learned vectors go through all couplings, and what became of the M is kept; backwards,
    the M kept ones and learned blanks in place of the tokens do. `cycle` is how far what is compressed again lies from what
    was kept. Costs O(layers (L + M)^2 D) either way. With `shared=False` half of the couplings compress and the other half
    restore: the one-way compressor with a decoder, at equal parameters. Departures: couplings are the layers themselves, not
    adapters in a frozen model; one level of text, not documents, paragraphs and entities.
    """

    def __init__(
        self,
        width: int,  # D
        slots: int = 4,  # M
        layers: int = 4,  # couplings
        heads: int = 2,  # of attention
        length: int = 128,  # tokens of a chunk, at most
        shared: bool = True,  # the weights that compress restore
    ) -> None:
        super().__init__()
        if width < 2 or width % (2 * heads) or min(slots, length) < 1 or layers < 2 or layers % 2:
            raise InvalidInput(
                f"width is {width}, slots {slots}, layers {layers}, heads {heads}, length {length}: "
                "2 * heads has to divide the width, and layers are an even number."
            )
        self.slots, self.shared = slots, shared
        self.couplings = nn.ModuleList(Coupling(width // 2, heads) for _ in range(layers))
        self.place = nn.Parameter(torch.randn(length, width) * 0.1)
        self.begin, self.blank = nn.Parameter(torch.randn(slots, width)), nn.Parameter(torch.randn(length, width))

    def compress(self, x: Tensor) -> Tensor:
        """Return the vectors (B, M, D) that are kept of tokens (B, L, D)."""
        placed = x + self.place[: x.shape[1]]
        whole = torch.cat([placed, self.begin.expand(len(x), -1, -1)], 1)
        half = self.couplings if self.shared else self.couplings[: len(self.couplings) // 2]
        return self.through(whole, half)[:, x.shape[1] :]

    def restore(self, kept: Tensor, length: int) -> Tensor:
        """Return tokens (B, L, D) from vectors (B, M, D)."""
        whole = torch.cat([self.blank[:length].expand(len(kept), -1, -1), kept], 1)
        restored = self.back(whole) if self.shared else self.through(whole, self.couplings[len(self.couplings) // 2 :])
        return restored[:, :length] - self.place[:length]

    def cycle(self, kept: Tensor, restored: Tensor) -> Tensor:
        """Return the mean squared distance of what is kept of restored tokens from what was kept."""
        return F.mse_loss(self.compress(restored), kept)

    def through(self, x: Tensor, couplings: nn.ModuleList) -> Tensor:
        """Return (B, T, D) after couplings."""
        halves = x.chunk(2, -1)
        for coupling in couplings:
            halves = coupling(*halves)
        return torch.cat(halves, -1)

    def back(self, y: Tensor) -> Tensor:
        """Return (B, T, D) before all couplings."""
        halves = y.chunk(2, -1)
        for coupling in reversed(self.couplings):
            halves = coupling.inverse(*halves)
        return torch.cat(halves, -1)
