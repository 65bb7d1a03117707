"""The picture of `mnemos bench associative`: how many patterns a memory restores."""

from __future__ import annotations

from pathlib import Path

from mnemos.bench.plots import BLUE, GREY, VERMILION, new_figure
from mnemos.bench.registry import Result

LOOKS = {
    "hebb, D 64": (GREY, "Hebb"),
    "polynomial of degree 3, D 64": (VERMILION, "cubic"),
    "softmax, D 64": (BLUE, "softmax"),
}


def plot(result: Result, path: Path) -> Path:
    """Draw capacity curves to `path` and return it. Raises MnemosError when matplotlib is not installed."""
    figure = new_figure(12.4, 4.2)
    first, second = figure.subplots(1, 2)
    for name, row in result["parts"].get("capacity", {}).items():
        if name in LOOKS:
            points = sorted((int(c[:-2].replace(",", "")), v) for c, v in row.items() if c.endswith("%"))
            first.plot(*zip(*points, strict=True), "o-", color=LOOKS[name][0], label=LOOKS[name][1])
    first.set_xscale("log", base=2)
    first.set_title("Restored in one step, D 64, 10 % flipped", loc="left")
    rows = result["parts"].get("cliques", {})
    counts = [int(name.split()[0].replace(",", "")) for name in rows]
    for column, colour in (("cliques %", BLUE), ("Hopfield of as many bits %", GREY)):
        second.plot(counts, [row[column] for row in rows.values()], "o-", color=colour, label=column.removesuffix(" %"))
    second.set_xscale("log", base=2)
    second.set_title("Restored from a half, 114,688 bits", loc="left")
    for axis in (first, second):
        axis.set_xlabel("stored")
        axis.legend(frameon=False)
        axis.grid(color=GREY, alpha=0.25, linewidth=0.6)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    figure.savefig(str(path), dpi=90)
    return path
