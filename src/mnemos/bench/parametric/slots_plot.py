"""The picture of `mnemos bench slots`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mnemos.bench.plots import BLUE, GREY, VERMILION, new_figure
from mnemos.bench.registry import Result

PANELS = {  # part -> its title, and what is drawn of each row
    "layers": ("Facts known by heart after the same steps", {"known": BLUE}),
    "facts": ("New facts known, and old ones lost", {"recalled": BLUE, "old_lost": VERMILION}),
    "bank": ("Rare and common facts of topics", {"rare": BLUE, "common": GREY}),
}


def plot(result: Result, path: Path) -> Path:
    """Draw the shares of a result to `path` and return the path. Raises MnemosError when matplotlib is not installed."""
    parts = [part for part in PANELS if part in result["parts"]]
    figure = new_figure(6.2 * max(1, len(parts)), 4.2)
    for axis, part in zip(figure.subplots(1, max(1, len(parts)), squeeze=False)[0], parts, strict=False):
        title, columns = PANELS[part]
        panel(axis, title, columns, result["parts"][part])
    figure.savefig(str(path), dpi=90)
    return path


def panel(axis: Any, title: str, columns: Mapping[str, str], rows: Mapping[str, Mapping[str, float]]) -> None:
    """Draw a bar for each row and column, with the standard deviation over seeds."""
    height = 0.8 / len(columns)
    for i, (column, colour) in enumerate(columns.items()):
        places = [at + i * height for at in range(len(rows))]
        values = [row.get(column, 0.0) for row in rows.values()]
        spread = [row.get(f"{column}_sd", 0.0) for row in rows.values()]
        axis.barh(places, values, height, xerr=spread, color=colour, label=column.replace("_", " "), ecolor=GREY)
    axis.set_yticks([at + 0.4 - height / 2 for at in range(len(rows))], list(rows))
    axis.invert_yaxis()
    axis.set_xlim(0, 1)
    axis.set_title(title, loc="left")
    axis.grid(axis="x", color=GREY, alpha=0.25, linewidth=0.6)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    if len(columns) > 1:
        axis.legend(frameon=False)
