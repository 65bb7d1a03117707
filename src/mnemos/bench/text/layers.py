"""Does a rate of ageing for each layer beat one rate for all? `mnemos bench layers`.

A stream of two years: 300 things have a value each that holds for days (a third of them), months or years, and is told again when
it changes; nothing is overwritten. A question asks for the value that holds. Each statement has a relevance that is higher for
the thing asked about than for others, with noise; its score is relevance + w exp(-age / Q). Q by layer, as in FinMem (14, 90
and 365 days) with the w of `layered-recency`, and with that of the paper (1), against one Q for all: of every size and with
every w, the best in hindsight; and against none. And twins: of two memories told on the same day one is used
once a week; which day is each dropped, when its retention falls below 5 %?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.registry import Entry
from mnemos.text.base import Floats, Histories, Ints
from mnemos.text.forget.layered import Layered
from mnemos.text.recall.layers import LayeredRecency

Ways = dict[str, tuple[float, Layered]]  # the weight of recency, and the law that says it
LAYERS = "layers"
DAYS, THINGS = 730.0, 300
HOLDS = (8.0, 60.0, 400.0)  # days that a value of each layer holds, on average
GLOBAL = (1.0, 3.0, 7.0, 14.0, 30.0, 60.0, 90.0, 180.0, 365.0, 1_000.0)
RELEVANCE, OTHER, NOISE = 0.6, 0.35, 0.1  # mean relevance of the thing asked about and of others, and its deviation
NAMES = ("days", "months", "years")
WEIGHTS = (0.1, 0.2, 0.3, 0.5, 1.0)
DROPPED = 0.05  # retention below which a memory is dropped


@dataclass(frozen=True)
class Options:
    """The size of the stream."""

    seed: int = 0  # the first seed
    seeds: int = 5  # streams
    questions: int = 400  # questions of each


@dataclass(frozen=True, slots=True)
class Stream:
    """Statements in the order of time: what each is about, its layer and when it was told; (N,) each."""

    thing: Ints
    tier: Ints
    told: Floats


def table(result: Result) -> Rows:
    """Return recall of the value that holds."""
    rows: Rows = [["ageing", "recall@5", "recall@1", *(f"recall@1 of what holds for {name}" for name in NAMES)]]
    for name, row in result["ways"].items():
        parts = [f"{row[f'1 {kind}']:.3f}" for kind in NAMES]
        rows.append([name, f"{row['5']:.3f} ± {row['spread']:.3f}", f"{row['1']:.3f}", *parts])
    return rows


def twins_table(result: Result) -> Rows:
    """Return when a used memory and its unused twin are dropped."""
    rows: Rows = [["memory", "dropped after"]]
    return [
        *rows,
        *([name, f"{days} days" if days else "never within two years"] for name, days in result["twins"].items()),
    ]


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return recall with layers and with one rate."""
    if entry.form != "text" or entry.name not in ("layered-recency", "tradinggpt"):
        return None
    rows = result["ways"]
    best = max((name for name in rows if name.startswith("one")), key=lambda name: rows[name]["5"])
    return Figure(
        f"finds the value that holds in five with recall {rows[LAYERS]['5']:.3f}", {best: f"{rows[best]['5']:.3f}"}
    )


@benchmark(
    "layers",
    help="A rate of ageing for each layer against one rate for all, on facts that hold for days, months and years.",
    options=Options,
    tables={"layers": table, "layers-twins": twins_table},
    figure=figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Ask every stream with layers, with each single rate and with none."""
    progress.expect(options.seeds)
    ways: Ways = {
        LAYERS: (LayeredRecency().weight, Layered()),
        f"{LAYERS}, w = 1": (1.0, Layered()),
        "none": (0.0, Layered()),
    }
    ways |= {f"one, {q:g} days, w = {w:g}": (w, Layered(days=(q, q, q))) for q in GLOBAL for w in WEIGHTS}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for seed in range(options.seed, options.seed + options.seeds):
        for name, row in ask(np.random.default_rng(seed), ways, options.questions).items():
            found[name].append(row)
        progress(1)
    means = {
        name: {key: round(float(np.mean([row[key] for row in rows])), 4) for key in rows[0]}
        | {"spread": round(float(np.std([row["5"] for row in rows])), 4)}
        for name, rows in found.items()
    }
    best = sorted((name for name in means if name.startswith("one")), key=lambda name: -means[name]["5"])[:3]
    shown = {name: means[name] for name in (LAYERS, *best, f"{LAYERS}, w = 1", "none")}
    return {"seeds": [options.seed + i for i in range(options.seeds)], "ways": shown, "twins": twins()}


def stream(rng: np.random.Generator) -> Stream:
    """Draw the statements of two years."""
    rows = []
    for thing in range(THINGS):
        tier, now = thing % 3, float(rng.uniform(0, 30))
        while now < DAYS:
            rows.append((now, thing, tier))
            now += float(rng.exponential(HOLDS[tier]))
    rows.sort()
    things, tiers = (np.array([row[i] for row in rows], dtype=np.int64) for i in (1, 2))
    return Stream(things, tiers, np.array([row[0] for row in rows]))


def ask(rng: np.random.Generator, ways: Ways, questions: int) -> dict[str, dict[str, float]]:
    """Return recall@1 and @5 of the statement that holds, for each way to age."""
    told = stream(rng)
    hits: dict[str, list[tuple[int, float, float]]] = {name: [] for name in ways}
    for _ in range(questions):
        now, thing = float(rng.uniform(DAYS / 2, DAYS)), int(rng.integers(THINGS))
        n = int(np.searchsorted(told.told, now))
        mine = np.flatnonzero(told.thing[:n] == thing)
        relevance = np.where(told.thing[:n] == thing, RELEVANCE, OTHER) + NOISE * rng.normal(size=n)
        zeros = np.zeros(n, dtype=np.int64)
        past = Histories(told.told[:n], told.told[:n], zeros, np.ones(n), zeros, told.tier[:n])
        for name, (weight, law) in ways.items():
            scores = relevance + weight * law.retention(past, now)
            place = int((scores > scores[mine[-1]]).sum())
            hits[name].append((thing % 3, float(place < 5), float(place < 1)))
    return {name: summary(rows) for name, rows in hits.items()}


def summary(rows: Sequence[tuple[int, float, float]]) -> dict[str, float]:
    """Return the recall of all questions, and at 1 by how long the value holds."""
    by = {f"1 {kind}": float(np.mean([one for tier, _, one in rows if tier == i])) for i, kind in enumerate(NAMES)}
    return {"5": float(np.mean([five for _, five, _ in rows])), "1": float(np.mean([one for *_, one in rows]))} | by


def twins() -> dict[str, int | None]:
    """Return the day on which a memory used once a week for a quarter, and its unused twin, are dropped."""
    law = Layered()
    dropped: dict[str, int | None] = {}
    for name, weeks in (("unused", 0), ("used once a week for a quarter", 13)):
        h = Histories(
            np.zeros(1), np.zeros(1), np.zeros(1, np.int64), np.ones(1), np.ones(1, np.int64), np.zeros(1, np.int64)
        )
        dropped[name] = None
        for day in range(1, int(DAYS)):
            if law.retention(h, day)[0] < DROPPED:
                dropped[name] = day
                break
            if day % 7 == 0 and day // 7 <= weeks:
                strength, tier = law.reinforce(h, day)
                h = Histories(h.created, np.full(1, float(day)), h.recalls + 1, strength, h.size, tier)
    return dropped
