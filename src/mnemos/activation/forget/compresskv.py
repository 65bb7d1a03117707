"""CompressKV: semantic retrieval heads choose for all heads, and layers share by what eviction costs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mnemos.activation.base import LayerView
from mnemos.activation.forget.budgets import allocate
from mnemos.activation.forget.probe import attention_probe
from mnemos.activation.forget.snapkv import last_queries, voted, window_attention
from mnemos.activation.method import CacheMethod
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

PAPER = Paper(
    "CompressKV: Semantic Retrieval Heads Know What Tokens are Not Important Before Generation",
    "2508.02401",
    code="TUDa-HWAI/CompressKV",
)


def semantic_scores(model: Any, context: Tensor, question: Tensor, answer: Tensor, span: Tensor) -> Tensor:
    """Return the attention that each head puts on the whole answer span while the answer is generated, (L, H, G).

    `span` (B, e) are the positions of the evidence in the context: all of it counts, not only the token that is copied.
    The rest is as in `retrieval_scores`.
    """
    scores = []
    for view in attention_probe(model, context, torch.cat((question, answer[:, :-1]), 1)):
        weights = view.weights(last=answer.shape[1])
        index = span[:, None, None, None].expand(*weights.shape[:4], -1)
        scores.append(weights.gather(4, index).sum(-1).mean((0, 3)))
    return torch.stack(scores)


def top_heads(scores: Tensor, count: int = 4) -> Tensor:
    """Return which heads are among the `count` best of their layer, (L, H, G) booleans; the paper takes four."""
    flat = scores.flatten(1)
    best = flat.topk(min(count, flat.shape[1]), dim=1).indices
    return torch.zeros_like(flat, dtype=torch.bool).scatter_(1, best, True).view_as(scores)


@register("compresskv", papers=(PAPER,))
@dataclass(frozen=True)
class CompressKV:
    """Lets only a layer's semantic retrieval heads cast SnapKV's votes; all its key/value heads hold the same tokens.

    Raises InvalidInput where a layer has no such head, and for a model with another number of layers.
    """

    heads: Tensor  # (L, H, G) booleans: `top_heads(semantic_scores(...))`, found once for a model
    window: int | None = None  # last queries that vote; None: as in SnapKV
    kernel: int = 7  # odd width of the pooling, as in SnapKV

    def __post_init__(self) -> None:
        if not bool(self.heads.flatten(1).any(1).all()):
            raise InvalidInput(
                "heads leaves a layer without a head that votes: choose at least one of each layer, as `top_heads` does."
            )

    def __call__(self, view: LayerView) -> Tensor:
        """Return the votes, (B, H, T), the same for every head."""
        if len(self.heads) != view.layers:
            raise InvalidInput(
                f"heads has {len(self.heads)} layers and the model {view.layers}: find the heads of this model."
            )
        size = last_queries(view, self.window)
        votes = window_attention(view, size)[:, self.heads[view.layer]].mean(1)  # (B, T)
        return voted(votes, size, self.kernel)[:, None].expand(view.entries.keys.shape[:3])


def layer_errors(model: Any, method: CacheMethod, context: Tensor, tail: Tensor, share: float) -> Tensor:
    """Return what each layer loses by eviction alone, ||O_full - O_kept||_F / ||O_full||_F, (L,).

    The tail (B, q) asks for what the context (B, T) holds; `share` of a layer's entries is kept by the method's score.
    """
    errors = []
    for view in attention_probe(model, context, tail):
        entries = replace(view.entries, position_ids=view.entries.positions())
        weights = view.weights()
        count = max(1, round(share * len(entries)))
        keep = method.keep(method.rank(view, count), count)
        kept = torch.zeros_like(entries.keys[..., 0]).scatter_(2, keep, 1.0)[:, :, None, None]
        values = entries.values[:, :, None].float()
        full, part = weights @ values, weights * kept
        part = (part / part.sum(-1, keepdim=True).clamp_min(1e-9)) @ values
        errors.append((full - part).norm() / full.norm())
    return torch.stack(errors)


@dataclass(frozen=True)
class ErrorBudgets:
    """Gives layers a budget in proportion to what eviction costs them."""

    errors: Tensor  # (L,) of `layer_errors`, found once for a model
    least: float = 0.25  # share of the even budget that every layer keeps; ours

    def need(self, view: LayerView, score: Tensor) -> Tensor:
        """Return a layer's error, ()."""
        return self.errors[view.layer]

    def counts(self, needs: Sequence[Tensor], each: int, held: int) -> list[Tensor]:
        """Return the entries of each layer."""
        least = max(1, int(self.least * each))
        return list(allocate(torch.stack(list(needs)), each * len(needs), least, held).unbind(0))
