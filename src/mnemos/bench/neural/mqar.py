"""Recall against the size of the state: `mnemos bench mqar`.

Multi-query associative recall (MQAR, arXiv 2312.04927) after zoology's protocol, for two cores: sequences of 64 tokens with
8 pairs out of 256 tokens; a model is one gated short convolution and one mixer, 64 wide. Every member is given the same
numbers of state. Its learning rate is the better of two at a state of 1,024, chosen on a seed that is not reported; then it
is trained on each seed until it is right for 99.9 % or the steps are over.

*changed*: six of the eight keys are told again with another value; the last one is asked for. A memory that adds up cannot
tell which value came last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnemos.bench.cells import mean_and_spread
from mnemos.bench.parametric.spread import CHOSEN_ON, kept
from mnemos.bench.plots import GREY, PALETTE, new_figure, tidy
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark, check_parts
from mnemos.registry import Entry

if TYPE_CHECKING:
    from mnemos.bench.neural.sequences import Recall
    from mnemos.neural.model import Layer

REFERENCE = 1024  # the state at which they are chosen, and at which keys change
GOAL = 0.999  # share of values: training stops there


@dataclass(frozen=True)
class Options:
    """Which members, and how long they are trained."""

    parts: tuple[str, ...] = (
        "window attention",
        "linear-attention",
        "gated-linear-attention",
        "delta-net",
        "gated-delta-net",
        "mamba-2",
        "mlstm",
        "rwkv-7",
        "based",
        "lightnet",
    )  # members, as mqar_layers names them
    states: tuple[int, ...] = (256, 512, 1024, 2048, 4096)  # floats that the mixer may hold of one sequence
    rates: tuple[float, ...] = (0.003, 0.01)  # of which the best is taken
    steps: int = 1_000  # of training, at most
    length: int = 64  # tokens of a sequence
    pairs: int = 8  # keys and values of a sequence
    changed: int = 6  # keys that are told again, in the second table
    seeds: int = 3  # models of each member and state
    cache: Path | None = None  # folder where finished cells are kept, for a run that goes on where it ended


def grid(result: Result) -> Rows:
    """Return accuracy by state."""
    states = held(result)
    rows: Rows = [["layer", *(f"{s:,}" for s in states), "rate", "right by step, at 1,024"]]
    for name, part in result["parts"].items():
        cells = (spread(part["accuracy"].get(str(s))) for s in states)
        rows.append([name, *cells, f"{part['rate']:g}", f"{part['steps'][0]:.0f} ± {part['steps'][1]:.0f}"])
    return rows


def changing(result: Result) -> Rows:
    """Return accuracy where keys change."""
    rows: Rows = [["layer", "right", "says the first value"]]
    for name, part in result["parts"].items():
        rows.append([name, spread(part["changed"]["last"]), spread(part["changed"]["first"])])
    return rows


def held(result: Result) -> list[int]:
    """Return the states at which any member was measured."""
    return sorted({int(s) for part in result["parts"].values() for s in part["accuracy"]})


def spread(pair: Sequence[float] | None) -> str:
    """Return a share with its standard deviation."""
    return "–" if pair is None else f"{100 * pair[0]:.1f} ± {100 * pair[1]:.1f} %"


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what a layer recalls at a state of 1,024, beside its baselines."""
    parts = result["parts"]
    if entry.form != "neural" or (name := LABELS.get(entry.name, entry.name)) not in parts:
        return None
    of = {b: LABELS.get(b, b) for b in entry.baselines}
    others = {b: spread(parts[label]["accuracy"][str(REFERENCE)]) for b, label in of.items() if label in parts}
    return Figure(
        f"recalls {spread(parts[name]['accuracy'][str(REFERENCE)])} at a state of {REFERENCE:,} floats", others
    )


LABELS = {"attention": "window attention"}  # method -> member


def plot(result: Result, path: Path) -> Path:
    """Draw accuracy against state to `path` and return the path. Raises MnemosError when matplotlib is not installed."""
    drawing = new_figure(7.6, 4.8)
    axis = drawing.subplots()
    marks = "os^vDPX*<>hp"
    for i, (name, part) in enumerate(result["parts"].items()):
        sizes = [int(s) for s in part["accuracy"]]
        means, sds = zip(*part["accuracy"].values(), strict=True)
        colour = PALETTE[i % len(PALETTE)]
        axis.errorbar(sizes, means, sds, label=name, color=colour, marker=marks[i % len(marks)], capsize=2)
    axis.set_xscale("log", base=2)
    states = held(result)
    axis.set_xticks(states, [f"{s:,}" for s in states])
    axis.set_ylim(0, 1.02)
    axis.set_xlabel("floats of state")
    axis.set_title("Values recalled, 8 pairs in 64 tokens", loc="left")
    axis.axhline(1, color=GREY, linewidth=0.6)
    tidy(axis)
    axis.legend(frameon=False, fontsize=8, ncols=2)
    drawing.savefig(str(path), dpi=100)
    return path


@benchmark(
    "mqar",
    help="Recall of values by their keys against the size of a layer's state.",
    options=Options,
    tables={"mqar": grid, "mqar-changed": changing},
    plot=plot,
    figure=figure,
    extra="torch",
    parts=True,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure each member; see the module."""
    from mnemos.bench.kv.threads import one_thread
    from mnemos.bench.neural.mqar_layers import MEMBERS

    check_parts(options.parts, MEMBERS)
    progress.expect(len(options.parts) * (len(options.rates) + options.seeds * (len(options.states) + 1)))
    with one_thread():
        found = {name: member(name, options, progress) for name in options.parts}
    chosen = {"length": options.length, "pairs": options.pairs, "steps": options.steps, "rates": list(options.rates)}
    return {"seeds": options.seeds, **chosen, "changed": options.changed, "parts": found}


def member(name: str, options: Options, progress: Progress) -> dict[str, Any]:
    """Choose a rate, then measure a member at each state, and where keys change."""
    from mnemos.bench.neural.mqar_layers import MEMBERS
    from mnemos.bench.neural.sequences import Recall

    plain = Recall(options.length, options.pairs)
    told_again = replace(plain, changed=options.changed)

    def at(state: int, task: Recall, rate: float, seed: int) -> dict[str, Any]:
        key = f"{name} {state} {task.length} {task.pairs} {task.changed} {options.steps} {rate} {seed}"
        found = kept(options.cache, key, partial(cell, MEMBERS[name](state), task, rate, seed, options.steps))
        progress(1)
        return found

    tried = {rate: at(REFERENCE, plain, rate, CHOSEN_ON) for rate in options.rates}
    rate = max(tried, key=lambda r: (tried[r]["accuracy"], -tried[r]["steps"]))
    cells = {s: [at(s, plain, rate, seed) for seed in range(options.seeds)] for s in options.states}
    again = [at(REFERENCE, told_again, rate, seed) for seed in range(options.seeds)]
    return {
        "rate": rate,
        "accuracy": {str(s): mean_and_spread([c["accuracy"] for c in of]) for s, of in cells.items()},
        "state": {str(s): of[0]["state"] for s, of in cells.items()},  # with that of the convolution
        "steps": mean_and_spread([c["steps"] for c in cells.get(REFERENCE, [])]),
        "seconds": mean_and_spread([c["seconds"] for of in cells.values() for c in of]),
        "changed": {which: mean_and_spread([c[which] for c in again]) for which in ("last", "first")},
    }


def cell(layer: Layer, task: Recall, rate: float, seed: int, steps: int) -> dict[str, Any]:
    """Train one model and measure it."""
    import torch

    from mnemos.bench.neural.learning import TESTED, Model, learn
    from mnemos.bench.neural.mqar_layers import WIDTH
    from mnemos.neural.training import UNASKED, Recipe

    lm, found = learn(Model([layer], WIDTH), task, task.vocabulary, Recipe(steps, rate, goal=GOAL), seed=seed)
    if task.changed:
        batch = task(512, torch.Generator().manual_seed(TESTED))
        with torch.no_grad():
            said = lm(batch.inputs)[0].argmax(-1)
        first = task.first(batch)
        found["last"] = float((said == batch.targets)[first != UNASKED].float().mean())
        found["first"] = float((said == first)[first != UNASKED].float().mean())
    return found
