"""The tables and the picture of `mnemos bench facts`, and what it says of the methods."""

from __future__ import annotations

from pathlib import Path

from mnemos.bench.cells import percent
from mnemos.bench.plots import BLUE, GREEN, GREY, new_figure, tidy
from mnemos.bench.registry import Figure, Result, Rows
from mnemos.registry import Entry


def facts(result: Result) -> Rows:
    """Return the share of questions whose first hit is right, by how often the value had changed."""
    test = result["splits"]["test"]
    shown = {
        "search": "mnemos", "append_only": "append only", "facts_table": "facts, asked by name",
        "search_as_of": "mnemos, as of an earlier moment",
        "as_of_as_then": "as of then, the same answer as then",
        "facts_table_as_of": "facts, as of an earlier moment",
    }  # fmt: skip
    lines: Rows = [["first hit right, test templates", "all", *map(str, range(1, 11)), "n"]]
    for key, name in shown.items():
        row = test[key]
        by = [percent(row["by_changes"][str(n)]) if str(n) in row["by_changes"] else "–" for n in range(1, 11)]
        lines.append([name, percent(row["all"]), *by, row["asked"]])
    return lines


def endings(result: Result) -> Rows:
    """Return the facts ended although they hold, and not ended although they do not."""
    lines: Rows = [["templates", "statements", "ended although they hold", "not ended although they do not"]]
    for split, row in result["splits"].items():
        lines.append([split, row["statements"], row["falsely_ended"], row["not_ended"]])
    return lines


def plot(result: Result, path: Path) -> Path:
    """Draw a result: the share of first hits that are right, by how often the value had changed."""
    figure = new_figure(7.0, 3.8)
    axis = figure.subplots()
    test = result["splits"]["test"]
    for key, name, colour, style in (
        ("search", "mnemos", BLUE, "-"),
        ("search_as_of", "mnemos, as of an earlier moment", GREEN, "-"),
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
    return path


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return how often the first hit is right for the methods that end facts and find them."""
    if entry.form != "text" or entry.name not in ("reconcile", "promote-fact", "append"):
        return None
    test = result["splits"]["test"]
    searched, appended = (percent(test[name]["all"], 0) for name in ("search", "append_only"))
    if entry.name == "append":
        return Figure(
            f"the first hit is right for {appended} of the questions for what holds now", {"reconcile": searched}
        )
    text = f"the first hit is right for {searched} of the questions for what holds now"
    if entry.name == "reconcile":
        text += f"; {test['falsely_ended']} of {test['statements']} statements were wrongly ended"
    return Figure(text, {"append only": appended})
