"""Erase for good: what was chosen exactly, and a preview that also shows what is near."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from mnemos.cube import MemCube
from mnemos.errors import NotFound
from mnemos.guard.erasure import Receipt, choose, erase
from mnemos.guard.preview import Offer, Preview
from mnemos.index.phrase import Phrase
from mnemos.store.base import Store
from mnemos.store.values import DERIVED, Filter
from mnemos.text.memory import TextMemory
from mnemos.text.recall.filters import Filters, chosen
from mnemos.text.recall.likeness import Likeness
from mnemos.text.search import nearest

MOST = 50  # offers
IN_MEANING = 5  # of them at most that are only close in meaning
CLOSE = 0.3  # cosine from which on a cube is close
LINKS = ("supersedes", "supports", "contradicts")  # kinds of links that join statements about the same thing


def preview(memory: TextMemory, ids: Sequence[str], query: str | None, everything: bool, filters: Filters) -> Preview:
    """Return what `forget` with the same arguments would erase, and what is near a query; erases nothing."""
    filter = chosen(filters, memory.timezone)
    _, cubes = choose(memory.store, ids, query=query, everything=everything, filter=filter)
    if query is None:
        return Preview(tuple(cubes))
    return Preview(tuple(cubes), tuple(near(memory, query, filter or Filter(state=None), {c.id for c in cubes})))


def forget(memory: TextMemory, ids: Sequence[str], query: str | None, everything: bool, filters: Filters) -> Receipt:
    """Erase the chosen cubes and what is derived from them; see `Space.forget`. Raises NotFound when none is chosen."""
    filter = chosen(filters, memory.timezone)
    how, cubes = choose(memory.store, ids, query=query, everything=everything, filter=filter)
    unreadable = _unreadable(memory.store, ids, everything, cubes)
    if not cubes and not unreadable and not (everything and memory.store.checks.aside()):
        hint = ""
        if query is not None and (offers := near(memory, query, filter or Filter(state=None), ())):
            hint = (
                f" The phrase is nowhere as it is written, but {len(offers)} cubes are near: forget_preview() shows them "
                "with reasons, and their ids choose them."
            )
        raise NotFound(f"nothing in space {memory.name!r} matches; nothing was erased.{hint}")
    asked = (len(memory.store.get(ids)) if ids else len(cubes)) + len(unreadable)
    return erase(memory.store, how, cubes, asked, memory.now(), unreadable)


def _unreadable(store: Store, ids: Sequence[str], everything: bool, cubes: Sequence[MemCube]) -> list[str]:
    """Return the ids of chosen cubes that are damaged: they cannot be shown, and are erased all the same."""
    names = store.family(ids) if ids else []
    if everything:
        names = [row.cube for row in store.checks.damaged() if row.table == "cubes" and row.cube is not None]
    return sorted(set(names) - {cube.id for cube in cubes})


def near(memory: TextMemory, phrase: str, filter: Filter, without: Collection[str]) -> list[Offer]:
    """Return the cubes that match a filter and are near a phrase, except those in `without`; the nearest first.

    One scan of the texts, O(N), about 100 us a cube, and one embedding of the phrase.
    """
    likeness = Likeness(phrase)
    about = _with_facts_about(memory.store, likeness.phrase)
    linked = _linked_to(memory.store, without)
    found: list[tuple[int, Offer]] = []
    seen = set(without)
    for cube in _cubes(memory.store, filter):
        if cube.id in seen or cube.kind in DERIVED:
            continue
        reason = likeness.of(cube)
        if reason is None and cube.id in about:
            reason = 6, "states a fact about it"
        if reason is None and cube.id in linked:
            reason = 7, f"linked to a cube that would be erased ({linked[cube.id]})"
        if reason is not None:
            found.append((reason[0], Offer(cube, reason[1])))
            seen.add(cube.id)
    found.sort(key=lambda row: row[0])
    offers = [offer for _, offer in found[:MOST]]
    hits = nearest(memory, phrase, 2 * IN_MEANING + len(seen), filter)
    closest = (hit for hit in hits if hit.score >= CLOSE and hit.cube.id not in seen and hit.cube.kind not in DERIVED)
    offers += [Offer(hit.cube, f"close in meaning ({hit.score:.2f})") for hit in islice(closest, IN_MEANING)]
    return offers[:MOST]


def _cubes(store: Store, filter: Filter) -> Iterator[MemCube]:
    after = 0
    while rows := store.select(filter, after=after, limit=1_000):
        after = rows[-1][0]
        yield from (cube for _, cube in rows)


def _with_facts_about(store: Store, phrase: Phrase) -> set[str]:
    """Return the ids of the cubes that state something of what the phrase names."""
    return {row.cube for row in store.facts.find(ended=True) if phrase.occurs(row.fact.subject)}


def _linked_to(store: Store, ids: Collection[str]) -> dict[str, str]:
    """Return the cubes with a link to these, and the kind of the link."""
    found: dict[str, str] = {}
    for link in store.links.find(list(ids)) if ids else ():
        if link.kind in LINKS:
            found.update({end: link.kind for end in (link.a, link.b) if end not in ids})
    return found
