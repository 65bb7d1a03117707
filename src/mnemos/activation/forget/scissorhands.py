"""Scissorhands: what was unimportant to the last queries stays unimportant."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mnemos.activation.base import LayerView
from mnemos.activation.method import CacheMethod
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


def unimportant(view: LayerView, last: int) -> Tensor:
    """Return how many of the `last` queries gave each entry less than the uniform 1/t, (B, H, T); O(last T D).

    t is the number of entries that a query sees. Entries that it does not see are not counted; the query heads of a
    group count by their mean.
    """
    weights = view.weights(last=last).mean(2)  # (B, H, n, T)
    positions = view.entries.positions()
    queries = torch.arange(view.tokens_read - weights.shape[2], view.tokens_read, device=positions.device)
    seen = positions[:, :, None] <= queries[:, None]
    if view.entries.valid is not None:
        seen = seen & view.entries.valid[:, :, None]
    uniform = 1 / seen.sum(-1, keepdim=True).clamp_min(1)
    return (seen & (weights < uniform)).sum(2).float()


def persistence(weights: Tensor) -> float:
    """Return the share of the tokens pivotal to the second half of a text that were pivotal to its first.

    `weights` (..., T, T) is causal attention. A token of the first half is pivotal to a set of queries when it receives
    more than the uniform level from any of them; chance is the share of tokens that are pivotal to the first half.
    """
    held = weights.shape[-1]
    half = held // 2
    level = 1 / torch.arange(1, held + 1, device=weights.device)[:, None]
    used = (weights > level)[..., :half]
    off_diagonal = ~torch.eye(held, half, dtype=torch.bool, device=weights.device)
    first, second = (part.any(-2) for part in (used & off_diagonal).split((half, held - half), dim=-2))
    return float((first & second).sum() / second.sum().clamp_min(1))


PAPER = Paper(
    "Scissorhands: Exploiting the Persistence of Importance Hypothesis for LLM KV Cache Compression at Test Time",
    "2305.17118",
)


@register(
    "scissorhands",
    papers=(PAPER,),
    task="key-value-known",
    phase="decode",
    baselines=("random-eviction", "sliding-window"),
)
@dataclass(frozen=True)
class Scissorhands:
    """Counts the queries of the last `window` that gave an entry less than the uniform share; the most go first.

    Ties are broken for the more recent. The record is kept in two halves that take turns, so it covers between half of
    the window and all of it: one number each, where the paper keeps the attention of the whole window. The 10 most
    recent that the paper keeps are `recent` of the `CacheMethod`, which also says how often entries are evicted
    (`interval`); budgets that rise with the layer are `Pyramid(rising=True)`.
    """

    window: int = 400  # queries that the record covers

    def __post_init__(self) -> None:
        if self.window < 1:
            raise InvalidInput(f"window is {self.window}: give 1 or more queries.")

    def observe(self, view: LayerView) -> None:
        """Count the queries of a call."""
        now, before = (view.entries.memory(f"unimportant-{name}") for name in ("now", "before"))
        counted = view.memory.get("counted", 0)
        half = max(1, self.window // 2)
        if view.queries >= half or counted >= half:
            before.copy_(now if view.queries < half else torch.zeros_like(now))
            now.zero_()
            counted = 0
        now.add_(unimportant(view, min(view.queries, self.window)))
        view.memory["counted"] = counted + view.queries

    def __call__(self, view: LayerView) -> Tensor:
        """Return the records, negated, (B, H, T)."""
        count = view.entries.memory("unimportant-now") + view.entries.memory("unimportant-before")
        return view.entries.positions() / (view.tokens_read + 1) - count

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Evict by the record of the last four queries: the small models' texts are short."""
        return CacheMethod(Scissorhands(window=4), prompt=share, decode=share)
