"""Repetitions: texts that say the same are shown once, with the times at which they were said."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace

from mnemos.cube import Hit, MemCube, to_micros
from mnemos.store.base import Store
from mnemos.store.hashes import text_hash
from mnemos.store.values import Filter

MOST = 300  # repetitions that are read for one search: the newest
Span = tuple[int | None, int | None]  # microseconds since 1970, half-open
Words = tuple[str, str | None, str | None, str | None]


def fold(store: Store, hits: Sequence[tuple[int, Hit]], filter: Filter, span: Span) -> list[tuple[int, Hit]]:
    """Fold hits in the same words by the same speaker into the best ranked one, with all others in its `also`.

    Where one of them is of the asked time, `span`, it is the hit. Those that pass the filter but were not ranked are
    added. Costs one lookup of the words of all hits, by their hash.
    """
    first: dict[Words, int] = {}
    for key, hit in hits:
        first.setdefault(_words(hit.cube), key)
    shown = set(first.values())
    hashes = list({text_hash(hit.cube.text) for _, hit in hits})
    keys = {key for key, _ in hits} | set(store.same_words(hashes, filter)[-MOST:])
    if keys <= shown:
        return list(hits)
    others: dict[int, dict[int, MemCube]] = {}
    for key, cube in store.by_key(sorted(keys - shown)).items():
        if (best := first.get(_words(cube))) is not None:
            others.setdefault(best, {})[key] = cube
    behind: dict[int, dict[str, MemCube]] = {}
    for _, hit in hits:
        if hit.earlier:
            behind.setdefault(first[_words(hit.cube)], {}).update((c.id, c) for c in hit.earlier)
    return [
        _folded(key, replace(hit, earlier=in_time(behind.get(key, {}).values())), others.get(key, {}), span)
        for key, hit in hits
        if key in shown
    ]


def _folded(key: int, hit: Hit, others: dict[int, MemCube], span: Span) -> tuple[int, Hit]:
    """Return the hit of one of the asked time, if there is one, and the rest in its `also`."""
    every = {key: hit.cube, **others}
    asked = key if within(hit.cube, span) else next((k for k, cube in others.items() if within(cube, span)), key)
    return asked, replace(hit, cube=every.pop(asked), also=in_time(every.values()))


def within(cube: MemCube, span: Span) -> bool:
    """Tell whether a cube happened in a span; an open end is no span."""
    first, last = span
    return first is not None and last is not None and first <= to_micros(cube.at) < last


def in_time(cubes: Iterable[MemCube]) -> tuple[MemCube, ...]:
    """Return cubes oldest first."""
    return tuple(sorted(cubes, key=lambda c: (c.at, c.learned)))


def _words(cube: MemCube) -> Words:
    """Return what repetitions share: the words, whatever their case and spaces, and whose they are."""
    plain = " ".join(unicodedata.normalize("NFKC", cube.text).casefold().split())
    return plain, cube.speaker, cube.role, cube.source
