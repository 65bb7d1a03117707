"""Repetitions: texts that say the same are shown once, with the times at which they were said."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace

from mnemos.cube import Hit, MemCube
from mnemos.store.base import Store
from mnemos.store.hashes import text_hash
from mnemos.store.values import Filter

MOST = 300  # repetitions that are read for one search: the newest
Words = tuple[str, str | None, str | None, str | None]


def fold(store: Store, hits: Sequence[tuple[int, Hit]], filter: Filter) -> list[tuple[int, Hit]]:
    """Fold hits in the same words by the same speaker into the best ranked one, with all others in its `also`.

    Those that pass the filter but were not ranked are added. Costs one lookup of the words of all hits, by their hash.
    """
    first: dict[Words, int] = {}
    for key, hit in hits:
        first.setdefault(_words(hit.cube), key)
    shown = set(first.values())
    hashes = list({text_hash(hit.cube.text) for _, hit in hits})
    keys = {key for key, _ in hits} | set(store.same_words(hashes, filter)[-MOST:])
    if keys <= shown:
        return list(hits)
    others: dict[int, list[MemCube]] = {}
    behind: dict[int, dict[str, MemCube]] = {}
    for _, hit in hits:
        if hit.earlier:
            behind.setdefault(first[_words(hit.cube)], {}).update((c.id, c) for c in hit.earlier)
    for cube in store.by_key(sorted(keys - shown)).values():
        if (best := first.get(_words(cube))) is not None:
            others.setdefault(best, []).append(cube)
    return [
        (key, replace(hit, also=_in_time(others.get(key, ())), earlier=_in_time(behind.get(key, {}).values())))
        for key, hit in hits
        if key in shown
    ]


def _in_time(cubes: Iterable[MemCube]) -> tuple[MemCube, ...]:
    return tuple(sorted(cubes, key=lambda c: (c.at, c.learned)))


def _words(cube: MemCube) -> Words:
    """Return what repetitions share: the words, whatever their case and spaces, and whose they are."""
    plain = " ".join(unicodedata.normalize("NFKC", cube.text).casefold().split())
    return plain, cube.speaker, cube.role, cube.source
