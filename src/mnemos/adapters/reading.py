"""What several adapters read alike, from a space or a served one, which is there only once something was written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mnemos.cube import Hit, MemCube
from mnemos.errors import NotFound
from mnemos.space import Space

PAGE = 1_000
SERVED = 1_000  # hits that a server gives at most


def cubes(space: Any, **filters: Any) -> Iterator[MemCube]:
    """Yield all cubes that pass the filters of `Space.cubes`, a page at a time."""
    try:
        yield from space.cubes(limit=PAGE, **filters)
    except NotFound:
        return


def best(space: Any, query: str, want: int, keep: Callable[[MemCube], bool], **filters: Any) -> list[Hit]:
    """Return the best hits whose cubes pass `keep`; what it leaves out is made up for by asking for more."""
    most = space.count() if isinstance(space, Space) else SERVED
    k = want
    while True:
        try:
            hits = space.search(query, k, **filters)
        except NotFound:
            return []
        kept = [hit for hit in hits if keep(hit.cube)]
        if len(kept) >= want or len(hits) < k or k >= most:
            return kept[:want]
        k = min(4 * k, most)


def context(space: Any, question: str, **options: Any) -> str:
    """Return `Space.context`, or nothing where there is no space yet."""
    try:
        return str(space.context(question, **options))
    except NotFound:
        return ""
