"""The tables and the picture of `mnemos bench retention`, and what it says of the laws."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.plots import BLUE, BROWN, GREEN, GREY, ORANGE, PINK, SKY, VERMILION, new_figure, tidy
from mnemos.bench.registry import Figure, Result, Rows
from mnemos.registry import Entry

COLOURS = {
    "oracle": "#000000", "ebbinghaus": BLUE, "ebbinghaus (paper)": SKY, "power": GREEN, "memoryos-heat": VERMILION,
    "layered": PINK, "hebbian": ORANGE, "hema": BROWN, "lru": "#5f5f5f", "fifo": GREY, "random": "#bdbdbd",
}  # in the order of the legend; ttl ranks as fifo, sliding ttl as lru under a budget: neither is drawn  # fmt: skip
DASHED = ("oracle", "lru", "fifo", "random", "ebbinghaus (paper)")
SHOWN = ("ebbinghaus", "power", "memoryos-heat", "lru", "fifo")  # whose retention curves are drawn
SHARE = "0.25"  # of all memories: the budget at which laws are compared


def accuracy(kind: str) -> Callable[[Result], Rows]:
    """Return the table of one kind of stream: accuracy by law and budget."""

    def rows(result: Result) -> Rows:
        table = result["kinds"].get(kind, {"accuracy": {}})["accuracy"]  # no rows for a kind that was not run
        budgets = list(next(iter(table.values()), ()))
        best = sorted(table, key=lambda law: -table[law]["0.25"]["mean"])
        lines: Rows = [[f"law, {kind} stream", *(f"budget {percent(float(b))}" for b in budgets)]]
        for law in best:
            cells = [f"{100 * table[law][b]['mean']:.1f} ± {100 * table[law][b]['std']:.1f}" for b in budgets]
            lines.append([law, *cells])
        return lines

    return rows


def plot(result: Result, path: Path) -> Path:
    """Draw a result to `path` (PNG, SVG or PDF by its ending) and return the path.

    Above: the accuracy by budget, a panel a kind of year, the standard deviation over the seeds as a band. Below: the
    share kept by age at the year's end in each kind, solid for recalled memories and dotted for never recalled ones.
    Raises MnemosError when matplotlib is not installed.
    """
    kinds = list(result["kinds"])
    figure = new_figure(4.3 * len(kinds) + 2.0, 7.6)
    axes = figure.subplots(2, len(kinds), squeeze=False, sharey="row")
    for column, kind in enumerate(kinds):
        accuracy_panel(axes[0][column], kind, result["kinds"][kind]["accuracy"])
        curve_panel(axes[1][column], result["kinds"][kind]["retention"])
    axes[0][0].set_ylabel("questions answered from the store, %")
    axes[1][0].set_ylabel("memories kept at the year's end, %")
    above = {line.get_label(): line for line in axes[0][0].lines}
    keys = {"fontsize": 9, "frameon": False, "loc": "upper left", "bbox_to_anchor": (1.02, 1.0), "borderaxespad": 0.0}
    axes[0][-1].legend(list(above.values()), list(above), **keys)
    axes[1][-1].legend(handles=[*axes[1][-1].lines], **keys)
    n = len(result["seeds"])
    figure.suptitle(
        f"What laws of forgetting keep: {result['memories']:,} memories in {result['days']} days, mean of {n} seeds",
        fontsize=12, x=0.01, ha="left",
    )  # fmt: skip
    figure.savefig(str(path), dpi=90)
    return path


def accuracy_panel(axis: Any, kind: str, accuracy: dict[str, dict[str, dict[str, float]]]) -> None:
    """Draw the accuracy of every law by budget, in %, with a band of one standard deviation."""
    ticks: list[float] = []
    for name, colour in COLOURS.items():
        if name not in accuracy:
            continue
        ticks = [100 * float(budget) for budget in accuracy[name]]
        mean = [100 * cell["mean"] for cell in accuracy[name].values()]
        spread = [100 * cell["std"] for cell in accuracy[name].values()]
        style = "--" if name in DASHED else "-"
        axis.plot(ticks, mean, style, color=colour, marker="o", markersize=3.5, linewidth=1.6, label=name)
        low, high = ([m + sign * s for m, s in zip(mean, spread, strict=True)] for sign in (-1, 1))
        axis.fill_between(ticks, low, high, color=colour, alpha=0.08, linewidth=0)
    axis.set_xscale("log")
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_xticks([], minor=True)
    axis.set(title=kind, xlabel="budget, % of all that arrived", ylim=(0, 100))
    tidy(axis)


def curve_panel(axis: Any, retention: dict[str, Any]) -> None:
    """Draw the share kept by age, in %: solid for recalled memories, dotted for those never recalled."""
    for name in (name for name in SHOWN if name in retention):
        for group, style in (("recalled", "-"), ("never_recalled", ":")):
            points = [
                (retention["bin_days"] * (i + 0.5), 100 * share)
                for i, share in enumerate(retention[name][group])
                if share is not None
            ]
            if points:
                label = f"{name}, {group.replace('_', ' ')}"
                axis.plot(*zip(*points, strict=True), style, color=COLOURS[name], linewidth=1.6, label=label)
    axis.set(xlabel=f"age in days (budget {100 * retention['budget']:g} %)", ylim=(0, 103))
    axis.set_xlim(left=0)
    tidy(axis)


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what a law still answers, by kind of year."""
    kinds = result["kinds"]
    if (entry.form, entry.operation) != ("text", "forget") or any(
        entry.name not in k["accuracy"] for k in kinds.values()
    ):
        return None

    def cells(name: str) -> str:
        return " / ".join(f"{100 * k['accuracy'][name][SHARE]['mean']:.0f}" for k in kinds.values()) + " %"

    text = (
        f"still has the answer to {cells(entry.name)} of the questions of a {' / '.join(kinds)} year, "
        f"with room for {percent(float(SHARE), 0)} of the memories"
    )
    return Figure(text, {name: cells(name) for name in entry.baselines or ("lru", "random") if name != entry.name})
