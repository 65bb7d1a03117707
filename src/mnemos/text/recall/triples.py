"""Triples: the memories whose facts a question names come first, as a walk around its entities finds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mnemos.cube import Hit
from mnemos.facts import StoredFact
from mnemos.index.terms import stop_terms, terms
from mnemos.registry import Paper, register
from mnemos.store.base import Store
from mnemos.store.values import Filter
from mnemos.text.base import Asked

WHY = "triple"


@register(
    "triples",
    baselines=("cosine",),
    unmeasured="tests/text/systems/test_mem0_system.py checks it within mem0-graph",
    papers=(
        Paper(
            "Mem0: Building Production-Ready AI Agents with Scalable Long-Term Memory", "2504.19413", code="mem0ai/mem0"
        ),
    ),
)
@dataclass(frozen=True, slots=True)
class Triples:
    """Put the memories in front whose triple (subject, attribute, value) a question names in two places or more.

    The entities of the question are the subjects and values of known facts that it names; around each are the facts that
    hold, or in a search for what is superseded all of them. A triple is as near as the share of its words that the question
    has. Costs a lookup of all facts, O(facts), 5 us each.

    Deviation: the paper embeds triples and entities and lets a model extract them; here they are words, and the rules'.
    """

    most: int = 3  # memories that come in front

    def rerank(
        self, store: Store, asked: Asked, hits: Sequence[tuple[int, Hit]], filter: Filter, k: int
    ) -> list[tuple[int, Hit]]:
        """Return at most `k` hits, the named triples first, each at the score of the best hit or its own."""
        facts = store.facts.find(ended=filter.superseded, as_of=filter.as_of)
        words = {t for t in terms(asked.text) if t not in stop_terms()}
        near = {f.key: share for f in facts if (share := _share(f, words)) > 0}
        keys = sorted(near, key=lambda key: (-near[key], -key))[: 8 * self.most]
        shown = store.matching(filter, keys) if keys else set()
        rows = store.by_key([key for key in keys if key in shown][: self.most])
        own = dict(hits)
        best = max((hit.score for _, hit in hits), default=0.0)
        first = [(key, _raised(own.get(key) or Hit(rows[key], 0.0, {}), best)) for key in keys if key in rows]
        return [*first, *((key, hit) for key, hit in hits if key not in rows)][:k]


def _share(f: StoredFact, words: set[str]) -> float:
    """Return the share of a triple's words that a question has; 0 where it names no entity, or nothing else of it."""
    subject, attribute, value = (
        {t for t in terms(part) if t not in stop_terms()} for part in (f.fact.subject, f.fact.attribute, f.fact.value)
    )
    named = [bool(part & words) for part in (subject, attribute, value)]
    every = subject | attribute | value
    return len(every & words) / len(every) if sum(named) > 1 else 0.0


def _raised(hit: Hit, best: float) -> Hit:
    """Return a hit at the best score, or its own; `why` still sums to it."""
    gap = max(best - hit.score, 0.0)
    why = {WHY: gap, **hit.why} if gap else dict(hit.why)
    return replace(hit, score=sum(why.values()), why=why)
