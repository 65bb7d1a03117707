"""What is true now comes before what was: what was superseded is shown behind its successor."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mnemos.cube import Hit, MemCube
from mnemos.registry import register
from mnemos.store.base import Store
from mnemos.store.values import Filter
from mnemos.text.recall.repeats import in_time

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

    One whose successor does not pass the filter is a hit of its own. Costs one lookup of links where one was superseded.
    """
    old = [hit.cube.id for _, hit in hits if hit.cube.state == "superseded"]
    if not old:
        return list(hits)
    later: dict[str, list[str]] = {}
    frontier = old
    while frontier:  # Porto, Faro, Braga: the last one that holds
        links = [x for x in store.links.find(frontier, kind="supersedes") if x.b in frontier and x.b not in later]
        for link in links:
            later.setdefault(link.b, []).append(link.a)
        frontier = list({link.a for link in links} - later.keys())
    cubes = store.get(sorted({name for names in later.values() for name in names}))
    keys = dict(zip(cubes, store.keys_of(list(cubes)), strict=True))
    shown = store.matching(filter, list(keys.values()))
    place = {hit.cube.id: key for key, hit in hits}
    found: dict[int, Hit] = {}
    behind: dict[int, list[MemCube]] = {}
    for key, hit in hits:
        last = _last(hit.cube.id, later, cubes)
        if hit.cube.state != "superseded" or last is None or keys[last] not in shown:
            found.setdefault(key, hit)
            continue
        if keys[last] not in found:
            own = next((h for k, h in hits if k == place.get(last)), None)
            found[keys[last]] = own or Hit(cubes[last], hit.score, {SUCCESSOR: hit.score})
        behind.setdefault(keys[last], []).append(hit.cube)
    return [(key, replace(hit, earlier=in_time(behind[key])) if key in behind else hit) for key, hit in found.items()]


def _last(name: str, later: dict[str, list[str]], cubes: dict[str, MemCube]) -> str | None:
    """Return the last of the cubes that superseded a cube, the newest where there are several; None: none exists."""
    seen = {name}
    while following := [n for n in later.get(name, ()) if n in cubes and n not in seen]:
        name = max(following, key=lambda n: (cubes[n].at, cubes[n].learned))
        seen.add(name)
        if cubes[name].state != "superseded":
            return name
    return None


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
