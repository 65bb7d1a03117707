"""Mixture of Contexts: every query and head attends to the few chunks of the past whose mean key matches it best."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from mnemos.activation.attach import use_attention
from mnemos.activation.base import Setup
from mnemos.activation.recall.base import Placement
from mnemos.activation.recall.blocks import Blocks
from mnemos.activation.recall.events import ended
from mnemos.activation.recall.tiers import Tiers
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

NAME = "mnemos-moc"


@register("moc", papers=(Paper("Mixture of Contexts for Long Video Generation", "2508.21058"),))
@dataclass(frozen=True)
class MoC(Blocks):
    """Routes each query to the first chunk, the last ones, and the `top` chunks with the largest q · mean(keys).

    Forced anchors are the first entries (`sinks`) and the `local` window; only chunks that ended before the window can
    be chosen, so routing is causal. Chunks are of one `size`, or follow the content (as the paper's follow frames and
    shots): they end at one of the token ids `ends`, or after `size` entries. As the store of a cache it reads token by
    token (`step` 1), fetches for each key/value head and keeps positions. `routed` trains or runs a whole text with the
    same routing, as a mask; `at_step` is the router of a step of a training in which `top` falls.

    Deviation: the query heads of a group share their choice.
    """

    size: int = 16  # entries of a chunk
    top: int = 5  # chunks chosen by each query
    local: int = 16  # latest entries that are always read
    sinks: int = 16  # first entries that are always read
    step: int = 1  # queries that choose together
    far: Placement = "kept"  # where chosen chunks stand
    each_head: bool = True  # each key/value head chooses for itself
    ends: tuple[int, ...] = ()  # token ids that end a chunk; none: all are of one size

    @property
    def needs_tokens(self) -> bool:
        """Whether chunks end at tokens."""
        return bool(self.ends)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.ends and (self.sinks % self.size or self.local % self.size):
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

    def at_step(self, step: int, steps: int, first: int) -> MoC:
        """Return the router of a step of a training: `top` falls evenly from `first`, and is reached halfway."""
        left = max(1 - 2 * step / max(steps, 1), 0.0)
        return replace(
            self, top=self.top + round(left * max(first - self.top, 0)), tiers=Tiers(max(first, self.tiers.room))
        )

    def cut(self, keys: Tensor, first: int, setup: Setup) -> list[list[int]]:
        """Return the lengths of the chunks that are complete, for each row."""
        if not self.ends:
            return super().cut(keys, first, setup)
        tokens = setup.transcript().tokens
        assert tokens is not None
        return ended(tokens[:, first : first + keys.shape[2]], self.ends, self.size)

    def chunks(self, ids: Tensor | None, shape: tuple[int, int], device: Any) -> Tensor:
        """Return the number of the chunk of each entry of a text, (B, T); -1 for the sinks."""
        batch, count = shape
        at = torch.arange(count, device=device)
        if not self.ends:
            return ((at - self.sinks) // self.size).clamp(min=-1).expand(batch, -1)
        if ids is None:
            raise InvalidInput("chunks end at tokens, of which the model was given none: call it with input_ids.")
        over = torch.isin(ids, torch.tensor(self.ends, device=ids.device)).tolist()
        rows = []
        for row in over:
            number, inside, found = 0, 0, [-1] * min(self.sinks, count)
            for end in row[self.sinks :]:
                found.append(number)
                inside += 1
                if end or inside == self.size:
                    number, inside = number + 1, 0
            rows.append(found)
        return torch.tensor(rows, device=device)

    def mask(self, query: Tensor, keys: Tensor, ids: Tensor | None = None) -> Tensor:
        """Return what the queries (B, H*G, T, D) of a text see of its keys (B, H, T, D), (B, H, T, T) booleans.

        `ids` (B, T) are its tokens, where chunks end at some.
        """
        batch, heads, count, width = keys.shape
        at, chunk = torch.arange(count, device=keys.device), self.chunks(ids, (batch, count), keys.device)
        whole = int(chunk.max()) + 2  # the first one is that of the sinks
        into = (chunk + 1)[:, None, :, None].expand(-1, heads, -1, width)
        sums = keys.new_zeros(batch, heads, whole, width).scatter_add(2, into, keys)
        sizes = keys.new_zeros(batch, whole).scatter_add(1, chunk + 1, torch.ones_like(chunk, dtype=keys.dtype))
        end = torch.zeros_like(sizes, dtype=at.dtype).scatter_reduce(1, chunk + 1, at.expand(batch, -1) + 1, "amax")
        means = sums / sizes.clamp(min=1)[:, None, :, None]
        worth = query.reshape(batch, heads, -1, count, width).sum(2) @ means.transpose(2, 3)  # (B, H, T, N)
        left = (end[:, None] <= at[:, None] - self.local) & (sizes > 0)[:, None]  # chunks that have left the window
        left[:, :, 0] = False
        worth = worth.masked_fill(~left[:, None], float("-inf"))
        best = worth.topk(min(self.top, whole), dim=3)
        chosen = torch.zeros_like(worth, dtype=torch.bool).scatter_(3, best.indices, best.values > float("-inf"))
        seen = (chosen | ~left[:, None]).gather(3, (chunk + 1)[:, None, None].expand(-1, heads, count, -1))
        return seen & (at <= at[:, None])


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
            mask = moc.mask(query, key, texts[-1] if texts else None)
        groups = query.shape[1] // key.shape[1]
        key, value, mask = (t.repeat_interleave(groups, 1) for t in (key, value, mask))
        output = scaled_dot_product_attention(query, key, value, mask, dropout, scale=scaling)
        return output.transpose(1, 2).contiguous(), None

    texts: list[Tensor | None] = []

    def note(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        texts[:] = [args[0] if args else kwargs.get("input_ids")]

    hook = model.register_forward_pre_hook(note, with_kwargs=True)
    try:
        with use_attention(model, NAME, forward, lambda *args, **kwargs: None):
            yield model
    finally:
        hook.remove()
