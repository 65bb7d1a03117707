"""The picture of `mnemos bench unlearning`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

from mnemos.bench.plots import BLUE, GREY, PALETTE, VERMILION, new_figure, tidy
from mnemos.bench.registry import Result


def draw(result: Result, names: Mapping[str, str], path: Path) -> Path:
    """Draw a result to `path` and return the path. Raises MnemosError when matplotlib is not installed."""
    figure = new_figure(15, 4.4)
    methods, recited, relations = figure.subplots(1, 3)
    for i, (name, row) in enumerate(result["methods"].items()):
        at = fmean(row["forgotten"]), fmean(row["kept"])
        methods.plot(*at, "o", color=PALETTE[i % len(PALETTE)], ms=6)
        methods.annotate(
            names[name].split(" (")[0] if name != "simnpo" else "simnpo",
            at,
            fontsize=7,
            xytext=(4, 3),
            textcoords="offset points",
        )
    methods.set_xlabel("facts to forget that are still answered")
    methods.set_ylabel("kept facts answered")
    methods.set_title("unlearning", fontsize=10, loc="left")
    for kind, colour in (("curvature", BLUE), ("truncated SVD", VERMILION)):
        rows = [row for name, row in result["recitation"].items() if name == "all" or name.startswith(kind)]
        points = [(fmean(row["general"]), fmean(row["recited"])) for row in rows]
        recited.plot(*zip(*points, strict=True), "o-", color=colour, label=kind, ms=4)
    recited.set_xlabel("loss of general text")
    recited.set_ylabel("passages recited")
    recited.set_title("recitation", fontsize=10, loc="left")
    recited.legend(fontsize=8, frameon=False)
    counts = [int(count) for count in result["relations"]]
    for what, colour, label in (
        ("own", BLUE, "its facts"),
        ("others", VERMILION, "other relations"),
        ("random", GREY, "random neurons"),
    ):
        relations.plot(
            counts, [fmean(row[what]) for row in result["relations"].values()], "o-", color=colour, label=label, ms=4
        )
    relations.set_xlabel("neurons switched off")
    relations.set_ylabel("answered")
    relations.set_title("relation neurons", fontsize=10, loc="left")
    relations.legend(fontsize=8, frameon=False)
    for axis in (methods, recited, relations):
        tidy(axis)
    figure.savefig(str(path), dpi=90)
    return path
