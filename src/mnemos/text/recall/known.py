"""What is known comes first: a question for a fact is answered by the cube that states the one that holds."""

from __future__ import annotations

from collections.abc import Sequence

from mnemos.cube import Hit, MemCube
from mnemos.registry import register
from mnemos.store.base import Store
from mnemos.store.values import Filter

WHY = "known fact"


@register("known")
def find_statement(store: Store, question: str, filter: Filter) -> tuple[int, MemCube] | None:
    """Find the cube that states what a question asks for ("Where does Ana live?"), as the rules read both.

    The newest statement of the fact that holds now, or held as believed at `filter.as_of`; it must pass the filter.
    None when the rules do not know what is asked, or nothing states it. "I" is the only speaker, if there is one.
    Costs 20 us where nothing is asked for that is a fact, and one lookup otherwise.
    """
    from mnemos.reason.questions import asked

    pairs = asked(question, me=filter.speaker.lower() if filter.speaker else "user")
    if not pairs:
        return None
    facts = [f for f in store.facts.find(pairs, as_of=filter.as_of) if not f.fact.negated]
    shown = store.matching(filter, [f.key for f in facts])
    for pair in pairs:
        mine = [f for f in facts if (f.fact.subject, f.fact.attribute) == pair and f.key in shown]
        if mine:
            newest = max(mine, key=lambda f: (f.since, f.key))
            return next(iter(store.by_key([newest.key]).items()), None)
    return None


def promote_fact(found: tuple[int, MemCube], hits: Sequence[tuple[int, Hit]], k: int) -> list[tuple[int, Hit]]:
    """Return the hits with the cube that states what was asked for in front, at the score of the best or its own."""
    key, cube = found
    mine = next((hit for n, hit in hits if n == key), None)
    others = [(n, hit) for n, hit in hits if n != key]
    best = max([hit.score for _, hit in hits], default=0.0)
    why: dict[str, float] = dict(mine.why) if mine else {}
    if gap := best - (mine.score if mine else 0.0):
        why = {WHY: gap, **why}
    return [(key, Hit(cube, sum(why.values()), why)), *others][:k]
