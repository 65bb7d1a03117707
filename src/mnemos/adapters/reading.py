"""Reading from a space that may not exist yet: a served space is created by the first write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from mnemos.adapters.base import MemorySpace
from mnemos.cube import Hit, MemCube
from mnemos.errors import NotFound
from mnemos.space import Space

PAGE = 1_000
MAX_SERVED = 1_000  # hits of one search of a server


def cubes(space: MemorySpace, **filters: Any) -> Iterator[MemCube]:
    """Yield all cubes that pass the filters of `Space.cubes`, a page at a time."""
    try:
        yield from space.cubes(limit=PAGE, **filters)
    except NotFound:
        return


def best(space: MemorySpace, query: str, want: int, keep: Callable[[MemCube], bool], **filters: Any) -> list[Hit]:
    """Return the `want` best hits whose cubes pass `keep`, searching for more until there are enough.

    To a framework each record is its own: those that say the same are hits of their own.
    """
    most = space.count() if isinstance(space, Space) else MAX_SERVED
    k = want
    while True:
        try:
            hits = space.search(query, k, **filters)
        except NotFound:
            return []
        apart = (replace(hit, cube=cube, also=()) for hit in hits for cube in (hit.cube, *hit.also))
        kept = [hit for hit in apart if keep(hit.cube)]
        if len(kept) >= want or len(hits) < k or k >= most:
            return kept[:want]
        k = min(4 * k, most)


def context(space: MemorySpace, question: str, **options: Any) -> str:
    """Return `Space.context`, or "" if the space does not exist yet."""
    try:
        return str(space.context(question, **options))
    except NotFound:
        return ""
