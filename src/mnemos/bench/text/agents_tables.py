"""The tables, the picture and the sentences of `mnemos bench agents`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.plots import BLUE, GREEN, GREY, ORANGE, VERMILION, new_figure, tidy
from mnemos.bench.registry import Figure, Result, Rows
from mnemos.registry import Entry


def context(result: Result) -> Rows:
    """Return what a scripted agent answers right over the long task, and the tokens of its prompts."""
    return [
        ["context", "right", "± over seeds", "right, said > 20 steps ago", "of full context", "peak tokens", "mean tokens"],
        *(
            [
                name, percent(row["success"][0]), percent(row["success"][1]), percent(row["late"][0]),
                f"{_of_full(result, name):.3f}", row["peak_tokens"], round(row["mean_tokens"]),
            ]
            for name, row in result["context"].items()
        ),
    ]  # fmt: skip


def objectives(result: Result) -> Rows:
    """Return peak tokens and success by the number of things to keep track of."""
    numbers = list(next(iter(result["objectives"].values())))
    return [
        ["context", *(f"peak tokens, {n}" for n in numbers), *(f"right, {n}" for n in numbers)],
        *(
            [name, *(row[n]["peak_tokens"] for n in numbers), *(percent(row[n]["success"][0]) for n in numbers)]
            for name, row in result["objectives"].items()
        ),
    ]


def carry(result: Result) -> Rows:
    """Return how often registers are right along a long computation."""
    return [
        ["context", "registers right", "± over seeds", "peak tokens"],
        *(
            [name, percent(row["success"][0]), percent(row["success"][1]), row["peak_tokens"]]
            for name, row in result["carry"].items()
        ),
    ]


def edits(result: Result) -> Rows:
    """Return what is known at the end of worlds with much of no use."""
    return [
        ["context", "answers right", "± over seeds", "mean tokens", "peak tokens"],
        *(
            [name, percent(r["success"][0]), percent(r["success"][1]), round(r["mean_tokens"]), r["peak_tokens"]]
            for name, r in result["edits"]["ways"].items()
        ),
    ]


def dialogues(result: Result) -> Rows:
    """Return how often each memory of a dialogue has the true state, by scenario."""
    found = {name: row for name, row in result["dialogues"].items() if name != "stale exact"}
    names = list(result["dialogues"]["stale exact"])
    return [
        ["memory", *(f"{n}: state right" for n in names), "wrong values a turn", "tokens at first", "at the end"],
        *(
            [
                way, *(percent(row[n]["right"][0]) for n in names), f"{_mean(row, 'wrong_values'):.2f}",
                round(_mean(row, "first_tokens")), round(_mean(row, "last_tokens")),
            ]
            for way, row in found.items()
        ),
    ]  # fmt: skip


def cases(result: Result) -> Rows:
    """Return the success over a stream of tasks, in fifths."""
    return [
        ["bank", "success", "± over seeds", "first fifth", "second", "third", "fourth", "last, new topics"],
        *(
            [name, percent(row["success"][0]), percent(row["success"][1]), *map(percent, row["fifths"])]
            for name, row in result["cases"].items()
        ),
    ]


def _mean(row: Any, name: str) -> float:
    return sum(float(r[name]) for r in row.values()) / len(row)


def _of_full(result: Result, name: str) -> float:
    return float(result["context"][name]["success"][0]) / float(result["context"]["full context"]["success"][0])


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what the result says of a context policy."""
    if entry.kind != "context policy":
        return None
    if entry.name == "carry-over":
        ways = result["carry"]
        own = ways["carry-over"]
        others = {name: percent(row["success"][0]) for name, row in ways.items() if name != "carry-over"}
        return Figure(
            f"keeps registers right in {percent(own['success'][0])} of 60 steps, where it writes them down", others
        )
    if entry.name == "context-edits":
        ways = result["edits"]["ways"]
        others = {name: percent(ways[name]["success"][0]) for name in entry.baselines}
        return Figure(
            f"answers {percent(ways[entry.name]['success'][0])} at the end of worlds with much of no use", others
        )
    if entry.name not in result["context"]:
        return None
    others = {name: percent(result["context"][name]["success"][0]) for name in entry.baselines}
    row = result["context"][entry.name]
    said = (
        f"answers {percent(row['success'][0])} of the questions of a long task in at most {row['peak_tokens']} tokens"
    )
    return Figure(said, others)


def plot(result: Result, path: Path) -> Path:
    """Draw the tokens of prompts by step, and the success of the banks of cases by task."""
    chart = new_figure(9, 3.6)
    left, right = chart.subplots(1, 2)
    colours = {
        "full context": GREY, "sliding-window": ORANGE, "internal-state": GREEN, "short-and-long-term": BLUE,
    }  # fmt: skip
    for name, colour in colours.items():
        row = result["context"][name]
        label = f"{name}: {percent(row['success'][0])} right"
        left.plot(range(1, 1 + len(row["tokens_by_step"])), row["tokens_by_step"], color=colour, label=label)
    left.set(xlabel="step", ylabel="tokens of the prompt", yscale="log")
    left.legend(frameon=False, fontsize=8)
    fifth = result["tasks"] / 5
    for name, colour in (("learned, k = 4", BLUE), ("nearest, k = 4", VERMILION), ("none", GREY)):
        shares = result["cases"][name]["fifths"]
        right.plot([fifth * (i + 0.5) for i in range(5)], [100 * x for x in shares], "o-", color=colour, label=name)
    right.set(xlabel="task", ylabel="success, %", ylim=(0, 100))
    right.legend(frameon=False, fontsize=8)
    for axis in (left, right):
        tidy(axis)
    chart.savefig(path, dpi=150)
    return path
