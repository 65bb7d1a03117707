"""Figures of benchmark results. matplotlib draws them, to a file and without a screen."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from mnemos.errors import MnemosError

GREY = "#8c8c8c"
COLOURS = {
    "oracle": "#000000",
    "ebbinghaus": "#0072b2",
    "ebbinghaus (paper)": "#56b4e9",
    "power": "#009e73",
    "memoryos-heat": "#d55e00",
    "layered": "#cc79a7",
    "hebbian": "#e69f00",
    "hema": "#7f5f3f",
    "lru": "#5f5f5f",
    "fifo": "#8c8c8c",
    "random": "#bdbdbd",
}  # in the order of the legend; ttl ranks as fifo, sliding ttl as lru under a budget, and so neither is drawn
DASHED = ("oracle", "lru", "fifo", "random", "ebbinghaus (paper)")
SHOWN = ("ebbinghaus", "power", "memoryos-heat", "lru", "fifo")  # whose retention curves are drawn


def plot_retention(result: dict[str, Any], path: Path | str) -> Path:
    """Draw a result of `bench.retention` to `path` (PNG, SVG or PDF by its ending) and return the path.

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
    return Path(path)


def plot_kv(result: dict[str, Any], path: Path | str) -> Path:
    """Draw a result of `bench kv` to `path` and return the path: accuracy by the share of bytes truly held, a panel a task.

    The eight methods that answer most are drawn in colour and named, the controls dashed, the others grey. Raises
    MnemosError when matplotlib is not installed.
    """
    methods = result["methods"]
    names = [task for task in next(iter(methods.values()))["tasks"] if task not in ("in-turn", "decode")]
    figure = new_figure(5.2 * 3, 3.4 * -(-len(names) // 3))
    axes = figure.subplots(-(-len(names) // 3), 3, squeeze=False, sharex=True, sharey=True).flatten()
    for axis, task in zip(axes, names, strict=False):
        kv_panel(axis, task, {name: row["tasks"][task] for name, row in methods.items()})
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    figure.suptitle(
        f"Questions answered by cache methods, by the bytes they hold: {result['contexts']} contexts of "
        f"{result['length']} tokens, small model {result['kind']!r}",
        fontsize=12, x=0.01, ha="left",
    )  # fmt: skip
    figure.savefig(str(path), dpi=90)
    return Path(path)


def kv_panel(axis: Any, task: str, found: dict[str, dict[str, Any]]) -> None:
    """Draw one task: a line a method."""
    controls = ("random-eviction", "sliding-window")
    score = {n: sum(c["accuracy"] for c in cells.values()) / len(cells) for n, cells in found.items() if cells}
    best = [n for n in sorted(score, key=lambda n: -score[n]) if n not in controls][:8]
    palette = list(COLOURS.values())[1:9]
    for name in (*(n for n in score if n not in best and n not in controls), *controls, *best):
        if name not in score:
            continue
        points = sorted((cell["held"], cell["accuracy"]) for cell in found[name].values())
        colour = palette[best.index(name)] if name in best else GREY
        style = {"ls": "--"} if name in controls else {"alpha": 0.35} if name not in best else {}
        label = name if name in best or name in controls else None
        axis.plot(*zip(*points, strict=True), color=colour, lw=1.3, marker=".", ms=4, label=label, **style)
    axis.set_title(task, fontsize=10, loc="left")
    axis.set_xscale("log", base=2)
    axis.set_xlabel("bytes held, of a full cache's")
    axis.set_ylabel("answered")
    axis.set_ylim(-0.02, 1.02)
    axis.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure, in inches, that draws without a screen. Raises MnemosError without matplotlib."""
    try:
        figure = importlib.import_module("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")
        importlib.import_module("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    except ImportError as error:
        raise MnemosError("figures need matplotlib: pip install 'mnemos[bench]'.") from error
    return figure


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


def tidy(axis: Any) -> None:
    """Take away what a reader does not need."""
    axis.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.6)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def plot_facts(result: dict[str, Any], path: Path | str) -> Path:
    """Draw a result of `bench.facts`: the share of first hits that are right, by how often the value had changed."""
    figure = new_figure(7.0, 3.8)
    axis = figure.subplots()
    test = result["splits"]["test"]
    for key, name, colour, style in (
        ("search", "mnemos", COLOURS["ebbinghaus"], "-"),
        ("search_as_of", "mnemos, as of an earlier moment", COLOURS["power"], "-"),
        ("append_only", "append only", GREY, "--"),
    ):  # fmt: skip
        points = [(int(n), 100 * share) for n, share in test[key]["by_changes"].items()]
        axis.plot(
            *zip(*points, strict=True), style, color=colour, marker="o", markersize=3.5, linewidth=1.6, label=name
        )
    axis.set(xlabel="changes so far", ylabel="first hit right, %", ylim=(0, 103))
    axis.legend(fontsize=9, frameon=False, loc="center right")
    figure.suptitle("Facts that change: is the latest value first?", fontsize=12, x=0.01, ha="left")
    tidy(axis)
    figure.savefig(str(path), dpi=150)
    return Path(path)


def plot_poison(result: dict[str, Any], path: Path | str) -> Path:
    """Draw a result of `bench.poison`: what is shown of the poison, and what is lost of the rest, by defence."""
    figure = new_figure(7.0, 3.4)
    axis = figure.subplots()
    names = ["undefended", "instructions", "consensus", "both"]
    shown = [100 * result[name]["poisoned_shown"] for name in names]
    lost = [100 * result[name]["benign_lost"] for name in names]
    shown += [100 * result["space"]["undefended"], 100 * result["space"]["defended"]]
    lost += [0.0, 100 * result["space"]["benign_lost"]]
    labels = [*names, "a real space,\nundefended", "a real space,\ndefended"]
    places = list(range(len(labels)))
    for offset, values, colour, label in (
        (-0.2, shown, COLOURS["memoryos-heat"], "poison that is shown"),
        (0.2, lost, COLOURS["ebbinghaus"], "clean memories lost"),
    ):
        bars = axis.bar([p + offset for p in places], values, 0.38, color=colour, label=label)
        axis.bar_label(bars, fmt="%.1f", fontsize=8)
    axis.set_xticks(places, labels, fontsize=9)
    axis.set(ylabel="%", ylim=(0, 110))
    axis.legend(fontsize=9, frameon=False)
    figure.suptitle("Poisoned memories, with and without the guard (test attacks)", fontsize=12, x=0.01, ha="left")
    tidy(axis)
    figure.savefig(str(path), dpi=150)
    return Path(path)


def plot_endurance(result: dict[str, Any], path: Path | str) -> Path:
    """Draw a result of `bench endurance`: how many cubes can be searched, and how long the nights take."""
    figure = new_figure(9.0, 3.6)
    growth, nights = figure.subplots(1, 2)
    days = [month["day"] for month in result["months"]]
    for name, colour in (("told", GREY), ("searchable", COLOURS["ebbinghaus"]), ("archived", COLOURS["hebbian"]),
                         ("derived", COLOURS["power"])):  # fmt: skip
        values = [month[name] / 1000 for month in result["months"]]
        growth.plot(days, values, color=colour, marker="o", markersize=3, linewidth=1.6, label=name)
    growth.set(xlabel="day", ylabel="thousand cubes", ylim=(0, None))
    growth.legend(fontsize=9, frameon=False)
    nights.plot(
        days, [month["night_s"] for month in result["months"]], color=COLOURS["memoryos-heat"], marker="o", markersize=3
    )
    nights.set(xlabel="day", ylabel="consolidation that night, s", ylim=(0, None))
    figure.suptitle(
        f"A year, {result['cubes']:,} turns: {result['seconds']['total']:.0f} s in all", fontsize=12, x=0.01, ha="left"
    )
    tidy(growth)
    tidy(nights)
    figure.savefig(str(path), dpi=150)
    return Path(path)
