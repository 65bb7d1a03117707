"""What is true now comes before what was: what was superseded is shown behind its successor."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mnemos.cube import Hit, MemCube
from mnemos.facts import StoredFact
from mnemos.registry import register
from mnemos.store.base import Store
from mnemos.store.values import Filter
from mnemos.text.base import Asked
from mnemos.text.recall.repeats import in_time
from mnemos.text.update.voices import Standing, standing, stored_trust

Pair = tuple[str, str]  # subject and attribute
SUCCESSOR = "successor"  # in `why`: it comes in for what it superseded
_PAST = re.compile(
    r"\b(?:used to|previous(?:ly)?|former(?:ly)?|originally|at first|in the past|earlier|back then|before|no longer|over time|"
    r"history of|ever (?:live|work|have)|how many times|all the (?:places|cities|jobs|companies)|"
    r"changed?|old (?:job|address|phone|email|car))\b",
    re.IGNORECASE,
)


def asks_about_past(question: str) -> bool:
    """Tell whether a question asks for what was, so that what has been superseded answers it too."""
    return _PAST.search(question) is not None


def put_behind(store: Store, hits: Sequence[tuple[int, Hit]], filter: Filter) -> list[tuple[int, Hit]]:
    """Put each superseded hit into `earlier` of the hit that superseded it; a successor not found takes its place.

    Its successor is what states the same thing now: the newest fact of the same subject and attribute, of the best
    voice. One whose successor does not pass the filter, or is gone, is a hit of its own. Costs two lookups where one was
    superseded.
    """
    old = [key for key, hit in hits if hit.cube.state == "superseded"]
    if not old:
        return list(hits)
    stated: dict[int, list[Pair]] = {}
    for f in store.facts.of(old):
        stated.setdefault(f.key, []).append((f.fact.subject, f.fact.attribute))
    holding = store.facts.find(sorted({pair for pairs in stated.values() for pair in pairs}))
    cubes, rules = store.by_key(sorted({f.key for f in holding})), stored_trust(store)
    now: dict[Pair, StoredFact] = {}
    for f in sorted(holding, key=lambda f: (f.since, f.key)):
        pair = f.fact.subject, f.fact.attribute
        if f.key in cubes and (pair not in now or _counts(f, cubes, rules) >= _counts(now[pair], cubes, rules)):
            now[pair] = f
    shown = store.matching(filter, sorted({f.key for f in now.values()}))
    later = {
        key: next((now[p].key for p in stated.get(key, ()) if p in now and now[p].key in shown), None) for key in old
    }
    own = dict(hits)
    found: dict[int, Hit] = {}
    behind: dict[int, list[MemCube]] = {}
    for key, hit in hits:
        last = later.get(key)
        if last is None:
            found.setdefault(key, hit)
            continue
        if last not in found:
            found[last] = own.get(last) or Hit(cubes[last], hit.score, {SUCCESSOR: hit.score})
        behind.setdefault(last, []).append(hit.cube)
    return [(key, replace(hit, earlier=in_time(behind[key])) if key in behind else hit) for key, hit in found.items()]


def _counts(f: StoredFact, cubes: Mapping[int, MemCube], rules: Mapping[str, int]) -> Standing:
    return standing(f.fact, cubes[f.key], rules)


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
        self, store: Store, asked: Asked, hits: Sequence[tuple[int, Hit]], filter: Filter, k: int
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
