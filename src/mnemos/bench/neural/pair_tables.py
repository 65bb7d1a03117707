"""How `linear-layers` and `testtime` run, write their tables, and say what a layer reaches."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol

from mnemos.bench import part_tables
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Table, check_parts
from mnemos.registry import Entry

cell = partial(part_tables.cell, shares=("right", "changed", "unchanged", "error"))


class Says(NamedTuple):
    """Where a result has the figure of a method, and how to say it."""

    part: str
    row: str
    others: tuple[str, ...]  # rows that it is compared with
    column: str = "right"
    text: str = "is right for {} of the pairs shown before"


class Options(Protocol):
    """What the options of both have."""

    @property
    def parts(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def steps(self) -> int: ...  # noqa: D102
    @property
    def rate(self) -> float: ...  # noqa: D102
    @property
    def seeds(self) -> int: ...  # noqa: D102


def run_parts(options: Options, modules: Mapping[str, str], progress: Progress) -> dict[str, Any]:
    """Measure the chosen parts on one thread, each by `measure(part, options, progress)` of its module."""
    from mnemos.bench.kv.threads import one_thread

    check_parts(options.parts, modules)
    found: dict[str, Any] = {}
    with one_thread():
        for part in options.parts:
            found[part] = importlib.import_module(f"{__package__}.{modules[part]}").measure(part, options, progress)
    chosen = {"steps": options.steps, "rate": options.rate, "seeds": options.seeds}
    return {**chosen, "parts": {part: found[part] for part in modules if part in found}}


def table(part: str, head: str) -> Table:
    """Return the table of a part."""
    return part_tables.table(part, head, cell)


def figure_of(says: Mapping[str, Says], result: Result, entry: Entry) -> Figure | None:
    """Return what a layer reaches beside what it is compared with."""
    return part_tables.figure_of(says, "neural", cell, result, entry)
