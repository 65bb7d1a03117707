"""What is known comes first: a question for a fact is answered by the cube that states the one that holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnemos.cube import Hit, MemCube
from mnemos.registry import register
from mnemos.store.base import Store
from mnemos.store.values import Filter

WHY = "known fact"


@register("promote-fact")
@dataclass(frozen=True, slots=True)
class PromoteFact:
    """Put the cube that states what a question asks for in front (ours): "Where does Ana live?".

    Costs 20 us where nothing is asked for that is a fact, and one lookup otherwise. A search for superseded cubes keeps
    its order.
    """

    def rerank(
        self, store: Store, question: str, hits: Sequence[tuple[int, Hit]], filter: Filter, k: int
    ) -> list[tuple[int, Hit]]:
        """Return at most `k` hits, the statement first, at the score of the best hit or its own."""
        found = None if filter.superseded else find_statement(store, question, filter)
        return list(hits[:k]) if found is None else promote_fact(found, hits, k)


def find_statement(store: Store, question: str, filter: Filter) -> tuple[int, MemCube] | None:
    """Return the (row key, cube) that states what a question asks for, as the rules read both.

    It is the newest statement of the fact that holds now, or held as believed at `filter.as_of`; it must pass the
    filter. None when the rules do not know what is asked, or nothing states it. "I" is the only speaker, if there is
    one.
    """
    from mnemos.reason.questions import asked

    pairs = asked(question, me=filter.speaker.lower() if filter.speaker else "user")
    if not pairs:
        return None
    facts = [f for f in store.facts.find(pairs, as_of=filter.as_of) if not f.fact.negated]
    shown = store.matching(filter, [f.key for f in facts])
    for pair in pairs:
        stating = [f for f in facts if (f.fact.subject, f.fact.attribute) == pair and f.key in shown]
        if stating:
            newest = max(stating, key=lambda f: (f.since, f.key))
            return next(iter(store.by_key([newest.key]).items()), None)
    return None


def promote_fact(found: tuple[int, MemCube], hits: Sequence[tuple[int, Hit]], k: int) -> list[tuple[int, Hit]]:
    """Return the hits with the cube `found` in front, at the score of the best hit or its own."""
    key, cube = found
    own = next((hit for n, hit in hits if n == key), None)
    others = [(n, hit) for n, hit in hits if n != key]
    best = max([hit.score for _, hit in hits], default=0.0)
    why: dict[str, float] = dict(own.why) if own else {}
    if gap := best - (own.score if own else 0.0):
        why = {WHY: gap, **why}
    return [(key, Hit(cube, sum(why.values()), why)), *others][:k]
