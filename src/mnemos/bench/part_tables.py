"""Results in parts: rows of figures by name, with `COLUMN_sd` beside a column; their tables, and what they say of a method.

`result["parts"][PART][ROW][COLUMN]` is a number or a text; a part may hold its rows under "rows" beside what else it says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from mnemos.bench.registry import Figure, Result, Rows, Table
from mnemos.registry import Entry

Cell = Callable[[str, Mapping[str, Any]], str]  # of a column and a row
Figures = Mapping[str, tuple[str, str, tuple[str, ...], str, str]]  # method -> part, row, others, column, what it says


def cell(column: str, row: Mapping[str, Any], shares: Collection[str] = (), digits: int = 3, error: int = 2) -> str:
    """Return a figure with its spread. `shares` are columns, or first words of columns, that are written as percentages."""
    value, spread = row.get(column), row.get(f"{column}_sd")
    if value is None or isinstance(value, str):
        return value or "–"
    if column in shares or re.split("[ ,]", column)[0] in shares:
        return f"{100 * value:.1f}{'' if spread is None else f' ± {100 * spread:.1f}'} %"
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"
    return text if spread is None else f"{text} ± {spread:.{error}g}"


def rows_of(result: Result, part: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the rows of a part by name; none where it was not measured."""
    found: Mapping[str, Any] = result["parts"].get(part, {})
    rows: Mapping[str, Mapping[str, Any]] = found.get("rows", found)
    return rows


def table(part: str, head: str, write: Cell, space: str = " ") -> Table:
    """Return the table of a part, whose cells are written by `write`; `space` in the name of a column becomes one."""

    def lines(result: Result) -> Rows:
        found = rows_of(result, part)
        columns = [c for c in dict.fromkeys(c for row in found.values() for c in row) if not c.endswith("_sd")]
        first: Rows = [[head, *(c.replace(space, " ") for c in columns)]]
        return first + [[name, *(write(column, row) for column in columns)] for name, row in found.items()]

    return lines


def figure_of(figures: Figures, form: str, write: Cell, result: Result, entry: Entry) -> Figure | None:
    """Return what a method of a form reaches beside what it is compared with; None where that was not measured."""
    if entry.form != form or entry.name not in figures:
        return None
    part, own, others, column, text = figures[entry.name]
    rows = rows_of(result, part)
    if column not in rows.get(own, {}):
        return None
    return Figure(text.format(write(column, rows[own])), {o: write(column, rows[o]) for o in others if o in rows})
