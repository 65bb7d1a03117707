"""Memory for a long task: `mnemos bench agents`. Scripted agents and worlds, no model; words alone find memories.

Where a paper's model decides, rules do here: what to write down, when to fold, which plan to follow. Full context reads
everything that was ever said; all others have the same budget.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any

from mnemos.bench.cells import mean_and_spread
from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark
from mnemos.bench.text import agents_tables as tables
from mnemos.bench.text.agents_cases import Memory
from mnemos.bench.text.agents_cases import play as play_cases
from mnemos.bench.text.agents_context import Trial, count_along, find_for_goal, inspect_valves
from mnemos.bench.text.agents_dialogues import SCENARIOS
from mnemos.bench.text.agents_dialogues import play as play_dialogue
from mnemos.bench.text.agents_edits import RandomEdits, train
from mnemos.system import Mnemos
from mnemos.text.compress.base import ContextPolicy, KeepAll
from mnemos.text.compress.carry_over import CarryOver
from mnemos.text.compress.internal_state import InternalState, ShortAndLongTerm
from mnemos.text.compress.window import PeriodicSummary, SlidingWindow

POLICIES: dict[str, ContextPolicy] = {
    "full context": KeepAll(),
    "sliding-window": SlidingWindow(),
    "sliding-window, fetching back": SlidingWindow(fetch=4),
    "periodic-summary": PeriodicSummary(),
    "internal-state": InternalState(),
    "short-and-long-term": ShortAndLongTerm(),
}
OBJECTIVES = (2, 4, 8, 16)
BANKS: tuple[tuple[Memory, int], ...] = (("none", 4), ("nearest", 4), ("nearest", 16), ("learned", 4), ("learned", 16))


@dataclass(frozen=True)
class Options:
    """The sizes of the worlds."""

    seed: int = 0  # seed of the first world
    seeds: int = 5  # worlds of each kind
    steps: int = 200  # steps of the long task
    valves: int = 120  # things to keep track of in it
    tokens: int = 1_000  # budget of a working context
    training: int = 30  # development worlds on which edits are learned
    turns: int = 60  # turns of a dialogue after everything was filled in
    tasks: int = 500  # tasks of the stream of cases


@benchmark(
    "agents",
    help="An agent's long task: bounded contexts, task state, and cases that learn, against what they replace.",
    options=Options,
    tables={
        "agents-context": tables.context, "agents-objectives": tables.objectives, "agents-carry": tables.carry,
        "agents-edits": tables.edits, "agents-dialogues": tables.dialogues, "agents-cases": tables.cases,
    },
    plot=tables.plot,
    figure=tables.figure,
)  # fmt: skip
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return what every policy, memory and bank did, as means over the seeds with their standard deviation."""
    o, seeds = options, range(options.seed, options.seed + options.seeds)
    progress.expect(len(POLICIES) + 4)
    context = {}
    for name, policy in POLICIES.items():
        trials = [inspect_valves(policy, seed, o.steps, o.valves, o.tokens) for seed in seeds]
        context[name] = _summary(trials) | {"tokens_by_step": _by_step([t.tokens for t in trials])}
        progress(1)
    result = {
        "seeds": list(seeds), "steps": o.steps, "valves": o.valves, "tokens": o.tokens, "tasks": o.tasks,
        "context": context, "objectives": _objectives(seeds, o.tokens), "carry": _carry(seeds),
    }  # fmt: skip
    progress(1)
    result["edits"] = _edits(seeds, o.training)
    progress(1)
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root, Mnemos(root, embedder="none") as memory:
        result["dialogues"] = _dialogues(memory, seeds, o.turns)
        progress(1)
        result["cases"] = _cases(memory, seeds, o.tasks)
        progress(1)
    return result


def _objectives(seeds: Sequence[int], tokens: int) -> dict[str, Any]:
    """Return peak tokens and success by the number of things to keep track of, five steps for each."""
    found: dict[str, Any] = {}
    for name in ("full context", "sliding-window", "internal-state"):
        for number in OBJECTIVES:
            trials = [inspect_valves(POLICIES[name], seed, 5 * number, number, tokens // 2) for seed in seeds]
            found.setdefault(name, {})[str(number)] = _summary(trials)
    return found


def _carry(seeds: Sequence[int]) -> dict[str, Any]:
    """Return how often the registers are right, by what is carried over and whether the agent writes them down."""
    ways: dict[str, tuple[ContextPolicy, bool]] = {
        "full context": (KeepAll(), True),
        "carry-over": (CarryOver(), True),
        "carry-over, less than the state": (CarryOver(carry=0.05), True),
        "carry-over, nothing written down": (CarryOver(), False),
    }
    return {
        name: _summary([count_along(policy, seed, 60, 700, writes=writes) for seed in seeds])
        for name, (policy, writes) in ways.items()
    }


def _edits(seeds: Sequence[int], worlds: int) -> dict[str, Any]:
    """Return what edits learned by REINFORCE reach at the end of new worlds, with the weights that were found."""
    size, tokens = 80, 1_200
    learned = [train(seed, worlds, size, tokens) for seed in seeds]
    prefix = [train(seed, worlds, size, tokens, one_prefix=True) for seed in seeds]
    ways: dict[str, Callable[[int], ContextPolicy]] = {
        "full context": lambda i: KeepAll(),
        "sliding-window": lambda i: SlidingWindow(),
        "periodic-summary": lambda i: PeriodicSummary(),
        "random edits": RandomEdits,
        "context-edits": lambda i: learned[i],
        "context-edits, trained as one prefix": lambda i: prefix[i],
    }
    found = {
        name: _summary([find_for_goal(make(i), seed, size, tokens) for i, seed in enumerate(seeds)])
        for name, make in ways.items()
    }
    return {"ways": found, "weights": [list(policy.weights) for policy in learned]}


def _dialogues(memory: Mnemos, seeds: Sequence[int], turns: int) -> dict[str, Any]:
    """Return how often each memory of a dialogue had the true state, and its tokens."""
    found: dict[str, Any] = {}
    for name in SCENARIOS:
        scores = [play_dialogue(memory.space(f"{name} {seed}"), name, seed, turns) for seed in seeds]
        for way in scores[0].right:
            found.setdefault(way, {})[name] = {
                "right": mean_and_spread([fmean(s.right[way]) for s in scores]),
                "wrong_values": fmean(w for s in scores for w in s.wrong[way]),
                "first_tokens": fmean(s.tokens[way][0] for s in scores),
                "peak_tokens": max(max(s.tokens[way]) for s in scores),
                "last_tokens": fmean(s.tokens[way][-1] for s in scores),
            }
        found.setdefault("stale exact", {})[name] = fmean(x for s in scores for x in s.stale_exact)
    return found


def _cases(memory: Mnemos, seeds: Sequence[int], tasks: int) -> dict[str, Any]:
    """Return the success of each bank over the stream, in fifths of it; the topics of the last fifth are new."""
    found = {}
    for way, k in BANKS:
        runs = [play_cases(memory.space(f"cases {way} {k} {seed}"), way, seed, tasks, k) for seed in seeds]
        cut = [round(i * tasks / 5) for i in range(6)]
        found[f"{way}, k = {k}" if way != "none" else "none"] = {
            "success": mean_and_spread([fmean(run) for run in runs]),
            "fifths": [fmean(x for run in runs for x in run[a:b]) for a, b in pairwise(cut)],
        }
    return found


def _summary(trials: Sequence[Trial]) -> dict[str, Any]:
    return {
        "success": mean_and_spread([fmean(t.right) for t in trials]),
        "late": mean_and_spread([fmean(t.late) for t in trials if t.late]),
        "peak_tokens": max(max(t.tokens) for t in trials),
        "mean_tokens": fmean(n for t in trials for n in t.tokens),
    }


def _by_step(rows: Sequence[Sequence[int]]) -> list[float]:
    return [round(fmean(column), 1) for column in zip(*rows, strict=True)]
