"""Mixture of Contexts: every query and head attends to the few chunks of the past whose mean key matches it best."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from mnemos.activation.attach import use_attention
from mnemos.activation.recall.base import Placement
from mnemos.activation.recall.blocks import Blocks
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

NAME = "mnemos-moc"


@register("moc", papers=(Paper("Mixture of Contexts for Long Video Generation", "2508.21058"),))
@dataclass(frozen=True)
class MoC(Blocks):
    """Routes each query to the first chunk, the last ones, and the `top` chunks with the largest q · mean(keys).

    Forced anchors are the first chunk (`sinks`) and the `local` window; only chunks that ended before the window can be
    chosen, so routing is causal. `size`, `sinks` and `local` belong together: whole chunks. As the store of a cache it
    reads token by token (`step` 1), fetches for each key/value head and keeps positions. `routed` trains or runs a
    whole text with the same routing, as a mask.

    Deviations: chunks are of one size (the paper aligns them with frames and shots), the query heads of a group share
    their choice, and `top` is not annealed. On the small model of `mnemos bench train-models` a sixth of the context
    comes within four points of full attention after 300 routed steps, not within two.
    """

    size: int = 16  # entries of a chunk
    top: int = 5  # chunks chosen by each query
    local: int = 16  # latest entries that are always read
    sinks: int = 16  # first entries that are always read
    step: int = 1  # queries that choose together
    far: Placement = "kept"  # where chosen chunks stand
    each_head: bool = True  # each key/value head chooses for itself

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sinks % self.size or self.local % self.size:
            raise InvalidInput(
                f"sinks is {self.sinks} and local {self.local}: give whole chunks, multiples of size {self.size}."
            )

    def summarise(self, keys: Tensor, seen: Tensor, attended: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean key of each chunk."""
        mean = (keys * seen[..., None]).sum(3, keepdim=True) / seen.sum(3)[..., None, None]
        return mean, torch.ones(mean.shape[:4], dtype=torch.bool, device=keys.device)

    def score(self, logits: Tensor) -> Tensor:
        """Return the logit of the mean key, summed over the queries of a group."""
        return logits.sum((2, 3, 5))

    def mask(self, query: Tensor, keys: Tensor) -> Tensor:
        """Return what the queries (B, H*G, T, D) of a text see of its keys (B, H, T, D), (B, H, T, T) booleans."""
        batch, heads, count, width = keys.shape
        whole = count // self.size
        means = keys[:, :, : whole * self.size].reshape(batch, heads, whole, self.size, width).mean(3)
        asked = query.reshape(batch, heads, -1, count, width).sum(2)
        worth = asked @ means.transpose(2, 3)  # (B, H, T, N)
        at = torch.arange(count, device=keys.device)
        chunk, edge = at // self.size, self.sinks // self.size  # chunk of each entry, chunks that are sinks
        window = edge + ((at - self.sinks - self.local) // self.size).clamp(min=0)  # first chunk of a query's window
        open_to = (chunk[: whole * self.size : self.size] >= edge) & (
            chunk[: whole * self.size : self.size] < window[:, None]
        )
        worth = worth.masked_fill(~open_to, float("-inf"))
        best = worth.topk(min(self.top, whole), dim=3)
        chosen = torch.zeros(*worth.shape[:3], whole + 1, dtype=torch.bool, device=keys.device)
        chosen.scatter_(3, best.indices, best.values > float("-inf"))
        anchors = (chunk < edge) | (chunk >= window[:, None])
        return (chosen[..., chunk.clamp(max=whole)] | anchors) & (at <= at[:, None])


@contextmanager
def routed(model: Any, moc: MoC) -> Iterator[Any]:
    """Let a model attend to whole texts by a router, without a cache; gradients flow through what was chosen.

    Padding masks are ignored: give texts of one length. Raises InvalidInput when the model is called with a cache.
    """

    def forward(
        module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, scaling: float | None = None,
        dropout: float = 0.0, **kwargs: Any,
    ) -> tuple[Tensor, None]:  # fmt: skip
        if query.shape[2] != key.shape[2]:
            raise InvalidInput("a routed model reads whole texts: use CacheMethod(store=MoC(...)) with a cache.")
        with torch.no_grad():
            mask = moc.mask(query, key)
        groups = query.shape[1] // key.shape[1]
        key, value, mask = (t.repeat_interleave(groups, 1) for t in (key, value, mask))
        output = scaled_dot_product_attention(query, key, value, mask, dropout, scale=scaling)
        return output.transpose(1, 2).contiguous(), None

    with use_attention(model, NAME, forward, lambda *args, **kwargs: None):
        yield model
