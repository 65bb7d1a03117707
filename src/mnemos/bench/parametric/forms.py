"""Text, keys and values, or weights: what a year of use costs by a schedule, by fixed choices, and by an oracle.

`mnemos bench forms`. A simulation (`year`) with measured costs (`form_costs`), on four kinds of use: steady (Zipf), bursty
(projects with pauses), drifting (what is new is used most, and popularity walks), and volatile (most of it changes every
ten days or so). The knobs of the schedule were chosen on seeds 0 and 1; those reported begin at 100.

A space of some 2,000 memories that is asked twenty questions a day, each with ten memories in its prompt, recalls each 0.1
times a day on average: that is `rate`.
"""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.bench.parametric.form_costs import from_result, measure
from mnemos.bench.parametric.year import KINDS, Ledger, always, by_schedule, live, make_year, oracle
from mnemos.bench.plots import BLUE, GREEN, GREY, ORANGE, VERMILION, new_figure, tidy
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.errors import InvalidInput
from mnemos.migrate.form_schedule import DISK, FORMS, FormCosts, FormSchedule

COLOURS = {"text": ORANGE, "kv": BLUE, "weights": GREEN}
SHOWN, PRICES = "drifting", ("as measured", "training / 100")  # the use and the prices of the picture


@dataclass(frozen=True)
class Options:
    """What a year is made of, and where its costs come from."""

    model: str = "smollm2"  # measure the costs with this model: a folder, or smollm2
    costs: Path | None = None  # an earlier result, whose costs are used instead of measuring
    learn: bool = False  # measure training by learning texts; else a few steps are timed
    steps: int = 60  # of training a text, at most
    memories: int = 300  # of the year
    rate: float = 0.1  # recalls a day of a memory, on average
    seed: int = 100  # first of the seeds
    seeds: int = 3  # years of each kind


@benchmark(
    "forms",
    help="A year of text, keys and values and weights: the schedule against fixed choices and an oracle.",
    options=Options,
    tables={"forms": lambda result: table(result), "forms-costs": lambda result: costs_table(result)},
    plot=lambda result, path: plot(result, path),
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Simulate the years; also with a tenth and ten times the price of the disk, and of training."""
    o = options
    if o.rate <= 0:
        raise InvalidInput(f"rate is {o.rate}: give recalls a day above 0.")
    found = from_result(o.costs) if o.costs else measure(o.model, 4 if o.learn else 0, o.steps, DISK, progress)
    prices = {
        "as measured": found.costs, "disk / 10": replace(found.costs, disk=found.costs.disk / 10),
        "disk x 10": replace(found.costs, disk=found.costs.disk * 10),
        "training / 10": replace(found.costs, train=found.costs.train / 10),
        "training / 100": replace(found.costs, train=found.costs.train / 100),
    }  # fmt: skip
    progress.expect(len(prices) * len(KINDS) * o.seeds)
    rows, shown = [], {}
    for name, costs in prices.items():
        for kind in KINDS:
            years = []
            for seed in range(o.seed, o.seed + o.seeds):
                years.append(one_year(kind, seed, o, costs))
                progress(1)
            rows.append({"prices": name, "kind": kind, **_summary(years)})
            if kind == SHOWN and name in PRICES:
                shown[name] = years[0]["picture"]
    return {
        "seed": o.seed, "seeds": o.seeds, "memories": o.memories, "rate": o.rate, "costs": asdict(found.costs),
        "measured": found.about, "costs_from": "an earlier result" if o.costs else "measured by this run",
        "schedule": asdict(FormSchedule()), "years": rows, "picture": shown,
    }  # fmt: skip


def one_year(kind: str, seed: int, o: Options, costs: FormCosts) -> dict[str, Any]:
    """Return the costs of a year by each choice, and what a picture of it needs."""
    year = make_year(kind, seed, o.memories, o.rate * o.memories, costs.failed)
    fixed = {form: live(year, costs, always(form)) for form in FORMS}
    ours = live(year, costs, by_schedule(year, costs, FormSchedule()), caching=True)
    best = min(ledger.total for ledger in fixed.values())
    least = oracle(year, costs)
    ledgers = {**{f"always {form}": ledger for form, ledger in fixed.items()}, "schedule": ours}
    order = np.argsort(-year.recalls.sum(1), kind="stable")
    return {
        "seconds": {name: ledger.total for name, ledger in ledgers.items()} | {"oracle": least},
        "parts": {"recalls": ours.prefill, "disk": ours.disk, "training": ours.training},
        "to best fixed": ours.total / best, "to oracle": ours.total / least,
        "held": {form: _share(ours, i) for i, form in enumerate(FORMS)},
        "picture": {
            "kind": kind, "seed": seed, "oracle": round(least, 1),
            "forms": ["".join("-tkw"[v + 1] for v in row) for row in ours.forms[order].tolist()],
            "by_day": {name: np.cumsum(ledger.by_day).round(3).tolist() for name, ledger in ledgers.items()},
        },
    }  # fmt: skip


def _share(ledger: Ledger, form: int) -> float:
    """Return the share of the days of memories that were spent in a form."""
    return float((ledger.forms == form).sum() / max((ledger.forms >= 0).sum(), 1))


def _summary(years: list[dict[str, Any]]) -> dict[str, Any]:
    def mean(values: list[float]) -> float:
        return round(statistics.mean(values), 4)

    return {
        "seconds": {name: round(mean([y["seconds"][name] for y in years]), 1) for name in years[0]["seconds"]},
        "parts": {name: round(mean([y["parts"][name] for y in years]), 1) for name in years[0]["parts"]},
        "held": {name: mean([y["held"][name] for y in years]) for name in years[0]["held"]},
        **{name: mean([y[name] for y in years]) for name in ("to best fixed", "to oracle")},
        "worst to best fixed": round(max(y["to best fixed"] for y in years), 4),
        "worst to oracle": round(max(y["to oracle"] for y in years), 4),
    }  # fmt: skip


def table(result: Result) -> Rows:
    """Return the costs of a year by kind of use and prices, in seconds of the machine."""
    names = [*(f"always {form}" for form in FORMS), "schedule", "oracle"]
    header = ["prices", "use", *names, "to best fixed", "to oracle", "days as text / kv / weights"]
    rows: Rows = [header]
    for row in result["years"]:
        held = " / ".join(f"{row['held'][form]:.0%}" for form in FORMS)
        seconds = [f"{row['seconds'][name]:,.0f}" for name in names]
        ratios = [f"{row[n]:.2f} (worst {row['worst ' + n]:.2f})" for n in ("to best fixed", "to oracle")]
        rows.append([row["prices"], row["kind"], *seconds, *ratios, held])
    return rows


def costs_table(result: Result) -> Rows:
    """Return the costs that the years were lived with."""
    c = result["costs"]
    return [
        ["cost", "value"],
        ["reading a token", f"{1e3 * c['prefill']:.2f} ms"],
        ["keeping it as keys and values", f"{c['kv_bytes'] / 1e3:.1f} kB"],
        ["loading a megabyte of them", f"{1e9 * c['load']:.2f} ms"],
        ["answering 32 tokens behind a token", f"{1e3 * c['behind']:.3f} ms"],
        ["learning a fact, measures included", f"{c['train']:.1f} s"],
        ["the weights of a memory", f"{c['weight_bytes'] / 1e6:.2f} MB"],
        ["a recall with weights attached", f"{1e3 * c['attach']:.1f} ms"],
        ["answers that weights miss", f"{c['missed']:.0%}"],
        ["trainings that the gate refuses", f"{c['failed']:.0%}"],
        ["a gigabyte for a day (assumed)", f"{c['disk']:.0f} s"],
        ["from", f"{result['measured'].get('model')}, {result['costs_from']}"],
        ["assumed", result["measured"].get("assumed", "nothing")],
    ]


def plot(result: Result, path: Path) -> Path:
    """Draw which memory was in which form on each day of a year, and what the year cost by each choice."""
    from matplotlib.colors import ListedColormap

    figure = new_figure(12, 5)
    *panels, curves = figure.subplots(1, 3)
    colours = ListedColormap(["#ffffff", *(COLOURS[form] for form in FORMS)])
    for axis, name in zip(panels, PRICES, strict=True):
        rows = [["-tkw".index(c) - 1 for c in row] for row in result["picture"][name]["forms"]]
        axis.imshow(np.array(rows), aspect="auto", cmap=colours, vmin=-1, vmax=2, interpolation="nearest")
        axis.set(xlabel="day", ylabel="memories, the most recalled first", title=f"the form of each ({name})")
        for form in FORMS:
            axis.plot([], [], "s", color=COLOURS[form], label=form)
        axis.legend(loc="lower left", frameon=True)
    shown = result["picture"][PRICES[0]]
    lines = {**{f"always {form}": COLOURS[form] for form in FORMS}, "schedule": VERMILION}
    for name, colour in lines.items():
        seconds = shown["by_day"][name]
        width = 2.4 if name == "schedule" else 1.4
        curves.plot(seconds, color=colour, linewidth=width, label=f"{name}: {seconds[-1]:,.0f} s")
    curves.axhline(
        shown["oracle"], color=GREY, linestyle="--", label=f"oracle, the whole year: {shown['oracle']:,.0f} s"
    )
    curves.set(
        xlabel="day", ylabel="seconds of the machine so far", yscale="log", title=f"what it cost ({shown['kind']} use)"
    )
    curves.legend(frameon=False)
    tidy(curves)
    figure.savefig(path)
    return path
