"""Segments, then pages: the pages of the nearest segments come before what is near alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mnemos.cube import Hit
from mnemos.registry import register
from mnemos.store.base import Store
from mnemos.store.values import Filter
from mnemos.text.base import Asked
from mnemos.text.recall.latest import MEMORYOS

WHY = "segment"


@register(
    "segment-pages",
    baselines=("cosine",),
    unmeasured="`mnemos bench systems` measures it within memoryos",
    papers=(MEMORYOS,),
)
@dataclass(frozen=True, slots=True)
class SegmentPages:
    """Take the `segments` nearest to the question, and rank their pages by cosine, raised by that of their segment.

    Without segments (see the phase of that name) the hits stay as they are. One scan of the segments, O(segments), and the
    vectors of the pages of those taken.

    Deviation: the paper shows pages of these segments alone; here a page outside stays a hit if it is nearer.
    """

    segments: int = 5  # m of the paper
    raised: float = 0.4  # share of the segment's cosine that its pages get

    def rerank(
        self, store: Store, asked: Asked, hits: Sequence[tuple[int, Hit]], filter: Filter, k: int
    ) -> list[tuple[int, Hit]]:
        """Return at most `k` hits, by cosine and segment."""
        if asked.vector is None or asked.model is None:
            return list(hits[:k])
        keys = [d.key for d in store.derived.existing().values() if d.level == "segment"]
        unit = np.asarray(asked.vector, dtype=np.float32) / max(float(np.linalg.norm(asked.vector)), 1e-9)
        near = {key: float(row @ unit) for key, row in store.vectors.of(asked.model, keys).items()} if keys else {}
        best = sorted(near, key=lambda key: -near[key])[: self.segments]
        pages: dict[str, float] = {}
        for key, cube in store.by_key(best).items():
            pages.update((name, max(near[key], pages.get(name, 0.0))) for name in cube.parents)
        own = store.keys_of(sorted(pages))
        shown = store.matching(filter, own) if own else set()
        vectors = store.vectors.of(asked.model, sorted(shown)) if shown else {}
        known = dict(hits)
        scores = {key: float(row @ unit) for key, row in vectors.items() if key not in known}
        most = sorted(scores, key=lambda key: -scores[key])[:k]
        new = {key: Hit(cube, scores[key], {"cosine": scores[key]}) for key, cube in store.by_key(most).items()}
        found = [(key, self._raise(hit, pages.get(hit.cube.id, 0.0))) for key, hit in (known | new).items()]
        return sorted(found, key=lambda row: -row[1].score)[:k]

    def _raise(self, hit: Hit, segment: float) -> Hit:
        if segment <= 0:
            return hit
        why = {**hit.why, WHY: self.raised * segment}
        return Hit(hit.cube, sum(why.values()), why, hit.also, hit.earlier, hit.relevance)
