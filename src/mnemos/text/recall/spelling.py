"""Triples: what is known as (subject, relation, object), asked with one of them missing and names written another way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from mnemos.cube import Hit
from mnemos.facts import StoredFact
from mnemos.registry import Paper, register
from mnemos.store.base import Store
from mnemos.store.values import Filter
from mnemos.text.base import Asked
from mnemos.text.recall.known import promote_fact
from mnemos.text.update.voices import Standing, standing, stored_trust

MEMLLM = Paper("MemLLM: Finetuning LLMs to Use An Explicit Read-Write Memory", "2404.11672", code="amodaresi/MemLLM")
SHORT = 0.8  # similarity of a name to a shorter form of it


@dataclass(frozen=True, slots=True)
class Triple:
    """One relation; `key` and `since` are those of the version that states it."""

    subject: str
    relation: str
    object: str
    key: int = 0
    since: int = 0

    @staticmethod
    def of(row: StoredFact) -> Triple:
        """Return a stored fact as a triple."""
        return Triple(row.fact.subject, row.fact.attribute, row.fact.value, row.key, row.since)


def match(
    triples: Iterable[Triple],
    subject: str | None = None,
    relation: str | None = None,
    object: str | None = None,
    *,
    least: float = 0.4,
    k: int = 5,
) -> list[tuple[Triple, float]]:
    """Return the `k` triples that are nearest to what is given, with the mean of their similarities, best first.

    What is exactly as given comes first. Each similarity has to be `least`. Among equals the newest is first. O(n) for n
    triples, some 10 us for each different name.
    """
    wanted = [(place, text) for place, text in enumerate((subject, relation, object)) if text is not None]
    found = []
    for triple in triples:
        parts = (triple.subject, triple.relation, triple.object)
        scores = [similarity(text, parts[place]) for place, text in wanted]
        if scores and min(scores) >= least:
            found.append((triple, sum(scores) / len(scores)))
    return sorted(found, key=lambda row: (-row[1], -row[0].since))[:k]


@lru_cache(maxsize=100_000)
def similarity(one: str, other: str) -> float:
    """Return how alike two names are, 0 to 1; 1 only for the same name.

    The larger of two: the share of letter triples in common (Dice), which a typo leaves high; `SHORT` where each word of one
    stands for a word of the other, as itself, its initial or its beginning ("R. Sosa", "Rob Miller", "Sosa").
    """
    left, right = one.casefold().split(), other.casefold().split()
    if left == right:
        return 1.0
    a, b = _grams(" ".join(left)), _grams(" ".join(right))
    dice = 2 * len(a & b) / max(len(a) + len(b), 1)
    few, many = sorted((left, right), key=lambda words: (len(words), sum(map(len, words))))
    return max(min(dice, 0.99), SHORT * (bool(few) and _shortened(few, many)))


def _grams(text: str) -> frozenset[str]:
    padded = f"  {text} "
    return frozenset(padded[i : i + 3] for i in range(len(padded) - 2))


def _shortened(few: Sequence[str], many: Sequence[str]) -> bool:
    """Tell whether the words of a name are, in order, those of a longer one, their initials or beginnings."""
    rest, whole = list(many), False
    for word in few:
        bare = word.rstrip(".")
        while rest:
            other = rest.pop(0)
            if other.startswith(bare) and (len(bare) >= 3 or len(bare) == 1):
                whole |= len(bare) >= 3
                break
        else:
            return False
    return whole  # initials alone say too little


@register("promote-triples", papers=(MEMLLM,), baselines=("promote-fact",), task="triples")
@dataclass(frozen=True, slots=True)
class PromoteTriples:
    """Put the cube in front that states the triple which a question asks for, though it writes the name another way.

    What MemLLM is trained to write and read as calls, rules read here in what is told and asked; an update of one triple
    is an update of the cube that states it, and changes no other. Deviations: letters stand for the vectors of names
    (a typo moves a vector far), and a question whose relation the rules do not know is left to the search.

    Costs one read of all facts where a question asks for a fact, about 10 ms for 1,000.
    """

    least: float = 0.5  # similarity of the name and the relation, each

    def rerank(
        self, store: Store, asked: Asked, hits: Sequence[tuple[int, Hit]], filter: Filter, k: int
    ) -> list[tuple[int, Hit]]:
        """Return at most `k` hits, the statement first, at the score of the best hit or its own."""
        found = None if filter.superseded else self.find(store, asked.text, filter)
        return list(hits[:k]) if found is None else promote_fact((found, store.by_key([found])[found]), hits, k)

    def find(self, store: Store, question: str, filter: Filter) -> int | None:
        """Return the key of the version that states what is asked for; None where nothing does, or several names are as near."""
        from mnemos.reason.questions import asked

        pairs = asked(question, me=filter.speaker.lower() if filter.speaker else "user")
        if not pairs:
            return None
        facts = [row for row in store.facts.find(as_of=filter.as_of) if not row.fact.negated]
        rows = store.by_key(sorted({row.key for row in facts}))
        shown, rules = store.matching(filter, list(rows)), stored_trust(store)
        stated = [
            Triple.of(row)
            for row in facts
            if row.key in shown and standing(row.fact, rows[row.key], rules) >= Standing.CLAIM
        ]
        for subject, relation in pairs:
            best = match(stated, subject, relation, least=self.least)
            names = {triple.subject for triple, score in best if score == best[0][1]}
            if len(names) == 1:
                return best[0][0].key
        return None
