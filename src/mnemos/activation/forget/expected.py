"""Expected attention: what queries that are still to come will attend to, estimated from those that came."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mnemos.activation.base import LayerView
from mnemos.activation.forget.adakv import AdaKV
from mnemos.activation.method import CacheMethod
from mnemos.activation.rotary import Rotary
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "expected-attention",
    papers=(
        Paper(
            "Expected Attention: KV Cache Compression by Estimating Attention from Future Queries Distribution",
            "2510.00636",
            code="NVIDIA/kvpress",
        ),
    ),
    task="key-value",
    baselines=("random-eviction", "sliding-window"),
)
@dataclass(frozen=True)
class ExpectedAttention:
    """Ranks by (E_i + epsilon) ||v_i||, E_i the attention of a query drawn from the mean and covariance of the prompt's.

    Queries are turned back to position 0, taken for normal, N(mu, S), and turned to the mean of the next `future`
    positions. Then E exp(s q k) = exp(s mu k + s^2 k S k / 2), normalised over the entries; the query heads of a group
    are averaged. No question is needed, and no second reading. The queries of the first `sinks` tokens are left out,
    being unlike the others; those entries stay (`sinks` of the `CacheMethod`).

    Raises InvalidInput for a model whose keys cannot be turned.
    """

    future: int = 512  # positions to come
    sinks: int = 4  # first queries that are left out
    epsilon: float = 0.02  # attention that every entry is given: what is never looked at counts by its value
    covariance: bool = True  # use S, not the mean alone

    def __post_init__(self) -> None:
        if self.future < 1 or self.sinks < 0 or self.epsilon < 0:
            raise InvalidInput(
                f"future is {self.future}, sinks {self.sinks} and epsilon {self.epsilon}: give a future of 1 or more, and "
                "sinks and epsilon of 0 or more."
            )

    def __call__(self, view: LayerView) -> Tensor:
        """Return the scores, (B, H, T); O(T D^2)."""
        entries, rotary = view.entries, view.rotary()
        mean, spread = self._queries(view, rotary)
        mean, spread = self._turned(rotary, mean, spread, view.tokens_read)
        keys = entries.keys.float()[:, :, None]  # (B, H, 1, T, D)
        logits = (keys @ mean[..., None])[..., 0] * view.scaling  # (B, H, G, T)
        if self.covariance:
            logits = logits + ((keys @ spread) * keys).sum(-1) * view.scaling**2 / 2
        if entries.valid is not None:
            logits = logits.masked_fill(~entries.valid[:, :, None], -torch.inf)
        return (logits.softmax(-1).mean(2) + self.epsilon) * entries.values.float().norm(dim=-1)

    def _queries(self, view: LayerView, rotary: Rotary) -> tuple[Tensor, Tensor]:
        """Return mean (B, H, G, D) and covariance (B, H, G, D, D) of the queries of this call, at position 0."""
        first = self.sinks if view.queries > self.sinks + 1 and not view.start else 0
        query = view.query[:, :, first:].float()
        at = torch.arange(view.start + first, view.start + view.queries, device=query.device)
        query = rotary.shift(query, -at.expand(query.shape[:3])).unflatten(1, (-1, view.groups))
        weight = torch.ones_like(query[..., :1])
        if view.entries.valid is not None:
            weight = weight * view.entries.valid[:, :1, None, -query.shape[3] :, None]
        count = weight.sum(3).clamp_min(1)
        mean = (query * weight).sum(3) / count
        centred = (query - mean[..., None, :]) * weight
        return mean, centred.mT @ centred / count[..., None]

    def _turned(self, rotary: Rotary, mean: Tensor, spread: Tensor, start: int) -> tuple[Tensor, Tensor]:
        """Return both turned by the mean of the rotations to the next positions, R mu and R S R^T."""
        width = mean.shape[-1]
        at = torch.arange(start, start + self.future, device=mean.device)
        unit = torch.eye(width, device=mean.device)[None, :, None].expand(1, -1, self.future, -1)
        turn = rotary.shift(unit, at.expand(1, width, -1)).mean(2)[0]  # rows: where the unit vectors go
        return mean @ turn, turn.T @ spread @ turn

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Evict from the prompt by expected attention, with budgets that the heads of a layer share."""
        return CacheMethod(ExpectedAttention(), prompt=share, sinks=4, allocation=AdaKV())
