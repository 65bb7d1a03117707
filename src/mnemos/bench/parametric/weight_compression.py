"""Weights in fewer bytes: `mnemos bench weight-compression`.

The matrices of tiny decoders that know a made-up world by heart are compressed by every method, and what is left is asked:
facts, recited passages, loss. BitStack is loaded at the bytes that rounding takes, with and without its two parts (scaling
by activations, blocks sorted over all matrices). Beside that: experts of a small mixture merged to fewer, and a carrier in
few bits. `mnemos bench weight-compression-real` does the same to a real decoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.parametric.by_seed import each_seed, spread
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.registry import Entry


@dataclass(frozen=True)
class Options:
    """What is compressed."""

    seeds: tuple[int, ...] = (0, 1, 2)  # worlds, each with a model of its own
    steps: int = 350  # of the training of a model
    cache: Path | None = None  # folder of trained models; without it they are trained again


def small(result: Result) -> Rows:
    """Return what tiny models still know, by method and bytes."""
    lines: Rows = [["method", "bits a number", "facts answered", "passages recited", "loss of general text"]]
    for name, row in result["small"].items():
        shares = [spread(row[what], 0, True) for what in ("facts", "recited")]
        lines.append([name, f"{fmean(row['bits']):.2f}", *shares, spread(row["general"], 3)])
    return lines


def experts(result: Result) -> Rows:
    """Return what a mixture of experts answers after merging, by how it is merged."""
    lines: Rows = [["experts", "merged to", "bytes", "answered", "without merging"]]
    for start, rows in result["experts"].items():
        for name, row in rows.items():
            if name == "all":
                continue
            how, _, count = name.rpartition(" to ")
            full = spread(rows["all"]["answered"], 1, True)
            lines.append(
                [f"{start}: {how}", count, percent(fmean(row["share"]), 0), spread(row["answered"], 1, True), full]
            )
    return lines


def carriers(result: Result) -> Rows:
    """Return what a carrier in few bits still answers."""
    lines: Rows = [["bits of an adapter", "bytes", "its facts answered", "other facts answered"]]
    for name, row in result["carriers"].items():
        shares = [spread(row[what], 0, True) for what in ("recall", "others")]
        lines.append([name, f"{fmean(row['nbytes']):,.0f}", *shares])
    return lines


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what a compressor leaves beside rounding."""
    if entry.form != "parametric" or entry.operation != "compress":
        return None
    if entry.name == "merge-then-compress":
        rows = result["experts"]["experts from one network"]
        says = {name: percent(fmean(row["answered"]), 0) for name, row in rows.items()}
        name = "merge-then-compress to 2"
        others = {"8 experts": says["all"], "grouped at random": says["grouped at random to 2"]}
        return Figure(f"answers {says[name]} with 2 of 8 experts", others)
    rows = result["small"]
    named = {
        "round-to-nearest": "round-to-nearest 2",
        "bipolar-int": "bipolar-int 2",
        "bitstack": "bitstack as rounding to 2",
    }
    if entry.name not in named:
        return None

    def says_of(name: str) -> str:
        return f"{percent(fmean(rows[name]['facts']), 0)} in {fmean(rows[name]['bits']):.1f} bits a number"

    others = {name: says_of(row) for name, row in named.items() if name in entry.baselines}
    return Figure(f"leaves {says_of(named[entry.name])} of a tiny model's facts answered", others)


def plot(result: Result, path: Path) -> Path:
    """Draw loss and facts by bits a number."""
    from mnemos.bench.plots import PALETTE, new_figure, tidy

    figure = new_figure(10, 4)
    kinds = ("round-to-nearest", "bipolar-int", "bitstack as", "bitstack, not scaled", "bitstack, not sorted")
    for axis, what, label in zip(
        figure.subplots(1, 2), ("facts", "general"), ("facts answered", "loss of general text"), strict=True
    ):
        for kind, colour in zip(kinds, PALETTE, strict=False):
            rows = [row for name, row in result["small"].items() if name.startswith(kind)]
            points = sorted((fmean(row["bits"]), fmean(row[what])) for row in rows)
            axis.plot(*zip(*points, strict=True), "o-", color=colour, ms=4, label=kind.removesuffix(" as"))
        axis.set_xlabel("bits a number")
        axis.set_ylabel(label)
        tidy(axis)
        axis.legend(fontsize=8, frameon=False)
    figure.savefig(str(path), dpi=90)
    return path


@benchmark(
    "weight-compression",
    help="Weights in fewer bytes: rounding, bipolar integers, BitStack, merged experts, carriers in few bits.",
    options=Options,
    tables={
        "weight-compression": small,
        "weight-compression-experts": experts,
        "weight-compression-carriers": carriers,
    },
    plot=plot,
    figure=figure,
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Compress the models and ask what is left."""
    from mnemos.bench.parametric import compressed_models, merged_experts

    def one(seed: int) -> dict[str, Any]:
        found = compressed_models.measure(options.steps, seed, options.cache)
        return {**found, "experts": merged_experts.measure(seed)}

    found = each_seed(options.seeds, one, progress)
    return {
        "steps": options.steps,
        "seeds": options.seeds,
        "small_model": "tiny decoder like Llama, 3 layers, width 64",
        **found,
    }
