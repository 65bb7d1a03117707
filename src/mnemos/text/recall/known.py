"""What is known comes first: a question for a fact is answered by the cube that states the one that holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mnemos.cube import Hit, MemCube
from mnemos.registry import register
from mnemos.store.base import Store
from mnemos.store.values import Filter
from mnemos.text.base import Asked
from mnemos.text.recall.alike import answers_for_himself
from mnemos.text.recall.corrections import puts_right
from mnemos.text.recall.newest import WHY as NEWEST
from mnemos.text.recall.query import ME
from mnemos.text.update.voices import Standing, standing, stored_trust

WHY = "known fact"


@register("promote-fact")
@dataclass(frozen=True, slots=True)
class PromoteFact:
    """Put the cube that states what a question asks for in front (ours): "Where does Ana live?".

    What its asker told after it and is judged to hold now (`PromoteNewest`) stays in front. Costs 20 us where nothing is
    asked for that is a fact, and one lookup otherwise. A search for superseded cubes keeps its order.
    """

    def rerank(
        self, store: Store, asked: Asked, hits: Sequence[tuple[int, Hit]], filter: Filter, k: int
    ) -> list[tuple[int, Hit]]:
        """Return at most `k` hits, the statement first, at the score of the best hit or its own."""
        found = None if filter.superseded else find_statement(store, asked.text, filter, [hit.cube for _, hit in hits])
        if found is None or (hits and _came_in_for(hits[0][1], found[1], asked.text)):
            return list(hits[:k])
        return promote_fact(found, hits, k)


def _came_in_for(first: Hit, stated: MemCube, question: str) -> bool:
    """Tell whether the first hit was judged to hold now, in words that no rule reads, and was told after a statement.

    Of somebody else than the asker only a correction counts.
    """
    if NEWEST not in first.why or first.cube.at < stated.at or first.cube.id == stated.id:
        return False
    return puts_right(stated.text, first.cube.text) or (first.cube.at > stated.at and ME.search(question) is not None)


def find_statement(store: Store, question: str, filter: Filter, hits: Sequence[MemCube]) -> tuple[int, MemCube] | None:
    """Return the (row key, cube) that states what a question asks for, as the rules read both.

    It is the newest statement of the fact that holds now, or held as believed at `filter.as_of`; it must pass the
    filter. What one says of himself counts before what others say of him, which does not count where the first of the
    `hits` is his own answer; what an outside voice says never counts. None when the rules do not know what is asked, or
    nothing states it. "I" is the speaker of the filter, or of all hits that are not an assistant's.
    """
    from mnemos.reason.questions import asked

    voices = {filter.speaker} if filter.speaker else {cube.speaker for cube in hits if cube.role != "assistant"}
    pairs = asked(question, me=(voices.pop() or "user").lower() if len(voices) == 1 else "user")
    if not pairs:
        return None
    facts = [f for f in store.facts.find(pairs, as_of=filter.as_of) if not f.fact.negated]
    if not facts:
        return None
    rows = store.by_key([f.key for f in facts])
    shown = store.matching(filter, list(rows))
    rules = stored_trust(store)
    himself = (hits[0].speaker or "").lower() if hits and answers_for_himself(hits[0], question) else ""
    for pair in pairs:
        least = Standing.OWN if pair[0] == himself else Standing.CLAIM
        stating = [
            (count, f.since, f.key)
            for f in facts
            if (f.fact.subject, f.fact.attribute) == pair
            and f.key in shown
            and (count := standing(f.fact, rows[f.key], rules)) >= least
        ]
        if stating:
            newest = max(stating)[2]
            return newest, rows[newest]
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
    first = replace(own, score=sum(why.values()), why=why) if own else Hit(cube, sum(why.values()), why)
    return [(key, first), *others][:k]
