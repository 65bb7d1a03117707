"""Tables of results that are parts of rows of figures, with `COLUMN_sd` beside a column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mnemos.bench.registry import Figure, Result, Rows, Table

SHARES = ("right", "changed", "unchanged", "error")


def cell(column: str, row: Mapping[str, Any]) -> str:
    """Return a figure with its spread."""
    value, spread = row.get(column), row.get(f"{column}_sd")
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if column.split(",")[0] in SHARES:
        return f"{100 * value:.1f}{'' if spread is None else f' ± {100 * spread:.1f}'} %"
    digits = f"{value:,.0f}" if abs(value) >= 1000 or float(value).is_integer() else f"{value:.3g}"
    return digits if spread is None else f"{digits} ± {spread:.2g}"


@dataclass(frozen=True, slots=True)
class Says:
    """Where a result has the figure of a method, and how to say it."""

    part: str
    row: str
    others: tuple[str, ...]  # rows that it is compared with
    column: str = "right"
    text: str = "is right for {} of the pairs shown before"

    def figure(self, result: Result) -> Figure | None:
        """Return the figure; None where the part was not measured."""
        rows = result["parts"].get(self.part, {})
        if self.row not in rows:
            return None
        others = {name: cell(self.column, rows[name]) for name in self.others if name in rows}
        return Figure(self.text.format(cell(self.column, rows[self.row])), others)


def table(part: str, head: str) -> Table:
    """Return the table of a part."""

    def rows(result: Result) -> Rows:
        found = result["parts"].get(part, {})
        columns = [c for c in dict.fromkeys(c for row in found.values() for c in row) if not c.endswith("_sd")]
        lines: Rows = [[head, *(c.replace("_", " ") for c in columns)]]
        return lines + [[name, *(cell(column, row) for column in columns)] for name, row in found.items()]

    return rows
