"""FIT: tokens attend within their group, and a few latents of each group carry between groups.

B texts   L tokens in G groups of n   D channels   m latents of a group
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


class Attend(nn.Module):  # type: ignore[misc]
    """Normed attention of some vectors to others, and a feed-forward layer, each added to what was there."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.q, self.kv, self.out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor, to: Tensor, mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        """Return x (N, Q, D) after attention to (N, K, D); `mask` (Q, K) is True where x may look."""
        k, v = self.kv(self.norms[1](to)).chunk(2, -1)
        q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in (self.q(self.norms[0](x)), k, v))
        read = F.scaled_dot_product_attention(q, k, v, mask, is_causal=is_causal)
        x = x + self.out(read.transpose(1, 2).flatten(2))
        done: Tensor = x + self.feed(x)
        return done


@register(
    "far-reaching",
    papers=(Paper("FIT: Far-reaching Interleaved Transformers", "2305.12689"),),
    task="slot-readers",
)
class FarReaching(nn.Module):  # type: ignore[misc]
    """Interleaves attention inside groups of tokens with attention between the latents of all groups (arXiv 2305.12689).

    A block: tokens attend to earlier tokens of their group; latents read the tokens of their group; latents attend to
    latents of their and earlier groups; tokens attend to the latents of the groups before theirs, which is the shift by one
    group that keeps the model causal. Costs O(L n D + (L m / n)^2 D) a block, L^(4/3) at the best n, instead of O(L^2 D).
    Departures: one local layer a block; places are learned within a group and sinusoidal for groups.
    """

    def __init__(
        self,
        width: int,  # D
        group: int = 16,  # n
        latents: int = 4,  # m; 0: groups know nothing of each other
        heads: int = 2,  # of attention
        blocks: int = 2,  # of local, read, global and write-back
    ) -> None:
        super().__init__()
        if min(width, group, heads, blocks) < 1 or latents < 0 or width % heads or width % 2:
            raise InvalidInput(
                f"width {width}, group {group}, latents {latents}, heads {heads}, blocks {blocks}: give positive numbers, "
                "an even width, and heads that divide it."
            )
        self.width, self.group, self.latents = width, group, latents
        self.place = nn.Parameter(torch.randn(group, width) * 0.5)
        self.begin = nn.Parameter(torch.randn(latents, width))
        parts = ("local", "read", "between", "back") if latents else ("local",)
        self.blocks = nn.ModuleList(
            nn.ModuleDict({part: Attend(width, heads) for part in parts}) for _ in range(blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, L, D) for (B, L, D). Raises InvalidInput where n does not divide L."""
        if x.dim() != 3 or x.shape[2] != self.width or x.shape[1] % self.group or not x.shape[1]:
            raise InvalidInput(
                f"tokens have the shape {tuple(x.shape)}: give (B, L, {self.width}), L a multiple of {self.group}."
            )
        B, G, m = len(x), x.shape[1] // self.group, self.latents
        tokens = x.reshape(B * G, self.group, -1) + self.place
        latents = (self.begin + self.order(G).to(x)[:, None]).expand(B, -1, -1, -1).flatten(1, 2)  # (B, G m, D)
        number = torch.arange(G * m, device=x.device) // max(m, 1)
        earlier = number[:, None] >= number
        for block in self.blocks:
            tokens = block["local"](tokens, tokens, is_causal=True)
            if m:
                latents = block["read"](latents.reshape(B * G, m, -1), tokens).reshape(B, G * m, -1)
                latents = block["between"](latents, latents, earlier)
                before = F.pad(latents, (0, 0, m, 0))[:, : G * m].reshape(B * G, m, -1)  # of the group before
                tokens = block["back"](tokens, before)
        return tokens.reshape(B, -1, self.width)

    def order(self, groups: int) -> Tensor:
        """Return sinusoidal places of groups, (G, D)."""
        rate = 1000 ** (-torch.arange(self.width // 2) / (self.width // 2))
        angle = torch.arange(groups)[:, None] * rate
        return torch.cat([angle.sin(), angle.cos()], 1)
