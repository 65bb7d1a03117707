"""What is true now comes before what was: a hit that was superseded is ranked below its successor."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mnemos.cube import Hit
from mnemos.registry import register
from mnemos.store.base import Store
from mnemos.store.values import Filter

_PAST = re.compile(
    r"\b(?:used to|previous(?:ly)?|former(?:ly)?|originally|at first|in the past|earlier|back then|before|no longer|over time|"
    r"history of|ever (?:live|work|have)|how many times|all the (?:places|cities|jobs|companies)|"
    r"changed?|old (?:job|address|phone|email|car))\b",
    re.IGNORECASE,
)


def asks_about_past(question: str) -> bool:
    """Tell whether a question asks for what was, so that what has been superseded answers it too."""
    return _PAST.search(question) is not None


@register(
    "promote-current",
    unmeasured="`mnemos bench facts` measures it together with reconcile",
)
@dataclass(frozen=True, slots=True)
class PromoteCurrent:
    """Move each hit that supersedes another one before it (ours). Costs one lookup of the hits' links.

    A search for superseded cubes keeps its order.
    """

    def rerank(
        self, store: Store, question: str, hits: Sequence[tuple[int, Hit]], filter: Filter, k: int
    ) -> list[tuple[int, Hit]]:
        """Return the first `k` hits in the new order."""
        return list(hits[:k]) if filter.superseded else promote_current(store, hits)[:k]


def promote_current(store: Store, hits: Sequence[tuple[int, Hit]]) -> list[tuple[int, Hit]]:
    """Return the hits, each that supersedes another one before it."""
    place = {hit.cube.id: i for i, (_, hit) in enumerate(hits)}
    newer: dict[str, list[str]] = {}
    for link in store.links.find(list(place), kind="supersedes", both=False):
        if link.b in place:
            newer.setdefault(link.b, []).append(link.a)
    if not newer:
        return list(hits)
    done: dict[str, None] = {}

    def put(name: str) -> None:
        if name in done:
            return
        for other in sorted(newer.pop(name, []), key=lambda n: place[n]):  # pop: a circle ends here
            put(other)
        done[name] = None

    for name in place:
        put(name)
    return [hits[place[name]] for name in done]
