"""Expansion over links: what is linked to the best hits takes the places of the worst."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mnemos.cube import Hit
from mnemos.registry import register
from mnemos.store.base import Store
from mnemos.store.values import Filter
from mnemos.text.base import Asked
from mnemos.text.encode.notes import AMEM

WHY = "linked"


@register(
    "linked", baselines=("cosine",), unmeasured="tests/text/systems/test_amem.py checks it within a-mem", papers=(AMEM,)
)
@dataclass(frozen=True, slots=True)
class Linked:
    """Give the last places of the hits to what is linked to the first ones, the strongest link to the best hit first.

    A linked memory scores the hit's score times the weight of the link. Costs one lookup of the links of `seeds` hits.

    Deviation: the paper adds all linked notes to the k nearest; here k stay k, so that the prompt does not grow.
    """

    seeds: int = 5  # best hits whose links are followed
    places: float = 0.3  # share of the k places that linked memories may take

    def rerank(
        self, store: Store, asked: Asked, hits: Sequence[tuple[int, Hit]], filter: Filter, k: int
    ) -> list[tuple[int, Hit]]:
        """Return the first hits, then what is linked to them, at most `k` together."""
        seeds = {hit.cube.id: hit.score for _, hit in hits[: self.seeds]}
        known = {hit.cube.id for _, hit in hits}
        scores: dict[str, float] = {}
        for link in store.links.find(sorted(seeds), kind="similar") if seeds else ():
            for a, b in ((link.a, link.b), (link.b, link.a)):
                if a in seeds and b not in known:
                    scores[b] = max(scores.get(b, 0.0), link.weight * seeds[a])
        keys = store.keys_of(sorted(scores))
        rows = store.by_key(sorted(store.matching(filter, keys))) if keys else {}
        linked = [(key, Hit(cube, scores[cube.id], {WHY: scores[cube.id]})) for key, cube in rows.items()]
        linked.sort(key=lambda row: -row[1].score)
        first = hits[: max(k - min(math.ceil(self.places * k), len(linked)), 1)]
        return [*first, *linked, *hits[len(first) :]][:k]
