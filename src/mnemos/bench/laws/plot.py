"""The pictures of `mnemos bench laws`."""

from __future__ import annotations

from pathlib import Path

from mnemos.bench.plots import PALETTE, new_figure, tidy
from mnemos.bench.registry import Result

MARKS = "osD^v<>P"


def draw(part: Result, path: Path) -> Path:
    """Draw the panels of a law to `path`: means over seeds with a standard deviation, and fits with a band; return the path.

    Raises MnemosError when matplotlib is not installed.
    """
    panels = part["panels"]
    figure = new_figure(5 * len(panels), 3.8)
    for axis, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        fits = {fit["curve"]: fit for fit in part.get("fits", ()) if fit["panel"] == panel["title"]}
        for i, (name, curve) in enumerate(panel["curves"].items()):
            axis.errorbar(
                curve["x"], curve["mean"], curve["sd"], color=PALETTE[i % len(PALETTE)], marker=MARKS[i % len(MARKS)],
                ms=4, lw=0 if name in fits else 1.4, elinewidth=0.8, capsize=2, label=name,
            )  # fmt: skip
            if name in fits:
                x, y, low, high = (fits[name][of] for of in ("x", "y", "low", "high"))
                axis.plot(x, y, color=PALETTE[i % len(PALETTE)], lw=1.2)
                axis.fill_between(x, low, high, color=PALETTE[i % len(PALETTE)], alpha=0.18, lw=0)
        if panel["log"]:
            least = min((abs(x) for curve in panel["curves"].values() for x in curve["x"] if x), default=1)
            axis.set_xscale("symlog", linthresh=min(1, least))
        if panel.get("log_y"):
            axis.set_yscale("log")
        if panel["ticks"]:
            axis.set_xticks(range(len(panel["ticks"])), panel["ticks"])
        axis.set_title(panel["title"], fontsize=10, loc="left")
        axis.set_xlabel(panel["x"])
        axis.set_ylabel(panel["y"])
        axis.legend(fontsize=7, frameon=False)
        tidy(axis)
    figure.savefig(str(path), dpi=80)
    return path
