"""Inspector: views of a whole space, for people and for the web page. It changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from mnemos.arguments import check_count, check_number, check_optional, check_text
from mnemos.cube import MemCube, Page
from mnemos.inspect import fading
from mnemos.inspect.fading import Curve, DueSoon
from mnemos.inspect.graph import Graph, graph
from mnemos.inspect.timeline import Timeline, newest, timeline
from mnemos.store.values import Sizes
from mnemos.text.consolidate.runs import Run, runs
from mnemos.text.memory import TextMemory
from mnemos.text.recall.filters import Filters


class Inspector:
    """Views of one space. Get one from `space.inspect`."""

    def __init__(self, memory: TextMemory) -> None:
        self._memory = memory

    def timeline(self, *, by: str = "auto", **filters: Unpack[Filters]) -> Timeline:
        """Count the cubes that happened in each day, week, month, year or century, from the first to the last.

        "auto" takes the smallest unit with at most 400 buckets. `since` and `until` are about when a cube happened, not
        about the dates it speaks of; the other filters are those of `Space.search`. Raises InvalidInput for an unknown
        unit and for one with more buckets. One scan of the rows, O(N).
        """
        return timeline(self._memory.store, self._memory.timezone, by=check_text(by, "by"), **filters)

    def newest(self, *, limit: int = 100, cursor: int | None = None, **filters: Unpack[Filters]) -> Page:
        """Return current cubes as `Space.cubes` does, but the last written first. O(log N + rows skipped).

        Cubes written while the pages are read come before the first page: none is missed or returned twice.
        """
        return newest(self._memory.store, self._memory.timezone, limit=limit, cursor=cursor, **filters)

    def graph(self, *, around: str | None = None, depth: int = 1, limit: int = 60, kind: str | None = None) -> Graph:
        """Return at most `limit` cubes that are up to `depth` links away from the cube `around`, and their links.

        Without `around` it starts from the cubes with the most links. `kind` follows links of one kind only. Raises
        NotFound for an unknown cube. O(links of the cubes returned); without `around` O(links).
        """
        return graph(
            self._memory.store, around=check_optional(around, "around"), depth=depth, limit=limit,
            kind=check_optional(kind, "kind"),
        )  # fmt: skip

    def strengths(self, cubes: Sequence[MemCube]) -> list[float]:
        """Return the retention of cubes now by the law of the space: the lowest are archived first. O(cubes)."""
        return fading.strengths(self._memory, cubes)

    def curve(self, cube_id: str, *, days: float = 90) -> Curve:
        """Return the retention of a cube over the next `days` if it is not recalled. Raises NotFound. O(log N)."""
        return fading.curve(self._memory, check_text(cube_id, "cube_id"), days=check_number(days, "days"))

    def due_soon(self, *, limit: int = 50) -> DueSoon:
        """Return the cubes that `Space.apply_policy` would archive or erase now, and the weakest of the others.

        At most `limit` of each. Pinned, long-term and derived cubes are exempt. One scan of numbers, O(N), about 1.2 us per
        cube.
        """
        return fading.due_soon(self._memory, limit=check_count(limit, "limit"))

    def sizes(self) -> Sizes:
        """Return the number and bytes of cubes by form and kind, and the bytes of each part of the file. O(N)."""
        return self._memory.store.inspect.sizes()

    def runs(self, *, limit: int = 20) -> list[Run]:
        """Return the last consolidations that changed something, newest first; the space remembers 100. O(1)."""
        return runs(self._memory.store, limit=check_count(limit, "limit"))
