"""ScaleKV: layers whose attention is spread get a large budget, those that look at little a small one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mnemos.activation.attach import attached
from mnemos.activation.base import LayerView
from mnemos.activation.cache import MemoryCache
from mnemos.activation.forget.budgets import allocate
from mnemos.activation.forget.probe import Probe
from mnemos.activation.forget.snapkv import SnapKV
from mnemos.activation.method import CacheMethod
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register


@register(
    "scalekv",
    papers=(
        Paper(
            "Memory-Efficient Visual Autoregressive Modeling with Scale-Aware KV Cache Compression",
            "2505.19602",
            code="StargazerX0/ScaleKV",
        ),
    ),
    unmeasured="`mnemos bench kv-learned --parts roles` measures it on a real model; no result of it is recorded yet",
)
@dataclass(frozen=True)
class ScaleKV:
    """Gives the drafters, `layers` with wide attention, even shares of a budget, and the refiners a `refiner`-th of one.

    Which is which does not depend on the prompt: `ScaleKV.of(model, texts)` measures it once, on a few texts. The
    score decides inside a layer, such as SnapKV's. Deviation: the paper's refiners shrink from scale to scale of an
    image; a text has none.
    """

    drafters: tuple[int, ...]  # layers with a large budget
    refiner: float = 0.5  # a refiner's share of a drafter's budget

    def __post_init__(self) -> None:
        if not self.drafters or not 0 < self.refiner <= 1:
            raise InvalidInput(
                f"drafters are {self.drafters} and refiner is {self.refiner}: give one drafter or more, and a share above "
                "0 and at most 1."
            )

    @staticmethod
    def of(model: Any, texts: Sequence[Tensor], share: float = 0.5, refiner: float = 0.5) -> ScaleKV:
        """Return the allocation for a model whose `share` of layers with the widest attention are drafters."""
        spread = dispersion(model, texts)
        count = min(max(1, round(share * len(spread))), len(spread))
        return ScaleKV(tuple(sorted(spread.topk(count).indices.tolist())), refiner)

    def need(self, view: LayerView, score: Tensor) -> Tensor:
        """Return what a layer's share of the budget weighs, ()."""
        return torch.tensor(1.0 if view.layer in self.drafters else self.refiner)

    def counts(self, needs: Sequence[Tensor], each: int, held: int) -> list[Tensor]:
        """Return the entries of each layer."""
        return list(allocate(torch.stack(list(needs)), each * len(needs), 1, held).unbind(0))


class Spread(Probe):
    """Records how many entries hold most of the attention of the last queries of a call, by layer."""

    def __init__(self, mass: float, queries: int) -> None:
        self.mass, self.queries = mass, queries
        self.found: dict[int, float] = {}

    def observe(self, view: LayerView) -> None:
        """Count the fewest entries that hold `mass` of each query's attention, as a share of all."""
        weights = view.weights(last=self.queries)
        reached = weights.sort(-1, descending=True).values.cumsum(-1) >= self.mass
        self.found[view.layer] = float((~reached).sum(-1).add(1).float().mean()) / len(view.entries)


def dispersion(model: Any, texts: Sequence[Tensor], mass: float = 0.9, queries: int = 32) -> Tensor:
    """Return how widely each layer attends, (L,): the share of entries with `mass` of its attention, over texts (T,)."""
    if not texts:
        raise InvalidInput("there is no text to measure attention on: give one or more.")
    rows = []
    with torch.no_grad(), attached(model):
        for ids in texts:
            spread = Spread(mass, queries)
            model(ids[None], past_key_values=MemoryCache(model, CacheMethod(spread)), logits_to_keep=1)
            rows.append([spread.found[layer] for layer in sorted(spread.found)])
    return torch.tensor(rows).mean(0)


def scaled(share: float, scale: ScaleKV, window: int = 32) -> CacheMethod:
    """Return the method that evicts from a prompt by SnapKV, with a budget for each layer by its role."""
    return CacheMethod(SnapKV(window=window, kernel=5), prompt=share, allocation=scale)
