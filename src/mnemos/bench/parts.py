"""Benchmarks in parts, each a module with `measure(options)`: how they run, and how their tables are written.

A part returns rows by name, and a row its figures by column. Columns whose name ends with "%" are shares; `COLUMN_sd` is the
standard deviation over seeds of COLUMN.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from mnemos.bench import part_tables
from mnemos.bench.parametric.spread import over_seeds
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Table, check_parts
from mnemos.registry import Entry

Row = dict[str, Any]


class Options(Protocol):
    """What the options of such a benchmark have."""

    @property
    def parts(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def seeds(self) -> int: ...  # noqa: D102


def run_parts(options: Options, modules: Mapping[str, str], package: str, progress: Progress) -> dict[str, Any]:
    """Measure the chosen parts, "module" or "module:function" of a package, on one thread.

    Raises InvalidInput for a part that there is not, before any is measured.
    """
    from mnemos.bench.kv.threads import one_thread

    check_parts(options.parts, modules)
    progress.expect(len(options.parts))
    found: dict[str, Any] = {}
    with one_thread():
        for part in options.parts:
            module, _, name = modules[part].partition(":")
            found[part] = getattr(importlib.import_module(f"{package}.{module}"), name or "measure")(options)
            progress(1)
    return {"seeds": options.seeds, "parts": found}


def seeded(seeds: int, run: Callable[[int], Mapping[str, float]], constant: Sequence[str] = ()) -> Row:
    """Return the row of a run with each of the seeds 0, 1, ..."""
    return over_seeds([run(seed) for seed in range(seeds)], constant)


def cell(column: str, row: Mapping[str, Any]) -> str:
    """Return a figure with its spread, where that is not nothing."""
    value, spread = row.get(column), row.get(f"{column}_sd")
    if value is None or isinstance(value, str):
        return value or "–"
    if column.endswith("%"):
        return f"{100 * value:.1f}" if not spread or spread < 5e-4 else f"{100 * value:.1f} ± {100 * spread:.1f}"
    return part_tables.cell(column, row if spread else {column: value})


def with_unit(column: str, row: Mapping[str, Any]) -> str:
    """Return a figure as a sentence says it."""
    return cell(column, row) + (" %" if column.endswith("%") else "")


def table(part: str, head: str) -> Table:
    """Return the table of a part."""
    return part_tables.table(part, head, cell)


def figure_of(figures: part_tables.Figures, form: str, result: Result, entry: Entry) -> Figure | None:
    """Return what a method of a form reaches beside what it is compared with."""
    return part_tables.figure_of(figures, form, with_unit, result, entry)
