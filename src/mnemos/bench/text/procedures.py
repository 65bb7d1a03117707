"""Procedures of agents: `mnemos bench procedures`. Concepts beside whole solutions, association beside one retrieval,
stored programs beside a simulator, and a team's beliefs beside none. No model: rules stand for it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any, get_args

from mnemos.bench.cells import mean_and_spread, percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text import agents_beliefs as beliefs
from mnemos.bench.text import agents_concepts as concepts
from mnemos.bench.text import agents_machine as machine
from mnemos.bench.text.agents_association import World, answered, retrieved_once
from mnemos.system import Mnemos

PARTS = ("routine and one operation", "new compositions", "new routines", "new compositions of these")


@dataclass(frozen=True)
class Options:
    """The sizes of the worlds."""

    seed: int = 0  # seed of the first world
    seeds: int = 5  # worlds of each kind
    each: int = 10  # tasks of each part of a stream of programs
    chains: int = 60  # people of a graph of facts
    questions: int = 20  # questions about a graph
    expansions: int = 20  # nodes that a search may expand
    steps: int = 10_000  # steps of a Turing machine
    episodes: int = 40  # episodes of a team
    days: int = 60  # days of an episode
    trading: int = 1_000  # days on which the risk trigger is tried


def concept_table(result: Result) -> Rows:
    """Return the programs found within the budget, by part of the stream."""
    return [
        ["memory", *PARTS, "all", "± over seeds"],
        *(
            [name, *map(percent, row["parts"]), percent(row["all"][0]), percent(row["all"][1])]
            for name, row in result["concepts"].items()
        ),
    ]


def association_table(result: Result) -> Rows:
    """Return the questions that each way of finding facts answers."""
    return [
        ["search", "questions answered", "± over seeds"],
        *([name, percent(row[0]), percent(row[1])] for name, row in result["association"].items()),
    ]


def machine_table(result: Result) -> Rows:
    """Return how exact stored programs are."""
    row = result["stored_programs"]
    return [
        ["machines", "steps of each", "wrong entries", "entries flipped", "noticed"],
        [row["machines"], row["steps"], row["wrong"], row["flipped"], row["noticed"]],
    ]


def belief_table(result: Result) -> Rows:
    """Return the profit of a day over the episodes, in fifths, and the messages, by what analysts are told."""
    return [
        ["beliefs", "profit a day, first fifth", "second", "third", "fourth", "last", "± over seeds", "messages"],
        *(
            [name, *(f"{x:.3f}" for x in row["fifths"]), f"{row['last'][1]:.3f}", round(row["messages"])]
            for name, row in result["beliefs"].items()
        ),
    ]


def risk_table(result: Result) -> Rows:
    """Return what the risk trigger does to profits and to the worst losses."""
    return [
        ["careful", "profit a day", "mean of the worst 5 % of days", "± over seeds", "careful days"],
        *(
            [
                name,
                f"{row['profit'][0]:.3f}",
                f"{row['worst'][0]:.3f}",
                f"{row['worst'][1]:.3f}",
                percent(row["careful"]),
            ]
            for name, row in result["risk"].items()
        ),
    ]


@benchmark(
    "procedures",
    help="Concepts, association and stored programs beside what they replace, and a team's beliefs beside none.",
    options=Options,
    tables={
        "procedures-concepts": concept_table, "procedures-association": association_table,
        "procedures-machine": machine_table, "procedures-beliefs": belief_table, "procedures-risk": risk_table,
    },
)  # fmt: skip
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the shares of what is solved, as means over the seeds with their standard deviation."""
    o, seeds = options, range(options.seed, options.seed + options.seeds)
    progress.expect(4)
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root, Mnemos(root, embedder="none") as memory:
        found: dict[str, Any] = {}
        for way in get_args(concepts.Memory):
            runs = [concepts.solved(memory.space(f"{way} {s}"), way, s, o.each) for s in seeds]
            parts = [fmean(x for run in runs for x in run[i * o.each : (i + 1) * o.each]) for i in range(4)]
            found[way] = {"parts": parts, "all": mean_and_spread([fmean(run) for run in runs])}
        progress(1)
        association = _association(memory, seeds, o)
        progress(1)
        wrong = noticed = flipped = 0
        for seed in seeds:
            space = memory.space(f"machine {seed}")
            wrong += machine.errors(space, "tape", machine.table(seed), o.steps)
            cells = [c for c in space.cubes(kind="agent-file") if str(c.metadata["name"]).startswith("cell")]
            flipped += min(5, len(cells))
            noticed += machine.flips_noticed(space, "tape", seed, 5)
        progress(1)
        team = _beliefs(memory, seeds, o)
        progress(1)
    row = {"machines": o.seeds, "steps": o.steps, "wrong": wrong, "flipped": flipped, "noticed": noticed}
    return {
        "seeds": list(seeds), "concepts": found, "association": association, "stored_programs": row, "beliefs": team,
        "risk": _risk(seeds, o),
    }  # fmt: skip


def _association(memory: Mnemos, seeds: Sequence[int], o: Options) -> dict[str, list[float]]:
    shares: dict[str, list[float]] = {}
    for seed in seeds:
        world, space = World.draw(seed, o.chains, o.questions), memory.space(f"graph {seed}")
        space.add_many([{"content": fact} for fact in world.facts], reconcile=False)
        ways = {
            "tree search with association": answered(space, world, o.expansions, associate=True, beta=0.3),
            "with association, beta = 0": answered(space, world, o.expansions, associate=True, beta=0.0),
            "tree search without association": answered(space, world, o.expansions, associate=False, beta=0.0),
            "retrieved once, as many facts": retrieved_once(space, world, 8 * o.expansions),
        }
        for name, right in ways.items():
            shares.setdefault(name, []).append(fmean(right))
    return {name: mean_and_spread(values) for name, values in shares.items()}


def _beliefs(memory: Mnemos, seeds: Sequence[int], o: Options) -> dict[str, Any]:
    """Return what a team earns and sends, by what its analysts are told."""
    ways: dict[str, beliefs.Spread] = {
        "none": "none", "told to whom they concern": "own", "told to all": "all", "told to one at random": "random",
    }  # fmt: skip
    found = {}
    for name, spread in ways.items():
        runs = [beliefs.play(memory.space(f"team {spread} {s}"), spread, s, o.episodes, o.days) for s in seeds]
        cut = [round(i * o.episodes / 5) for i in range(6)]
        fifths = [[fmean(run.rewards[a:b]) for run in runs] for a, b in pairwise(cut)]
        found[name] = {
            "fifths": [round(fmean(x), 4) for x in fifths], "last": mean_and_spread(fifths[-1]),
            "messages": fmean(run.messages for run in runs),
        }  # fmt: skip
    return found


def _risk(seeds: Sequence[int], o: Options) -> dict[str, Any]:
    """Return what the risk trigger does, and as many careful days at random."""
    runs = [beliefs.risks(seed, o.trading) for seed in seeds]
    return {
        name: {
            "profit": mean_and_spread([run[name][0] for run in runs]), "worst": mean_and_spread([run[name][1] for run in runs]),
            "careful": fmean(run[name][2] for run in runs),
        }
        for name in runs[0]
    }  # fmt: skip
