"""Exact attention in bounded memory, and the merging of partial attentions, for reading large memories.

Shapes: B batch, H key/value heads, G query heads per key/value head, q queries, T held entries, D head width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@dataclass(frozen=True, slots=True)
class Visibility:
    """Which entries a query sees: those that every given rule allows; without a rule, all."""

    offset: int | None = None  # causal: query i is at position offset + i and sees the entries up to there
    positions: tuple[Tensor, Tensor] | None = None  # causal by positions of queries (B or 1, q), of entries (B or 1, T)
    mask: Tensor | None = None  # bool, True where an entry is seen, (B or 1, 1 or G*H, 1 or q, T)
    bias: Tensor | None = (
        None  # added to the scores of an entry, (B or 1, 1 or H, T), as the log of how many it stands for
    )

    def apply(self, scores: Tensor, rows: slice, columns: slice) -> Tensor:
        """Apply the rules in place to the scores (B, H, G, q', T') of these queries and entries; return them."""
        if self.bias is not None:
            scores += self.bias[:, :, None, None, columns].to(scores)
        if self.offset is not None:
            at = torch.arange(rows.start, rows.stop, device=scores.device) + self.offset
            entries = torch.arange(columns.start, columns.stop, device=scores.device)
            scores.masked_fill_(entries > at[:, None], -math.inf)
        if self.positions is not None:
            of_queries, of_entries = self.positions
            later = of_entries[:, None, columns] > of_queries[:, rows, None]
            scores.masked_fill_(later[:, None, None], -math.inf)
        if self.mask is not None:
            mask = self.mask[..., columns] if self.mask.shape[-2] == 1 else self.mask[..., rows, columns]
            groups = scores.shape[1:3] if mask.shape[1] > 1 else (1, 1)
            scores.masked_fill_(~mask.reshape(mask.shape[0], *groups, *mask.shape[2:]), -math.inf)
        return scores


ALL_VISIBLE = Visibility()


@register(
    "chunked-attention",
    papers=(Paper("Self-attention Does Not Need O(n^2) Memory", "2112.05682"),),
    task="kv-pages",
)
@dataclass(frozen=True, slots=True)
class ChunkedAttention:
    """Exact attention in bounded memory: running maximum m, sum s and value v over chunks of entries.

    For each chunk of queries: m' = max(m, max_j x_j), s = s exp(m - m') + sum_j exp(x_j - m') and v = v exp(m - m') +
    sum_j exp(x_j - m') v_j; the output is v / s, the log-sum-exp m + log s. Chunks that lie entirely after every
    query of a causal `offset` are skipped. The defaults are those of the paper's code. The maximum is taken as a
    constant, which changes no gradient.
    """

    query_chunk: int = 1024  # queries computed at a time
    key_chunk: int = 4096  # entries computed at a time
    recompute: bool = True  # compute scores again in the backward pass, not store them; the paper's jax.checkpoint

    def __post_init__(self) -> None:
        if self.query_chunk < 1 or self.key_chunk < 1:
            chunks = f"{self.query_chunk} queries and {self.key_chunk} entries"
            raise InvalidInput(f"chunks of {chunks}: expected 1 or more of each.")

    def attend(
        self, query: Tensor, keys: Tensor, values: Tensor, visible: Visibility = ALL_VISIBLE, scale: float | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return (output (B, G*H, q, D) in the type of `query`, log-sum-exp (B, G*H, q) in at least float32).

        `query` (B, G*H, q, D), `keys` (B, H, T, D), `values` (B, H, T, D'); `scale` is 1 / sqrt(D) by default. A query
        that sees nothing gets the output 0 and the log-sum-exp -inf. Raises InvalidInput where shapes do not fit.
        """
        query, kept = _grouped(query, keys, values, scale)
        b, h, g, q, _ = query.shape
        again = self.recompute and torch.is_grad_enabled() and any(x.requires_grad for x in (query, keys, values))
        outputs, lses = [], []
        for start in range(0, q, self.query_chunk):
            rows = slice(start, min(start + self.query_chunk, q))
            part = query[:, :, :, rows]
            state: tuple[Tensor, Tensor, Tensor] | None = None
            for columns in self._columns(keys.shape[2], None if visible.offset is None else visible.offset + rows.stop):
                arguments = (part, keys[:, :, columns], values[:, :, columns], visible, rows, columns)
                new = checkpoint(_summary, *arguments, use_reentrant=False) if again else _summary(*arguments)
                state = new if state is None else _joined(state, new)
            if state is None:  # no entries, or none that these queries see
                state = _summary(part, keys[:, :, :0], values[:, :, :0], ALL_VISIBLE, rows, slice(0, 0))
            m, s, v = state
            seen = s > 0
            s = torch.where(seen, s, 1.0)
            outputs.append(v / s[..., None])
            lses.append(torch.where(seen, m + s.log(), -math.inf))
        output = torch.cat(outputs, 3) if len(outputs) > 1 else outputs[0]
        lse = torch.cat(lses, 3) if len(lses) > 1 else lses[0]
        return output.reshape(b, h * g, q, -1).to(kept), lse.reshape(b, h * g, q)

    def _columns(self, entries: int, until: int | None) -> Sequence[slice]:
        """Return the chunks of entries, without those from position `until` on, which no query of the chunk sees."""
        stop = entries if until is None else min(entries, max(until, 0))
        return [slice(i, min(i + self.key_chunk, entries)) for i in range(0, stop, self.key_chunk)]


def attend(
    query: Tensor, keys: Tensor, values: Tensor, visible: Visibility = ALL_VISIBLE, scale: float | None = None
) -> tuple[Tensor, Tensor]:
    """Attend with the chunk sizes of the paper: `ChunkedAttention().attend`."""
    return ChunkedAttention().attend(query, keys, values, visible, scale)


def naive(
    query: Tensor, keys: Tensor, values: Tensor, visible: Visibility = ALL_VISIBLE, scale: float | None = None
) -> tuple[Tensor, Tensor]:
    """Attend with all scores at once, O(q T) memory: the reference for `attend`. Each query must see an entry."""
    query, kept = _grouped(query, keys, values, scale)
    b, h, g, q, _ = query.shape
    scores = (query.flatten(2, 3) @ keys.to(query).transpose(-1, -2)).view(b, h, g, q, -1)
    scores = visible.apply(scores, slice(0, q), slice(0, keys.shape[2]))
    output = scores.softmax(-1).flatten(2, 3) @ values.to(query)
    return output.reshape(b, h * g, q, -1).to(kept), scores.logsumexp(-1).reshape(b, h * g, q)


def merge(outputs: Sequence[Tensor], lses: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the attention over disjoint sets of entries from the attention over each: (output, log-sum-exp).

    `outputs` are (..., D) and `lses` (...); o = sum_i exp(lse_i - lse) o_i with lse = log sum_i exp(lse_i). A part
    that saw nothing (-inf) has no weight. The order and grouping of the parts do not matter.
    """
    if not outputs or len(outputs) != len(lses):
        raise InvalidInput(f"{len(outputs)} outputs and {len(lses)} log-sum-exps cannot be merged: give one of each.")
    if len(outputs) == 1:
        return outputs[0], lses[0]
    top = torch.stack([lse.detach() for lse in lses]).amax(0)
    weights = [_shrink(lse, top) for lse in lses]
    total = torch.stack(weights).sum(0)
    seen = total > 0
    total = torch.where(seen, total, 1.0)
    output = outputs[0].to(total) * (weights[0] / total)[..., None]
    for part, weight in zip(outputs[1:], weights[1:], strict=True):
        output = output + part.to(total) * (weight / total)[..., None]
    return output.to(outputs[0].dtype), torch.where(seen, top + total.log(), -math.inf)


def _summary(
    query: Tensor, keys: Tensor, values: Tensor, visible: Visibility, rows: slice, columns: slice
) -> tuple[Tensor, Tensor, Tensor]:
    """Return m (B, H, G, q'), s (B, H, G, q') and v (B, H, G, q', D') of a chunk; the scores are freed with it."""
    shape = query.shape[:-1]
    flat = query.flatten(2, 3)  # the query heads of a group as more queries: no key is copied
    scores = (flat @ keys.to(query).transpose(-1, -2)).view(*shape, -1)
    scores = visible.apply(scores, rows, columns)
    m = scores.detach().amax(-1) if scores.shape[-1] else scores.new_full(shape, -math.inf)
    p = scores.sub_(torch.where(m == -math.inf, 0.0, m)[..., None]).exp_()
    v = (p.flatten(2, 3) @ values.to(query)).view(*shape, -1)
    return m, p.sum(-1), v


def _joined(one: tuple[Tensor, Tensor, Tensor], two: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Return m, s and v over the entries of two summaries."""
    top = torch.maximum(one[0], two[0])
    a, b = _shrink(one[0], top), _shrink(two[0], top)
    return top, one[1] * a + two[1] * b, one[2] * a[..., None] + two[2] * b[..., None]


def _shrink(x: Tensor, top: Tensor) -> Tensor:
    """Return exp(x - top), and 0 where both are -inf."""
    return (x - torch.where(top == -math.inf, 0.0, top)).exp()


def _grouped(query: Tensor, keys: Tensor, values: Tensor, scale: float | None) -> tuple[Tensor, torch.dtype]:
    """Return the query scaled, as (B, H, G, q, D) in at least float32, and the type it had."""
    shapes = f"query {tuple(query.shape)}, keys {tuple(keys.shape)}, values {tuple(values.shape)}"
    if query.ndim != 4 or keys.ndim != 4 or keys.shape[:3] != values.shape[:3] or keys.shape[1] == 0:
        raise InvalidInput(f"{shapes}: expected query (B, G*H, q, D), keys (B, H, T, D) and values (B, H, T, D').")
    (b, heads, q, width), h = query.shape, keys.shape[1]
    if b != keys.shape[0] or width != keys.shape[3] or heads % h:
        raise InvalidInput(f"{shapes}: batch and width must be equal, and query heads a multiple of the keys' heads.")
    scale = 1 / math.sqrt(width) if scale is None else scale
    wide = torch.promote_types(query.dtype, torch.float32)
    return (query.to(wide) * scale).reshape(b, h, heads // h, q, width), query.dtype
