"""The picture of `mnemos bench recurrent`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mnemos.bench.plots import BLUE, GREY, VERMILION, new_figure, tidy
from mnemos.bench.registry import Result


def plot(result: Result, path: Path) -> Path:
    """Draw capacity against the scale of the input, and shares of longer words, to `path`; return the path."""
    figure = new_figure(12.4, 4.2)
    left, right = figure.subplots(1, 2)
    parts = result["parts"]
    scales(left, parts.get("scales", {}).get("rows", {}))
    ladder(right, parts.get("tracking", {}).get("rows", {}))
    figure.savefig(str(path), dpi=90)
    return path


def scales(axis: Any, rows: Any) -> None:
    """Draw the memory capacity of tanh and linear units by the scale of their input."""
    for kind, colour in (("tanh", BLUE), ("linear", GREY)):
        points = [(float(name.rpartition(" x ")[2]), row) for name, row in rows.items() if name.startswith(kind)]
        axis.errorbar(
            [scale for scale, _ in points], [row["capacity"] for _, row in points],
            [row.get("capacity_sd", 0.0) for _, row in points], color=colour, marker="o", label=f"{kind} units",
        )  # fmt: skip
    axis.set_xscale("log")
    axis.set_ylim(0)
    axis.set_xlabel("scale of the input")
    axis.set_title("Memory capacity of 100 units", loc="left")
    axis.legend(frameon=False)
    tidy(axis)


def ladder(axis: Any, rows: Any) -> None:
    """Draw what layers track at longer lengths than were trained."""
    height = 0.8 / 3
    for i, (column, colour) in enumerate((("parity", GREY), ("modular", BLUE), ("words of S3", VERMILION))):
        values = [row.get(column, 0.0) for row in rows.values()]
        spread = [row.get(f"{column}_sd", 0.0) for row in rows.values()]
        axis.barh([at + i * height for at in range(len(rows))], values, height, xerr=spread, color=colour, label=column)
    axis.set_yticks([at + height for at in range(len(rows))], list(rows))
    axis.invert_yaxis()
    axis.set_xlim(0, 1)
    axis.set_title("Right at longer lengths than were trained", loc="left")
    axis.legend(frameon=False, loc="lower right")
