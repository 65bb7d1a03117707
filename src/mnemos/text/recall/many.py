"""Questions for a list or a count get more hits, spread over sessions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mnemos.cube import Hit
from mnemos.reason.many import asks_many
from mnemos.registry import Paper, register
from mnemos.store.base import Store
from mnemos.store.values import Filter
from mnemos.text.base import Asked

USUAL = 10  # hits of a search for which no number is given
TIMES = 2  # times as many for a list or a count
POOL = 4  # times as many hits as wanted among which they are chosen
MOST = 100  # of those, unless more hits are wanted


def enough(question: str, usual: int = USUAL) -> int:
    """Return how many hits a question gets for which no number was given: twice as many where it asks for many."""
    return usual * TIMES if asks_many(question) else usual


def pool(question: str, k: int, *, everything: bool = False, least: int = 1) -> int:
    """Return how many cubes are ranked for `k` hits: `least`, more where it asks for many, or `everything`, up to 100."""
    return max(k, least, min(k * POOL, MOST)) if everything or asks_many(question) else max(k, least)


@register(
    "spread-sessions",
    papers=(Paper("The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing Summaries"),),
    unmeasured="`mnemos bench locomo` measures it within hybrid: multi-hop questions",
)
@dataclass(frozen=True, slots=True)
class SpreadSessions:
    """Choose hits from more sessions where a question asks for a list or a count; other questions keep their order.

    The marginal relevance of a hit is its score less a share that grows with the hits already chosen from its session.
    Deviation: what is alike is what was said together, not what has like words. On LoCoMo's development half multi-hop
    recall@10 is .52 so and .51 without, no conversation loses, and of twice as many hits .61. O(pool^2), 1 ms for such
    questions only.
    """

    share: float = 0.12  # of the scores' distance from the first to the tenth hit: what a second hit of a session costs
    decay: float = 0.5  # each further one costs as much of the one before

    def rerank(
        self, store: Store, asked: Asked, hits: Sequence[tuple[int, Hit]], filter: Filter, k: int
    ) -> list[tuple[int, Hit]]:
        """Return the first `k` hits in the new order; the first one stays."""
        if len(hits) < 2 or not asks_many(asked.text):
            return list(hits[:k])
        cost = self.share * max(hits[0][1].score - hits[min(USUAL, len(hits)) - 1][1].score, 0.0)
        chosen, left = [hits[0]], list(hits[1:])
        seen = Counter([hits[0][1].cube.session])
        while left and len(chosen) < k:
            worth = [hit.score - self._paid(seen, hit, cost) for _, hit in left]
            chosen.append(left.pop(worth.index(max(worth))))
            seen[chosen[-1][1].cube.session] += 1
        return chosen

    def _paid(self, seen: Counter[str | None], hit: Hit, cost: float) -> float:
        """Return what a hit costs for the hits already chosen from its session."""
        if hit.cube.session is None:
            return 0.0
        return cost * (1 - self.decay ** seen[hit.cube.session]) / (1 - self.decay)
