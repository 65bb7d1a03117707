"""Recency by layers: how long a memory counts as recent depends on how long such a thing holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mnemos.cube import Hit, to_micros
from mnemos.registry import Paper, register
from mnemos.store.base import Store
from mnemos.store.values import Filter
from mnemos.text.base import DAY, Asked, Histories
from mnemos.text.forget.layered import Layered

TRADINGGPT = Paper(
    "TradingGPT: Multi-Agent System with Layered Memory and Distinct Characters for Enhanced Financial Trading Performance",
    "2309.03736",
)
WHY = "recency"
# Attributes of which a value holds for days, and for years; of all others it holds for months.
SHORT = re.compile(r"\b(?:price|cost|mood|weather|plan|task|status|deadline|availability|password|version)\b")
LONG = re.compile(r"\b(?:name|birthday|hometown|nationality|degree|relationship|live in|allergy|allergic|favourite)\b")


@register("layered-recency", papers=(TRADINGGPT,), task="layers")
@dataclass(frozen=True, slots=True)
class LayeredRecency:
    """Add exp(-age / Q) of each hit's layer to its score, in units of the best score.

    A hit's layer is that of what it states (a price holds for days, a home for years), at least the tier to which use has
    raised it; what states nothing that the rules read is in its tier. Q is that of `law`. Deviations: the paper lets a
    model rate importance, and draws the best of each layer; here importance is what raised the tier. Not in the default
    system, which reads what superseded what. One lookup.
    """

    law: Layered = field(default_factory=Layered)  # the constants of the three layers
    weight: float = 0.2  # of the recency of what was just told, as a share of the best score; the paper's is 1

    def rerank(
        self, store: Store, asked: Asked, hits: Sequence[tuple[int, Hit]], filter: Filter, k: int
    ) -> list[tuple[int, Hit]]:
        """Return the best `k` hits by score and recency; the newest of the hits has no age."""
        if not hits:
            return []
        shown = store.matching(filter, [key for key, _ in hits])  # what does not pass keeps its score
        stated: dict[int, int] = {}
        for row in store.facts.of([key for key, _ in hits]):
            stated[row.key] = max(stated.get(row.key, 0), layer_of(row.fact.attribute))
        cubes = [hit.cube for _, hit in hits]
        at = np.array([to_micros(cube.at) for cube in cubes]) / DAY
        tiers = np.array([max(cube.layer, stated.get(key, 0)) for (key, _), cube in zip(hits, cubes, strict=True)])
        histories = replace(Histories.of(cubes), created=at, recalled=at, tier=tiers)
        best = max(hit.score for _, hit in hits)
        added = self.weight * abs(best) * self.law.retention(histories, float(at.max()))
        risen = [
            (
                key,
                replace(hit, score=hit.score + float(more), why={**hit.why, WHY: float(more)}) if key in shown else hit,
            )
            for (key, hit), more in zip(hits, added, strict=True)
        ]
        return sorted(risen, key=lambda row: -row[1].score)[:k]


def layer_of(attribute: str) -> int:
    """Return the layer of what has this attribute: 0 holds for days, 1 for months, 2 for years."""
    return 0 if SHORT.search(attribute) else 2 if LONG.search(attribute) else 1
