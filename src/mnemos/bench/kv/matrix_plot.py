"""The picture of `mnemos bench kv`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mnemos.bench.plots import GREY, PALETTE, new_figure
from mnemos.bench.registry import Result

CONTROLS = ("random-eviction", "sliding-window")


def plot(result: Result, path: Path) -> Path:
    """Draw a result to `path` and return the path: accuracy by the share of bytes held, a panel for each task.

    The eight methods that answer most are drawn in colour and named, the controls dashed, the others grey. Raises
    MnemosError when matplotlib is not installed.
    """
    methods = small(result)["methods"]
    names = [task for task in next(iter(methods.values()))["tasks"] if task not in ("in-turn", "decode")]
    figure = new_figure(5.2 * 3, 3.4 * -(-len(names) // 3))
    axes = figure.subplots(-(-len(names) // 3), 3, squeeze=False, sharex=True, sharey=True).flatten()
    for axis, task in zip(axes, names, strict=False):
        panel(axis, task, {name: row["tasks"][task] for name, row in methods.items()})
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    figure.suptitle(
        f"Questions answered by cache methods, by the bytes they hold: {result['contexts']} contexts of "
        f"{result['length']} tokens, {result.get('model') or 'small model ' + result['kind']}",
        fontsize=12, x=0.01, ha="left",
    )  # fmt: skip
    figure.savefig(str(path), dpi=90)
    return path


def small(result: Result) -> Result:
    """Return the result of a real model as that of a small one is written: accuracy by task and share."""
    if "full" not in result:
        return result
    tasks = [task for task in result["full"] if not task.startswith("loss")]
    methods = {
        name: {
            "tasks": {
                task: {
                    share: {"accuracy": cell["mean"], "held": cell["held"]} for share, cell in row.get(task, {}).items()
                }
                for task in tasks
            }
        }
        for name, row in result["methods"].items()
    }
    return {"methods": methods}


def panel(axis: Any, task: str, found: dict[str, dict[str, Any]]) -> None:
    """Draw one task, with a line for each method."""
    score = {n: sum(c["accuracy"] for c in cells.values()) / len(cells) for n, cells in found.items() if cells}
    best = [n for n in sorted(score, key=lambda n: -score[n]) if n not in CONTROLS][:8]
    for name in (*(n for n in score if n not in best and n not in CONTROLS), *CONTROLS, *best):
        if name not in score:
            continue
        points = sorted((cell["held"], cell["accuracy"]) for cell in found[name].values())
        colour = PALETTE[best.index(name)] if name in best else GREY
        style = {"ls": "--"} if name in CONTROLS else {"alpha": 0.35} if name not in best else {}
        label = name if name in best or name in CONTROLS else None
        axis.plot(*zip(*points, strict=True), color=colour, lw=1.3, marker=".", ms=4, label=label, **style)
    axis.set_title(task, fontsize=10, loc="left")
    axis.set_xscale("log", base=2)
    axis.set_xlabel("bytes held, of a full cache's")
    axis.set_ylabel("answered")
    axis.set_ylim(-0.02, 1.02)
    axis.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
