"""The tables and the picture of `mnemos bench systems`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.plots import BLUE, GREY, VERMILION, new_figure, tidy
from mnemos.bench.registry import Figure, Result, Rows, Table
from mnemos.bench.text.systems_run import TOKENS
from mnemos.bench.text.systems_sets import SETS
from mnemos.registry import Entry

OURS = "mnemos"


def score_of(name: str) -> str:
    """Return the figure by which systems are compared on a set: the latest value first, or the evidence among ten."""
    return "first" if SETS[name].latest else "recall@10"


def side_by_side(result: Result) -> Rows:
    """Return the main figure of each system on each set, and the best of each set."""
    sets = result["sets"]
    names = list(next(iter(sets.values()))["systems"])
    lines: Rows = [["system", *(f"{SETS[s].title}: {score_of(s)}" for s in sets)]]
    lines += [[name, *(f"{v['systems'][name][score_of(s)]:.3f}" for s, v in sets.items())] for name in names]
    lines.append(["**first**", *(", ".join(best(result, s)) for s in sets)])
    return lines


def best(result: Result, name: str) -> list[str]:
    """Return the systems with the highest score on a set."""
    found = {system: row[score_of(name)] for system, row in result["sets"][name]["systems"].items()}
    return [system for system, score in found.items() if score == max(found.values())]


def of_set(name: str) -> Table:
    """Return the table of one set: a row a system."""

    def rows(result: Result) -> Rows:
        lines: Rows = [
            ["system", "n", "recall@10", "first", "precision@10", "in the prompt", "tokens", "write, ms", "consolidate, ms",
             "read, ms", "bytes", "searched", "texts embedded", "calls"]
        ]  # fmt: skip
        part = result["sets"].get(name)
        for system, r in part["systems"].items() if part else ():
            lines.append(
                [
                    system, r["n"], *(f"{r[k]:.3f}" for k in ("recall@10", "first", "precision@10", "shown")),
                    f"{r['tokens']:.0f}", f"{r['write_ms']:.2f}", f"{r['consolidate_ms']:.2f}", f"{r['read_ms']:.1f}",
                    f"{r['bytes']:,}", percent(r["searched"], 0), f"{r['embedded']:.2f}", r["calls"],
                ]
            )  # fmt: skip
        if part:
            lines.append(["the last turns", "–", *["–"] * 3, f"{part['last_turns']:.3f}", f"{TOKENS:,}", *["–"] * 7])
            lines.append(["the whole conversation", "–", *["–"] * 3, "1.000", f"{part['full_context']:,}", *["–"] * 7])
        return lines

    return rows


def without(result: Result) -> Rows:
    """Return how far each set falls without each mechanism of Mnemos' own system."""
    sets = {s: v for s, v in result["sets"].items() if v["without"]}
    lines: Rows = [["without", *(f"{SETS[s].title}: {score_of(s)}" for s in sets)]]
    lines.append(["nothing", *(f"{v['systems'][OURS][score_of(s)]:.3f}" for s, v in sets.items())])
    for mechanism in next(iter(sets.values()))["without"] if sets else ():
        falls = [v["without"][mechanism][score_of(s)] - v["systems"][OURS][score_of(s)] for s, v in sets.items()]
        lines.append([mechanism, *(f"{fall:+.3f}" if abs(fall) >= 0.0005 else "0" for fall in falls)])
    return lines


def plot(result: Result, path: Path) -> Path:
    """Draw a panel a set: the score of each system."""
    sets = result["sets"]
    columns = min(4, len(sets))
    lines = -(-len(sets) // columns)
    figure: Any = new_figure(3.1 * columns, 2.9 * lines)
    for i, (name, part) in enumerate(sets.items()):
        axis = figure.add_subplot(lines, columns, i + 1)
        rows = sorted(((r[score_of(name)], s) for s, r in part["systems"].items()))
        colours = [BLUE if s == OURS else VERMILION if s in best(result, name) else GREY for _, s in rows]
        axis.barh([s for _, s in rows], [score for score, _ in rows], color=colours, height=0.7)
        axis.set_title(f"{SETS[name].title}\n{score_of(name)}", fontsize=9, loc="left")
        axis.tick_params(labelsize=7)
        axis.set_xlim(0, max(1e-3, 1.05 * max(score for score, _ in rows)))
        tidy(axis)
    figure.savefig(path, dpi=130)
    return path


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what the result says of a system: its score on LoCoMo, or on the first set that was measured."""
    if (entry.form, entry.operation) != ("text", "systems"):
        return None
    name = "locomo" if "locomo" in result["sets"] else next(iter(result["sets"]))
    rows = result["sets"][name]["systems"]
    if entry.name not in rows:
        return None
    others = [b for b in ("vectors", "bm25", OURS) if b in rows and b != entry.name]
    what = "the value that holds first" if SETS[name].latest else "of the evidence among ten hits"
    text = f"finds {percent(rows[entry.name][score_of(name)])} {what} on {SETS[name].title}"
    return Figure(text, {other: percent(rows[other][score_of(name)]) for other in others})


TABLES: dict[str, Callable[[Result], Rows]] = {
    "systems": side_by_side,
    "systems-without": without,
    **{f"systems-{name}": of_set(name) for name in SETS},
}
