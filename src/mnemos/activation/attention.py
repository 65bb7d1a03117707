"""Exact attention over the entries of a cache: with their positions, padding, sliding windows and grouped heads."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from mnemos.activation.entries import Entries

ROWS = 256  # queries whose logits are capped together
BLOCK = 2**18  # weights computed together where only their sum is needed: a megabyte, which a cache of a core holds


def query_heads(heads: Tensor, groups: int) -> Tensor:
    """Return the query heads of some key/value heads (n,), (n * groups,)."""
    return (heads[:, None] * groups + torch.arange(groups, device=heads.device)).flatten()


def visible(entries: Entries, start: int, queries: int, window: int | None = None) -> Tensor | None:
    """Return which entries each query may see, (B or 1, H or 1, q, T) as booleans; None when it is all of them.

    The first query stands at position `start`. A query sees the entries at its own position and before it, with
    `window` only the last `window` of these positions; it always sees itself, so that a query that is padding sees
    something.
    """
    plain = entries.position_ids is None and entries.valid is None
    if queries == 1 and entries.valid is None and (window is None or (plain and len(entries) <= window)):
        return None
    positions = entries.positions()[:1, :1] if plain else entries.positions()
    at = torch.arange(start, start + queries, device=positions.device)[:, None]
    position = positions[:, :, None, :]
    seen = position <= at
    if window is not None:
        seen = seen & (position > at - window)
    if entries.valid is not None:
        seen = seen & (entries.valid[:, :, None, :] | (position == at))
    return seen


def attend(
    query: Tensor, entries: Entries, start: int, scaling: float, window: int | None = None, dropout: float = 0.0,
    softcap: float | None = None,
) -> Tensor:  # fmt: skip
    """Return the attention output of queries (B, H*G, q, D) over entries, (B, H*G, q, D).

    With `softcap` logits x become c tanh(x / c) (Gemma 2, arXiv 2408.00118); that is computed without a fused kernel.
    """
    if softcap is not None:
        return _attend_capped(query, entries, start, scaling, window, softcap)
    groups = query.shape[1] // entries.keys.shape[1]
    queries, keys, values = query.shape[2], entries.keys, entries.values
    mask = None
    whole = entries.valid is None and entries.position_ids is None and window is None
    causal = queries > 1 and len(entries) == queries and whole
    if not causal:
        mask = visible(entries, start, queries, window)
    if entries.bias is not None:
        bias = entries.bias[:, :, None, :].to(query.dtype).expand(-1, -1, queries, -1)
        seen = visible(entries, start, queries, window)
        mask = bias if seen is None else bias.masked_fill(~seen, float("-inf"))
        causal = False
    if queries == 1 and values.shape[1] > 1 and values.stride(1) == 0:  # all heads share one copy of the values
        batch, heads, _, width = query.shape
        packed = query.reshape(batch, values.shape[1], groups, width) @ keys.transpose(2, 3) * scaling
        given = (packed if mask is None else packed + _bias(mask, packed)).softmax(-1)
        return (given.flatten(1, 2) @ values[:, 0]).unsqueeze(2)
    if groups > 1 and queries == 1:  # as many queries as the group has heads, over one copy of the keys
        batch, heads, _, width = query.shape
        packed = query.reshape(batch, heads // groups, groups, width)
        output = scaled_dot_product_attention(packed, keys, values, mask, dropout, scale=scaling)
        return output.reshape(batch, heads, 1, -1)
    if groups > 1 and mask is not None:  # with a mask the kernels want the heads written out
        keys, values = keys.repeat_interleave(groups, 1), values.repeat_interleave(groups, 1)
        mask = mask.repeat_interleave(groups, 1) if mask.shape[1] > 1 else mask
    return scaled_dot_product_attention(
        query, keys, values, mask, dropout, is_causal=causal, scale=scaling, enable_gqa=groups > 1 and mask is None
    )


def _bias(mask: Tensor, like: Tensor) -> Tensor:
    """Return a mask as what is added to logits."""
    return mask if mask.dtype != torch.bool else torch.zeros_like(like).masked_fill_(~mask, float("-inf"))


def _attend_capped(
    query: Tensor, entries: Entries, start: int, scaling: float, window: int | None, softcap: float
) -> Tensor:
    """Return `attend` with capped logits, `ROWS` queries at a time: O(T) memory."""
    batch, outputs = query.shape[0], []
    for first in range(0, query.shape[2], ROWS):
        part = query[:, :, first : first + ROWS]
        given = weights(part, entries, start + first, scaling, window, softcap=softcap).to(
            query.dtype
        )  # (B, H, G, n, T)
        mixed = given @ entries.values[:, :, None]
        outputs.append(mixed.reshape(batch, -1, part.shape[2], mixed.shape[-1]))
    return torch.cat(outputs, 2)


def weights(
    query: Tensor, entries: Entries, start: int, scaling: float, window: int | None = None, last: int | None = None,
    softcap: float | None = None,
) -> Tensor:  # fmt: skip
    """Return the attention that entries get from the `last` queries (default: all), (B, H, G, n, T) in float32."""
    batch, heads = entries.keys.shape[:2]
    first = 0 if last is None else max(query.shape[2] - last, 0)
    asked = query[:, :, first:].reshape(batch, heads, -1, query.shape[2] - first, query.shape[3])
    logits = torch.einsum("bhgqd,bhtd->bhgqt", asked.float(), entries.keys.float()) * scaling
    if softcap is not None:
        logits = softcap * (logits / softcap).tanh()
    if entries.bias is not None:
        logits = logits + entries.bias[:, :, None, None, :]
    seen = visible(entries, start + first, query.shape[2] - first, window)
    if seen is not None:
        logits = logits.masked_fill(~seen[:, :, None], float("-inf"))
    return logits.softmax(-1)


def weight_blocks(
    query: Tensor, entries: Entries, start: int, scaling: float, window: int | None = None, softcap: float | None = None
) -> Iterator[tuple[int, int, int, Tensor]]:
    """Yield the attention of a long call in blocks that stay in the processor's cache: row, head, first query, weights.

    The weights (G, n, t) are in float32; entries from t on are seen by none of the n queries. O(q T D) time, O(T) memory.
    """
    groups = query.shape[1] // entries.keys.shape[1]
    whole = entries.position_ids is None and entries.valid is None and entries.bias is None and window is None
    rows = max(16, BLOCK // (groups * len(entries)))
    for b, h in product(*map(range, entries.keys.shape[:2])):
        keys = (entries.keys[b, h].float() * scaling).T
        asked = query[b, h * groups : (h + 1) * groups].float()
        own = None if whole else entries.each(lambda t, b=b, h=h: t[b : b + 1, h : h + 1])  # type: ignore[misc]
        for first in range(0, query.shape[2], rows):
            count = min(rows, query.shape[2] - first)
            end = start + first + count if entries.position_ids is None else len(entries)
            logits = asked[:, first : first + count] @ keys[:, :end]
            if softcap is not None:
                logits = softcap * (logits / softcap).tanh()
            if own is None:
                ahead = torch.ones(count, count, dtype=torch.bool, device=keys.device).triu(1)
                logits[..., start + first :].masked_fill_(ahead, float("-inf"))
            else:
                if own.bias is not None:
                    logits += own.bias[0, 0, :end]
                seen = visible(own, start + first, count, window)
                if seen is not None:
                    logits.masked_fill_(~seen[0, 0, :, :end], float("-inf"))
            yield b, h, first, logits.softmax(-1)


def attention_mass(
    query: Tensor, entries: Entries, start: int, scaling: float, window: int | None = None, softcap: float | None = None
) -> Tensor:
    """Return the attention that each entry received in a call, summed over its queries, (B, H, G, T).

    O(q T D) time, O(T) memory.
    """
    batch, heads = entries.keys.shape[:2]
    if query.numel() // query.shape[3] * len(entries) <= BLOCK:
        return weights(query, entries, start, scaling, window, softcap=softcap).sum(3)
    total = torch.zeros(batch, heads, query.shape[1] // heads, len(entries), device=query.device)
    for b, h, _, part in weight_blocks(query, entries, start, scaling, window, softcap):
        total[b, h, :, : part.shape[2]] += part.sum(1)
    return total
